"""What a browser sends, seen among commands.  Pure.

A web page can make its reader's browser open a connection to any port of the reader's own network
and send a request there, with a body of the page's choice.  Each line of it would be an inline
command.  So the connection ends at the first line that is HTTP's, before anything behind it runs,
and without a reply; Redis does the same for ``POST`` and ``Host:``.

What else a browser speaks begins with a byte that no command begins with, and is refused by the
parser (resp/parse.py): TLS, and STUN and TURN over TCP.  A WebSocket begins with HTTP.
"""

from collections.abc import Sequence

HTTP = "possible SECURITY ATTACK: it speaks HTTP, as a web page's request would"


def is_http(args: Sequence[bytes]) -> bool:
    """Whether these words, which are no command of ours, are a line of an HTTP request: the first
    (``GET /path HTTP/1.1``, whatever the method), or the header that each request has."""
    name = args[0].upper()
    if name in (b"POST", b"HOST:"):
        return True
    return len(args) == 3 and args[2].upper().startswith(b"HTTP/")
