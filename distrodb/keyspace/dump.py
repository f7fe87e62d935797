"""A value as Redis' DUMP writes it and RESTORE reads it: what tools carry from server to server.

    type (1 byte) · the value as in an RDB file · RDB version (2 bytes) · CRC-64 (8 bytes)

all little-endian but for lengths.  https://rdb.fnordig.de/file_format.html tells of the encodings.
We write values plainly, in version 9, which Redis 5 and all since then accept; hashes with fields
that expire as Redis since 7.4 does, and streams as Redis since 7 does (dump_stream.py).  We read
what Redis up to 8 writes: small integers, LZF, ziplists, listpacks, quicklists and intsets.

What is read comes from strangers.  It is bounded: what one string unpacks to by ``bytes_max``, all
of them by ``UNPACKED_BYTES_MAX``, and the work by ``STEPS_MAX``, since entries of the log are
applied while everybody waits.  It depends on nothing but the bytes, so replicas agree.

A new kind of value is a line in ``_READERS`` and ``_WRITERS``.
"""

import math
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import anycrc

from distrodb.keyspace.containers.field_expiries import MOMENT_MS_MAX
from distrodb.keyspace.containers.hash import Hash
from distrodb.keyspace.containers.list import List
from distrodb.keyspace.containers.set import Set
from distrodb.keyspace.containers.sorted_set import SortedSet
from distrodb.keyspace.containers.stream import Stream
from distrodb.keyspace.dump_stream import put_stream, read_stream
from distrodb.keyspace.values import Value

_CRC = anycrc.Model("CRC64-REDIS")  # a table in Python takes 5 s for 16 MB
VERSION = 9  # of the payloads that we write,
VERSION_EXPIRING = 12  # and of hashes with fields that expire
VERSION_MAX = 12  # Redis 8's
FOOTER_BYTES = 10
# Of one payload: a piece of a compressed string is one step, a string is two.  So many take 0.7 s,
# about; 16 MB of JSON, compressed, stay below.
STEPS_MAX = 1 << 21
STRING_STEPS = 2
# Of all strings of a value together that are compressed, when they are unpacked: a few bytes may
# stand for gigabytes, which every replica would have to hold.
UNPACKED_BYTES_MAX = 1 << 27

_STRING, _HASH, _HASH_ZIPLIST, _HASH_LISTPACK = 0, 4, 13, 16
_HASH_EXPIRING, _HASH_LISTPACK_EXPIRING = 24, 25
# Plain, a ziplist, several of those, and several elements and listpacks.
_LIST, _LIST_ZIPLIST, _LIST_ZIPLISTS, _LIST_QUICKLIST = 1, 10, 14, 18
_SET, _SET_OF_INTEGERS, _SET_LISTPACK = 2, 11, 20
_ONE_ELEMENT, _PACKED = 1, 2  # what a node of a quicklist is
# Scores as text, and as they are; the others as text.
_ZSET_OF_TEXT, _ZSET, _ZSET_ZIPLIST, _ZSET_LISTPACK = 3, 5, 12, 17
_SCORE_BYTES_MAX = 128
_NAN, _INFINITE, _MINUS_INFINITE = 253, 254, 255  # in place of the length of a score's text
_LIBRARY = 0xF5  # before the text of a library of functions
# Of Redis 5, 7 and 7.2: each tells a little more.
_STREAM, _STREAM_2, _STREAM_3 = 15, 19, 21
_INT8, _INT16, _INT32, _LZF = 0, 1, 2, 3  # how a string may be written that is not plain


class BadFormat(ValueError):
    """Not a value that we know."""


class TooLarge(ValueError):
    """A value beyond the bounds; the text says which."""


def crc64(data: bytes | bytearray) -> int:
    """CRC-64/Jones, as Redis computes it."""
    checksum: int = _CRC.calc(data)
    return checksum


def is_intact(payload: bytes) -> bool:
    """Of a version that we read, and undamaged."""
    if len(payload) < FOOTER_BYTES:
        return False
    version = int.from_bytes(payload[-10:-8], "little")
    if version > VERSION_MAX:
        return False
    return crc64(payload[:-8]) == int.from_bytes(payload[-8:], "little")


def is_plain(payload: bytes) -> bool:
    """A string as it is: to read it is to copy it."""
    return payload[:1] == bytes([_STRING]) and payload[1:2] < b"\xc0"


