"""RESP2 as a client speaks it, written for the tests alone: nothing of the product's."""

from distrodb.resp.reply import ErrorReply, Reply, Status


def pack(*args: bytes) -> bytes:
    """A command's bytes."""
    return b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%b\r\n" % (len(a), a) for a in args)


def read_reply(data: bytes) -> tuple[Reply, bytes] | None:
    """The first reply in it and the bytes behind; None if it is not there whole."""
    line, newline, rest = data.partition(b"\r\n")
    if not newline:
        return None
    kind, text = line[:1], line[1:]
    if kind == b"+":
        return Status(text), rest
    if kind == b"-":
        return ErrorReply(text), rest
    if kind == b":":
        return int(text), rest
    if text == b"-1":
        return None, rest
    count = int(text)
    if kind == b"$":
        if len(rest) < count + 2:
            return None
        assert rest[count : count + 2] == b"\r\n", rest
        return rest[:count], rest[count + 2 :]
    assert kind == b"*", data
    items: list[Reply] = []
    for _ in range(count):
        found = read_reply(rest)
        if found is None:
            return None
        item, rest = found
        items.append(item)
    return items, rest


def read_replies(data: bytes) -> list[Reply]:
    """All of them; the last one must be whole."""
    replies: list[Reply] = []
    while data:
        found = read_reply(data)
        assert found is not None, f"cut off: {data[:100]!r}"
        reply, data = found
        replies.append(reply)
    return replies
