"""The bytes between two slaves: frames in, bytes out, and the reverse.  Pure.

    record:  kind (4 bits) and length of the content (28 bits), checksum (4 bytes), content

    WHOLE    a frame: one msgpack value
    PARTS    begins a large frame: the lengths of its parts, as a msgpack list
    SLICE    the next bytes of the large frame that is under way, all from one part

The first part of a large frame is a msgpack value in which each empty extension of type ``PART``
stands for the next of the other parts, in order; those are long byte strings (log entries, chunks
of snapshots), which so are neither copied nor encoded.  A link sends one large frame after the
other, a slice at a time, and between two slices whatever is small: heartbeats, votes and
acknowledgements never wait for megabytes.

What always holds:
- what is large of one lane (a Raft group, or a kind of frame beside Raft's messages) stays in
  order, and what is small does not overtake it if it is of the same lane and order matters
  (``_goes_behind``; among frames of one kind it always does);
- what is large overtakes nothing small that was there before it;
- of small and large neither waits for ever: from then on each ``take`` has a slice of a large one;
- the checksum of a slice goes on from that of the record before it in its frame, so that a slice
  that is lost, repeated or exchanged is noticed, and nothing is delivered before its end;
- nobody makes the reader hold more than ``FRAME_BYTES_MAX`` and one record.

Caveat: when the last part arrives its slices are joined, a copy of that part: some 20 ms for the
16 MB of the largest value.
"""

import struct
import zlib
from collections import Counter, deque
from collections.abc import Iterator, Sequence

import msgpack

from distrodb.errors import PeerError
from distrodb.raft.messages import APPEND, SNAPSHOT, Message
from distrodb.slave.links.foreign import what_speaks

WHOLE, PARTS, SLICE = range(3)
# The first field of a frame: what the second one is.
MESSAGES, GOSSIP, FORWARDS, ANSWERS, PUBLISHED, WANTED, TRACKED, CHANGES, USERS = range(9)

FRAME_BYTES_MAX = 1 << 28  # of a large frame: far above the largest command
RECORD_BYTES_MAX = 1 << 20  # of a record
HANDSHAKE_BYTES_MAX = 4096  # the same from a stranger
SMALL_BYTES_MAX = 1 << 16  # a message beyond goes in slices; so much travels as a part of its own
WHOLE_BYTES = 1 << 17  # of small messages; beyond, the rest of a flush goes in another frame
MESSAGE_BYTES = 64  # of a message beside what is a client's, about
SLICE_BYTES = 1 << 17  # what a small message waits for: a millisecond at 1 Gbit/s
PARTS_MAX = 1 << 10  # far above the parts of the largest append

Piece = bytes | memoryview
Parcel = tuple[int, object, int]  # a frame's kind (not MESSAGES), its content, about its bytes

_HEADER = struct.Struct(">II")
_LENGTH_BITS = 28
_PART = 1  # the extension type
_NO_VALUE = (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException)


def whole(content: object) -> bytes:
    """The record of a small frame."""
    data: bytes = msgpack.packb(content)
    return _record(WHOLE, data, zlib.crc32(data))


def _record(kind: int, data: bytes, checksum: int) -> bytes:
    return _head(kind, len(data), checksum) + data


def _head(kind: int, length: int, checksum: int) -> bytes:
    return _HEADER.pack(kind << _LENGTH_BITS | length, checksum)


def bulk_of(message: Message) -> int:
    """The bytes of a message that are a client's."""
    if message[1] == APPEND:
        return sum(len(command) for _, command in message[7])
    return len(message[8]) if message[1] == SNAPSHOT else 0


def _goes_behind(message: Message) -> bool:
    """It must not overtake what is large of its group.  An append would be refused, since what is
    before it is not there yet, and a chunk of a snapshot dropped; all else may come in any order,
    as on a network that Raft is made for.  A heartbeat is an append without entries: it speaks of
    what is known to be there (raft/replication.py)."""
    return message[1] == SNAPSHOT or (message[1] == APPEND and bool(message[7]))


def _lane(kind: int) -> int:
    """Of frames that are not Raft's; no group has that number.  What has changed must not overtake
    the answers that were given before (slave/change_feed.py)."""
    return -(ANSWERS if kind == CHANGES else kind)


def _in_parts(content: object, parts: list[bytes]) -> object:
    """The content with its long byte strings replaced by what stands for them, and these in
    ``parts``, as many as a frame may have."""
    if isinstance(content, bytes):
        if len(content) < SMALL_BYTES_MAX or len(parts) == PARTS_MAX:
            return content
        parts.append(content)
        return msgpack.ExtType(_PART, b"")
    if isinstance(content, (list, tuple)):
        return [_in_parts(item, parts) for item in content]
    return content


