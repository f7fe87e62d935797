"""CLIENT, HELLO, AUTH, MONITOR: what the connections of a slave are told of each other."""

import pytest

from distrodb.resp.reply import OK, ErrorReply, Reply, error
from distrodb.slave.session import Session
from tests.support.resp import pack, read_replies
from tests.unit.session_world import World


def ask(world: World, line: str) -> Reply:
    (reply,) = read_replies(world.ask(pack(*line.encode().split(b" "))))
    return reply


def text(world: World, line: str) -> str:
    reply = ask(world, line)
    return reply.text.decode() if isinstance(reply, ErrorReply) else str(reply)


def fields(reply: Reply) -> dict[str, str]:
    assert isinstance(reply, bytes)
    (line,) = reply.decode().splitlines()
    return dict(field.split("=", 1) for field in line.split(" "))


def other(world: World, address: str = "client:2") -> Session:
    return world.service.open_session(lambda: None, address)


REDIS_7 = """id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free argv-mem
multi-mem rbs rbp obl oll omem tot-mem events cmd user redir resp lib-name lib-ver"""


def test_a_client_is_described_with_all_fields_of_redis() -> None:
    world = World()
    assert ask(world, "CLIENT SETNAME me") == OK and ask(world, "CLIENT SETINFO LIB-NAME py") == OK
    world.process.pass_time(7.0)
    world.session.heard_at = world.process.time_s - 3
    told = fields(ask(world, "CLIENT INFO"))
    assert list(told) == REDIS_7.split()
    expected = {"addr": "client:1", "name": "me", "age": "7", "idle": "3", "flags": "N", "db": "0"}
    expected |= {"cmd": "client|info", "resp": "2", "lib-name": "py", "multi": "-1", "sub": "0"}
    assert {key: told[key] for key in expected} == expected
    ask(world, "SUBSCRIBE a")
    listed = fields(other_reply(world, "CLIENT LIST TYPE pubsub"))
    assert (listed["sub"], listed["flags"], listed["cmd"]) == ("1", "P", "subscribe")


def other_reply(world: World, line: str) -> Reply:
    """What another client is answered."""
    session = other(world)
    session.receive(pack(*line.encode().split(b" ")))
    (reply,) = read_replies(b"".join(session.take(1 << 20)))
    world.service.close_session(session)
    return reply


def test_clients_are_listed_by_type_and_by_id() -> None:
    world = World()
    second = other(world)
    ids = [line.split()[0] for line in str(ask(world, "CLIENT LIST"), "utf8").splitlines()]
    assert ids == ["id=1", f"id={second.id}"]
    assert fields(ask(world, f"CLIENT LIST ID {second.id} 77"))["addr"] == "client:2"
    assert ask(world, "CLIENT LIST TYPE replica") == b""
    assert text(world, "CLIENT LIST TYPE x") == "ERR Unknown client type 'x'"
    assert text(world, "CLIENT LIST ID x") == "ERR Invalid client ID"


@pytest.mark.parametrize(
    ("how", "count"),
    [
        ("ID 2", 1),
        ("ADDR client:2", 1),
        ("TYPE normal", 2),
        ("TYPE normal SKIPME no", 3),
        ("USER default ID 3", 1),
        ("LADDR here:1", 1),
        ("MAXAGE 60", 1),
        ("ID 9", 0),
    ],
)
def test_clients_are_ended_by_what_they_are(how: str, count: int) -> None:
    world = World()
    second, third = other(world), other(world, "client:3")
    second.client.opened_at = world.process.time_s - 100
    third.client.local_address = "here:1"
    assert ask(world, f"CLIENT KILL {how}") == count
    ended = [each for each in (world.session, second, third) if each.is_closing]
    assert len(ended) == count
    assert all(each.is_killed for each in ended if each is not world.session)


def test_the_old_form_of_kill_names_an_address() -> None:
    world = World()
    second = other(world)
    assert text(world, "CLIENT KILL nobody:1") == "ERR No such client"
    assert ask(world, "CLIENT KILL client:2") == OK and second.is_killed
    assert ask(world, "CLIENT KILL client:1") == OK and world.session.is_finished


# -- pauses ------------------------------------------------------------------------------------


