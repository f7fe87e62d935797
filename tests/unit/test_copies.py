"""WAIT and WAITAOF: until enough copies have what a connection has written.

https://redis.io/docs/latest/commands/wait/ and waitaof/
"""

from collections.abc import Sequence
from typing import Any

import pytest

from distrodb.resp.reply import Reply
from distrodb.slave.copies import PAUSE_MAX_S, Copies, CopiesWait, Count
from distrodb.slave.pubsub import COPIES
from distrodb.slave.questions import ANSWER, ANSWER_S
from distrodb.slave.session import Session
from tests.unit.session_world import World

A, B = b"a", b"b"  # keys of two partitions


class Waiting(World):
    def connect(self) -> Session:
        return self.service.open_session(self._woken, "c:1")

    def say(self, session: Session, *lines: str) -> None:
        session.receive("".join(line + "\r\n" for line in lines).encode())
        for partition in range(len(self.stores)):
            while self.queues[partition]:
                self.answer(partition)
        session.go_on()

    def told(self, session: Session) -> bytes:
        return b"".join(session.take(1 << 20))

    def waits(self, *lines: str) -> Session:
        session = self.connect()
        self.say(session, *lines)
        return session


def partition(world: World, key: bytes) -> int:
    return world.partition_of_slot[{A: 15495, B: 3300}[key]]


def lagging(key: bytes = A) -> Waiting:
    """One copy of the partition of that key lacks what is newest."""
    world = Waiting()
    world.matches[partition(world, key)] = [10, 9]
    return world


@pytest.mark.parametrize("wanted", ["-1", "0", "1"])
def test_what_enough_copies_have_is_answered_at_once(wanted: str) -> None:
    world = lagging()
    assert world.told(world.waits("set a 1", f"wait {wanted} 0")) == b"+OK\r\n:1\r\n"


def test_it_waits_until_another_copy_has_it() -> None:
    world = lagging()
    client = world.waits("set a 1", "wait 2 0", "ping")
    world.process.pass_time(1000.0)
    assert world.told(client) == b"+OK\r\n" and client.is_waiting
    world.committed = 11  # a write of somebody else since, which no other copy has
    world.matches[partition(world, A)] = [10, 10]
    world.process.pass_time(PAUSE_MAX_S)
    client.go_on()
    assert world.told(client) == b":2\r\n+PONG\r\n" and not client.is_waiting
    assert not world.process.later_calls


@pytest.mark.parametrize(
    "lines", [["set a 1"], ["set a 1", "set b 1"], ["multi", "set a 1", "exec"]]
)
def test_it_answers_how_many_have_it_when_its_time_is_over(lines: list[str]) -> None:
    world = lagging()
    client = world.waits(*lines)
    world.told(client)
    world.say(client, "wait 2 500", "wait 3 10")
    for _ in range(49):
        world.process.pass_time(0.01)
        assert not world.told(client)
    for _ in range(3):
        world.process.pass_time(0.01)
    client.go_on()
    assert world.told(client) == b":1\r\n"
    for _ in range(3):
        world.process.pass_time(0.01)
    assert world.told(client) == b":1\r\n"
    assert not world.process.later_calls


def test_partitions_that_it_has_not_written_to_do_not_count() -> None:
    world = lagging()
    client = world.waits("set b 1", "get a", "wait 2 0")
    assert world.told(client) == b"+OK\r\n$-1\r\n:2\r\n"
    assert world.told(world.waits("wait 2 0")) == b":2\r\n"  # nothing at all: all copies have that


def test_waitaof_also_counts_the_leaders_own_disk() -> None:
    world = lagging()
    world.disk_has = 9
    client = world.waits("set a 1", "waitaof 0 1 0", "waitaof 1 1 0")
    assert world.told(client) == b"+OK\r\n*2\r\n:0\r\n:1\r\n"
    world.disk_has = 10
    world.process.pass_time(PAUSE_MAX_S)
    assert world.told(client) == b"*2\r\n:1\r\n:1\r\n"


@pytest.mark.parametrize(
    ("how", "told"),
    [("", b":1\r\n"), (" timeout", b":1\r\n"), (" error", b"-UNBLOCKED client unblocked")],
)
def test_client_unblock_ends_it(how: str, told: bytes) -> None:
    world = lagging()
    client, other = world.waits("set a 1", "wait 2 0"), world.connect()
    world.told(client)
    world.say(other, f"client unblock {client.id}{how}", f"client unblock {client.id}")
    assert world.told(other) == b":1\r\n:0\r\n" and world.told(client).startswith(told)
    world.process.pass_time(1.0)
    assert not world.process.later_calls and not world.told(client)


def test_in_a_transaction_it_does_not_wait() -> None:
    world = lagging()
    client = world.waits("multi", "set a 1", "wait 2 0", "exec")
    assert world.told(client).endswith(b"*2\r\n+OK\r\n:1\r\n")
    client = world.waits("set a 1", "multi", "waitaof 1 2 0", "exec")
    assert world.told(client).endswith(b"*1\r\n*2\r\n:1\r\n:1\r\n")


