"""A snapshot on its way from a leader to a follower that lags behind the log.

Pure: the sender turns the chunks of a snapshot into messages, a window at a time; the receiver
takes them in order and keeps them until the last one.  The chunks come from a shallow copy of the
leader's own state at ``index``, so a transfer needs no file and is never out of date.

Caveat: the receiver holds the encoded chunks and then the state: about twice its size in memory.
"""

from collections.abc import Iterator

from distrodb.raft.journal import Configuration

INSTALL_S_MAX = 600.0  # until a snapshot that arrived is durable; a slow disk is no lost message
WINDOW = 8  # chunks under way (of about 256 KiB): bounds the leader's outbox for one follower


class SnapshotSender:
    def __init__(
        self, now: float, configuration: Configuration, term: int, chunks: Iterator[bytes]
    ):
        self.index, self.term = configuration.index, term
        self._members = [configuration.epoch, list(configuration.members)]
        self.transfer = int(now * 1000)  # tells two transfers of one term apart
        self._chunks = chunks
        self._next: bytes | None = next(chunks)
        self._sequence = 0
        self._acknowledged = 0
        self._progress_at = now

    def is_stalled(self, now: float, patience_s: float) -> bool:
        """Nothing comes back.  A receiver that has all of it still has to decode and sync it."""
        if self._next is None and self._acknowledged == self._sequence:
            patience_s = max(patience_s, INSTALL_S_MAX)
        return now - self._progress_at > patience_s

    def on_ack(self, now: float, transfer: int, expected: int) -> None:
        if transfer == self.transfer and self._acknowledged < expected <= self._sequence:
            self._acknowledged = expected
            self._progress_at = now

    def due(self) -> Iterator[tuple[int, int, int, int, list[object], bytes, bool]]:
        """The fields of the messages that may leave now."""
        while self._next is not None and self._sequence - self._acknowledged < WINDOW:
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
