"""The replicated dictionary of one partition.

Deterministic: the same entries in the same order give the same state and replies everywhere; time
is the entry's and never goes back.  ``execute`` never raises for bad input: a bad command is
answered with an error and changes nothing.  Keys live in one dictionary a slot, since all keys of
a command share a slot.

Caveats: a snapshot copies the dictionaries (not the values) when it is taken, about 40 ms a million
keys; values must therefore never be changed in place.  SCAN of a slot with very many keys (one hash
tag) looks at all of them for each of its 64 windows.
"""

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from distrodb.errors import invariant
from distrodb.keyspace import snapshot
from distrodb.keyspace.context import Context, StoreLimits, Table
from distrodb.keyspace.entry import decode_batch
from distrodb.keyspace.glob import glob
from distrodb.resp.reply import Reply, error

WINDOWS = 64  # of a slot, for SCAN
SAMPLE = 256  # keys that are measured to estimate the size of all


class Store:
    def __init__(
        self, first_slot: int, last_slot: int, table: Table, limits: StoreLimits | None = None
    ):
        self.first_slot, self.last_slot = first_slot, last_slot
        self.table = table
        self.now_ms = 0  # the newest entry's wall clock
        self._limits = limits or StoreLimits()
        self._context = Context(0, self._limits)
        self._slots: dict[int, dict[bytes, bytes]] = {}

    def execute(self, slot: int, args: Sequence[bytes], now_ms: int) -> Reply:
        """Run one command; ``slot`` is that of its keys, -1 for one on the whole partition."""
        row = self.table.get(args[0]) or self.table.get(args[0].upper())
        if row is None:
            return error("ERR", "unknown command in the log")
        if not row.arity_ok(args):
            return error("ERR", f"wrong number of arguments for '{row.name}' command")
        context = self._context
        if context.now_ms != now_ms:
            context = self._context = Context(now_ms, self._limits)
        if row.scope == "partition":
            reply: Reply = row.handler(self, args, context)
            return reply
        keyspace = self._slots.get(slot)
        if keyspace is None:
            invariant(
                self.first_slot <= slot <= self.last_slot, f"slot {slot} in a wrong partition"
            )
            keyspace = {}
            if row.is_write:
                self._slots[slot] = keyspace
        reply = row.handler(keyspace, args, context)
        return reply

    def apply(self, payload: bytes) -> list[Reply]:
        """Run the write commands of one log entry.  Raises ``ValueError`` for a damaged one."""
        now_ms, commands = decode_batch(payload)
        self.now_ms = max(self.now_ms, now_ms)
        return [self.execute(slot, args, self.now_ms) for slot, args in commands]

    def key_count(self) -> int:
        return sum(map(len, self._slots.values()))

    def key_count_in_slot(self, slot: int) -> int:
        return len(self._slots.get(slot, ()))

    def clear(self) -> None:
        self._slots = {}

    def scan(
        self, position: int, count: int, match: bytes | None = None, kind: bytes | None = None
    ) -> tuple[int | None, list[bytes]]:
        """At least ``count`` keys from ``position`` on (before the filters), and where to go on;
        None is the end.

        A position is ``slot * 64 + window``; a key's window comes from a checksum of the key, so
        its position never changes: a key that is there from a scan's beginning to its end is
        returned once.  A slot is returned whole unless it holds many keys (a hash tag).
        """
        accepts = None if match is None else glob(match).match
        found: list[bytes] = []
        seen = 0
        slot, window = max(divmod(position, WINDOWS), (self.first_slot, 0))
        while slot <= self.last_slot and seen < count:
            keyspace = self._slots.get(slot)
            if keyspace and (window or len(keyspace) > max(count, WINDOWS)):
                keys = [key for key in keyspace if zlib.crc32(key) >> 26 == window]
                window += 1
            else:
                keys, window = list(keyspace or ()), WINDOWS
            seen += len(keys)
            if kind in (None, b"string"):
                found += keys if accepts is None else filter(accepts, keys)
            if window == WINDOWS:
                slot, window = slot + 1, 0
        return (None if slot > self.last_slot else slot * WINDOWS + window), found

    def digest(self) -> str:
        """Equal for equal states, whatever order they were reached in."""
        digest = hashlib.sha256(b"%d" % self.now_ms)
        for slot in sorted(self._slots):
            for key, value in sorted(self._slots[slot].items()):
                digest.update(b"%d %d %d " % (slot, len(key), len(value)) + key + value)
        return digest.hexdigest()

    def snapshot(self) -> Iterator[bytes]:
        """The state now, as chunks that are encoded while they are taken (in any thread)."""
        slots = {slot: dict(keyspace) for slot, keyspace in self._slots.items() if keyspace}
        header = snapshot.Header(self.now_ms, self.first_slot, self.last_slot, self.key_count())
        return snapshot.encode(header, slots)

    def size_estimate(self) -> int:
        """About the bytes of a snapshot, as far as a few keys tell."""
        items = chain.from_iterable(keyspace.items() for keyspace in self._slots.values())
        sizes = [len(key) + len(value) + 5 for key, value in islice(items, SAMPLE)]
        return sum(sizes) * self.key_count() // max(1, len(sizes))


class StoreBuilder:
    """Makes a store from the chunks of a snapshot.  Raises ``ValueError`` for damaged ones."""

    def __init__(self, table: Table, limits: StoreLimits | None = None):
        self._table, self._limits = table, limits
        self._store: Store | None = None
        self._missing = 0  # keys

    def add(self, chunk: bytes) -> None:
        if self._store is None:
            header = snapshot.decode_header(chunk)
            self._store = Store(header.first_slot, header.last_slot, self._table, self._limits)
            self._store.now_ms = header.now_ms
            self._missing = header.key_count
            return
        for slot, items in snapshot.decode_items(chunk):
            if not self._store.first_slot <= slot <= self._store.last_slot:
                raise ValueError(f"a snapshot with slot {slot}, outside its own range")
            self._store._slots.setdefault(slot, {}).update(items)
            self._missing -= len(items)

    def finish(self) -> Store:
        if self._store is None:
            raise ValueError("a snapshot without a header")
        if self._missing:
            raise ValueError(f"a snapshot that lacks {self._missing} keys")
        return self._store