# -- writing ---------------------------------------------------------------------------------------


def dump(value: Value) -> bytes:
    kind, write = _WRITERS[type(value)]
    version = VERSION
    if isinstance(value, Hash) and value.expiries is not None:
        kind, write, version = _HASH_EXPIRING, _put_expiring_hash, VERSION_EXPIRING
    body = bytearray([kind])
    write(body, value)
    body += version.to_bytes(2, "little")
    body += crc64(body).to_bytes(8, "little")
    return bytes(body)


def _put_length(to: bytearray, length: int) -> None:
    if length < 1 << 6:
        to.append(length)
    elif length < 1 << 14:
        to += (1 << 14 | length).to_bytes(2, "big")
    elif length < 1 << 32:
        to += b"\x80" + length.to_bytes(4, "big")
    else:
        to += b"\x81" + length.to_bytes(8, "big")


def _put_string(to: bytearray, text: bytes) -> None:
    _put_length(to, len(text))
    to += text


def _put_hash(to: bytearray, value: Hash) -> None:
    _put_length(to, len(value))
    for field, text in value.fields.items():
        _put_string(to, field)
        _put_string(to, text)


def _put_expiring_hash(to: bytearray, value: Hash) -> None:
    """Before each field: 0 if it stays, or one more than the milliseconds since the soonest."""
    soonest_ms = int(value.soonest_ms)
    to += soonest_ms.to_bytes(8, "little")
    _put_length(to, len(value))
    for field, text in value.fields.items():
        at_ms = value.expiry(field)
        _put_length(to, 0 if at_ms is None else at_ms - soonest_ms + 1)
        _put_string(to, field)
        _put_string(to, text)


def _put_list(to: bytearray, value: List) -> None:
    _put_length(to, len(value))
    for item in value:
        _put_string(to, item)


def _put_sorted_set(to: bytearray, value: SortedSet) -> None:
    _put_length(to, len(value))
    for score, member in value:
        _put_string(to, member)
        to += struct.pack("<d", score)


def _put_set(to: bytearray, value: Set) -> None:
    _put_length(to, len(value))
    for member in value.members:
        _put_string(to, member)


_WRITERS: Mapping[type, tuple[int, Callable[[bytearray, Any], None]]] = {
    bytes: (_STRING, _put_string),
    Hash: (_HASH, _put_hash),
    List: (_LIST, _put_list),
    SortedSet: (_ZSET, _put_sorted_set),
    Set: (_SET, _put_set),
    Stream: (_STREAM_2, lambda to, value: put_stream(to, value, _put_length)),
}


def dump_libraries(texts: Iterable[bytes]) -> bytes:
    """FUNCTION DUMP: a byte and a string for each library, and what is behind each payload."""
    body = bytearray()
    for text in texts:
        body.append(_LIBRARY)
        _put_string(body, text)
    body += VERSION.to_bytes(2, "little")
    body += crc64(body).to_bytes(8, "little")
    return bytes(body)


# -- reading ---------------------------------------------------------------------------------------


def load(payload: bytes, bytes_max: int) -> Value:
    """The value of an intact payload.  Raises ``BadFormat`` and ``TooLarge``."""
    read = _READERS.get(payload[0])
    if read is None:
        raise BadFormat(f"type {payload[0]}")
    reader = _Reader(payload[1:-FOOTER_BYTES], bytes_max)
    try:
        value = read(reader)
    except IndexError:
        raise BadFormat("it ends too early") from None
    if reader.position != len(reader.data):
        raise BadFormat("there is more behind it")
    return value


def load_libraries(payload: bytes, bytes_max: int) -> list[bytes]:
    """The libraries of an intact payload.  Raises ``BadFormat`` and ``TooLarge``."""
    reader = _Reader(payload[:-FOOTER_BYTES], bytes_max)
    texts: list[bytes] = []
    try:
        while reader.position != len(reader.data):
            if (kind := reader.byte()) != _LIBRARY:
                raise BadFormat(f"type {kind}")
            texts.append(reader.string())
    except IndexError:
        raise BadFormat("it ends too early") from None
    return texts


