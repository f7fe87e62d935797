"""Commands that came to this slave's gateway: to the leaders of their partitions, wherever they
are, through failovers, and their answers back.  Pure.

A partition has one queue (queue.py).  What a turn of the loop has for a leader leaves in one frame
a peer; what is led here takes the same way without a link.  The leader's side is forwarded.py.

Limits: commands and bytes under way (those of a partition's queue in options.py), and the time that
a command waits for a leader's answer (``gateway.wait_ms``).
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from distrodb.commands.table import MACHINE_COMMANDS
from distrodb.config import SlaveConfig
from distrodb.errors import PeerError
from distrodb.raft.interfaces import Request
from distrodb.resp.encode import size_of
from distrodb.resp.plain import from_plain, to_plain
from distrodb.resp.reply import ErrorReply, error
from distrodb.slave.deadlines import Deadlines
from distrodb.slave.dispatch import Dispatch
from distrodb.slave.forwarding.forwarded import (
    ITEM_BYTES,
    Answer,
    Answers,
    Forwarded,
    Inbox,
    Stream,
)
from distrodb.slave.forwarding.queue import Item, Queue
from distrodb.slave.links.framing import ANSWERS, FORWARDS, FRAME_BYTES_MAX
from distrodb.slave.outgoing import Outgoing
from distrodb.slave.routing import Routing

FRAME_BYTES = 1 << 25  # of a frame, about: each is decoded at once, and a link takes no larger ones
REPLY_BYTES_MAX = FRAME_BYTES_MAX // 2  # of one reply, which is not cut


class _Frames:
    """What a turn has for peers, in frames that are not too large."""

    def __init__(self, kind: int, outgoing: Outgoing):
        self._kind, self._outgoing = kind, outgoing
        self._rows: dict[str, list[Any]] = {}
        self._sizes: dict[str, int] = {}

    def add(self, peer: str, row: object, size: int) -> None:
        before = self._sizes.get(peer, 0)
        if before and before + size > FRAME_BYTES:
            self._send(peer)
            before = 0
        self._rows.setdefault(peer, []).append(row)
        self._sizes[peer] = before + size

    def _send(self, peer: str) -> None:
        self._outgoing.send_parcel(peer, (self._kind, self._rows.pop(peer), self._sizes.pop(peer)))

    def send(self) -> None:
        for peer in list(self._rows):
            self._send(peer)


class Forwarding:
    def __init__(
        self, config: SlaveConfig, routing: Routing, dispatch: Dispatch, outgoing: Outgoing
    ):
        limits = config.limits
        self._wait_s = config.gateway.wait_ms / 1000
        self._queue_max, self._bytes_max = (
            limits.partition_queue_max,
            limits.partition_queue_bytes_max,
        )
        self._routing, self._outgoing = routing, outgoing
        self._answers = Answers(min(limits.output_bytes_max, REPLY_BYTES_MAX))
        self._inbox = Inbox(
            MACHINE_COMMANDS,
            self._answers,
            lambda: routing.partition_of_slot,
            dispatch.submit_marked,
        )
        self._queues: dict[int, Queue] = {}
        self._bytes = 0  # in all of them
        self._streams: dict[int, Stream] = {}  # by partition: to this slave itself
        self._touched: set[int] = set()  # queues in which something has changed
        self._lost: set[object] = set()  # senders that are gone, since the last turn
        self._deadlines = Deadlines()
        self._seen: object = None  # the leaders for which all queues were looked at
        # Some command came here, or from a peer: without gateways a turn pays for none of this.
        self.is_used = False
        # Some answer was what a partition has kept, maybe, and of what it was then.
        self.answered_again = False

    # -- what comes in -----------------------------------------------------------------------

    def submit(self, now: float, request: Request, partition: int, sender: object | None) -> None:
        """A command that came to this slave's gateway; ``sender``: the connection that may have
        others under way, whose order is to be kept."""
        queue = self._queues.get(partition)
        if queue is None:
            queue = self._queues[partition] = Queue(partition)
            self.is_used = True
        if refusal := self._refusal(queue):
            request.resolve(refusal)
            return
        queue.add(now + self._wait_s, request, sender)
        self._bytes += request.size
        self._touched.add(partition)

    def lose(self, sender: object) -> None:
        """A connection that has commands under way is gone."""
        if self._queues:  # else there are none of its commands, and no turn looks here
            self._lost.add(sender)

    def _refusal(self, queue: Queue) -> ErrorReply | None:
        routing, partition = self._routing, queue.partition
        if routing.maps.birth is not None:
            return routing.redirect(partition, -1)
        if len(queue) >= self._queue_max or self._bytes >= self._bytes_max:
            return error("TRYAGAIN", f"the gateway has {len(queue)} commands for {partition}")
        if queue.has_given_up and routing.leader_of(partition) is None:
            return self._no_leader(partition)
        return None

    def _no_leader(self, partition: int) -> ErrorReply:
        return error("CLUSTERDOWN", f"partition {partition} has no leader that answers")

    def receive(self, now: float, peer: str, kind: int, content: object) -> None:
        """What a peer forwards, and its answers.  Raises ``PeerError``."""
        self.is_used = True
        if kind == FORWARDS:
            self._inbox.receive(peer, content)
            return
        for row in content if isinstance(content, list) else [None]:
            if not isinstance(row, list) or tuple(map(type, row)) != (int, int, list):
                raise PeerError("an answer to what was forwarded is malformed")
            partition, generation, answers = row
            queue = self._queues.get(partition)
            if queue is not None and queue.target in (peer, None):
                self._answered(now, queue, generation, [_answer(answer) for answer in answers])

    def _answered(self, now: float, queue: Queue, generation: int, answers: list[Answer]) -> None:
        bytes_before = queue.bytes
        queue.answered(now, generation, answers)
        self._bytes += queue.bytes - bytes_before
        self._touched.add(queue.partition)
        if queue.answered_again:
            queue.answered_again, self.answered_again = False, True

    def target_of(self, partition: int) -> str | None:
        """Who has the commands for it at the moment: from nobody else are answers taken."""
        queue = self._queues.get(partition)
        return None if queue is None else queue.target

    def link_down(self, now: float, peer: str) -> None:
        self._inbox.link_down(peer)
        for queue in self._queues.values():
            if queue.target == peer:
                bytes_before = queue.bytes
                queue.end(now)
                self._bytes += queue.bytes - bytes_before
                self._touched.add(queue.partition)

    # -- a turn ------------------------------------------------------------------------------

    @property
    def next_due(self) -> float:
        """Seconds: when ``send`` or ``deliver`` is to be called next; minus infinity is now."""
        if self._touched or self._lost or self._answers.streams:
            return -math.inf
        return self._deadlines.next_due

    def send(self, now: float) -> None:
        """To the leaders, what may go to them now; before the groups are ticked."""
        if self._lost:
            self._drop_reads()
        if not (self._touched or self._queues):
            return
        if self._seen != (version := self._routing.version):
            self._seen = version
            self._touched.update(id_ for id_, queue in self._queues.items() if len(queue))
        touched, self._touched = self._touched, set()
        touched.update(self._deadlines.take(now))
        frames = _Frames(FORWARDS, self._outgoing)
        for partition in sorted(touched):
            queue = self._queues[partition]
            bytes_before = queue.bytes
            queue.look(now, self._no_leader(partition))
            if len(queue):
                self._aim(now, queue)
            while queue.target is not None and (chunk := queue.take(now)):
                head, items = chunk
                if queue.target == self._routing.maps.me:
                    self._submit(self._streams[partition], head, items)
                    continue
                rows = [[item.number, item.sequence, item.place, item.args] for item in items]
                frames.add(queue.target, [*head, rows], sum(item.size for item in items))
            self._bytes += queue.bytes - bytes_before
            self._deadlines.put(partition, queue.next_due(now) if len(queue) else math.inf)
        frames.send()

    def _drop_reads(self) -> None:
        """Once a turn, however many are gone: all that waits is looked at."""
        lost, self._lost = self._lost, set()
        for partition, queue in self._queues.items():
            if len(queue):
                bytes_before = queue.bytes
                queue.lose(lost)
                self._bytes += queue.bytes - bytes_before
                self._touched.add(partition)

    def _aim(self, now: float, queue: Queue) -> None:
        """See that the queue's generation goes to who leads, as far as is known."""
        leader = self._routing.leader_of(queue.partition)
        if leader is None or leader == queue.target:
            return
        if queue.target is not None:
            queue.end(now)
        if queue.may_begin(now, leader):
            queue.begin(leader)
            if leader == self._routing.maps.me:
                self._streams[queue.partition] = Stream("", queue.partition, queue.generation)

    def _submit(self, stream: Stream, head: list[int], items: list[Item]) -> None:
        *_, origin, answered = head
        answers, partition = self._answers, stream.partition
        for item in items:
            mark = (origin, item.sequence, answered) if item.sequence > 0 else None
            request = Forwarded(
                answers, stream, item.number, item.place, item.args, mark, item.is_logged
            )
            self._inbox.submit(request, partition)

    def deliver(self, now: float) -> None:
        """The answers of the groups that are led here; after they were ticked."""
        if not self._answers.streams:
            return
        frames = _Frames(ANSWERS, self._outgoing)
        for stream in self._answers.take():
            answers, size = stream.take()
            if not stream.peer:
                self._answered(now, self._queues[stream.partition], stream.generation, answers)
                continue
            for part, part_size in _parts(answers, size):
                rows = [[number, why, to_plain(reply)] for number, why, reply in part]
                frames.add(stream.peer, [stream.partition, stream.generation, rows], part_size)
        frames.send()


def _parts(answers: Sequence[Answer], size: int) -> Iterator[tuple[Sequence[Answer], int]]:
    """As many as fit into one frame, with about their bytes."""
    if size <= FRAME_BYTES:
        yield answers, size
        return
    part: list[Answer] = []
    size = 0
    for answer in answers:
        answer_size = size_of(answer[2]) + ITEM_BYTES
        if part and size + answer_size > FRAME_BYTES:
            yield part, size
            part, size = [], 0
        part.append(answer)
        size += answer_size
    yield part, size


def _answer(plain: object) -> Answer:
    if not isinstance(plain, list) or len(plain) != 3:
        raise PeerError("an answer to what was forwarded is malformed")
    number, why, reply = plain
    if type(number) is not int or type(why) is not int:
        raise PeerError("an answer to what was forwarded is malformed")
    try:
        return number, why, from_plain(reply)
    except ValueError:
        raise PeerError("an answer to what was forwarded holds no reply") from None
