"""Bursts: commands that came together cost as one and fare as each by itself.

That a connection which bursts looks like one that does not is told by test_session.py (one server
that runs one command after the other) and by tests/sim/test_sessions.py.
"""

import gc
import sys

import pytest

from distrodb.errors import InvariantViolation
from distrodb.raft.interfaces import GroupOptions
from distrodb.raft.request_queue import RequestQueue, singles
from distrodb.resp.reply import OK, ErrorReply
from distrodb.slave.burst import Burst, Part
from distrodb.slave.replies import Replies
from tests.support.request import Asked
from tests.support.resp import pack
from tests.unit.session_world import World

pytestmark = pytest.mark.usefixtures("build")

OPTIONS = GroupOptions(
    heartbeat_s=0.1,
    election_timeout_s=1.0,
    unknown_after_s=1.0,
    snapshot_log_bytes=1 << 20,
    batch_bytes_max=1 << 20,
    transaction_ms_max=50,
    queue_max=5,
    queue_bytes_max=10_000,
)


def part_of(*commands, numbers=None):
    words = [each.encode().split() for each in commands]
    which_write = [args[0] == b"SET" for args in words]
    numbers = list(range(len(words))) if numbers is None else list(numbers)
    return Part([(0, args) for args in words], numbers, which_write)


class Told:
    """A connection's replies, and two parts: commands 0 and 2 of the one, 1 of the other."""

    def __init__(self, output_bytes_max=1000):
        self.replies = Replies(output_bytes_max, lambda: None)
        self.even = part_of("GET a", "SET a 1", numbers=(0, 2))
        self.odd = part_of("GET b", numbers=(1,))
        self.replies.add_burst([self.even, self.odd], 3)

    def take(self, bytes_max=1000):
        return b"".join(self.replies.take(bytes_max))


def test_replies_leave_in_the_order_of_the_commands_as_soon_as_those_before_are_there():
    told = Told()
    told.even.resolve([b"x", OK])
    assert told.take() == b"$1\r\nx\r\n" and not told.replies.has_output
    assert told.replies.unanswered == 1 and told.replies.count == 3
    told.odd.resolve([None])
    assert told.take() == b"$-1\r\n+OK\r\n"
    assert told.replies.unanswered == told.replies.count == told.replies.memory == 0
    assert told.replies.misses == 1  # the read that found nothing


def test_a_part_that_is_taken_apart_is_answered_command_by_command():
    told = Told()
    first, second = told.even.singles()
    assert (first.is_write, second.is_write, second.args) == (False, True, [b"SET", b"a", b"1"])
    second.resolve(OK)
    told.odd.resolve([b"y"])
    assert told.take() == b"" and told.replies.unanswered == 1
    first.resolve(None)
    assert told.take() == b"$-1\r\n$1\r\ny\r\n+OK\r\n" and told.replies.misses == 1


def test_no_command_is_answered_twice():
    told = Told()
    (single,) = told.odd.singles()
    single.resolve(None)
    with pytest.raises(InvariantViolation):
        single.resolve(None)
    with pytest.raises(InvariantViolation):
        told.odd.resolve([None])


def test_what_is_taken_is_bounded():
    told = Told()
    told.even.resolve([b"x" * 100, OK])
    told.odd.resolve([b"y" * 100])
    taken = [told.take(50) for _ in range(3)]
    assert [len(piece) for piece in taken] == [108, 108, 5] and told.replies.output_bytes == 0


def test_a_read_whose_reply_has_no_room_is_an_error_and_a_write_is_unknown_and_the_end():
    told = Told(output_bytes_max=120)
    told.even.resolve([b"x" * 100, b"z" * 100])
    told.odd.resolve([b"y" * 100])
    lines = told.take().split(b"\r\n")
    assert lines[1] == b"x" * 100
    assert lines[2].startswith(b"-ERR replies of this connection exceed output_bytes_max")
    assert lines[3].startswith(b"-UNKNOWN") and told.replies.is_closing