class _Reader:
    """The bytes of one payload, or of a list that is packed into it."""

    def __init__(self, data: bytes, bytes_max: int):
        self.data, self.position = data, 0
        self.bytes_max = bytes_max
        self._steps = STEPS_MAX
        self._room = UNPACKED_BYTES_MAX

    def byte(self) -> int:
        self.position += 1
        return self.data[self.position - 1]

    def take(self, count: int) -> bytes:
        end = self.position + count
        if count < 0 or end > len(self.data):
            raise BadFormat("it ends too early")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def integer(self, count: int) -> int:
        """A signed one of so many bytes."""
        return int.from_bytes(self.take(count), "little", signed=True)

    def step(self, count: int) -> None:
        self._steps -= count
        if self._steps < 0:
            raise TooLarge("a serialized value of too many parts")

    def length(self) -> int:
        length, is_special = self._length()
        if is_special:
            raise BadFormat("a length that is none")
        return length

    def _length(self) -> tuple[int, bool]:
        """A length, or how a string is written that is not plain."""
        first = self.byte()
        kind, rest = first >> 6, first & 63
        if kind == 0:
            return rest, False
        if kind == 1:
            return rest << 8 | self.byte(), False
        if kind == 3:
            return rest, True
        if first not in (0x80, 0x81):
            raise BadFormat("a length that is none")
        return int.from_bytes(self.take(4 if first == 0x80 else 8), "big"), False

    def string(self) -> bytes:
        self._steps -= STRING_STEPS
        if self._steps < 0:
            self.step(0)
        first = self.data[self.position]
        if first < 64:  # a short one that is plain: by far the most
            begin = self.position + 1
            self.position = end = begin + first
            return self.data[begin:end]
        length, is_special = self._length()
        if not is_special:
            self._check_size(length)
            return self.take(length)
        if length in (_INT8, _INT16, _INT32):
            return b"%d" % self.integer(1 << length)
        if length != _LZF:
            raise BadFormat("a string of an unknown encoding")
        packed_bytes, whole_bytes = self.length(), self.length()
        self._check_size(whole_bytes)
        self._room -= whole_bytes
        if self._room < 0:
            raise TooLarge(f"a serialized value unpacks to more than {UNPACKED_BYTES_MAX} bytes")
        return self._unpack(self.take(packed_bytes), whole_bytes)

    def _check_size(self, length: int) -> None:
        if length > self.bytes_max:
            raise TooLarge(f"value exceeds value_bytes_max ({self.bytes_max} bytes)")

    def _unpack(self, data: bytes, whole_bytes: int) -> bytes:
        """LZF: runs of bytes as they are, and copies of what came before."""
        out, size, position, end = bytearray(), 0, 0, len(data)
        steps = 0
        while position < end and size <= whole_bytes:
            steps += 1
            if steps & 4095 == 0:
                self.step(4096)
            control = data[position]
            if control < 32:
                following = position + control + 2
                out += data[position + 1 : following]
                position = following
                size += control + 1
                continue
            length, back = (control >> 5) + 2, ((control & 31) << 8) + 1
            position += 1
            if length == 9:
                length += data[position]
                position += 1
            back += data[position]
            position += 1
            begin = size - back
            if begin < 0:
                raise BadFormat("a copy of what is not there")
            if back >= length:
                out += out[begin : begin + length]
            else:  # it overlaps itself: what it copies repeats
                out += (out[begin:] * (length // back + 1))[:length]
            size += length
        if position != end or size != whole_bytes:
            raise BadFormat("a compressed string of another length")
        return bytes(out)

    def double(self) -> float:
        number: float = struct.unpack("<d", self.take(8))[0]
        return number

    def double_of_text(self) -> float:
        """As Redis 3 wrote it."""
        length = self.byte()
        if length == _NAN:
            raise BadFormat("a score that is no number")
        if length in (_INFINITE, _MINUS_INFINITE):
            return math.inf if length == _INFINITE else -math.inf
        return _score(self.take(length))

    def inner(self) -> "_Reader":
        """What is packed into a string, to be read by itself."""
        packed = self.string()
        inner = _Reader(packed, self.bytes_max)
        inner._steps = self._steps
        return inner

    def leave(self, inner: "_Reader") -> None:
        """All of it is read; what that took is taken from here as well."""
        if inner.position != len(inner.data):
            raise BadFormat("there is more behind what is packed")
        self._steps = inner._steps


def _hash(items: Iterator[bytes]) -> Hash:
    """Of fields and their values in turn."""
    value = Hash(0)
    for field in items:
        text = next(items, None)
        if text is None or not value.set(field, text):
            raise BadFormat("a field twice, or without a value")
    return _not_empty(value)


def _plain_hash(reader: _Reader) -> Hash:
    count = reader.length()
    return _hash(reader.string() for _ in range(2 * count))


def _list(items: Iterator[bytes]) -> List:
    value = List(0)
    value.extend(items)
    if not len(value):
        raise BadFormat("an empty list")
    return value


def _plain_list(reader: _Reader) -> List:
    return _list(reader.string() for _ in range(reader.length()))


def _ziplists(reader: _Reader) -> Iterator[bytes]:
    for _ in range(reader.length()):
        yield from _ziplist(reader)


def _quicklist(reader: _Reader) -> Iterator[bytes]:
    for _ in range(reader.length()):
        kind = reader.length()
        if kind == _ONE_ELEMENT:
            yield reader.string()
        elif kind == _PACKED:
            yield from _listpack(reader)
        else:
            raise BadFormat("a node of an unknown kind")


def _expiring_hash(reader: _Reader) -> Hash:
    soonest_ms, count = reader.integer(8), reader.length()
    value = Hash(0)
    for _ in range(count):
        behind_ms = reader.length()
        _add(value, reader.string(), reader.string(), behind_ms and soonest_ms + behind_ms - 1)
    return _not_empty(value)


def _expiring_listpack(reader: _Reader) -> Hash:
    reader.take(8)  # the soonest
    value, items = Hash(0), list(_listpack(reader))
    if len(items) % 3:
        raise BadFormat("fields, values and times that do not come out even")
    for field, text, at in zip(items[::3], items[1::3], items[2::3], strict=True):
        if not at.isdigit() or len(at) > 15:
            raise BadFormat("a time that is none")
        _add(value, field, text, int(at))
    return _not_empty(value)


def _add(value: Hash, field: bytes, text: bytes, at_ms: int) -> None:
    """0: it stays."""
    if not value.set(field, text):
        raise BadFormat("a field twice")
    if not 0 <= at_ms <= MOMENT_MS_MAX:
        raise BadFormat("a time that is none")
    if at_ms:
        value.expire_at(field, at_ms)


def _not_empty(value: Hash) -> Hash:
    if not len(value):
        raise BadFormat("an empty hash")
    return value


def _sorted_set(pairs: Iterator[tuple[bytes, float]]) -> SortedSet:
    scores: dict[bytes, float] = {}
    for member, score in pairs:
        if member in scores or score != score:
            raise BadFormat("a member twice, or a score that is no number")
        scores[member] = score
    if not scores:
        raise BadFormat("an empty sorted set")
    return SortedSet.of(scores)


def _plain_sorted_set(reader: _Reader) -> SortedSet:
    count = reader.length()
    return _sorted_set((reader.string(), reader.double()) for _ in range(count))


def _sorted_set_of_text(reader: _Reader) -> SortedSet:
    count = reader.length()
    return _sorted_set((reader.string(), reader.double_of_text()) for _ in range(count))


def _packed_sorted_set(items: Iterator[bytes]) -> SortedSet:
    return _sorted_set((member, _score(next(items, b""))) for member in items)


def _score(text: bytes) -> float:
    """As Redis prints it."""
    if len(text) > _SCORE_BYTES_MAX or b"_" in text or text != text.strip():
        raise BadFormat("a score that is no number")
    try:
        return float(text)
    except ValueError:
        raise BadFormat("a score that is no number") from None


def _set(members: Iterator[bytes]) -> Set:
    value = Set(0)
    if not all(map(value.add, members)) or not len(value):
        raise BadFormat("a member twice, or an empty set")
    return value


def _plain_set(reader: _Reader) -> Set:
    return _set(reader.string() for _ in range(reader.length()))


def _intset(reader: _Reader) -> Iterator[bytes]:
    inner = reader.inner()
    width, count = inner.integer(4), inner.integer(4)
    if width not in _INTSET_WIDTHS or 8 + width * count != len(inner.data):
        raise BadFormat("an intset of another length")
    for _ in range(count):
        inner.step(STRING_STEPS)
        yield b"%d" % inner.integer(width)
    reader.leave(inner)


def _ziplist(reader: _Reader) -> Iterator[bytes]:
    inner = reader.inner()
    if inner.integer(4) != len(inner.data):
        raise BadFormat("a ziplist of another length")
    inner.take(6)  # where its last entry is, and how many there are
    while (before := inner.byte()) != 255:
        if before == 254:  # the length of the entry before in four bytes
            inner.take(4)
        inner.step(STRING_STEPS)
        yield _ziplist_entry(inner)
    reader.leave(inner)


def _ziplist_entry(inner: _Reader) -> bytes:
    first = inner.byte()
    kind, rest = first >> 6, first & 63
    if kind == 0:
        return inner.take(rest)
    if kind == 1:
        return inner.take(rest << 8 | inner.byte())
    if kind == 2:
        return inner.take(int.from_bytes(inner.take(4), "big"))
    if 0xF1 <= first <= 0xFD:
        return b"%d" % (first - 0xF1)
    if first not in _ZIPLIST_INTEGERS:
        raise BadFormat("an entry of an unknown encoding")
    return b"%d" % inner.integer(_ZIPLIST_INTEGERS[first])


def _listpack(reader: _Reader) -> Iterator[bytes]:
    inner = reader.inner()
    if int.from_bytes(inner.take(4), "little") != len(inner.data):
        raise BadFormat("a listpack of another length")
    inner.take(2)  # how many entries there are, if they are few
    while (first := inner.byte()) != 255:
        inner.step(STRING_STEPS)
        begin = inner.position - 1
        text = _listpack_entry(inner, first)
        size = inner.position - begin  # written behind it, in seven bits a byte
        inner.take(1 + sum(size >= bound for bound in _LISTPACK_SIZES))
        yield text
    reader.leave(inner)


def _listpack_entry(inner: _Reader, first: int) -> bytes:
    if first < 0x80:
        return b"%d" % first
    if first < 0xC0:
        return inner.take(first & 63)
    if first < 0xE0:
        number = (first & 31) << 8 | inner.byte()
        return b"%d" % (number - (1 << 13) if number >= 1 << 12 else number)
    if first < 0xF0:
        return inner.take((first & 15) << 8 | inner.byte())
    if first == 0xF0:
        return inner.take(int.from_bytes(inner.take(4), "little"))
    if first not in _LISTPACK_INTEGERS:
        raise BadFormat("an entry of an unknown encoding")
    return b"%d" % inner.integer(_LISTPACK_INTEGERS[first])


def _stream(reader: _Reader, version: int) -> Stream:
    try:
        return read_stream(reader, lambda: _listpack(reader), version, UNPACKED_BYTES_MAX)
    except (BadFormat, TooLarge):
        raise
    except ValueError as problem:
        raise BadFormat(str(problem)) from None


# Bytes of the integers that a first byte announces.
_ZIPLIST_INTEGERS = {0xC0: 2, 0xD0: 4, 0xE0: 8, 0xF0: 3, 0xFE: 1}
_LISTPACK_INTEGERS = {0xF1: 2, 0xF2: 3, 0xF3: 4, 0xF4: 8}
_LISTPACK_SIZES = (128, 16383, 2097151, 268435455)  # from each on one byte more says the size
_INTSET_WIDTHS = (2, 4, 8)

_READERS: Mapping[int, Callable[[_Reader], Value]] = {
    _STRING: _Reader.string,
    _HASH: _plain_hash,
    _HASH_ZIPLIST: lambda reader: _hash(_ziplist(reader)),
    _HASH_LISTPACK: lambda reader: _hash(_listpack(reader)),
    _HASH_EXPIRING: _expiring_hash,
    _HASH_LISTPACK_EXPIRING: _expiring_listpack,
    _LIST: _plain_list,
    _LIST_ZIPLIST: lambda reader: _list(_ziplist(reader)),
    _LIST_ZIPLISTS: lambda reader: _list(_ziplists(reader)),
    _LIST_QUICKLIST: lambda reader: _list(_quicklist(reader)),
    _ZSET_OF_TEXT: _sorted_set_of_text,
    _ZSET: _plain_sorted_set,
    _ZSET_ZIPLIST: lambda reader: _packed_sorted_set(_ziplist(reader)),
    _ZSET_LISTPACK: lambda reader: _packed_sorted_set(_listpack(reader)),
    _SET: _plain_set,
    _SET_OF_INTEGERS: lambda reader: _set(_intset(reader)),
    _SET_LISTPACK: lambda reader: _set(_listpack(reader)),
    _STREAM: lambda reader: _stream(reader, 1),
    _STREAM_2: lambda reader: _stream(reader, 2),
    _STREAM_3: lambda reader: _stream(reader, 3),
}
