"""Users beside a real Redis: the errors of rules, how a user is shown, what it may do, and whole
conversations of clients that log in.

Redis 7.0 shows the rules on commands as what its own commands come to, we show them as they were
given (Redis 7.2 does too), so lists of these are compared as sets; what they allow is compared
command by command (DRYRUN).
"""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distrodb.commands.acl_user import read
from tests.oracle.frames import Frame, pack, read_frames
from tests.oracle.ours import PureServer
from tests.oracle.redis_server import Connection, RedisServer, redis_server

RULES = """
on | off | ON | nopass | resetpass | reset | >pw | > | <pw | >pw <pw | >a >b >a | >a nopass
>a nopass >b | #abc | !abc | #30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4
!30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4 | >pw
#30C952FAB122C3F9759F02A6D95C3758B246B4FEE239957B2D4FEE46E26170C4 | sanitize-payload
skip-sanitize-payload | ~ | ~a | ~a ~a | ~a* %R~b %W~c %RW~d %WR~e | %R~a %W~a | %R~a ~a | %R
%RR~a | %~a | %X~a | % | allkeys | ~* | allkeys ~x | ~x ~* | ~x allkeys resetkeys | %R~* | %RW~*
& | &a | &a &a | &a* &b | allchannels | &* | &* &x | allchannels resetchannels | +get | +GET | -get
+nosuch | -nosuch | +@nosuch | -@nosuch | +@read | +@READ | +@all | -@all | allcommands
nocommands | +@all -get | +@all -@dangerous | +@all -config|set | +config|get | +config|nosuch
+config|get|x | +get|x | +get|x|y | -get|x | +select|0 | +select|0 -select | +select|0 +select
+config -config|set | +config|get +config | +@all +get | -@all -get | foo | + | - | +@ | +|
(+get ~a) | (+get ~a) (+set ~b) | () | (on) | (foo) | (+nosuch) | (+get | (+get ~a | ( | )
(+get) clearselectors | clearselectors | (~* &* +@all) | (%R~a* +@read) | +@all ~* &*
+get (+set) reset | ~a\\*b
"""
# What stands before each command: a user's rules, one after the other.
POOL = [
    *("on", "off", "nopass", "~*", "resetkeys", "~k*", "%R~r*", "%W~w*", "~k1", "%R~*", "%W~k*"),
    *("&*", "resetchannels", "&c*", "&d", "allcommands", "nocommands", "+@read", "-@read"),
    *("+@write", "-@write", "+@string", "-@string", "+@fast", "-@fast", "+@slow", "-@slow"),
    *("+@dangerous", "-@dangerous", "+@admin", "-@admin", "+@keyspace", "-@keyspace", "+@hash"),
    *("+@pubsub", "-@pubsub", "+@connection", "-@connection", "+@transaction", "+@bitmap"),
    *("+get", "-get", "+set", "-set", "+config", "-config", "+config|get", "-config|set"),
    *("+client|id", "-client|kill", "+select|0", "-select", "+publish", "+subscribe", "+mget"),
    *("+psubscribe", "(+get ~s*)", "(+@all ~s1 &d)", "(+set %W~s*)", "(+@read %R~s* &c*)"),
    *("clearselectors", "reset"),
]
COMMANDS = """
GET k1 | GET r1 | GET w1 | GET s1 | SET k1 x | SET w1 x | SET w1 x GET | SET r1 x | SET s1 x
SET s1 GET | GETDEL w1 | GETEX r1 | GETSET k1 x | MGET k1 k2 | MGET k1 r1 | MGET k1 w1
MSET k1 1 w1 2 | DEL k1 w1 | EXISTS r1 w1 | TYPE w1 | TTL r1 | EXPIRE w1 1 | STRLEN w1
APPEND w1 x | COPY k1 w1 | COPY r1 w1 | COPY w1 k1 | RENAME r1 w1 | BITOP AND w1 r1 k1
BITFIELD r1 GET u8 0 | BITFIELD w1 SET u8 0 1 | BITCOUNT r1 | HSET k1 f 1 | OBJECT ENCODING r1
OBJECT ENCODING x | MEMORY USAGE w1 | WATCH r1 w1 | WATCH x | PUBLISH c1 x | PUBLISH d x
PUBLISH e x | SPUBLISH c1 x | SUBSCRIBE c1 d | SUBSCRIBE e | PSUBSCRIBE c* | PSUBSCRIBE c1
PSUBSCRIBE d | SSUBSCRIBE c1 | UNSUBSCRIBE e | SELECT 0 | SELECT 1 | CONFIG GET x | CONFIG SET x y
CONFIG RESETSTAT | CLIENT ID | CLIENT KILL x | CLIENT LIST | PING | ECHO x | INFO | KEYS * | SCAN 0
DBSIZE | FLUSHALL | RANDOMKEY | MULTI | EXEC | SORT k1 | SORT x | SORT k1 STORE w1 | DUMP k1
RESTORE w1 0 x | PFADD k1 x | PFCOUNT r1 k1 | PFMERGE w1 r1 | ACL WHOAMI | ACL LIST | MONITOR
SHUTDOWN | DEBUG x | AUTH x | HELLO | QUIT | RESET | COMMAND | COMMAND COUNT | GET | NOSUCH
CONFIG NOSUCH | LCS k1 r1 | SETRANGE w1 0 x | TOUCH w1 r1 | CLUSTER SLOTS | ROLE
"""
CONVERSATION = """
0 ACL WHOAMI | 0 ACL USERS | 0 ACL LIST | 0 ACL GETUSER default | 0 ACL GETUSER x
0 ACL SETUSER x on >pw ~k* &c* +@read +@write +@connection +@transaction +@pubsub -hset
0 ACL GETUSER x | 1 AUTH x nope | 1 AUTH nobody pw | 1 AUTH default any | 1 AUTH any | 1 AUTH x pw
1 ACL WHOAMI | 1 GET k | 1 GET z | 1 SET k 1 | 1 SET z 1 | 1 HSET k f v | 1 CONFIG GET x | 1 NOSUCH
1 GET | 1 CONFIG NOSUCH | 1 MULTI | 1 SET k 2 | 1 EXEC | 1 MULTI | 1 SET z 2 | 1 SET k 3 | 1 EXEC
1 GET k | 1 MULTI | 1 ACL WHOAMI | 1 EXEC | 1 MULTI | 1 SET k 4 | 1 GET k | 0 ACL SETUSER x -set
1 EXEC | 1 MULTI | 1 GET k | 0 ACL SETUSER x resetkeys | 1 EXEC | 0 ACL SETUSER x ~k* +set
1 GET k | 1 WATCH z | 1 WATCH k | 1 UNWATCH | 1 PUBLISH c x | 1 PUBLISH d x | 1 SUBSCRIBE c d
1 SELECT 1 | 1 GET z | 1 SELECT 0 | 1 CLIENT GETNAME | 1 CLIENT KILL x | 1 RESET | 1 ACL WHOAMI
1 HELLO 3 AUTH x nope | 1 ACL WHOAMI | 1 HELLO 3 AUTH x pw SETNAME n | 1 CLIENT GETNAME | 1 GET z
0 ACL SETUSER x off | 1 GET k | 1 AUTH x pw | 1 RESET | 0 ACL LOG RESET | 0 ACL LOG x
0 ACL LOG 1 2 | 0 ACL SETUSER x on | 1 AUTH x pw | 1 GET z | 1 GET z | 1 CONFIG GET x
1 PUBLISH d x | 1 AUTH x no | 1 MULTI | 1 GET z | 1 DISCARD | 0 ACL LOG | 0 ACL LOG 2 | 0 ACL LOG 0
0 ACL LOG -1 | 0 ACL LOG RESET | 0 ACL LOG | 0 ACL DELUSER default | 0 ACL DELUSER nobody
0 ACL SETUSER y | 0 ACL DELUSER y nobody | 0 ACL USERS | 0 ACL SETUSER default >secret | 2 GET k
2 NOSUCH | 2 GET | 2 CONFIG NOSUCH | 2 HELLO | 2 HELLO 3 | 2 HELLO 9 | 2 PING | 2 MULTI | 2 RESET
2 ACL WHOAMI | 2 AUTH | 2 AUTH bad | 2 AUTH default bad | 2 HELLO 2 AUTH default bad
2 HELLO 2 SETNAME n AUTH default secret | 2 CLIENT GETNAME | 2 GET k | 2 RESET | 2 GET k
2 AUTH secret | 2 GET k | 0 GET k | 0 ACL GETUSER default | 0 ACL SETUSER default off | 3 GET k
3 AUTH secret | 3 AUTH x pw | 3 ACL WHOAMI | 3 GET k | 0 ACL SETUSER default on nopass | 2 RESET
2 GET k | 2 AUTH bad | 2 AUTH default bad | 0 ACL SETUSER default resetkeys | 0 GET k | 0 MULTI
0 ACL SETUSER default allkeys | 0 EXEC | 0 GET k
"""