def test_nothing_is_told_to_one_that_is_gone():
    told = Told()
    told.replies.lose()
    told.even.resolve([b"x", OK])
    told.odd.singles()[0].resolve(None)
    assert told.take() == b"" and told.replies.memory == 0


def test_what_is_answered_waits_for_no_garbage_collector():
    gc.disable()
    try:
        told = Told()
        burst = told.replies.calls[0]
        assert isinstance(burst, Burst)
        answers = burst.answers
        told.even.resolve([b"x", OK])
        told.odd.resolve([None])
        told.take()
        told.even = told.odd = burst = None
        assert sys.getrefcount(answers) == 2  # here, and the argument
    finally:
        gc.enable()


# -- in a group's queue ----------------------------------------------------------------------------


def queue_of(*requests):
    queue = RequestQueue(3, OPTIONS)
    for request in requests:
        if isinstance(request, Part):
            queue.submit_burst(request)
        else:
            queue.submit(request)
    return queue


def test_a_queue_counts_the_commands_of_bursts():
    told, calls = Told(), [Asked(b"SET", b"k", b"v") for _ in range(4)]
    queue = queue_of(calls[0], told.even, *calls[1:])
    assert [call.is_answered for call in calls] == [False, False, False, True]
    assert queue.writes == 4
    queue.drop_first()
    queue.drop_first()
    assert queue.writes == 2 and [*queue] == calls[1:3]


def test_of_a_burst_that_has_no_room_the_first_commands_may_have():
    told, calls = Told(), [Asked(b"SET", b"k", b"v") for _ in range(4)]
    queue = queue_of(*calls, told.even)
    assert told.replies.unanswered == 2 and len(queue) == 5
    assert queue[4].args == [b"GET", b"a"]
    told.odd.resolve([None])
    queue[4].resolve(None)
    assert b"-TRYAGAIN partition 3 has 5 commands waiting" in told.take()


def test_what_a_queue_gives_back_are_single_commands_in_their_order():
    told, call = Told(), Asked(b"GET", b"k")
    back = singles(queue_of(told.even, call, told.odd).take_all())
    assert [each.args for each in back] == [
        [b"GET", b"a"], [b"SET", b"a", b"1"], (b"GET", b"k"), [b"GET", b"b"]
    ]  # fmt: skip


# -- in a session ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "before",
    [(b"MULTI",), (b"READONLY",), (b"CLIENT", b"REPLY", b"OFF"), (b"SUBSCRIBE", b"c"),
     (b"CLIENT", b"TRACKING", b"ON", b"BCAST"), (b"CLIENT", b"PAUSE", b"1000")],
)  # fmt: skip
def test_who_is_not_in_a_plain_state_begins_none(before):
    world = World()
    world.ask(pack(b"HELLO", b"3"))
    world.ask(pack(*before))
    world.session.receive(pack(b"GET", b"a") * 3)
    assert not any(isinstance(request, Part) for queue in world.queues for request in queue)
    plain = World()
    plain.session.receive(pack(b"GET", b"a") * 3)
    assert any(isinstance(request, Part) for queue in plain.queues for request in queue)


def test_commands_are_counted_and_the_last_one_is_known():
    world = World()
    world.ask(pack(b"GET", b"a") * 2 + pack(b"set", b"a", b"1") * 3)
    assert (world.service.calls["get"], world.service.calls["set"]) == (2, 3)
    assert world.session.client.last_row.name == "set"


def test_those_of_another_leader_are_told_one_by_one_where_to_go():
    world = World(led=(0,))
    keys = [b"key%d" % number for number in range(20)]
    output = world.ask(b"".join(pack(b"GET", key) for key in keys))
    moved = output.count(b"-MOVED ")
    assert 0 < moved < 20 and output.count(b"$-1") == 20 - moved


def test_an_error_in_a_burst_is_counted_as_of_its_command():
    world = World()
    world.ask(pack(b"SET", b"a", b"x") + pack(b"INCR", b"a") + pack(b"GET", b"a"))
    assert world.service.statistics.failed["incr"] == 1
    assert isinstance(world.stores[0].execute(0, [b"INCR"], 0), ErrorReply)
