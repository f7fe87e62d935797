"""Pictures of partitions, for backups: what DISTRODB BACKUP is answered with.  Pure.

A picture is the state of one partition at one moment.  It is taken by the partition's leader where
a read of that partition is answered, so a majority has confirmed the lead, or the entry in front of
it is committed: the picture holds all that was acknowledged before it was asked for.  Afterwards it
does not matter who leads.

It is handed out as pieces (the chunks of keyspace/snapshot.py, without what gateways may ask
again), each encoded when it is asked for: a quarter of a MiB of work a turn of the loop.  The piece
that was asked for last is kept, so one whose reply was lost may be asked for again.

Bounds: ``PICTURES_MAX`` at a time; one that nobody has asked for ``IDLE_S`` is dropped.  A picture
refers to the values of its moment, so it costs some hundred bytes a key, and what was overwritten
since; never more than the partition's size once more.

Caveat: to take one copies the partition's dictionaries at once, as the slave's own snapshots do:
40 ms a million keys of that partition.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from distrodb.commands.api import ProcessApi
from distrodb.keyspace.place_number import place_of
from distrodb.resp.reply import ErrorReply, Reply, error
from distrodb.slave.core import Core
from distrodb.slave.on_partitions import Part

PICTURES_MAX = 2  # the second for one whose client is gone, until it is dropped
IDLE_S = 30.0  # seconds
TOKEN_BYTES = 8

NO_PICTURE = error(
    "NOBACKUP",
    f"no such picture: it has ended, was not asked for {IDLE_S:.0f} s, or the slave has restarted",
)
NO_PIECE = error("ERR", "a picture's pieces are asked for in their order, or the last one again")
NO_PARTITION = error("ERR", "there is no such partition")
TOO_MANY = error("ERR", f"{PICTURES_MAX} backups are at work on this slave; try again later")


@dataclass(slots=True)
class _Picture:
    pieces: Iterator[bytes]
    used_at: float  # seconds
    number: int = -1  # of the piece that was asked for last
    piece: bytes | None = None  # None: they have come to their end


class Process(ProcessApi, Protocol):
    def later(self, delay_s: float, what: Callable[[], None]) -> None: ...


class Pictures:
    def __init__(self, core: Core, process: Process):
        self._core, self._process = core, process
        self._by_token: dict[bytes, _Picture] = {}

    def __len__(self) -> int:
        return len(self._by_token)

    def begin(self, partition: int, resolve: Callable[[Reply], None]) -> None:
        """Answers the picture's token, the partition's first and last slot, how many keys it has,
        and about how many bytes its pieces have."""
        if not 0 <= partition < len(self._core.map.partitions):
            resolve(NO_PARTITION)
            return
        if len(self) >= PICTURES_MAX:
            resolve(TOO_MANY)
            return
        first = self._core.map.partitions[partition].first

        def take(counted: Reply) -> None:
            resolve(counted if isinstance(counted, ErrorReply) else self._take(partition))

        words = (b"COUNTKEYSINSLOT", b"%d" % first)  # a read that costs nothing
        self._core.submit(Part(words, False, place_of(0, first), take), partition)

    def _take(self, partition: int) -> Reply:
        store = self._core.view.copy_of(partition)
        if store is None or len(self) >= PICTURES_MAX:
            return NO_PICTURE if store is None else TOO_MANY
        token = self._process.random_bytes(TOKEN_BYTES).hex().encode()
        self._by_token[token] = _Picture(store.picture(), self._process.now())
        self._process.later(IDLE_S, lambda: self._drop_if_idle(token))
        return [token, store.first_slot, store.last_slot, store.key_count(), store.size_estimate()]

    def piece(self, token: bytes, number: int) -> Reply:
        """Null behind the last one."""
        picture = self._by_token.get(token)
        if picture is None:
            return NO_PICTURE
        picture.used_at = self._process.now()
        if number == picture.number + 1 and (picture.piece is not None or number == 0):
            picture.number, picture.piece = number, next(picture.pieces, None)
        elif number != picture.number:
            return NO_PIECE
        return picture.piece

    def end(self, token: bytes) -> None:
        self._by_token.pop(token, None)

    def _drop_if_idle(self, token: bytes) -> None:
        picture = self._by_token.get(token)
        if picture is None:
            return
        left_s = picture.used_at + IDLE_S - self._process.now()
        if left_s <= 0:
            self.end(token)
        else:
            self._process.later(left_s, lambda: self._drop_if_idle(token))
