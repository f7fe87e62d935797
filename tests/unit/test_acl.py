"""Users: where a session asks what its client may do.  What rules mean is compared with Redis
(tests/oracle/test_acl.py)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.commands.acl_guard import STRANGER, Guard
from distrodb.commands.acl_user import (
    OPEN,
    UNKNOWN_COMMAND,
    RuleError,
    User,
    default_user,
    hash_of,
    read,
)
from distrodb.commands.table import DISPATCHED
from distrodb.ring.clustermap import ClusterMap, first_map
from distrodb.ring.map_commands import USERS_MAX, apply
from distrodb.slave.gateway import Gateway
from distrodb.slave.session import STRANGER_BYTES_MAX
from distrodb.slave.users import Users
from tests.unit.session_world import World

NOAUTH = b"-NOAUTH Authentication required.\r\n"
NOPERM = b"-NOPERM this user has no permissions to run the '%b' command\r\n"
NO_KEY = b"-NOPERM this user has no permissions to access one of the keys used as arguments\r\n"
NODES = [("node1", "h:1", "h:2")]


def logged_in(*rules: bytes, **limits: int) -> World:
    """A world whose client is the user u."""
    world = World(**limits)
    assert world.ask(b"ACL SETUSER u on >pw " + b" ".join(rules) + b"\r\n") == b"+OK\r\n"
    assert world.ask(b"AUTH u pw\r\n") == b"+OK\r\n"
    return world


def administer(world: World, *lines: bytes) -> None:
    """As another client."""
    session, world.session = world.session, world.service.open_session(world._woken, "admin:1")
    for line in lines:
        assert world.ask(line + b"\r\n") == b"+OK\r\n"
    world.session = session


# -- who is free is not asked ----------------------------------------------------------------------


def test_who_may_do_everything_has_no_guard() -> None:
    world = World()
    assert world.session.guard is None
    administer(world, b"ACL SETUSER u on nopass ~* &* +@all")
    assert world.ask(b"AUTH u x\r\n") == b"+OK\r\n" and world.session.guard is None
    administer(world, b"ACL SETUSER u -flushall")
    assert isinstance(world.session.guard, Guard)
    administer(world, b"ACL SETUSER u +@all")
    assert world.session.guard is None


def test_what_follows_from_the_command_alone_is_decided_once() -> None:
    user = read(b"u", b"on nopass ~k* &* +@all -@dangerous", DISPATCHED)
    guard = Guard(user)
    ping, get = DISPATCHED[b"PING"], DISPATCHED[b"GET"]
    assert guard.objection(ping, [b"PING"]) is None and guard._free == {"ping": True}
    assert guard.objection(get, [b"GET", b"k1"]) is None
    assert guard.objection(get, [b"GET", b"x"]) is not None and guard._free["get"] is False


# -- each way in -----------------------------------------------------------------------------------


def test_commands_that_come_together_are_refused_one_by_one() -> None:
    world = logged_in(b"~a ~b", b"+get +set")
    burst = b"SET a 1\r\nSET b 2\r\nSET c 3\r\nGET a\r\nINCR a\r\nGET b\r\nGET c\r\n"
    replies = b"+OK\r\n+OK\r\n" + NO_KEY + b"$1\r\n1\r\n" + NOPERM % b"incr" + b"$1\r\n2\r\n"
    assert world.ask(burst) == replies + NO_KEY
    assert b"c" not in names(world)


def names(world: World) -> bytes:
    session, world.session = world.session, world.service.open_session(world._woken, "admin:2")
    listed = world.ask(b"KEYS *\r\n")
    world.session = session
    return listed


def test_a_gateway_asks_too() -> None:
    world = World()
    administer(world, b"ACL SETUSER u on nopass ~a* +@all")
    world.session = world.service.open_session(world._woken, "c:1", Gateway(world.service))
    assert world.ask(b"AUTH u x\r\nMSET a 1 ab 2\r\nMGET a x\r\n") == b"+OK\r\n+OK\r\n" + NO_KEY
    assert world.ask(b"ACL WHOAMI\r\nACL LOG\r\n").startswith(b"$1\r\nu\r\n*1\r\n")


def test_a_key_of_any_position_counts() -> None:
    world = logged_in(b"~{t}a %R~{t}r", b"+@all")
    assert world.ask(b"COPY {t}r {t}a\r\n") == b":0\r\n"
    for line in (b"COPY {t}a {t}r", b"MSET {t}a 1 {t}x 2", b"BITOP NOT {t}r {t}a", b"WATCH {t}x"):
        assert world.ask(line + b"\r\n") == NO_KEY, line


def test_a_transaction_is_refused_when_it_is_queued_and_again_when_it_runs() -> None:
    world = logged_in(b"~a", b"+@all")
    assert b"EXECABORT" in world.ask(b"MULTI\r\nSET a 1\r\nSET b 1\r\nEXEC\r\n")
    assert world.ask(b"MULTI\r\nSET a 2\r\nGET a\r\n") == b"+OK\r\n" + 2 * b"+QUEUED\r\n"
    administer(world, b"ACL SETUSER u -set")
    reply = world.ask(b"EXEC\r\n")
    assert reply.startswith(b"*2\r\n-NOPERM ACLs rules changed") and reply.endswith(b"$-1\r\n")


def test_who_listens_to_what_it_may_not_any_more_is_ended() -> None:
    world = logged_in(b"&a &b*", b"+@pubsub")
    assert b"subscribe" in world.ask(b"SUBSCRIBE a\r\nPSUBSCRIBE b*\r\n")
    administer(world, b"ACL SETUSER u +get")
    assert not world.session.is_killed
    administer(world, b"ACL SETUSER u resetchannels &a")
    assert world.session.is_killed


def test_a_user_that_is_no_more_is_ended_and_others_are_not() -> None:
    world = logged_in(b"+@all")
    administer(world, b"ACL SETUSER v on nopass")
    administer(world, b"ACL SETUSER u off", b"ACL SETUSER v off")
    assert not world.session.is_killed  # as in Redis: off ends no connection
    session, world.session = world.session, world.service.open_session(world._woken, "admin:1")
    assert world.ask(b"ACL DELUSER v\r\n") == b":1\r\n" and not session.is_killed
    assert world.ask(b"ACL DELUSER u\r\n") == b":1\r\n" and session.is_killed


def test_who_deletes_himself_is_told_so_and_ended() -> None:
    world = logged_in(b"+@all")
    assert world.ask(b"ACL DELUSER u\r\nPING\r\n") == b":1\r\n"
    assert world.session.is_closing and not world.session.is_killed


# -- who has not logged in -------------------------------------------------------------------------


@pytest.mark.parametrize("password", ["secret", "#" + hash_of(b"secret").decode()])
def test_the_password_of_a_slave_s_file_is_asked_for(password: str) -> None:
    world = World(requirepass=password)
    assert world.session.guard is STRANGER
    assert world.ask(b"GET a\r\nSET a 1\r\nMULTI\r\nSUBSCRIBE a\r\nMONITOR\r\n") == 5 * NOAUTH
    assert world.ask(b"AUTH x\r\n").startswith(b"-WRONGPASS")
    assert world.ask(b"AUTH %b\r\n" % password[:3].encode()).startswith(b"-WRONGPASS")
    assert world.ask(b"AUTH secret\r\nGET a\r\n") == b"+OK\r\n$-1\r\n"
    assert world.ask(b"RESET\r\nGET a\r\n") == b"+RESET\r\n" + NOAUTH
    assert b"secret" not in world.ask(b"AUTH secret\r\nCONFIG GET *\r\nINFO\r\nACL LIST\r\n")


def test_a_hash_is_no_password() -> None:
    hashed = "#" + hash_of(b"secret").decode()
    world = World(requirepass=hashed)
    for wrong in (hashed, hashed[1:]):
        assert world.ask(b"AUTH %b\r\n" % wrong.encode()).startswith(b"-WRONGPASS")


def test_the_users_of_the_map_rule_over_the_file() -> None:
    users = Users(DISPATCHED, "secret")
    assert not users.is_open and users.authenticates(b"default", b"secret")
    users.follow({"default": "on nopass ~* &* +@all"})
    assert users.is_open
    users.follow({})
    assert not users.is_open


def test_who_has_not_logged_in_takes_no_memory() -> None:
    world = World(requirepass="secret")
    world.session.receive(b"*2\r\n$3\r\nGET\r\n$1000000\r\n" + b"x" * STRANGER_BYTES_MAX)
    world.finish()
    assert world.session.is_closing
    assert "has not logged in" in world.session.fault
    world = World(requirepass="secret")  # who logs in with the same bytes is no stranger
    large = b"x" * STRANGER_BYTES_MAX
    world.session.receive(b"AUTH secret\r\n*2\r\n$4\r\nECHO\r\n$%d\r\n" % len(large) + large)
    assert world.finish() == b"+OK\r\n" and not world.session.is_closing


def test_a_burst_of_a_stranger_does_nothing() -> None:
    world = World(requirepass="secret")
    assert world.ask(b"SET a 1\r\nSET b 1\r\nGET a\r\n") == 3 * NOAUTH
    assert not any(world.queues)
    assert world.ask(b"AUTH secret\r\nGET a\r\nGET b\r\n") == b"+OK\r\n$-1\r\n$-1\r\n"


# -- secrets ---------------------------------------------------------------------------------------


def test_no_secret_is_shown_to_who_looks_on() -> None:
    world = World()
    settings = world.service.settings
    settings.change([("slowlog-log-slower-than", "0")])
    assert world.ask(b"MONITOR\r\n") == b"+OK\r\n"
    watcher, world.session = world.session, world.service.open_session(world._woken, "c:2")
    for line in (
        b"ACL SETUSER u on >topsecret <topsecret >topsecret",
        b"AUTH u topsecret",
        b"AUTH default topsecret",
        b"HELLO 2 AUTH u topsecret",
        b"CONFIG SET requirepass topsecret",
        b"MULTI",
        b"AUTH default topsecret",
        b"EXEC",
        b"ACL DRYRUN default AUTH topsecret",
        b"ACL DRYRUN default ACL SETUSER u >topsecret",
        b"ACL DRYRUN default ACL DRYRUN u CONFIG SET requirepass topsecret",
    ):
        world.ask(line + b"\r\n")
    world.ask(b"AUTH default topsecret\r\n")
    told = world.ask(
        b"CONFIG GET *\r\nSLOWLOG GET 100\r\nACL LOG\r\nACL LIST\r\nCLIENT LIST\r\nINFO all\r\n"
    )
    world.session = watcher
    told += world.take()
    assert b"redacted" in told and b"topsecret" not in told
    assert b"topsecret" not in repr(world.users.all).encode()
    assert hash_of(b"topsecret") not in repr(world.users.all).encode()


# -- users as values, and in the map ---------------------------------------------------------------


def test_rules_that_are_wrong_change_nothing() -> None:
    user = read(b"u", b"on nopass +get", DISPATCHED)
    with pytest.raises(RuleError):
        user.changed([b"+set", b"+nosuch"], DISPATCHED)
    with pytest.raises(RuleError, match="longer than"):
        user.changed([b"~" + b"k" * 3000 + b"%d" % n for n in range(9)], DISPATCHED)
    with pytest.raises(RuleError, match="longer than"):
        user.changed([b"~" + b"k" * 5000], DISPATCHED)


def test_commands_of_a_later_version_are_no_rights_here() -> None:
    text = b"on nopass ~* &* -@all +nosuch +@nosuch +config|nosuch +get"
    user = read(b"u", text, DISPATCHED)
    allowed = [name for name, row in DISPATCHED.items() if user.root.allows(row)]
    assert allowed == [b"GET"]


def test_a_user_that_cannot_be_read_may_do_nothing() -> None:
    users = Users(DISPATCHED, "")
    users.follow({"u": "on nopass +@all ~* !!new"})
    assert users.all[b"u"] == User(b"u") and not users.authenticates(b"u", b"x")


def test_what_is_known_of_the_others_stays_when_one_changes() -> None:
    users = Users(DISPATCHED, "")
    users.follow({"u": "on +get ~a", "v": "on +get ~b"})
    u, v = users.all[b"u"], users.guard_of(b"v", True)
    mine = users.guard_of(b"u", True)
    users.follow({"u": "on +get ~a", "v": "on +set ~b"})
    assert users.all[b"u"] is u and users.guard_of(b"u", True) is mine
    assert users.guard_of(b"v", True) is not v
    get = DISPATCHED[b"GET"]
    assert users.guard_of(b"v", True).objection(get, [b"GET", b"b"]) is not None
    users.follow({"v": "on +get ~b"})
    assert b"u" not in users.all and users.guard_of(b"u", True) is not mine
    assert users.guard_of(b"u", True).objection(get, [b"GET", b"a"]) is not None


def test_the_default_user_is_as_redis_has_it() -> None:
    assert OPEN.text == b"on nopass ~* &* +@all" and OPEN.is_unrestricted
    assert read(b"default", OPEN.text, DISPATCHED) == OPEN
    assert default_user(b"x").text == b"on #%b ~* &* +@all" % hash_of(b"x")


def a_map() -> ClusterMap:
    return first_map(NODES, 2, 1, {"node1": "1"})


def test_the_map_keeps_users() -> None:
    before = a_map()
    made = apply(before, ["set_user", "ü\xff", "on nopass ~\x00\xff"])
    assert made.epoch == 2 and made.users == {"ü\xff": "on nopass ~\x00\xff"}
    assert ClusterMap.from_plain(made.to_plain()) == made
    assert apply(made, ["set_user", "ü\xff", "on nopass ~\x00\xff"]) is made
    assert apply(made, ["delete_users", "nobody"]) is made
    gone = apply(made, ["delete_users", "ü\xff", "nobody"])
    assert gone.users == {} and gone.epoch == 3


def test_a_map_without_users_is_as_older_versions_have_it() -> None:
    assert "users" not in a_map().to_plain()


def test_the_map_holds_so_many_users_and_no_more() -> None:
    cluster_map = a_map()
    for number in range(USERS_MAX + 1):
        cluster_map = apply(cluster_map, ["set_user", f"u{number}", "on"])
    assert len(cluster_map.users) == USERS_MAX
    assert apply(a_map(), ["set_user", "u", "x" * (1 << 20)]).users == {}
    with pytest.raises(ValueError, match="users"):
        ClusterMap.from_plain({**a_map().to_plain(), "users": {"u": 1}})


RULES = [
    *("~*", "resetkeys", "~k*", "%R~r*", "%W~w*", "%R~*", "%W~k*", "&*", "resetchannels", "&c*"),
    *("+@all", "-@all", "+@read", "-@write", "+set", "-get", "+select|0", "+config|get"),
    *("(+get ~s*)", "(+@all %R~s1)", "(+set %W~s*)", "clearselectors"),
]
COMMANDS = [
    [word.encode() for word in line.split()]
    for key in ("k1", "r1", "w1", "s1", "x")
    for line in (
        *(f"GET {key}", f"SET {key} v", f"SET {key} v GET", f"SET {key} GET", f"GETDEL {key}"),
        *(f"EXISTS {key}", f"BITFIELD {key} GET u8 0", f"BITFIELD {key} SET u8 0 1", f"TTL {key}"),
        *(f"MGET k1 {key}", f"COPY {key} k1", f"SPUBLISH {key} v", f"DUMP {key}", "SELECT 0"),
    )
]


@given(st.lists(st.sampled_from(RULES), min_size=1, max_size=6))
def test_what_a_guard_has_learnt_changes_nothing(rules: list[str]) -> None:
    """It decides by itself what it has decided before; a new one has decided nothing."""
    user = User(b"u")
    for rule in rules:
        with contextlib.suppress(RuleError):
            user = user.changed(rule.encode().split(), DISPATCHED)
    learnt = Guard(user)
    for args in COMMANDS * 2:
        row = DISPATCHED[args[0]]
        assert learnt.objection(row, args) == Guard(user).objection(row, args), (rules, args)


@pytest.mark.parametrize("rule", [b"+\xff", b"-\xb5", b"+config|\xff", b"+\xff|x"])
def test_a_command_whose_name_is_no_ascii_is_unknown(rule: bytes) -> None:
    with pytest.raises(RuleError, match=UNKNOWN_COMMAND):
        User(b"u").changed([rule], DISPATCHED)
    assert User(b"u").changed([rule], DISPATCHED, is_lenient=True).root.allows_all is False


@pytest.mark.parametrize("rule", [b"(~x:*) +@read)", b"(+@read ~x:*))", b"(~a) allcommands ~*)"])
def test_a_selector_ends_where_its_rule_ends(rule: bytes) -> None:
    """Else what is behind a bracket would be the root's, once the user is read again."""
    with pytest.raises(RuleError):
        User(b"u").changed([rule], DISPATCHED)