def test_a_pause_of_all_holds_every_command_until_its_end() -> None:
    world = World()
    second = other(world)
    data = pack(b"CLIENT", b"PAUSE", b"500") + pack(b"PING") + pack(b"SET", b"a", b"1")
    assert world.ask(data) == b"+OK\r\n"
    second.receive(pack(b"CLIENT", b"UNPAUSE"))  # it waits too, as in Redis
    assert not second.wants_input and second.take(100) == []
    world.process.pass_time(0.4)
    assert world.ask(b"") == b""
    world.process.pass_time(0.2)
    assert world.finish() == b"+PONG\r\n+OK\r\n"


def test_a_pause_of_writes_lets_reads_pass_that_are_not_behind_one() -> None:
    world = World()
    assert ask(world, "CLIENT PAUSE 500 WRITE") == OK
    assert ask(world, "GET a") is None
    assert world.ask(pack(b"SET", b"a", b"1") + pack(b"GET", b"a")) == b""
    assert other_reply(world, "CLIENT UNPAUSE") == OK
    assert world.finish() == b"+OK\r\n$1\r\n1\r\n"
    world.process.pass_time(1.0)  # the timer finds nothing to end


@pytest.mark.parametrize("line", ["PUBLISH a b", "SPUBLISH a b", "PFCOUNT a"])
def test_a_pause_of_writes_holds_what_redis_may_replicate(line: str) -> None:
    world = World()
    assert ask(world, "CLIENT PAUSE 500 WRITE") == OK
    assert world.ask(pack(*line.encode().split())) == b""


def test_a_pause_of_no_time_is_none() -> None:
    world = World()
    assert ask(world, "CLIENT PAUSE 0") == OK and world.service.pausing.pause is None
    assert text(world, "CLIENT PAUSE 1 ALL x").startswith("ERR unknown subcommand or wrong number")


def test_a_second_pause_adds_to_the_first() -> None:
    world = World()
    for line in ("CLIENT PAUSE 500 WRITE", "CLIENT PAUSE 100 ALL"):
        assert ask(world, line) == OK
    assert world.ask(pack(b"PING")) == b""
    world.process.pass_time(0.2)
    assert world.ask(b"") == b""
    world.process.pass_time(0.4)
    assert world.finish() == b"+PONG\r\n"


# -- HELLO and AUTH ----------------------------------------------------------------------------


def test_hello_changes_nothing_when_it_fails() -> None:
    world = World()
    assert text(world, "HELLO 3 SETNAME me AUTH nobody x").startswith("WRONGPASS")
    assert text(world, "HELLO 3 SETNAME me FOO") == "ERR Syntax error in HELLO option 'FOO'"
    assert ask(world, "CLIENT GETNAME") is None and world.session.protocol == 2
    output = world.ask(pack(*b"HELLO 3 AUTH default secret SETNAME me".split()))
    assert output.startswith(b"%7\r\n") and world.session.name == b"me"


def test_any_password_is_taken_for_the_only_user() -> None:
    world = World()
    assert text(world, "AUTH x").startswith("ERR AUTH <password> called without any password")
    assert ask(world, "AUTH default x") == OK
    assert text(world, "AUTH nobody x").startswith("WRONGPASS")


def test_reset_forgets_all_but_the_library() -> None:
    world = World()
    for line in ("CLIENT SETNAME me", "CLIENT SETINFO LIB-NAME py", "CLIENT NO-EVICT ON"):
        assert ask(world, line) == OK
    world.ask(pack(b"HELLO", b"3") + pack(b"READONLY") + pack(b"MONITOR"))
    assert world.ask(pack(b"RESET")) == b"+RESET\r\n"
    told = fields(ask(world, "CLIENT INFO"))
    assert (told["name"], told["flags"], told["resp"], told["lib-name"]) == ("", "N", "2", "py")


# -- MONITOR -----------------------------------------------------------------------------------


def watched(session: Session) -> list[str]:
    """Without the times."""
    data = b"".join(session.take(1 << 24)).decode()
    assert all(line[:1] == "+" and line[1:11].isdigit() for line in data.splitlines())
    return [line.partition(" ")[2] for line in data.splitlines()]