class _LargeFrame:
    """One on its way out."""

    __slots__ = ("_checksum", "_part", "_parts", "_position", "behind", "lane", "size")

    def __init__(self, lane: int, parts: Sequence[bytes]):
        self.lane, self._parts = lane, parts
        self.size = sum(map(len, parts))
        self.behind = 0  # so many small frames, since the link is there
        self._part = self._position = self._checksum = 0

    @staticmethod
    def of(message: Message) -> "_LargeFrame":
        message, parts = list(message), [b""]

        def part(content: bytes) -> bytes | msgpack.ExtType:
            if len(content) < SMALL_BYTES_MAX:
                return content
            parts.append(content)
            return msgpack.ExtType(_PART, b"")

        if message[1] == APPEND:
            message[7] = [(term, part(command)) for term, command in message[7]]
        else:
            message[8] = part(message[8])
        parts[0] = msgpack.packb([MESSAGES, [message]])
        return _LargeFrame(message[0], parts)

    @staticmethod
    def of_kind(kind: int, content: object) -> "_LargeFrame":
        parts = [b""]
        parts[0] = msgpack.packb([kind, _in_parts(content, parts)])
        return _LargeFrame(_lane(kind), parts)

    def begin(self) -> bytes:
        data: bytes = msgpack.packb([len(part) for part in self._parts])
        self._checksum = zlib.crc32(data, PARTS)
        return _record(PARTS, data, self._checksum)

    def next_slice(self) -> tuple[bytes, memoryview]:
        """The head of the record and, not copied, its content."""
        part, first = self._parts[self._part], self._position
        data = memoryview(part)[first : first + SLICE_BYTES]
        self._position += len(data)
        if self._position == len(part):
            self._part, self._position = self._part + 1, 0
        self._checksum = zlib.crc32(data, self._checksum)
        return _head(SLICE, len(data), self._checksum), data

    @property
    def is_over(self) -> bool:
        return self._part == len(self._parts)


class Outgoing:
    """What one link has to send: frames in, bytes out."""

    def __init__(self) -> None:
        self._small: deque[bytes] = deque()
        self._large: deque[_LargeFrame] = deque()
        self._has_begun = False  # the first of the large ones
        self._small_taken = 0  # so many
        self._lanes: Counter[int] = Counter()  # of the large ones
        self.bytes = 0  # that wait here, about

    def put(self, content: object) -> None:
        """A small frame."""
        self._put(whole(content))

    def put_messages(self, messages: Sequence[Message]) -> None:
        small: list[Message] = []
        size = 0
        for message in messages:
            bulk = bulk_of(message)
            is_behind = message[0] in self._lanes and _goes_behind(message)
            if bulk >= SMALL_BYTES_MAX or is_behind:
                self._put_large(_LargeFrame.of(message))
                continue
            small.append(message)
            size += bulk + MESSAGE_BYTES
            if size >= WHOLE_BYTES:
                self.put([MESSAGES, small])
                small, size = [], 0
        if small:
            self.put([MESSAGES, small])

    def put_gossip(self, gossip: object) -> None:
        """In order: what was true before must not come last."""
        self.put_parcel(GOSSIP, gossip, 0)

    def put_parcel(self, kind: int, content: object, size: int) -> None:
        """A frame of any kind but Raft's messages, in order among its kind.  ``size``: about its
        bytes; where they are many, long byte strings in its lists are not copied."""
        if size >= SMALL_BYTES_MAX:
            self._put_large(_LargeFrame.of_kind(kind, content))
            return
        data: bytes = msgpack.packb([kind, content])
        if len(data) >= SMALL_BYTES_MAX or _lane(kind) in self._lanes:
            self._put_large(_LargeFrame(_lane(kind), [data]))
        else:
            self._put(_record(WHOLE, data, zlib.crc32(data)))

    def _put(self, record: bytes) -> None:
        self._small.append(record)
        self.bytes += len(record)

    def _put_large(self, frame: _LargeFrame) -> None:
        """It overtakes none of the small ones that are there."""
        frame.behind = self._small_taken + len(self._small)
        self._large.append(frame)
        self._lanes[frame.lane] += 1
        self.bytes += frame.size

    def take(self, bytes_max: int) -> list[Piece]:
        """What to send next: about ``bytes_max`` of it, what is small first."""
        taken: list[Piece] = []
        size = 0
        while self._small and size < bytes_max:
            record = self._small.popleft()
            taken.append(record)
            size += len(record)
        self._small_taken += len(taken)
        self.bytes -= size
        has_slice = False
        while self._large and (size < bytes_max or not has_slice):
            if self._large[0].behind > self._small_taken:
                break
            has_slice = True
            size += self._take_slice(taken)
        return taken

    def _take_slice(self, taken: list[Piece]) -> int:
        frame = self._large[0]
        if not self._has_begun:
            self._has_begun = True
            taken.append(frame.begin())
        head, content = frame.next_slice()
        taken += head, content
        self.bytes -= len(content)
        if frame.is_over:
            self._has_begun = False
            self._large.popleft()
            self._lanes[frame.lane] -= 1
            if not self._lanes[frame.lane]:
                del self._lanes[frame.lane]
        return len(content)