def test_a_map_has_users_of_bytes_only() -> None:
    plain = {**a_map().to_plain(), "users": {"u\u20ac": "on"}}
    with pytest.raises(ValueError, match="users"):
        ClusterMap.from_plain(plain)
    before = a_map()
    assert apply(before, ["set_user", "u\u20ac", "on"]) is before
    assert apply(before, ["set_user", "\xff", "on"]).users == {"\xff": "on"}


def test_requirepass_is_the_password_of_default_on_all_slaves() -> None:
    world = World(requirepass="old")
    assert world.ask(b"CONFIG SET requirepass new\r\n") == NOAUTH
    assert world.ask(b"AUTH old\r\nCONFIG SET RequirePass new\r\n") == b"+OK\r\n+OK\r\n"
    assert f"#{hash_of(b'new').decode()}" in world.user_texts["default"]
    assert world.ask(b"CONFIG GET requirepass\r\n") == b"*2\r\n$11\r\nrequirepass\r\n$0\r\n\r\n"
    assert world.ask(b"AUTH old\r\n").startswith(b"-WRONGPASS")
    assert world.ask(b"AUTH new\r\n") == b"+OK\r\n"
    before = world.user_texts
    refused = world.ask(b"CONFIG SET slowlog-max-len 7 requirepass other\r\n")
    assert refused.startswith(b"-ERR CONFIG SET failed") and b"by itself" in refused
    assert world.user_texts is before
    assert (
        world.ask(b"CONFIG GET slowlog-max-len\r\n")
        != b"*2\r\n$15\r\nslowlog-max-len\r\n$1\r\n7\r\n"
    )
    assert world.ask(b"MULTI\r\nCONFIG SET requirepass three\r\nEXEC\r\n").endswith(
        b"*1\r\n+OK\r\n"
    )
    assert world.ask(b"AUTH three\r\n") == b"+OK\r\n"
    assert world.ask(b'CONFIG SET requirepass ""\r\n') == b"+OK\r\n"
    assert world.users.needs_no_password
