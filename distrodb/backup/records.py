"""What stands in a backup: keys and their values, scripts that were loaded and libraries of
functions, out of the chunks of partitions.  Pure.

A large container comes in several parts, of one chunk or of several that follow each other; its
record is given when its last part has come.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from distrodb.backup.format import PARTITION, Decoder, Frame
from distrodb.errors import CorruptionError
from distrodb.keyspace.containers.kinds import CONTAINERS
from distrodb.keyspace.place_number import database_of, slot_at
from distrodb.keyspace.scripts import LIBRARY, LOADED
from distrodb.keyspace.snapshot import (
    Header,
    OriginRow,
    Row,
    ScriptRows,
    decode_header,
    decode_items,
)
from distrodb.keyspace.values import STRING, Container, Value


@dataclass(frozen=True, slots=True)
class Record:
    """A key and what is kept of it."""

    database: int
    key: bytes
    value: Value
    expires_at_ms: int | None  # Unix time in milliseconds; None: it stays


@dataclass(frozen=True, slots=True)
class Code:
    """What is in all partitions."""

    is_library: bool  # of functions; else a script
    text: bytes


@dataclass(frozen=True, slots=True)
class _Open:
    """A container of which more parts may come."""

    place: int
    key: bytes
    value: Container
    expires_at_ms: int | None


class Picture:
    """One partition's chunks in, records out.  Raises ``ValueError`` for what makes no sense."""

    def __init__(self) -> None:
        self._header: Header | None = None
        self._open: _Open | None = None
        self._missing_scripts: int | None = None
        self.keys = 0

    @property
    def has_open(self) -> bool:
        """A container waits: more of its parts may come."""
        return self._open is not None

    def add(self, chunk: bytes) -> Iterator[Record | Code]:
        if self._header is None:
            self._header = decode_header(chunk)
            return
        for row in decode_items(chunk):
            if isinstance(row, OriginRow):
                raise ValueError("numbers of a gateway, which no backup has")
            if isinstance(row, ScriptRows):
                yield from self._scripts(row)
                continue
            if not self._header.first_slot <= slot_at(row.place) <= self._header.last_slot:
                raise ValueError(f"slot {slot_at(row.place)}, outside its own range")
            yield from self._strings(row) if row.tag == STRING else self._containers(row)

    def _scripts(self, rows: ScriptRows) -> Iterator[Code]:
        if self._missing_scripts is None:
            self._missing_scripts = rows.whole_count
        for kind, _, text in rows.rows:
            if kind not in (LOADED, LIBRARY) or type(text) is not bytes:
                raise ValueError("scripts, which no backup has")
            self._missing_scripts -= 1
            yield Code(kind == LIBRARY, text)

    def _strings(self, row: Row) -> Iterator[Record]:
        yield from self._close()
        database, expiries = database_of(row.place), row.expiries
        self.keys += len(row.keys)
        for number, key in enumerate(row.keys):
            at_ms = None if expiries is None else expiries[number]
            yield Record(database, key, row.values[number], at_ms)

    def _containers(self, row: Row) -> Iterator[Record]:
        for number, key in enumerate(row.keys):
            opened = self._open
            if opened is None or (opened.place, opened.key) != (row.place, key):
                yield from self._close()
                at_ms = None if row.expiries is None else row.expiries[number]
                opened = self._open = _Open(row.place, key, CONTAINERS[row.tag](0), at_ms)
                self.keys += 1
            if opened.value.tag != row.tag:
                raise ValueError("a key of two kinds")
            opened.value.add_part(row.values[number])

    def _close(self) -> Iterator[Record]:
        opened, self._open = self._open, None
        if opened is not None:
            database = database_of(opened.place)
            yield Record(database, opened.key, opened.value, opened.expires_at_ms)

    def finish(self) -> Iterator[Record]:
        """What was open; the picture must be whole then."""
        if self._header is None:
            raise ValueError("a partition without a header")
        if self._missing_scripts:
            raise ValueError(f"a partition that lacks {self._missing_scripts} scripts")
        if self.keys != self._header.key_count:
            wanted = self._header.key_count
            raise ValueError(f"a partition of {self.keys} keys that should have {wanted}")
        yield from self._close()


class Reading:
    """A whole backup, record by record.  Raises as ``Decoder`` does."""

    def __init__(self, decoder: Decoder, from_frame: int = 0):
        """``from_frame``: records that end in frames before that one are read, and not given."""
        self._decoder, self._from_frame = decoder, from_frame
        self._picture: Picture | None = None
        self._last: Frame | None = None
        self.keys = 0  # of partitions that are read
        self.partitions = 0
        # When all records that were given so far are done with, another reading may begin with this
        # frame and misses none.
        self.safe_frame = from_frame

    def records(self) -> Iterator[Record | Code]:
        for frame in self._decoder.frames():
            yield from self._given(frame, self._add(frame))
            is_open = self._picture is not None and self._picture.has_open
            if frame.number >= self._from_frame and not is_open:
                self.safe_frame = frame.number + 1
            self._last = frame
        if self._last is not None:
            yield from self._given(self._last, self._finish())
        if self.keys != self._decoder.keys:
            raise CorruptionError(
                f"{self._decoder.name}: it has {self.keys} keys and should have"
                f" {self._decoder.keys}"
            )

    def _given(self, frame: Frame, records: Iterator[Record | Code]) -> Iterator[Record | Code]:
        try:
            for record in records:
                if frame.number >= self._from_frame:
                    yield record
        except ValueError as problem:
            raise self._decoder.damaged(frame, str(problem)) from None

    def _add(self, frame: Frame) -> Iterator[Record | Code]:
        if frame.kind == PARTITION:
            yield from self._finish()
            self._picture = Picture()
        elif self._picture is not None:
            yield from self._picture.add(frame.body)

    def _finish(self) -> Iterator[Record]:
        picture, self._picture = self._picture, None
        if picture is not None:
            yield from picture.finish()
            self.keys += picture.keys
            self.partitions += 1
