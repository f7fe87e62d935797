"""A script has the rights of its caller, also in a transaction, through a gateway and on copies."""

import pytest

from distrodb.commands.acl_guard import Guard
from distrodb.commands.acl_user import read
from distrodb.commands.table import COMMANDS
from distrodb.slave.gateway import Gateway
from tests.oracle.frames import pack
from tests.unit.session_world import World
from tests.unit.test_acl import administer, logged_in

NO_COMMAND = b"-ERR The user executing the script can't run this command or subcommand script: "
NO_KEY = b"-ERR The user executing the script can't access at least one of the keys mentioned in"
NO_CHANNEL = b"-ERR The user executing the script can't publish to the channel mentioned in"
RULES = b"~{t}a* %R~{t}r +eval +eval_ro +evalsha +get +set +publish +script +multi +exec".split()


def eval_(world: World, text: bytes, name: bytes = b"EVAL") -> bytes:
    return world.ask(pack([name, text, b"1", b"{t}a"]))


def test_each_command_of_a_script_is_checked() -> None:
    world = logged_in(*RULES)
    assert eval_(world, b"return redis.call('SET', '{t}a', 1)") == b"+OK\r\n"
    assert eval_(world, b"return redis.call('GET', '{t}r')") == b"$-1\r\n"
    assert eval_(world, b"return redis.call('SET', '{t}r', 1)").startswith(NO_KEY)
    assert eval_(world, b"return redis.call('GET', '{t}b')").startswith(NO_KEY)
    assert eval_(world, b"return redis.call('DEL', '{t}a')").startswith(NO_COMMAND)
    assert eval_(world, b"return redis.call('PUBLISH', 'c', 'm')").startswith(NO_CHANNEL)
    assert eval_(world, b"return redis.call('GET', '{t}b')", b"EVAL_RO").startswith(NO_KEY)
    assert eval_(world, b"return redis.pcall('DEL', 'a').err") == (
        b"$70\r\nERR The user executing the script can't run this command or subcommand\r\n"
    )
    may = b"return {redis.acl_check_cmd('GET', '{t}r'), redis.acl_check_cmd('SET', '{t}r', 'x')}"
    assert eval_(world, may) == b"*2\r\n:1\r\n$-1\r\n"
    assert eval_(world, b"return 1", b"EVALSHA_RO").startswith(b"-NOPERM this user has no perm")


def test_a_script_that_is_known_by_its_digest_has_no_more_rights() -> None:
    world = logged_in(*RULES)
    text = b"return redis.call('DEL', '{t}a')"
    administer(world, b"AUTH default x")
    sha = world.ask(pack([b"SCRIPT", b"LOAD", text]))[5:45]
    assert eval_(world, sha, b"evalsha").startswith(NO_COMMAND)


def test_rules_are_those_of_the_moment_when_it_runs() -> None:
    world = logged_in(*RULES)
    text = b"return redis.call('SET', '{t}a', 1)"
    assert world.ask(b"MULTI\r\n") == b"+OK\r\n"
    assert eval_(world, text) == b"+QUEUED\r\n"
    administer(world, b"ACL SETUSER u -set")
    assert world.ask(b"EXEC\r\n").startswith(b"*1\r\n" + NO_COMMAND)
    assert eval_(world, text).startswith(NO_COMMAND)


def test_in_a_transaction_and_through_a_gateway() -> None:
    world = logged_in(*RULES)
    script = pack([b"EVAL", b"return redis.call('DEL', KEYS[1])", b"1", b"{t}a"])
    reply = world.ask(b"MULTI\r\n" + script + b"EXEC\r\n")
    assert reply.startswith(b"+OK\r\n+QUEUED\r\n*1\r\n" + NO_COMMAND)
    world.session = world.service.open_session(world._woken, "c:1", Gateway(world.service))
    assert world.ask(b"AUTH u pw\r\n") == b"+OK\r\n"
    assert world.ask(script).startswith(NO_COMMAND)


def test_who_may_do_everything_is_not_asked() -> None:
    world = World()
    assert eval_(world, b"return redis.call('DEL', '{t}a')") == b":0\r\n"


@pytest.mark.parametrize("name", [b"EVAL_AS", b"eval_as", b"EVAL_RO_AS"])
def test_nobody_sends_rights(name: bytes) -> None:
    world = logged_in(*RULES, b"+@all")
    words = [name, b"~* &* +@all", b"EVAL", b"return redis.call('DEL', '{t}b')", b"1", b"{t}a"]
    assert world.ask(pack(words)).startswith(b"-ERR unknown command")
    script = b"return redis.call('EVAL_AS', '~* +@all', 'EVAL', 'return 1', '0')"
    assert b"Unknown Redis command" in eval_(world, script)


@pytest.mark.parametrize(
    "rules",
    [b"on +get ~a", b"on +@all -@dangerous ~* &ch*", b"on -@all +get (~b +set) (%R~c* +@read)"],
)
def test_rights_are_the_rules_without_passwords(rules: bytes) -> None:
    user = read(b"u", rules + b" >secret", COMMANDS)
    again = Guard(read(b"caller", Guard(user).rights, COMMANDS))
    guard = Guard(user)
    assert b"#" not in guard.rights
    for row in COMMANDS.values():
        for key in (b"a", b"b", b"c1"):
            words = [row.name.encode(), key, b"1", b"x"]
            if row.arity_ok(words) and not row.subcommands:
                one, other = guard.objection(row, words), again.objection(row, words)
                assert (one is None) == (other is None)
