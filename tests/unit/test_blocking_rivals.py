"""Who of those who wait for a key stands for whom: while one is being asked, another one that wants
something else must be told of what changes meanwhile."""

import math
from collections.abc import Iterator

from distrodb.resp.reply import Reply, error
from distrodb.slave.blocking import Blocking, Waiter, _Line

WRONG_TYPE = error("WRONGTYPE", "Operation against a key holding the wrong kind of value")


class Told:
    """A ``Tracking`` that knows which lines are to be told of the next change."""

    def __init__(self) -> None:
        self.lines: list[_Line] = []

    def listen(self, line: _Line) -> None: ...

    def leave(self, line: _Line) -> None: ...

    def wait_for(self, line: _Line, database: int, key: bytes) -> None:
        assert line not in self.lines
        self.lines.append(line)

    def change(self) -> None:
        lines, self.lines = self.lines, []
        for line in lines:
            line.tell((b"k",))


class Queue:
    def __init__(self) -> None:
        self.told, self.asked, self.answers = Told(), [], {}
        self.blocking = Blocking(self.told, lambda waiter, _: self.asked.append(waiter))

    asked: list[Waiter]
    answers: dict[Waiter, Reply]

    def begin(
        self, rivals: bytes | None, is_of_group: bool = False, until: float = math.inf
    ) -> Waiter:
        waiter = Waiter([b"take"], 0, 0, [b"k"], None, lambda reply: self.tell(waiter, reply))
        waiter.rivals, waiter.is_of_group = rivals, is_of_group
        self.blocking.begin(waiter, until)
        return waiter

    def tell(self, waiter: Waiter, reply: Reply) -> None:
        self.answers[waiter] = reply

    def answer(self, waiter: Waiter, reply: Reply) -> None:
        self.asked.remove(waiter)
        waiter.resolve(reply)


def test_a_taker_from_a_sorted_set_does_not_stand_for_one_from_a_list() -> None:
    queue = Queue()
    of_list, of_sorted_set = queue.begin(b"list"), queue.begin(b"sorted-set")
    queue.answer(of_list, None)
    queue.told.change()  # a list comes while the other one is being asked
    assert of_list in queue.asked
    queue.answer(of_sorted_set, WRONG_TYPE)
    queue.answer(of_list, [b"k", b"x"])
    assert of_list in queue.answers


def test_a_reader_that_is_far_ahead_does_not_stand_for_another() -> None:
    queue = Queue()
    near, far = queue.begin(None), queue.begin(None)
    queue.answer(near, None)
    queue.told.change()
    assert queue.asked == [far, near]


def test_a_rival_stands_for_those_behind_it() -> None:
    queue = Queue()
    first, second = queue.begin(b"list"), queue.begin(b"list")
    assert queue.asked == [first] and not queue.told.lines
    queue.answer(first, None)
    queue.told.change()
    assert queue.asked == [first]
    queue.answer(first, [b"k", b"x"])
    assert queue.asked == [second]
    queue.answer(second, None)
    assert len(queue.told.lines) == 1


def test_one_that_meets_another_kind_leaves_its_turn_to_the_next() -> None:
    """It may have met that in another key of its own."""
    queue = Queue()
    stuck, next_one = queue.begin(b"list"), queue.begin(b"list")
    queue.answer(stuck, None)
    queue.told.change()
    queue.answer(stuck, WRONG_TYPE)
    assert queue.asked == [next_one]
    queue.answer(next_one, None)
    queue.told.change()
    assert queue.asked == [stuck]


def test_one_consumer_of_each_group_is_asked() -> None:
    queue = Queue()
    groups = [[queue.begin(name, False) for _ in range(3)] for name in (b"g", b"h")]
    for consumers in groups:
        queue.answer(consumers[0], None)
    queue.told.change()
    assert queue.asked == [groups[0][0], groups[1][0]]
    queue.answer(groups[0][0], [b"entry"])
    assert queue.asked == [groups[1][0], *groups[0][1:]]


class Counting(dict[Waiter, None]):
    """Of which it is counted how many have been looked at."""

    looked_at = 0

    def __iter__(self) -> Iterator[Waiter]:
        for each in super().__iter__():
            self.looked_at += 1
            yield each


def test_thousands_who_wait_for_one_key_are_looked_at_a_few_times_each() -> None:
    """When a slave loses the lead all are told where to go, one after another."""
    count = 3000
    queue = Queue()
    queue.blocking = Blocking(
        queue.told, lambda waiter, _: queue.asked.append(waiter), lambda database, key: 1
    )
    waiters = [queue.begin(b"list") for _ in range(count)]
    queue.answer(waiters[0], None)
    (line,) = queue.told.lines
    rivals = line.rivals[b"list"]
    counting = rivals.waiters = Counting(rivals.waiters)
    for reply in (None, error("MOVED", "1 host:1")):
        queue.told.lines.clear()
        line.tell(None)
        asked, queue.asked = queue.asked, []
        assert asked == waiters
        for waiter in asked:
            waiter.resolve(reply)
    assert len(queue.answers) == count and not queue.asked
    assert counting.looked_at < 10 * count


MOVED = error("MOVED", "1 127.0.0.1:1")


def of_another_slave(queue: Queue) -> None:
    """From now on whoever asks is told at once to go elsewhere."""
    queue.blocking._ask_partition = lambda waiter, _: waiter.resolve(MOVED)


def test_thousands_are_told_at_once_where_to_go() -> None:
    queue = Queue()
    waiting = [queue.begin(b"list") for _ in range(5000)]
    queue.answer(waiting[0], None)
    of_another_slave(queue)
    queue.told.change()
    assert list(queue.answers) == waiting and not len(queue.blocking)


def test_one_whose_time_is_over_may_be_told_where_to_go_by_another_s_end() -> None:
    queue = Queue()
    first, *others = [queue.begin(b"list", until=1.0) for _ in range(4)]
    queue.answer(first, None)
    of_another_slave(queue)
    queue.blocking.look(2.0)
    assert queue.answers == {first: None} | dict.fromkeys(others, MOVED)