class _Parts:
    """A large frame that is coming in."""

    def __init__(self, lengths: Sequence[int], checksum: int):
        self._missing = deque(lengths)
        self._parts: list[bytes] = []
        self._slices: list[bytes] = []
        self._checksum = checksum

    def add(self, content: bytes, checksum: int) -> bool:
        """True when nothing is missing any more."""
        self._checksum = zlib.crc32(content, self._checksum)
        if checksum != self._checksum:
            raise PeerError("a frame is damaged (checksum does not match)")
        if not content or len(content) > self._missing[0]:
            raise PeerError("a slice has not the bytes that are missing")
        self._slices.append(content)
        self._missing[0] -= len(content)
        if not self._missing[0]:
            self._missing.popleft()
            self._parts.append(b"".join(self._slices))
            self._slices = []
        return not self._missing

    def content(self) -> object:
        first, *others = self._parts
        others.reverse()

        def part(kind: int, data: bytes) -> bytes:
            if kind != _PART or data or not others:
                raise ValueError("an extension that stands for no part")
            return others.pop()

        content: object = msgpack.unpackb(first, ext_hook=part)
        if others:
            raise ValueError("a part that nothing stands for")
        return content


class Incoming:
    """Bytes in, contents of frames out.  Raises ``PeerError`` for what is not a frame.

    ``is_trusted`` is set once the peer has introduced itself: from then on frames may be large.
    """

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0  # of these
        self._needed = _HEADER.size  # bytes; with fewer there is nothing to be read yet
        self._parts: _Parts | None = None
        self.is_trusted = False

    @property
    def rest(self) -> bytes:
        """What has come and is no whole frame yet."""
        return b"".join(self._chunks)

    def feed(self, data: bytes) -> Iterator[object]:
        self._size += len(data)
        if self._size < self._needed:
            self._chunks.append(data)
            return
        source = b"".join([*self._chunks, data]) if self._chunks else data
        self._chunks, self._needed, position = [], _HEADER.size, 0
        while len(source) - position >= _HEADER.size:
            head, checksum = _HEADER.unpack_from(source, position)
            kind, length = head >> _LENGTH_BITS, head & ((1 << _LENGTH_BITS) - 1)
            if not self.is_trusted and (what := what_speaks(source[position : position + 16])):
                raise PeerError(what)
            self._check_head(kind, length)
            first, end = position + _HEADER.size, position + _HEADER.size + length
            if len(source) < end:
                self._needed = end - position
                break
            position = end
            yield from self._take(kind, source[first:end], checksum)
        self._size = len(source) - position
        if self._size:
            self._chunks = [source[position:]]

    def _check_head(self, kind: int, length: int) -> None:
        if length > (RECORD_BYTES_MAX if self.is_trusted else HANDSHAKE_BYTES_MAX):
            raise PeerError(f"a frame of {length} bytes")
        if kind not in (WHOLE, PARTS, SLICE) or (kind != WHOLE and not self.is_trusted):
            raise PeerError("it does not speak this protocol")

    def _take(self, kind: int, content: bytes, checksum: int) -> Iterator[object]:
        if kind == SLICE:
            if self._parts is None:
                raise PeerError("a slice of no frame")
            if self._parts.add(content, checksum):
                parts, self._parts = self._parts, None
                try:
                    yield parts.content()
                except _NO_VALUE:
                    raise PeerError("a frame holds no msgpack value") from None
            return
        if zlib.crc32(content, kind) != checksum:
            raise PeerError("a frame is damaged (checksum does not match)")
        try:
            value = msgpack.unpackb(content)
        except _NO_VALUE:
            raise PeerError("a frame holds no msgpack value") from None
        if kind == PARTS:
            self._begin(value, checksum)
        else:
            yield value

    def _begin(self, lengths: object, checksum: int) -> None:
        if self._parts is not None:
            raise PeerError("a large frame within another one")
        if not isinstance(lengths, list) or not 0 < len(lengths) <= PARTS_MAX:
            raise PeerError("a large frame without parts")
        if not all(type(length) is int and length > 0 for length in lengths):
            raise PeerError("a large frame without parts")
        if sum(lengths) > FRAME_BYTES_MAX:
            raise PeerError(f"a frame of {sum(lengths)} bytes")
        self._parts = _Parts(lengths, checksum)