def test_who_is_gone_waits_no_more() -> None:
    world = lagging()
    client = world.waits("set a 1", "wait 2 0")
    world.told(client)
    client.end()
    assert world.told(client) == b":1\r\n"
    client = world.waits("set a 1", "wait 2 0")
    world.service.close_session(client)
    world.process.pass_time(1.0)
    assert not world.process.later_calls


def test_who_may_not_wait_any_more_is_told_so() -> None:
    world = lagging()
    admin = world.connect()
    world.say(admin, "acl setuser bob on nopass ~* +@all", "acl setuser eve on nopass ~* +@all")
    bob, eve = (world.waits(f"auth {name} x", "set a 1", "wait 2 0") for name in ("bob", "eve"))
    world.told(bob)
    world.say(admin, "acl setuser bob resetkeys ~b")
    assert bob.is_waiting, "that has nothing to do with keys"
    world.say(admin, "acl setuser bob -wait", "acl deluser eve")
    assert world.told(bob).startswith(b"-NOPERM ") and not bob.is_killed
    assert eve.is_killed


# -- where other slaves lead -----------------------------------------------------------------------


class Asked:
    """A wait for a partition that another slave leads."""

    def __init__(self, until: float, wanted: int = 2, level: int = 2, leader: str = "peer"):
        self.world = world = World(led=())
        world.map.level, self.replies = level, list[Reply]()
        world.leader_of = lambda partition: leader  # type: ignore[method-assign]
        self.waiting = CopiesWait(
            world.copies,
            world.process,
            [4, 7],
            world.now + until,
            lambda is_here, copies: copies >= wanted,
            lambda is_here, copies: copies,
            self.replies.append,
        )
        self.waiting.look()

    def questions(self) -> list[Sequence[Any]]:
        found = [content[0] for _, (_, content, _) in self.world.parcels]  # type: ignore[misc]
        self.world.parcels.clear()
        return found

    def answer(self, number: int, rows: list[list[Any]]) -> None:
        self.world.pubsub.receive("peer", [[ANSWER, number, rows]])


def test_their_leader_is_asked_until_it_has_enough() -> None:
    asked = Asked(until=100.0)
    assert asked.questions() == [(COPIES, 1, 0, [[4, 0], [7, 0]])]
    asked.answer(1, [[4, 20, 1, True], [7, 30, 2, True]])
    asked.world.process.pass_time(PAUSE_MAX_S)
    assert asked.questions() == [(COPIES, 2, 0, [[4, 20], [7, 30]])]
    asked.world.process.pass_time(PAUSE_MAX_S)
    assert not asked.questions(), "one question at a time"
    asked.answer(2, [[4, 20, 2, True], [7, 30, 2, True]])
    assert asked.replies == [2]
    asked.world.process.pass_time(1.0)
    assert not asked.world.process.later_calls and not asked.questions()


def test_a_leader_that_is_silent_keeps_nobody_waiting_for_longer() -> None:
    asked = Asked(until=0.0)
    asked.world.process.pass_time(ANSWER_S / 2)
    assert not asked.replies, "it may answer yet"
    asked.world.process.pass_time(ANSWER_S)
    assert asked.replies == [0]
    asked = Asked(until=0.5)
    asked.answer(1, [[4, 20, 1, True], [7, 30, 1, True]])
    asked.world.process.pass_time(0.5)
    assert asked.replies == [1]


@pytest.mark.parametrize("rows", [None, 5, [[4]], [[4, 20, True, 1]], [[4, 20, 2, True], 7]])
def test_an_answer_that_is_none_is_no_copy(rows: Any) -> None:
    asked = Asked(until=1.5)
    asked.answer(1, rows)
    for _ in range(100):
        asked.world.process.pass_time(PAUSE_MAX_S)
    assert asked.replies == [0]


def test_who_may_not_know_the_question_is_not_asked() -> None:
    asked = Asked(until=1.0, wanted=1, level=1)
    assert not asked.questions() and asked.replies == [1]


def test_what_was_reckoned_for_it_is_not_taken_for_an_answer() -> None:
    """An index that nobody has told would be one that all copies have."""
    asked = Asked(until=100.0, level=1)
    asked.world.map.level = 2
    asked.world.process.pass_time(PAUSE_MAX_S)
    assert asked.questions() == [(COPIES, 1, 0, [[4, 0], [7, 0]])] and not asked.replies


def test_what_is_led_here_is_told_to_who_asks() -> None:
    world = World(led=(1,))
    world.matches[1] = [9, 8]
    world.pubsub.receive("peer", [[COPIES, 5, 0, [[0, 0], [1, 0], [1, 9], [1, True], "x"]]])
    ((_, (_, content, _)),) = world.parcels  # type: ignore[misc]
    assert content == [(ANSWER, 5, [[1, 10, 0, True], [1, 9, 1, True]])]
    assert world.copies.here(1, 8) == Count(8, 2, True) and isinstance(world.copies, Copies)
