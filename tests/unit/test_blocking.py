"""Commands that wait: in what order they are served, and what ends their waiting.

BTAKE takes the value of the first of its keys that has one; a value is a string here, so each key
has room for one.
"""

from collections.abc import Sequence

from distrodb.commands.command import data_row
from distrodb.commands.key_specs import many
from distrodb.commands.table import DISPATCHED
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import Keys
from distrodb.resp.reply import ErrorReply, Reply, error
from distrodb.slave.gateway import Gateway
from distrodb.slave.session import WAITING_BYTES_MAX, Session
from tests.unit.session_world import World


def btake(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    for key in args[1:-1]:
        value = keys.string(key)
        if value is not None:
            keys.delete(key)
            return [key, value]
    return None


def timeout_of(args: Sequence[bytes]) -> float | ErrorReply | None:
    return float(args[-1]) if args[-1] != b"x" else error("ERR", "timeout is not a float")


BTAKE = data_row(
    "btake", btake, -3, "write blocking", many("RW", last=-2), "list", "", timeout_of=timeout_of
)
ROWS = {b"BTAKE": BTAKE}
NIL = b"*-1\r\n"


def took(key: str, value: str) -> bytes:
    return f"*2\r\n${len(key)}\r\n{key}\r\n${len(value)}\r\n{value}\r\n".encode()


class Waiting(World):
    def __init__(self, is_gateway: bool = False):
        super().__init__(table={**DISPATCHED, **ROWS})
        for store in self.stores:
            store.table = {**store.table, **ROWS}
        self.behind = Gateway(self.service) if is_gateway else None
        self.answers: dict[Session, bytes] = {}
        self.writer = self.connect()

    def connect(self) -> Session:
        session = self.service.open_session(self._woken, "c:1", self.behind)
        self.answers[session] = b""
        return session

    def say(self, session: Session, *lines: bytes) -> None:
        session.receive(b"".join(line + b"\r\n" for line in lines))
        self.settle()

    def settle(self) -> None:
        """Turns, until nothing happens any more."""
        for _ in range(20):
            for partition in range(len(self.stores)):
                while self.queues[partition]:
                    self.answer(partition)
            self.tell_clients()
            for session in self.answers:
                self.answers[session] += b"".join(session.take(1 << 20))
                session.go_on()

    def told(self, session: Session) -> bytes:
        told, self.answers[session] = self.answers[session], b""
        return told

    def waits(self, *lines: bytes) -> Session:
        session = self.connect()
        self.say(session, *lines)
        return session

    def write(self, *lines: bytes) -> bytes:
        self.say(self.writer, *lines)
        return self.told(self.writer)

    @property
    def blocked(self) -> int:
        return len(self.blocking) + len(self.gateway_blocking)


def test_what_is_there_is_taken_at_once():
    world = Waiting()
    world.write(b"set a 1")
    assert world.told(world.waits(b"btake a 0")) == took("a", "1")
    assert world.blocked == 0 and not world.tracking._listeners


def test_one_waits_until_there_is_something_and_what_it_sent_behind_waits_too():
    for is_gateway in (False, True):
        world = Waiting(is_gateway)
        client = world.waits(b"btake a 0", b"echo behind")
        assert world.told(client) == b"" and world.blocked == 1
        assert b"flags=b" in world.write(b"client list")
        assert world.write(b"set a 1") == b"+OK\r\n"
        assert world.told(client) == took("a", "1") + b"$6\r\nbehind\r\n"
        assert world.write(b"exists a") == b":0\r\n"
        assert world.blocked == 0


def test_who_came_first_is_served_first():
    for is_gateway in (False, True):
        world = Waiting(is_gateway)
        clients = [world.waits(b"btake a 0") for _ in range(5)]
        for number, client in enumerate(clients):
            assert all(world.told(each) == b"" for each in clients)
            world.write(b"set a %d" % number)
            assert world.told(client) == took("a", str(number))
        assert world.blocked == 0 and not world.tracking._listeners


def test_a_newcomer_does_not_pass_those_who_wait():
    world = Waiting()
    first = world.waits(b"btake a 0")
    second = world.connect()
    # In the very turn in which the element comes.
    world.writer.receive(b"set a 1\r\n")
    second.receive(b"btake a 0\r\n")
    world.settle()
    assert world.told(first) == took("a", "1") and world.told(second) == b""
    world.write(b"set a 2")
    assert world.told(second) == took("a", "2")


def test_of_several_keys_the_first_that_has_something_serves():
    world = Waiting()
    client = world.waits(b"btake {a}1 {a}2 {a}3 0")
    other = world.waits(b"btake {a}3 0")
    world.write(b"set {a}2 x")
    assert world.told(client) == took("{a}2", "x")
    world.write(b"set {a}3 y")
    assert world.told(other) == took("{a}3", "y")
    assert world.blocked == 0 and not world.tracking._listeners


def test_its_time_is_over():
    for is_gateway in (False, True):
        world = Waiting(is_gateway)
        client, patient = world.waits(b"btake a 1.5", b"ping"), world.waits(b"btake a 0")
        world.process.pass_time(1.4)
        world.settle()
        assert world.told(client) == b""
        world.process.pass_time(0.2)
        world.settle()
        assert world.told(client) == NIL + b"+PONG\r\n"
        world.write(b"set a 1")
        assert world.told(patient) == took("a", "1")


def test_one_that_is_asked_when_its_time_is_over_gets_what_comes():
    world = Waiting()
    world.write(b"set a 1")
    client = world.connect()
    client.receive(b"btake a 1\r\n")
    world.process.pass_time(2.0)
    world.tell_clients()
    world.settle()
    assert world.told(client) == took("a", "1")


def test_one_that_came_behind_others_is_asked_before_it_is_told_that_there_was_nothing():
    """The first takes from its other key, so what the second wants was there all the time."""
    for is_gateway in (False, True):
        world = Waiting(is_gateway)
        first, second = world.waits(b"btake {a}1 {a}2 0"), world.connect()
        world.writer.receive(b"mset {a}1 x {a}2 y\r\n")
        second.receive(b"btake {a}2 1\r\n")
        world.process.pass_time(2.0)
        world.tell_clients()
        world.settle()
        assert world.told(first) == took("{a}1", "x") and world.told(second) == took("{a}2", "y")
        world.write(b"set {a}2 z")
        assert world.blocked == 0 and world.write(b"exists {a}2") == b":1\r\n"


def test_where_an_element_is_moved_to_nobody_waits_for_it():
    for is_gateway in (False, True):
        world = Waiting(is_gateway)
        mover = world.waits(b"blmove {a}1 {a}2 left right 0")
        world.write(b"rpush {a}2 x")
        assert world.told(world.waits(b"blpop {a}2 0")) == took("{a}2", "x")
        world.write(b"rpush {a}1 y")
        assert world.told(mover) == b"$1\r\ny\r\n" and world.blocked == 0


def test_client_unblock():
    world = Waiting()
    client, other = world.waits(b"btake a 0"), world.waits(b"btake a 0")
    assert world.write(b"client unblock %d" % client.id) == b":1\r\n"
    assert world.told(client) == NIL
    assert world.write(b"client unblock %d error" % other.id) == b":1\r\n"
    assert world.told(other) == b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"
    assert world.write(b"client unblock %d" % other.id) == b":0\r\n"
    assert world.write(b"client unblock 12345") == b":0\r\n"


def test_a_client_that_is_gone_takes_nothing():
    world = Waiting()
    client, other = world.waits(b"btake a 0"), world.waits(b"btake a 0")
    world.service.close_session(client)
    del world.answers[client]
    assert world.blocked == 1
    world.write(b"set a 1")
    assert world.told(other) == took("a", "1")


def test_one_that_sends_nothing_more_may_be_gone_and_takes_nothing():
    """Its socket has been closed, whatever stood behind the command that waits."""
    for is_gateway in (False, True):
        for behind in ([], [b"echo behind"]):
            world = Waiting(is_gateway)
            client, other = world.waits(b"btake a 0", *behind), world.waits(b"btake a 0")
            assert client.wants_input  # its end is seen
            client.end()
            world.settle()
            assert client.is_finished and world.blocked == 1
            assert world.told(client) == NIL + b"".join(b"$6\r\nbehind\r\n" for _ in behind)
            world.write(b"set a 1")
            assert world.told(other) == took("a", "1")


def test_what_waits_behind_its_end_waits_not_at_all():
    world = Waiting()
    client = world.connect()
    client.receive(b"get a\r\nbtake a 0\r\necho behind\r\n")
    client.end()
    world.settle()
    assert client.is_finished and world.blocked == 0
    world.write(b"set a 1")
    assert world.write(b"get a") == b"$1\r\n1\r\n"


def test_who_sends_much_behind_a_command_that_waits_is_not_read_for_ever():
    world = Waiting()
    client = world.waits(b"btake a 0")
    for _ in range(WAITING_BYTES_MAX // 1000 + 1):
        client.receive(b"echo " + b"x" * 1000 + b"\r\n")
    assert not client.wants_input


def test_a_key_of_another_kind_is_an_error_at_first_and_none_later():
    world = Waiting()
    world.write(b"hset h f v")
    assert world.told(world.waits(b"btake h 0")).startswith(b"-WRONGTYPE")
    client = world.waits(b"btake a 0")
    world.write(b"hset a f v")
    assert world.told(client) == b""
    world.write(b"del a", b"set a 1")
    assert world.told(client) == took("a", "1")


def test_in_a_transaction_nothing_waits():
    world = Waiting()
    answers = world.write(b"multi", b"btake a 0", b"set a 1", b"btake a 0", b"exec")
    assert answers.endswith(b"*3\r\n$-1\r\n+OK\r\n" + took("a", "1"))
    assert world.blocked == 0


def test_what_makes_no_sense_is_said_at_once():
    world = Waiting()
    assert world.write(b"btake a x") == b"-ERR timeout is not a float\r\n"
    assert world.write(b"btake a b 0").startswith(b"-CROSSSLOT")
    assert world.write(b"btake 0").startswith(b"-ERR wrong number")
    assert world.blocked == 0


def test_when_the_lead_is_lost_all_are_told_where_to_go():
    world = Waiting()
    clients = [world.waits(b"btake a 0") for _ in range(3)]
    partition = world.service.partition_of(15495)
    world.led = tuple(number for number in world.led if number != partition)
    world.tracking.lost_sight_of(partition)
    world.settle()
    assert [world.told(client) for client in clients] == [b"-MOVED 15495 other:1\r\n"] * 3
    assert world.blocked == 0


def test_behind_a_gateway_they_wait_for_whoever_leads_next():
    world = Waiting(is_gateway=True)
    clients = [world.waits(b"btake a 0") for _ in range(3)]
    world.gateway_tracking.link_down("node2")
    world.settle()
    assert world.blocked == 3 and all(world.told(client) == b"" for client in clients)
    for number in range(3):
        world.write(b"set a %d" % number)
    assert [world.told(client) for client in clients] == [took("a", str(n)) for n in range(3)]


def test_who_may_not_take_it_any_more_waits_no_longer():
    for is_gateway in (False, True):
        world = Waiting(is_gateway)
        world.write(b"acl setuser bob on nopass ~* +@all", b"acl setuser eve on nopass ~* +@all")
        bob, eve = (world.waits(b"auth %b x" % name, b"btake a 0") for name in (b"bob", b"eve"))
        assert world.told(bob) == world.told(eve) == b"+OK\r\n" and world.blocked == 2
        world.write(b"acl setuser bob resetkeys ~b")
        assert world.told(bob).startswith(b"-NOPERM ") and not bob.is_killed
        world.write(b"acl deluser eve")
        assert eve.is_killed
        world.service.close_session(eve)  # as its connection does then
        assert world.blocked == 0
        world.write(b"set a 1")
        assert world.write(b"exists a") == b":1\r\n"
