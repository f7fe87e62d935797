"""Queues made of streams: producers add numbers that are added once, the consumers of a group read,
acknowledge, forget and claim them, and a reader follows, while leaders die, hang and are cut off.

A group keeps what it has given to whom, so **nothing is lost, whoever's outcome is not known**: it
is still pending, and claimed in the end.  No number is new to a group twice, and none changes hands
but by a claim.  Through gateways nobody sees an error, either, and each number is acknowledged by
just one command.

``Story``s are run by test_stream_claims.py.
"""

from collections.abc import Sequence
from typing import Any

from distrodb.resp.reply import NULL_ARRAY
from tests.sim.simulation import Simulation
from tests.sim.worker import Worker, disturb, lose_frames, ways_of

QUEUES = ["queue.0", "queue.1", "queue.2"]
GATEWAYS = ("node1", "node2")
CONSUMERS = 2  # of each queue and gateway
FAULTS = ["crash", "isolate", "pause", "break"]
FORGOTTEN = 0.2  # of what is read: its consumer does not acknowledge it
IDLE_MS = 400  # that is claimed


class Books:
    """What was added, given and acknowledged, of all queues together."""

    def __init__(self) -> None:
        self.next = 0
        self.added: dict[bytes, bytes] = {}  # number: its id, where that was told
        self.maybe_added: set[bytes] = set()
        self.holders: dict[bytes, set[bytes]] = {}  # number: all that have had it
        self.new: set[bytes] = set()  # given as new
        self.acknowledged: dict[bytes, float] = {}  # id and queue: since when
        self.ack_count = 0
        self.claims = self.unknown = 0
        self.maybe_claimed: set[bytes] = set()  # by consumers whose claim's outcome is not known

    def number(self) -> bytes:
        self.next += 1
        return b"%d" % self.next

    def given_as_new(self, number: bytes, consumer: bytes) -> None:
        assert number not in self.new, f"{number!r} was new to the group twice"
        self.new.add(number)
        self.holders.setdefault(number, set()).add(consumer)

    def given_again(self, number: bytes, consumer: bytes) -> None:
        """It must have got it before; also by a command of which it has heard nothing."""
        holders = self.holders.setdefault(number, set())
        is_unheard = number not in self.new or consumer in self.maybe_claimed
        assert consumer in holders or is_unheard, f"{consumer!r} has {number!r} of {holders}"
        self.new.add(number)
        holders.add(consumer)

    def claimed(self, queue: str, id_: bytes, number: bytes, consumer: bytes, asked: float) -> None:
        since = self.acknowledged.get(queue.encode() + id_)
        assert since is None or since > asked, f"{number!r} was claimed when it was acknowledged"
        self.holders.setdefault(number, set()).add(consumer)
        self.claims += 1


class OnStream(Worker):
    def __init__(self, cluster: Simulation, books: Books, queue: str, node: str | None):
        super().__init__(cluster, books, queue, node)
        self.books = books


class Producer(OnStream):
    """Its entries stand in the order in which it was told of them."""

    last = (0, 0)

    def words(self) -> list[Any]:
        return ["XADD", self.queue, "*", "n", self.books.number()]

    def known(self, words: list[Any], reply: Any) -> None:
        assert isinstance(reply, bytes)
        milliseconds, _, sequence = reply.partition(b"-")
        at = int(milliseconds), int(sequence)
        assert at > self.last, "an entry before one that was there"
        self.last = at
        self.books.added[words[-1]] = reply

    def unknown(self, words: list[Any]) -> None:
        self.books.maybe_added.add(words[-1])


class Consumer(OnStream):
    def __init__(self, cluster: Simulation, books: Books, queue: str, node: str | None, name: str):
        self.name = name.encode()
        self._held: list[bytes] = []  # ids that it will acknowledge now
        self._is_unsure = False  # it may have got something that it has not heard of
        super().__init__(cluster, books, queue, node)

    def words(self) -> list[Any]:
        choose = self.cluster.random
        if self._held:
            held, self._held = self._held, []
            return ["XACK", self.queue, "workers", *held]
        if self._is_unsure:  # what it has got is its own, still
            self._is_unsure = False
            return self._reading("STREAMS", self.queue, "0")
        if choose.random() < 0.15:
            return ["XAUTOCLAIM", self.queue, "workers", self.name, str(IDLE_MS), "0"]
        # In the first queue all wait for ever: they are told, or they do nothing more.
        wait_ms = 0 if self.queue == QUEUES[0] else choose.choice([0, 300, 2000])
        options = ["COUNT", str(choose.choice([1, 1, 3])), "BLOCK", str(wait_ms)]
        return self._reading(*options, "STREAMS", self.queue, ">")

    def _reading(self, *words: str) -> list[Any]:
        return ["XREADGROUP", "GROUP", "workers", self.name, *words]

    def known(self, words: list[Any], reply: Any) -> None:
        books = self.books
        if words[0] == "XACK":
            books.ack_count += reply
            for id_ in words[3:]:
                books.acknowledged.setdefault(self.queue.encode() + id_, self.cluster.now)
            return
        if words[0] == "XAUTOCLAIM":
            entries = reply[1]
            assert reply[2] == [], "what is pending was deleted"
        elif reply is None or reply is NULL_ARRAY:
            return
        else:
            ((queue, entries),) = reply
            assert queue == self.queue.encode()
        for id_, (_, number) in entries:
            if words[0] == "XAUTOCLAIM":
                books.claimed(self.queue, id_, number, self.name, self.asked_at)
            elif words[-1] == ">":
                books.given_as_new(number, self.name)
            else:
                books.given_again(number, self.name)
            if self.cluster.random.random() >= FORGOTTEN:
                self._held.append(id_)

    def unknown(self, words: list[Any]) -> None:
        self._is_unsure = words[0] != "XACK"
        if words[0] == "XAUTOCLAIM":
            self.books.maybe_claimed.add(self.name)


