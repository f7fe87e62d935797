"""One connection, driven by any bytes in any chunks, with partitions that answer in any order."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from distrodb.commands.table import DATA_COMMANDS
from distrodb.errors import InvariantViolation
from distrodb.resp.encode import PIECE_BYTES, encode
from distrodb.resp.reply import OK, ErrorReply, Reply, Status, error
from distrodb.ring.slots import slot_of
from distrodb.slave.client_input import PARSED_BYTES
from distrodb.slave.machine_factory import new_store
from distrodb.slave.replies import OUTPUT_NOT_READ, TOO_MUCH_OUTPUT
from tests.support.resp import pack, read_replies
from tests.unit.session_world import KEYS, PARTITIONS, World

Command = tuple[bytes, ...]

keys = st.sampled_from(KEYS)
on_keys = st.one_of(
    st.tuples(st.just(b"SET"), keys, st.binary(max_size=4)),
    st.tuples(st.just(b"get"), keys),
    st.tuples(st.just(b"APPEND"), keys, st.binary(max_size=4)),
    st.tuples(st.just(b"DEL"), keys),
    st.just((b"MSET", b"c", b"1", b"{c}d", b"2")),
    st.just((b"MGET", b"c", b"{c}d")),
)
others = st.one_of(
    st.just((b"PING",)),
    st.tuples(st.just(b"ECHO"), st.binary(max_size=4)),
    st.just((b"DBSIZE",)),
    st.just((b"FLUSHALL",)),
    st.tuples(st.just(b"HELLO"), st.sampled_from([b"2", b"3"])),
    st.just((b"READONLY",)),
    st.just((b"CLIENT", b"SETNAME", b"me")),
    st.just((b"CLIENT", b"GETNAME")),
    st.just((b"CLUSTER", b"COUNTKEYSINSLOT", b"%d" % slot_of(b"c"))),
    st.just((b"BREW", b"tea")),
    st.just((b"GET",)),
    st.just((b"MGET", b"a", b"b")),
)
commands = st.lists(on_keys | on_keys | others, max_size=12)
# Bytes come, the session goes on, a partition answers, so many bytes (from 3 on) are taken.
steps = st.lists(st.sampled_from(["bytes", "go on", 0, 1, 2]) | st.integers(3, 40), max_size=60)


class Model:
    """A single server that runs one command after the other."""

    def __init__(self) -> None:
        self.store = new_store(0, 16383)
        self.protocol, self.name = 2, b""

    def reply(self, args: Command) -> bytes:
        name = args[0].upper()
        reply: Reply
        if name in DATA_COMMANDS and DATA_COMMANDS[name].arity_ok(args):
            slots = set(map(slot_of, DATA_COMMANDS[name].keys_of(args)))
            if len(slots) > 1:
                reply = error("CROSSSLOT", "Keys in request don't hash to the same slot")
            else:
                reply = self.store.execute(slots.pop() if slots else -1, args, 0)
        elif name == b"GET":
            reply = error("ERR", "wrong number of arguments for 'get' command")
        elif name == b"PING":
            reply = Status(b"PONG")
        elif name == b"ECHO":
            reply = args[1]
        elif name == b"READONLY":
            reply = OK
        elif args[:2] == (b"CLIENT", b"SETNAME"):
            self.name, reply = args[2], OK
        elif name == b"CLIENT":
            reply = self.name or None
        elif name == b"CLUSTER":
            reply = self.store.share(0).count_in(int(args[2]))
        elif name == b"HELLO":
            self.protocol = int(args[1])
            return b"HELLO"
        else:
            words = "".join(f"'{arg.decode()}' " for arg in args[1:])
            reply = error(
                "ERR", f"unknown command '{args[0].decode()}', with args beginning with: {words}"
            )
        return encode(reply, self.protocol)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in pairwise(bounds)]


def run(world: World, chunks: list[bytes], order: list[object]) -> bytes:
    """Bytes come, partitions answer, output is taken (so many bytes) in this order; then all."""
    chunks, taken, limits = list(chunks), b"", world.service.limits
    for step in order:
        if step == "bytes":
            if chunks and world.session.wants_input:
                world.session.receive(chunks.pop(0))
        elif step == "go on":
            world.session.go_on()
        elif isinstance(step, int) and step < PARTITIONS:
            world.answer(step)
        elif isinstance(step, int):
            taken += world.take(step)
        assert world.session.replies.unanswered <= limits.input_pending_max
    while chunks:
        taken += world.finish()
        world.session.receive(chunks.pop(0))
    return taken + world.finish()


@settings(max_examples=600, deadline=None)
@given(
    commands,
    st.lists(st.integers(0, 10**6), max_size=6),
    steps,
    st.sampled_from([1, 3, 1024]),
    st.booleans(),
    st.booleans(),
)
@example([(b"GET", b"a"), (b"HELLO", b"3"), (b"GET", b"a")], [], [], 1024, False, False)
@example([(b"READONLY",), (b"SET", b"a", b"1"), (b"get", b"a")], [], [], 1024, True, False)
def test_it_answers_as_one_server_that_runs_one_command_after_the_other(
    sequence: list[Command],
    places: list[int],
    order: list[object],
    pending_max: int,
    may_read_copies: bool,
    splits_bursts: bool,
) -> None:
    """Also after READONLY, if every copy could be read at once."""
    model = Model()
    expected = [model.reply(args) for args in sequence]
    world = World(input_pending_max=pending_max, splits_bursts=splits_bursts)
    if may_read_copies:  # the session's own rule must be enough
        world.service.copy_to_read = lambda slot: world.stores[world.partition_of_slot[slot]]
    output = run(world, cut(b"".join(pack(*args) for args in sequence), places), order)
    for each in expected:
        if each == b"HELLO":  # its reply is a map, in the protocol that it chose
            assert output[:1] in (b"%", b"*")
            count = int(output[1 : output.index(b"\r\n")]) // (1 if output[:1] == b"%" else 2)
            assert count == 7
            output = output[output.index(b"modules\r\n*0\r\n") + len(b"modules\r\n*0\r\n") :]
            continue
        assert output.startswith(each)
        output = output[len(each) :]
    assert output == b""
    assert world.session.replies.output_bytes == 0 and world.session.replies.unanswered == 0
    assert world.session.wants_input and not world.session.is_finished


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(keys, st.integers(0, 300)), max_size=12),
    st.lists(st.integers(0, 10**6), max_size=4),
    steps,
)
def test_output_is_bounded_and_every_command_has_one_reply(
    sequence: list[tuple[bytes, int]], places: list[int], order: list[object]
) -> None:
    world = World(output_bytes_max=500)
    for key, size in sequence:
        store = world.stores[world.partition_of_slot[slot_of(key)]]
        store.execute(slot_of(key), [b"SET", key, b"v" * size], 0)
    values = {key: b"v" * size for key, size in sequence}
    data = b"".join(pack(b"GET", key) for key, _ in sequence)
    most = 0
    chunks, taken = cut(data, places), b""
    for step in [*order, *["bytes", 0, 1, 2] * 40]:
        if step == "bytes" and chunks:
            world.session.receive(chunks.pop(0))
        elif isinstance(step, int) and step < PARTITIONS:
            world.answer(step)
        most = max(most, world.session.replies.output_bytes)
    taken += world.finish()
    replies = read_replies(taken)
    assert len(replies) == len(sequence)
    for reply, (key, _) in zip(replies, sequence, strict=True):
        assert reply in (values[key], ErrorReply(TOO_MUCH_OUTPUT.text))
    assert most <= 500 + len(sequence) * (len(TOO_MUCH_OUTPUT.text) + 16)


def test_large_replies_are_taken_in_pieces_of_the_size_that_is_asked_for() -> None:
    world = World()
    value = bytes(range(256)) * 4096
    assert world.ask(pack(b"SET", b"a", value)) == b"+OK\r\n"
    world.session.receive(pack(b"GET", b"a") * 2)
    for _ in range(2):
        world.answer(world.partition_of_slot[slot_of(b"a")])
    taken = []
    while world.session.replies.has_output:
        taken.append(world.take(100_000))
        assert len(taken[-1]) <= 100_000 + PIECE_BYTES
    assert read_replies(b"".join(taken)) == [value] * 2
    assert world.session.replies.output_bytes == 0


def test_a_write_whose_reply_is_too_much_is_unknown_and_ends_the_session() -> None:
    world = World(output_bytes_max=1000)
    assert world.ask(pack(b"SET", b"a", b"v" * 600)) == b"+OK\r\n"
    world.session.receive(pack(b"GET", b"a") + pack(b"SET", b"a", b"w" * 600, b"GET") * 2)
    for _ in range(3):
        world.answer(world.partition_of_slot[slot_of(b"a")])
    replies = read_replies(world.take())
    assert replies == [
        b"v" * 600,
        ErrorReply(OUTPUT_NOT_READ.text),
        ErrorReply(OUTPUT_NOT_READ.text),
    ]
    assert world.session.is_finished


def test_what_comes_in_one_large_piece_is_parsed_in_slices() -> None:
    world = World(input_pending_max=9000)
    data = pack(b"ECHO", b"x") * 9000
    world.session.receive(data)
    assert not world.session.wants_input
    slices = 0
    taken = b""
    while not world.session.wants_input:
        before = world.wakes
        world.session.go_on()
        taken += world.take()
        assert world.wakes > before  # whoever owns the session is told to go on
        slices += 1
    assert slices == -(-len(data) // PARSED_BYTES)
    assert taken == b"$1\r\nx\r\n" * 9000


# -- order -------------------------------------------------------------------------------------


def test_a_readonly_connection_sees_its_own_writes() -> None:
    """SET and GET in one write to the leader: the old value was answered."""
    world = World(has_copies=(0, 1, 2))
    assert world.ask(pack(b"SET", b"a", b"old") + pack(b"READONLY")) == b"+OK\r\n" * 2
    world.session.receive(pack(b"SET", b"a", b"new") + pack(b"GET", b"a"))
    assert world.take() == b""
    assert world.finish() == b"+OK\r\n$3\r\nnew\r\n"


def test_a_copy_is_read_when_all_before_it_is_answered() -> None:
    """What the client has seen of one partition is not older than what it sees of the next."""
    here = world_partition(b"a")
    elsewhere = next(key for key in KEYS if world_partition(key) != here)
    world = World(led=(here,), has_copies=(0, 1, 2))
    assert world.ask(pack(b"READONLY")) == b"+OK\r\n"
    world.session.receive(pack(b"SET", b"a", b"1") + pack(b"GET", elsewhere))
    copy = world.stores[world_partition(elsewhere)]
    copy.execute(slot_of(elsewhere), [b"SET", elsewhere, b"newer"], 0)
    assert world.finish() == b"+OK\r\n$5\r\nnewer\r\n"
    assert world.ask(pack(b"SET", elsewhere, b"2")).startswith(b"-MOVED")


@pytest.mark.parametrize("is_in_transaction", [False, True])
def test_reads_of_a_copy_end_a_turn_when_they_took_long(is_in_transaction: bool) -> None:
    """A thousand BITCOUNT of a large value, 30 KB, ran while nobody else was served."""
    world = World(led=(), has_copies=(0, 1, 2))
    copy = world.stores[world_partition(b"a")]
    copy.execute(slot_of(b"a"), [b"SET", b"a", bytes(1 << 22)], 0)
    assert world.ask(pack(b"READONLY")) == b"+OK\r\n"
    asked = pack(b"BITCOUNT", b"a")
    if is_in_transaction:
        asked = pack(b"MULTI") + asked + pack(b"EXEC")
    world.session.receive(asked * 30)
    replies = b"".join(map(bytes, world.session.take(1 << 20)))
    assert 0 < replies.count(b":0\r\n") < 30
    assert world.finish().endswith(b":0\r\n") and world.session.is_at_rest
    assert world.ask(pack(b"GET", b"f") * 1000) == b"$-1\r\n" * 1000


def world_partition(key: bytes) -> int:
    return World().partition_of_slot[slot_of(key)]


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ((b"DBSIZE",), b":1\r\n"),
        ((b"CLUSTER", b"COUNTKEYSINSLOT", b"%d" % slot_of(b"a")), b":1\r\n"),
        ((b"SCAN", b"0", b"COUNT", b"100"), None),
        ((b"PING",), b"+PONG\r\n"),
    ],
)
def test_what_the_slave_answers_waits_for_what_is_before_it(command: Command, reply: bytes) -> None:
    world = World()
    world.session.receive(pack(b"SET", b"a", b"1") + pack(*command) + pack(b"GET", b"a"))
    assert world.session.replies.unanswered == 1  # the others have not begun
    output = world.finish()
    assert output.startswith(b"+OK\r\n") and output.endswith(b"$1\r\n1\r\n")
    if reply is not None:
        assert output == b"+OK\r\n" + reply + b"$1\r\n1\r\n"


def test_hello_does_not_change_the_replies_before_it() -> None:
    world = World()
    world.session.receive(pack(b"GET", b"a") + pack(b"HELLO", b"3") + pack(b"GET", b"a"))
    output = world.finish()
    assert output.startswith(b"$-1\r\n%7\r\n") and output.endswith(b"*0\r\n_\r\n")


# -- refusals ----------------------------------------------------------------------------------


def test_replies_that_are_not_wanted_are_not_sent() -> None:
    """And what is pushed is sent all the same."""
    world = World()
    off = pack(b"CLIENT", b"REPLY", b"OFF") + pack(b"SET", b"a", b"1") + pack(b"NOSUCH")
    assert world.ask(off) == b"" and world.session.replies.unanswered == 0
    world.session.push([b"message"])
    assert world.ask(pack(b"GET", b"a")) == b"*1\r\n$7\r\nmessage\r\n"
    assert world.ask(pack(b"CLIENT", b"REPLY", b"ON") + pack(b"GET", b"a")) == b"+OK\r\n$1\r\n1\r\n"


def test_one_reply_may_be_skipped() -> None:
    world = World()
    skip = pack(b"CLIENT", b"REPLY", b"SKIP")
    data = skip + pack(b"SET", b"a", b"1") + pack(b"GET", b"a") + skip + skip + pack(b"PING")
    assert world.ask(data + pack(b"GET", b"a")) == b"$1\r\n1\r\n" * 2
    off = pack(b"CLIENT", b"REPLY", b"OFF")
    assert world.ask(skip + off + pack(b"PING") + pack(b"RESET") + pack(b"PING")).endswith(
        b"+PONG\r\n"
    )


# -- ends --------------------------------------------------------------------------------------


def test_quit_is_the_last_command() -> None:
    world = World()
    output = world.ask(pack(b"SET", b"a", b"1") + pack(b"QUIT") + pack(b"SET", b"a", b"2"))
    assert output == b"+OK\r\n+OK\r\n" and world.session.is_finished
    assert world.ask(pack(b"PING")) == b""


def test_a_protocol_error_is_the_last_reply() -> None:
    world = World(value_bytes_max=10, key_bytes_max=10)
    data = pack(b"SET", b"a", b"1") + pack(b"GET", b"a") + pack(b"SET", b"a", b"x" * 20)
    output = world.ask(data + pack(b"PING"))
    limit = b"invalid bulk length: 20 bytes exceed value_bytes_max (10)"
    assert output == b"+OK\r\n$1\r\n1\r\n-ERR Protocol error: " + limit + b"\r\n"
    assert world.session.is_finished


def test_who_sends_nothing_more_is_still_answered() -> None:
    world = World(input_pending_max=1)
    world.session.receive(pack(b"SET", b"a", b"1") + pack(b"GET", b"a") + pack(b"GE"))
    world.session.end()
    assert not world.session.is_finished
    assert world.finish().startswith(b"+OK\r\n$1\r\n1\r\n-ERR unknown command")
    assert world.session.is_finished


def test_a_lost_client_is_answered_nothing_and_its_write_happens() -> None:
    world = World()
    world.session.receive(pack(b"SET", b"a", b"1") + pack(b"PING"))
    world.service.close_session(world.session)
    assert world.finish() == b"" and world.service.session_count == 0
    assert world.stores[world_partition(b"a")].key_count() == 1


def test_a_command_is_never_answered_twice() -> None:
    world = World()
    world.session.receive(pack(b"GET", b"a"))
    call = world.queues[world_partition(b"a")].popleft()
    call.resolve(b"1")
    assert world.take() == b"$1\r\n1\r\n"
    with pytest.raises(InvariantViolation, match="twice"):
        call.resolve(b"2")


# -- what comes next ---------------------------------------------------------------------------


def test_a_message_is_pushed_between_the_replies() -> None:
    world = World()
    world.session.receive(pack(b"SET", b"a", b"1"))
    world.session.push([b"message", b"channel", b"hi"])
    assert world.take() == b""
    assert read_replies(world.finish() + world.ask(pack(b"PING"))) == [
        OK,
        [b"message", b"channel", b"hi"],
        Status(b"PONG"),
    ]


def test_a_session_waits_for_a_command_that_is_answered_later() -> None:
    """As a blocking command will be; SHUTDOWN is never answered."""
    world = World()
    world.session.receive(pack(b"SHUTDOWN") + pack(b"SET", b"a", b"1"))
    assert world.finish() == b"" and world.asked_to == ["stop"]
    assert not world.session.wants_input and not any(world.queues)


def test_who_is_gone_with_commands_under_way_is_named() -> None:
    world = World()
    quiet = world.service.open_session(lambda: None, "client:2")
    quiet.receive(pack(b"PING"))
    world.service.close_session(quiet)
    assert not world.gone
    world.session.receive(pack(b"GET", b"a"))
    world.service.close_session(world.session)
    assert world.gone == [world.session.replies]