@pytest.fixture(scope="module")
def theirs() -> Iterator[RedisServer]:
    """One of our own: users are a server's, and others do not want them."""
    with redis_server(is_cluster=False) as server:
        yield server


def words(line: str) -> list[bytes]:
    return [word.encode() for word in line.split()]


def commands(text: str) -> list[str]:
    """One a piece between bars that have spaces around them, or the end of a line."""
    return [piece.strip() for line in text.splitlines() for piece in line.split(" | ") if piece]


def ask(server: Connection | PureServer, line: str) -> Frame:
    if isinstance(server, PureServer):
        (frame,) = server.ask_all([words(line)])
        return frame
    return server.ask(*words(line))


def loose(frame: Frame) -> object:
    """Where words are in an order of their own: a user as text, or the text of its commands."""
    kind, content = frame
    if isinstance(content, list):
        return kind, [loose(each) for each in content]
    if isinstance(content, bytes) and b"@all" in content:
        return kind, sorted(content.split())
    return kind, content


@pytest.mark.parametrize("rules", commands(RULES))
def test_a_rule_makes_the_same_user_or_the_same_error(rules: str, theirs: RedisServer) -> None:
    connection, ours = theirs.connect(), PureServer(is_cluster=False)
    connection.ask(b"ACL", b"DELUSER", b"u")
    for line in (f"ACL SETUSER u {rules}", "ACL GETUSER u", "ACL LIST", "ACL USERS"):
        assert loose(ask(ours, line)) == loose(ask(connection, line)), line
    connection.ask(b"ACL", b"DELUSER", b"u")
    connection.close()


