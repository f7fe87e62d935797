"""A snapshot on its way from a leader to a follower that lags behind the log.

Pure: the sender turns the chunks of a snapshot into messages, a window at a time; the receiver
takes them in order and keeps them until the last one.  The chunks come from a shallow copy of the
leader's own state at ``index``, so a transfer needs no file and is never out of date.

What a slave sends of snapshots in a second is bounded by ``Budget``, which all its groups share.
``CatchingUp`` knows who has a snapshot and needs the log since: if that was cut off meanwhile it
would need the next snapshot, and on a busy partition the one after that, for ever.

A receiver that cannot read what it got says so, and the sender begins anew: at once, and if that
comes to nothing too after a pause that doubles each time.

Caveat: the receiver holds the encoded chunks and then the state: about twice its size in memory.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator

from distrodb.raft.log import Configuration

INSTALL_S_MAX = 600.0  # until a snapshot that arrived is durable; a slow disk is no lost message
AGAIN_S = 1.0  # before the second repetition of one that came damaged; doubled for each further one
UNDER_WAY = 1  # entries: one that lacks no more has caught up, the newest is on its way
WINDOW = 8  # chunks under way (of about 256 KiB): bounds the leader's outbox for one follower


class Budget:
    """Bytes of snapshots that may be sent, ``per_s`` a second; saved up for a tenth of one."""

    def __init__(self, now: float, per_s: float):
        self._per_s, self._at = per_s, now
        self._left = 0.0
        self.spent = 0  # bytes in all

    def refill(self, now: float) -> None:
        saved = self._left + (now - self._at) * self._per_s
        self._left, self._at = min(saved, self._per_s / 10), now

    def spend(self, size: int) -> bool:
        """False when nothing is left.  One chunk may be larger than what is; it is owed then."""
        if self._left <= 0:
            return False
        self._left -= size
        self.spent += size
        return True


class SnapshotSender:
    def __init__(
        self,
        now: float,
        configuration: Configuration,
        term: int,
        chunks: Iterator[bytes],
        bytes_estimated: int,
        before: "SnapshotSender | None" = None,
    ):
        """``before``: the one to the same follower that this one takes the place of."""
        self.index, self.term = configuration.index, term
        self._members = [configuration.epoch, list(configuration.members)]
        self.transfer = int(now * 1000)  # tells two transfers of one term apart
        self.refusals = 0  # of this follower in a row
        if before is not None:
            self.transfer = max(self.transfer, before.transfer + 1)
            self.refusals = before.refusals
        self._chunks = chunks
        self._next: bytes | None = next(chunks)
        self._sequence = 0
        self._acknowledged = 0
        self._progress_at = now
        self._sizes: deque[int] = deque()  # of the chunks under way
        self._estimated = bytes_estimated
        self._again_at: float | None = None  # it was refused, and is sent anew then
        self.bytes_done = 0

    @property
    def bytes_total(self) -> int:
        """An estimate, until the last chunk is under way."""
        so_far = self.bytes_done + sum(self._sizes)
        return so_far if self._next is None else max(self._estimated, so_far)

    def is_stalled(self, now: float, patience_s: float) -> bool:
        """It must be sent anew: nothing comes back, or it was refused and the pause is over.  A
        receiver that has all of it still has to decode and sync it."""
        if self._again_at is not None:
            return now >= self._again_at
        if self._acknowledged == self._sequence:
            if self._next is not None:  # it is we who pause, for the budget's sake
                self._progress_at = now
            patience_s = max(patience_s, INSTALL_S_MAX)
        return now - self._progress_at > patience_s

    def on_ack(self, now: float, transfer: int, expected: int) -> None:
        """All chunks before ``expected`` are there; 0: it has all of them, and cannot read them."""
        if transfer != self.transfer:
            return
        if expected == 0:
            self._refused(now)
        elif self._acknowledged < expected <= self._sequence:
            for _ in range(expected - self._acknowledged):
                self.bytes_done += self._sizes.popleft()
            self._acknowledged = expected
            self._progress_at = now

    def _refused(self, now: float) -> None:
        is_whole = self._next is None and self._acknowledged == self._sequence
        if is_whole and self._again_at is None:
            pause_s = AGAIN_S * 2.0 ** (self.refusals - 1) if self.refusals else 0.0
            self.refusals += 1
            self._again_at = now + min(pause_s, INSTALL_S_MAX)

    def due(
        self, may_send: Callable[[int], bool]
    ) -> Iterator[tuple[int, int, int, int, list[object], bytes, bool]]:
        """The fields of the messages that may leave now."""
        while self._next is not None and self._sequence - self._acknowledged < WINDOW:
            if not may_send(len(self._next)):
                return
            self._sizes.append(len(self._next))
            chunk, self._next = self._next, next(self._chunks, None)
            sequence, self._sequence = self._sequence, self._sequence + 1
            is_last = self._next is None
            yield self.transfer, sequence, self.index, self.term, self._members, chunk, is_last


class SnapshotReceiver:
    def __init__(self, sender: str, transfer: int):
        self.sender, self.transfer = sender, transfer
        self.expected = 0
        self.chunks: list[bytes] = []

    def add(self, sender: str, transfer: int, sequence: int, chunk: bytes) -> bool:
        """Take the next chunk; False for one of another transfer or out of order."""
        if (sender, transfer, sequence) != (self.sender, self.transfer, self.expected):
            return False
        self.chunks.append(chunk)
        self.expected += 1
        return True


class CatchingUp:
    """Followers whose snapshot is installed, until they have the log since, which must stay.

    One that does not get nearer for ``patience_s`` is let go: so a hanging disk holds up the log no
    longer, nor does one that is slower than the writes.
    """

    def __init__(self) -> None:
        self._nearest: dict[str, tuple[int, float]] = {}  # follower: fewest entries lacked, when

    def begin(self, now: float, peer: str) -> None:
        self._nearest[peer] = sys.maxsize, now

    def look(self, now: float, backlog: Callable[[str], int], patience_s: float) -> None:
        """``backlog``: how many entries a follower lacks."""
        for peer, (nearest, at) in list(self._nearest.items()):
            lacks = backlog(peer)
            if lacks <= UNDER_WAY or (lacks >= nearest and now - at > patience_s):
                del self._nearest[peer]
            elif lacks < nearest:
                self._nearest[peer] = lacks, now

    def let_go(self, peer: str) -> None:
        self._nearest.pop(peer, None)

    def clear(self) -> None:
        self._nearest.clear()

    def __iter__(self) -> Iterator[str]:
        return iter(self._nearest)

    def __len__(self) -> int:
        return len(self._nearest)