class Reader(OnStream):
    """Follows a stream from its first entry on, without a group."""

    def __init__(self, cluster: Simulation, books: Books, queue: str, node: str | None):
        super().__init__(cluster, books, queue, node)
        self.seen: list[bytes] = []  # numbers
        self.last = b"0-0"

    def words(self) -> list[Any]:
        wait_ms = self.cluster.random.choice([0, 300, 2000])
        return ["XREAD", "BLOCK", str(wait_ms), "STREAMS", self.queue, self.last]

    def known(self, words: list[Any], reply: Any) -> None:
        if reply is None or reply is NULL_ARRAY:
            return
        ((_, entries),) = reply
        for id_, (_, number) in entries:
            self.seen.append(number)
            self.last = id_


class Story:
    def __init__(self, seed: int, gateways: Sequence[str] = (), fault_count: int = 8):
        """``gateways``: the slaves whose gateways the workers use, which stay; none: the workers go
        to the leaders."""
        self.gateways, self.books, self._count = gateways, Books(), fault_count
        self.cluster = cluster = Simulation(seed, nodes=5, partitions=4, snapshot_log_bytes=4096)
        cluster.run_until(cluster.is_whole)
        for queue in QUEUES:
            cluster.ask("XGROUP", "CREATE", queue, "workers", "0", "MKSTREAM", key=queue)
        if seed % 2 and gateways:
            lose_frames(cluster)
        ways = ways_of(gateways)
        places = [(queue, way) for queue in QUEUES for way in ways]
        self.producers = [Producer(cluster, self.books, *place) for place in places]
        self.consumers = [
            Consumer(cluster, self.books, *place, f"consumer{number}")
            for number, place in enumerate(places * CONSUMERS)
        ]
        self.readers = [Reader(cluster, self.books, queue, ways[0]) for queue in QUEUES]

    def run(self) -> None:
        """Raises ``AssertionError`` for whatever must not be."""
        for _ in disturb(self.cluster, self.gateways, QUEUES, FAULTS, self._count):
            pass
        self._drain()
        books = self.books
        stored: dict[bytes, bytes] = {}
        for queue, reader in zip(QUEUES, self.readers, strict=True):
            self._finish(queue)
            found = self._stored(queue)
            assert list(found) == reader.seen, "a reader has missed an entry, or another order"
            stored |= found
        assert {**stored, **books.added} == stored, "an entry is gone, or has another number"
        assert stored.keys() <= books.added.keys() | books.maybe_added, "nobody added this"
        assert books.holders.keys() == stored.keys(), "an entry was given to nobody"
        if self.gateways:
            assert not books.unknown and not books.maybe_added
            assert books.new == stored.keys() and books.ack_count == len(stored)
        else:
            assert books.ack_count <= len(stored)
        assert len(stored) > 100 and books.claims > 0
        self.cluster.checks.all_digests()

    def _drain(self) -> None:
        """Consumers that wait get all that was added, though nothing more is."""
        cluster = self.cluster
        for producer in self.producers:
            producer.is_stopped = True
        cluster.run_until(lambda: not any(each.is_waiting for each in self.producers))
        cluster.run_until(lambda: all(self._lag(queue) == 0 for queue in QUEUES), 60.0)
        cluster.run(15.0)  # a reply that a link has lost is asked for again after some seconds
        for worker in (*self.consumers, *self.readers):
            worker.is_stopped = True
        cluster.run(1.0)  # one that waits no more may have begun its last command

    def _lag(self, queue: str) -> Any:
        reply: Any = self.cluster.ask("XINFO", "GROUPS", queue, key=queue)
        (told,) = reply
        row = dict(zip(told[::2], told[1::2], strict=True))
        return row[b"lag"]

    def _finish(self, queue: str) -> None:
        """Claim, and acknowledge, what is pending still."""
        at = b"0-0"
        while True:
            words = ["XAUTOCLAIM", queue, "workers", "last", "0", at.decode()]
            asked = self.cluster.now
            reply: Any = self.cluster.ask(*words)
            at, entries, gone = reply
            assert gone == []
            for id_, (_, number) in entries:
                self.books.claimed(queue, id_, number, b"last", asked)
                assert self.cluster.ask("XACK", queue, "workers", id_.decode()) == 1
                self.books.ack_count += 1
            if at == b"0-0":
                break
        pending: Any = self.cluster.ask("XPENDING", queue, "workers")
        assert pending[0] == 0

    def _stored(self, queue: str) -> dict[bytes, bytes]:
        entries: Any = self.cluster.ask("XRANGE", queue, "-", "+")
        found = {number: id_ for id_, (_, number) in entries}
        assert len(found) == len(entries), "an entry was added twice"
        return found