@pytest.mark.parametrize("blank", [b" ", b"\t", b"\n", b"\v", b"\f", b"\r", b"\0", b"\xa0"])
def test_blanks_are_in_no_name_and_no_pattern(blank: bytes, theirs: RedisServer) -> None:
    connection, ours = theirs.connect(), PureServer(is_cluster=False)
    for rule in (b"~a%bb" % blank, b"&a%bb" % blank, b"%%R~%b" % blank, b">a%bb" % blank):
        asked = [b"ACL", b"SETUSER", b"u", rule]
        assert ours.ask_all([asked]) == connection.ask_all([asked]), rule
    named = [b"ACL", b"SETUSER", b"u%bv" % blank, b"on"]
    assert ours.ask_all([named]) == connection.ask_all([named])
    connection.ask(b"ACL", b"DELUSER", b"u", named[2])
    connection.close()


@pytest.fixture(scope="module")
def connection(theirs: RedisServer) -> Iterator[Connection]:
    connection = theirs.connect()
    yield connection
    connection.close()


def test_a_user_may_do_what_it_may_do_there(connection: Connection) -> None:
    examples = 150 if settings.get_current_profile_name() == "gate" else 3000
    asked = [words(f"ACL DRYRUN u {line}") for line in commands(COMMANDS)]

    @settings(max_examples=examples)
    @given(st.lists(st.sampled_from(POOL), min_size=1, max_size=8))
    def run(rules: list[str]) -> None:
        ours = PureServer(is_cluster=False)
        made = [[b"ACL", b"SETUSER", b"u", b"reset"]]
        made += [[b"ACL", b"SETUSER", b"u", *words(rule)] for rule in rules]
        assert ours.ask_all(made) == connection.ask_all(made)
        replies = zip(asked, ours.ask_all(asked), connection.ask_all(asked), strict=True)
        for command, our, their in replies:
            assert our == their, (rules, command)

    run()