def test_whoever_monitors_sees_all_commands_and_no_secret() -> None:
    world = World()
    watcher = other(world)
    watcher.receive(pack(b"MONITOR"))
    assert b"".join(watcher.take(100)) == b"+OK\r\n"
    hello = b"HELLO 2 AUTH default secret SETNAME q".split()
    lines = [(b"SET", b"a", b'1"\x00\n'), (b"AUTH", b"default", b"secret"), tuple(hello)]
    world.ask(b"".join(pack(*line) for line in lines))
    world.ask(pack(b"CONFIG", b"GET", b"save") + pack(b"NOSUCH") + pack(b"GET") + pack(b"ping"))
    assert watched(watcher) == [
        '[0 client:1] "SET" "a" "1\\"\\x00\\n"',
        '[0 client:1] "AUTH" "(redacted)" "(redacted)"',
        '[0 client:1] "HELLO" "2" "AUTH" "(redacted)" "(redacted)" "SETNAME" "q"',
        '[0 client:1] "ping"',
    ]
    watcher.receive(pack(b"RESET"))
    watcher.take(100)
    world.ask(pack(b"PING"))
    assert watcher.take(100) == [] and not world.service.monitors


REFUSED = error("ERR", "Replica can't interact with the keyspace")


def test_whoever_monitors_asks_nothing_of_the_data() -> None:
    """Word for word as Redis 7.0."""
    world = World()
    assert world.ask(pack(b"MONITOR")) == b"+OK\r\n"
    lines = "GET a|get a|SET a 1|DBSIZE|SCAN 0|FLUSHALL|PFCOUNT a|PUBLISH a b|OBJECT ENCODING a"
    for line in lines.split("|"):
        assert read_replies(world.ask(pack(*line.encode().split()))) == [REFUSED], line
    assert b"wrong number" in world.ask(pack(b"GET")) and b"unknown" in world.ask(pack(b"NOSUCH"))
    for line in ("PING", "WATCH a", "UNWATCH", "COMMAND COUNT", "MULTI"):
        assert world.ask(pack(*line.encode().split()))[:1] in b"+:", line
    assert read_replies(world.ask(pack(b"GET", b"a"))) == [REFUSED]
    assert world.ask(pack(b"EXEC")).startswith(b"-EXECABORT")
    assert read_replies(world.ask(pack(b"GET", b"a"))) == [REFUSED]
    world.ask(pack(b"RESET"))
    assert world.ask(pack(b"GET", b"a")) == b"$-1\r\n"


def test_nobody_begins_to_monitor_in_a_transaction() -> None:
    world = World()
    world.ask(pack(b"MULTI") + pack(b"MONITOR"))
    reply = world.ask(pack(b"EXEC"))
    assert reply == b"*1\r\n-ERR MONITOR isn't allowed for DENY BLOCKING client\r\n"
    assert not world.service.monitors and world.ask(pack(b"GET", b"a")) == b"$-1\r\n"


def test_a_command_that_has_to_wait_is_shown_once() -> None:
    world = World()
    watcher = other(world)
    watcher.receive(pack(b"MONITOR"))
    watcher.take(100)
    world.session.receive(pack(b"SET", b"a", b"1") + pack(b"DBSIZE"))
    for _ in range(3):
        world.session.go_on()
    world.finish()
    assert watched(watcher) == ['[0 client:1] "SET" "a" "1"', '[0 client:1] "DBSIZE"']


def test_neither_a_long_word_nor_many_make_a_long_line() -> None:
    """A command of 24 MB in many words took a second and a half to be shown."""
    world = World()
    watcher = other(world)
    watcher.receive(pack(b"MONITOR"))
    watcher.take(100)
    world.ask(pack(b"SET", b"a", bytes(1 << 20)))
    world.ask(pack(b"DEL", *[b"a"] * 60_000))
    world.ask(pack(b"EXISTS", *[b"a" * 300] * 20_000))
    large, many, both = watched(watcher)
    assert large.endswith('... (1044480 more bytes)"') and many.endswith(" more words)")
    assert both.endswith(" more words)") and max(map(len, (large, many, both))) < 4 * 65536 + 16384


def test_a_watcher_that_does_not_read_is_ended() -> None:
    world = World(output_bytes_max=65536)
    watcher = other(world)
    watcher.receive(pack(b"MONITOR"))
    for _ in range(200):
        world.ask(pack(b"ECHO", b"x" * 1000))
    assert watcher.is_killed and not world.service.monitors
    assert watcher.replies.output_bytes < 65536
