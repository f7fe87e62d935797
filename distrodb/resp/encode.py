"""Replies to bytes, in RESP2 or RESP3 (https://redis.io/docs/latest/develop/reference/protocol-spec/)."""

from distrodb.resp.reply import Encoded, ErrorReply, Reply, Status, Verbatim


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
        text = repr(reply).encode()
        return encode(text, 2) if protocol == 2 else b",%b\r\n" % text
    if isinstance(reply, Verbatim):
        if protocol == 2:
            return encode(reply.text, 2)
        return b"=%d\r\ntxt:%b\r\n" % (len(reply.text) + 4, reply.text)
    if isinstance(reply, Encoded):
        return reply.data
    raise TypeError(f"not a reply: {reply!r}")
