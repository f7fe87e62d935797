"""Streams as queues: producers add numbers, the consumers of a group wait for them in XREADGROUP
and acknowledge them, a reader follows in XREAD, while leaders die, hang and are cut off.

What a consumer was given stays on record until it acknowledges it, so here nothing may be lost or
come twice at all: whoever did not hear an answer asks first for what it was given.  What a consumer
leaves that is gone for good, another one claims.
"""

import pytest

from distrodb.resp.reply import NULL_ARRAY, ErrorReply, Reply
from tests.sim.chaos import Report
from tests.sim.queues import GATEWAYS, QUEUES, Books, Story, Worker
from tests.sim.simulation import Simulation

GROUP = b"g"


class Producer(Worker):
    """Its entries stand in the order in which it was told of them."""

    last = (0, 0)

    def words(self) -> list[bytes]:
        return [b"XADD", self.queue.encode(), b"*", b"number", self.books.number()]

    def known(self, words: list[bytes], reply: Reply) -> None:
        if isinstance(reply, ErrorReply):
            raise AssertionError(reply)
        self.books.pushed.add(words[-1])
        assert isinstance(reply, bytes)
        milliseconds, _, sequence = reply.partition(b"-")
        at = int(milliseconds), int(sequence)
        assert at > self.last, "an entry before one that was there"
        self.last = at

    def unknown(self, words: list[bytes]) -> None:
        self.books.maybe_pushed.add(words[-1])


class Consumer(Worker):
    """Takes, notes, acknowledges; where it did not hear it asks for what it may have been given."""

    def __init__(self, cluster: Simulation, books: Books, queue: str, node: str | None, name: str):
        self.name, self.to_acknowledge = name.encode(), {}
        self.may_have_more = False
        super().__init__(cluster, books, queue, node, "")

    to_acknowledge: dict[bytes, bytes]  # numbers by id: taken

    def words(self) -> list[bytes]:
        if self.to_acknowledge:
            return [b"XACK", self.queue.encode(), GROUP, *self.to_acknowledge]
        queue, begin = (
            self.queue.encode(),
            [b"XREADGROUP", b"GROUP", GROUP, self.name, b"COUNT", b"2"],
        )
        if self.may_have_more:
            return [*begin, b"STREAMS", queue, b"0"]
        wait = self.cluster.random.choice([b"0", b"0", b"300", b"2000"])
        return [*begin, b"BLOCK", wait, b"STREAMS", queue, b">"]

    def known(self, words: list[bytes], reply: Reply) -> None:
        if words[0] == b"XACK":
            assert type(reply) is int and reply <= len(words) - 3
            self.to_acknowledge = {}
            return
        found = entries_of(reply)
        if not found:
            self.may_have_more = False
        for id_, number in found:
            self.books.taken.append(number)
            self.to_acknowledge[id_] = number

    def unknown(self, words: list[bytes]) -> None:
        if words and words[0] == b"XREADGROUP":
            self.may_have_more = True


class Reader(Worker):
    """Follows a stream from its first entry on."""

    last = b"0-0"

    def __init__(self, *args: object):
        self.seen: list[bytes] = []
        super().__init__(*args)  # type: ignore[arg-type]

    def words(self) -> list[bytes]:
        wait = self.cluster.random.choice([b"0", b"300", b"2000"])
        return [b"XREAD", b"BLOCK", wait, b"STREAMS", self.queue.encode(), self.last]

    def known(self, words: list[bytes], reply: Reply) -> None:
        for id_, number in entries_of(reply):
            self.seen.append(number)
            self.last = id_

    def unknown(self, words: list[bytes]) -> None: ...


def entries_of(reply: Reply) -> list[tuple[bytes, bytes]]:
    """Ids and numbers, of one stream."""
    if reply is None or reply is NULL_ARRAY:
        return []
    assert isinstance(reply, list), reply
    ((_, entries),) = reply
    assert isinstance(entries, list)
    return [(id_, fields[1]) for id_, fields in entries]


def run(seed: int, gateways: tuple[str, ...]) -> None:
    story = Story(seed, gateways, pushing=(), waiting=())  # its faults, and workers of our own
    cluster, books = story.cluster, story.books
    for queue in QUEUES:
        cluster.ask("XGROUP", "CREATE", queue, "g", "0", "MKSTREAM", key=queue)
    ways: list[str | None] = [*gateways] or [None, None]
    places = [(queue, way) for queue in QUEUES for way in ways]
    producers = [Producer(cluster, books, *place, "") for place in places]
    consumers = [
        Consumer(cluster, books, *place, f"c{number}") for number, place in enumerate(places * 2)
    ]
    readers = [Reader(cluster, books, queue, ways[0], "") for queue in QUEUES]
    cluster.run(2.0)
    consumers[0].is_stopped = True  # for good, with what it holds
    story._disturb(Report(seed))
    for worker in producers:
        worker.is_stopped = True
    cluster.run_until(lambda: not any(worker.is_waiting for worker in producers))
    cluster.run(15.0)  # who heard nothing asks again after some seconds
    for worker in (*consumers, *readers):
        worker.is_stopped = True
    taken = {number for each in consumers for number in each.to_acknowledge.values()}
    left = claimed(cluster, consumers[0].queue)
    books.taken += [number for number in left if number not in taken]
    assert not (gateways and books.maybe_pushed)
    assert len(set(books.taken)) == len(books.taken), "a number was handed out twice"
    assert books.pushed <= set(books.taken) <= books.pushed | books.maybe_pushed
    for reader in readers:
        entries = cluster.ask("XRANGE", reader.queue, "-", "+")
        assert [fields[1] for _, fields in entries] == reader.seen
    assert len(books.taken) > 100
    cluster.checks.all_digests()


def claimed(cluster: Simulation, queue: str) -> list[bytes]:
    """What was given to one that is gone, and was not taken by it: another one gets it."""
    reply = cluster.ask("XAUTOCLAIM", queue, "g", "heir", "0", "0", "COUNT", "1000")
    return [fields[1] for _, fields in reply[1]]


@pytest.mark.soak
# In every second one links lose, repeat and reorder.
@pytest.mark.parametrize("seed", range(12))
def test_through_gateways_each_entry_comes_once(seed: int) -> None:
    run(seed, GATEWAYS)


@pytest.mark.soak
# Each has other faults at other times.
@pytest.mark.parametrize("seed", range(12))
def test_at_the_leaders_each_entry_comes_once(seed: int) -> None:
    run(seed, ())
