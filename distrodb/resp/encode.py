"""Replies to bytes, in RESP2 or RESP3 (https://redis.io/docs/latest/develop/reference/protocol-spec/).

``encode`` makes one object of a reply; a large one costs its time and its memory twice, so it is
taken from ``encode_in_pieces`` as it can be sent.  Both give the same bytes.
"""

from collections.abc import Iterator
from itertools import chain

from distrodb.resp.doubles import show_double
from distrodb.resp.reply import (
    Encoded,
    ErrorReply,
    Named,
    NullArray,
    NumberText,
    Pairs,
    Push,
    Reply,
    SetReply,
    Several,
    Status,
    Verbatim,
)


def encode(reply: Reply, protocol: int) -> bytes:
    """``protocol`` is 2 or 3.  Raises ``TypeError`` for what is not a reply."""
    # The most frequent first; a boolean is an integer too, so it comes before those.
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    if isinstance(reply, Status):
        return b"+%b\r\n" % reply.text
    if reply is None:
        return b"$-1\r\n" if protocol == 2 else b"_\r\n"
    if isinstance(reply, bool):
        if protocol == 2:
            return b":1\r\n" if reply else b":0\r\n"
        return b"#t\r\n" if reply else b"#f\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, ErrorReply):
        return b"-%b\r\n" % reply.text
    if isinstance(reply, (list, tuple)):
        return b"*%d\r\n" % len(reply) + b"".join([encode(item, protocol) for item in reply])
    if isinstance(reply, dict):
        head = b"*%d\r\n" % (2 * len(reply)) if protocol == 2 else b"%%%d\r\n" % len(reply)
        items = (encode(key, protocol) + encode(item, protocol) for key, item in reply.items())
        return head + b"".join(items)
    if isinstance(reply, float):
        text = show_double(reply)
        return encode(text, 2) if protocol == 2 else b",%b\r\n" % text
    if isinstance(reply, Verbatim):
        if protocol == 2:
            return encode(reply.text, 2)
        return b"=%d\r\ntxt:%b\r\n" % (len(reply.text) + 4, reply.text)
    if isinstance(reply, SetReply):
        kind = b"*" if protocol == 2 else b"~"
        return kind + encode(list(reply.items), protocol)[1:]
    if isinstance(reply, NumberText):
        return encode(reply.text, 2) if protocol == 2 else b",%b\r\n" % reply.text
    if isinstance(reply, Pairs):
        return encode(_unpaired(reply, protocol), protocol)
    if isinstance(reply, Named):
        if protocol == 2:
            return encode(list(reply.items), protocol)
        return b"%%%d\r\n" % len(reply.items) + b"".join(
            encode(each, protocol) for pair in reply.items for each in pair
        )
    if isinstance(reply, Encoded):
        return reply.data
    if isinstance(reply, Push):
        return (b"*" if protocol == 2 else b">") + encode(reply.items, protocol)[1:]
    if isinstance(reply, Several):
        return b"".join([encode(each, protocol) for each in reply.replies])
    if isinstance(reply, NullArray):
        return b"*-1\r\n" if protocol == 2 else b"_\r\n"
    raise TypeError(f"not a reply: {reply!r}")


def _unpaired(pairs: Pairs, protocol: int) -> list[Reply]:
    return list(chain.from_iterable(pairs.items) if protocol == 2 else pairs.items)


PIECE_BYTES = 65536  # about a piece: some 0.1 ms; a string's own piece is no larger


def size_of(reply: Reply) -> int:
    """About the bytes that a reply will have, seen before it is encoded."""
    if type(reply) is bytes:
        return len(reply)
    if isinstance(reply, (list, tuple)):
        return sum(len(item) + 16 if type(item) is bytes else size_of(item) for item in reply) + 16
    if isinstance(reply, dict):
        return sum(size_of(key) + size_of(item) for key, item in reply.items()) + 16
    if isinstance(reply, (SetReply, Pairs, Named)):
        return size_of(list(reply.items))
    if isinstance(reply, (Status, ErrorReply, Verbatim, NumberText)):
        return len(reply.text)
    if isinstance(reply, Push):
        return size_of(reply.items)
    if isinstance(reply, Several):
        return sum(map(size_of, reply.replies))
    return len(reply.data) if isinstance(reply, Encoded) else 16


def encode_in_pieces(reply: Reply, protocol: int) -> Iterator[bytes | memoryview]:
    """The bytes of ``encode``, a piece at a time.  Containers in ``reply`` must not change before
    the last one is taken."""
    small: list[bytes] = []
    size = 0
    for token in _tokens(reply, protocol):
        if len(token) >= PIECE_BYTES:
            if small:
                yield b"".join(small)
                small, size = [], 0
            view = memoryview(token)
            for begin in range(0, len(token), PIECE_BYTES):
                yield view[begin : begin + PIECE_BYTES]
            continue
        small.append(token)
        size += len(token)
        if size >= PIECE_BYTES:
            yield b"".join(small)
            small, size = [], 0
    if small:
        yield b"".join(small)


def _tokens(reply: Reply, protocol: int) -> Iterator[bytes]:
    if type(reply) is bytes and len(reply) >= PIECE_BYTES:
        yield b"$%d\r\n" % len(reply)
        yield reply
        yield b"\r\n"
    elif isinstance(reply, (list, tuple)):
        yield b"*%d\r\n" % len(reply)
        for item in reply:
            if type(item) is bytes and len(item) < PIECE_BYTES:
                yield b"$%d\r\n%b\r\n" % (len(item), item)
            else:
                yield from _tokens(item, protocol)
    elif isinstance(reply, dict):
        yield b"*%d\r\n" % (2 * len(reply)) if protocol == 2 else b"%%%d\r\n" % len(reply)
        for key, item in reply.items():
            yield from _tokens(key, protocol)
            yield from _tokens(item, protocol)
    elif isinstance(reply, SetReply):
        yield b"*%d\r\n" % len(reply.items) if protocol == 2 else b"~%d\r\n" % len(reply.items)
        for item in reply.items:
            yield from _tokens(item, protocol)
    elif isinstance(reply, Pairs):
        yield from _tokens(_unpaired(reply, protocol), protocol)
    elif isinstance(reply, Named) and protocol == 2:
        yield from _tokens(list(reply.items), protocol)
    elif isinstance(reply, Named):
        yield b"%%%d\r\n" % len(reply.items)
        for pair in reply.items:
            for each in pair:
                yield from _tokens(each, protocol)
    elif isinstance(reply, Several):
        for each in reply.replies:
            yield from _tokens(each, protocol)
    else:
        yield encode(reply, protocol)