def test_what_is_written_is_read_again(connection: Connection) -> None:
    """The text of a user, as ACL LIST shows it and the cluster map has it, makes the same user
    there, and here."""
    asked = [words(f"ACL DRYRUN u {line}") for line in commands(COMMANDS)]
    ours = PureServer(is_cluster=False)

    @settings(max_examples=50)
    @given(st.lists(st.sampled_from(POOL), min_size=1, max_size=8))
    def run(rules: list[str]) -> None:
        ours.ask_all([[b"ACL", b"SETUSER", b"u", b"reset"]])
        for rule in rules:
            ask(ours, f"ACL SETUSER u {rule}")
        user = ours.users.all[b"u"]
        assert read(b"u", user.text, ours.users.table) == user
        connection.ask(*words(f"ACL SETUSER u reset {user.text.decode()}"))
        assert ours.ask_all(asked) == connection.ask_all(asked)

    run()


class OurClients:
    def __init__(self, count: int):
        self._server = PureServer(is_cluster=False)
        self._sessions = [self._server.connect() for _ in range(count)]

    def connect(self, number: int) -> None:
        self._sessions[number] = self._server.connect()

    def ask(self, number: int, line: str) -> list[Frame]:
        self._sessions[number].receive(pack(words(line)))
        return read_frames(self._server.finish_one(self._sessions[number]))


def _masked(frame: Frame) -> object:
    """Without what time and sockets make of it: an entry of ACL LOG has its age and its client."""
    kind, content = frame
    if isinstance(content, list):
        items = [_masked(each) for each in content]
        for at, each in enumerate(content):
            if each[1] in (b"age-seconds", b"client-info", b"id", b"version") and at % 2 == 0:
                items[at + 1] = "its own"
        return kind, items
    return loose(frame)


@pytest.mark.parametrize("protocol", [2, 3])
def test_clients_log_in_and_are_refused_as_there(protocol: int) -> None:
    with redis_server(is_cluster=False) as theirs:
        _talk(theirs, protocol)


def _talk(theirs: RedisServer, protocol: int) -> None:
    fourth = commands(CONVERSATION).index("3 GET k")  # it comes when nobody may come in
    third = commands(CONVERSATION).index("2 GET k")
    ours, connections = OurClients(4), {number: theirs.connect() for number in (0, 1)}
    for number in (0, 1):
        hello = f"HELLO {protocol}"
        connections[number].ask(*words(hello))
        ours.ask(number, hello)
    for at, step in enumerate(commands(CONVERSATION)):
        if at in (third, fourth):
            number = 2 if at == third else 3
            connections[number] = theirs.connect()
            ours.connect(number)
        number, line = int(step[0]), step[2:]
        their = [connections[number].ask(*words(line))]
        ourselves = ours.ask(number, line)
        assert [*map(_masked, ourselves)] == [*map(_masked, their)], step
    for each in connections.values():
        each.close()
