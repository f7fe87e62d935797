"""One HTTP connection, without its socket: bytes in, requests out; answers in, bytes out.  Pure.

The protocol is h11's.  Only GET and HEAD are answered, and a request with a body ends its
connection, so nothing has to be read that nobody wants.

What always holds: one request at a time.  What follows it is not looked at before it is answered;
the caller does not read on meanwhile, so it is bounded too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import h11

from distrodb.config.address import Address

HEAD_BYTES_MAX = 16384  # of a request's line and headers; browsers send one or two thousand
# What every answer says.  The page needs nothing from elsewhere, and nobody may frame it.
HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
# What is looked at of a request: who asks, and which web page made a browser ask.
NOTED = {b"host", b"authorization", b"origin", b"sec-fetch-site", b"sec-fetch-mode"}
NOTED |= {b"sec-fetch-dest"}
TEXT, JSON = "text/plain; charset=utf-8", "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request."""

    path: str
    query: str  # as it came, without the question mark
    host: str  # what it calls this server; empty if it says nothing
    peer: Address | None = None  # the other side's address, if it is known
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # those of NOTED

    @property
    def peer_host(self) -> str:
        return self.peer.host if self.peer else ""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    kind: str = TEXT  # its Content-Type
    more: Sequence[tuple[str, str]] = field(default=())  # headers


@dataclass(frozen=True, slots=True)
class Later:
    """An answer that has to be waited for."""

    begin: Callable[["Give"], None]


# Takes, once, what makes the answer when all is there: what fails in that is the taker's to bear.
Give = Callable[[Callable[[], Answer]], None]


class RefusedError(Exception):
    """What came is no request that anybody here answers; the connection ends after ``answer``."""

    def __init__(self, answer: Answer):
        super().__init__(answer.status)
        self.answer = answer


class Conversation:
    def __init__(self, peer: Address | None = None) -> None:
        """``peer``: the other side's address."""
        self._peer = peer
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)
        self._is_head = False

    def receive(self, data: bytes) -> None:
        """Nothing: the client sends no more."""
        if self._h11.their_state is not h11.ERROR:
            self._h11.receive_data(data)

    @property
    def is_over(self) -> bool:
        """No request can come any more."""
        return self._h11.their_state in (h11.CLOSED, h11.MUST_CLOSE, h11.ERROR)

    def next(self) -> Asked | None:
        """The next request, if it is whole.  Raises ``RefusedError``."""
        try:
            event = self._h11.next_event()
            if not isinstance(event, h11.Request):
                return None
            self._is_head = event.method == b"HEAD"
            if event.method not in (b"GET", b"HEAD"):
                answer = Answer(405, b"only GET and HEAD\n", more=(("Allow", "GET, HEAD"),))
                raise RefusedError(answer)
            if not isinstance(self._h11.next_event(), h11.EndOfMessage):
                raise RefusedError(Answer(413, b"a request here has no body\n"))
        except h11.RemoteProtocolError as error:
            raise RefusedError(
                Answer(error.error_status_hint, f"no request: {error}\n".encode())
            ) from None
        path, _, query = event.target.decode("latin-1").partition("?")
        headers: dict[str, str] = {}
        for name, value in event.headers:  # their names are in small letters
            if name in NOTED:
                headers.setdefault(name.decode(), value.decode("latin-1"))
        return Asked(path, query, headers.pop("host", ""), self._peer, headers)

    def answer(self, answer: Answer, is_last: bool = False) -> list[bytes]:
        """What to send; ``is_last``: the connection ends behind it.  Nothing if the client gets no
        answer any more."""
        h = self._h11
        if h.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return []
        headers = [
            ("Content-Type", answer.kind),
            ("Content-Length", str(len(answer.body))),
            *HEADERS,
            *answer.more,
        ]
        if is_last:
            headers.append(("Connection", "close"))
        sent = [h.send(h11.Response(status_code=answer.status, headers=headers))]
        if answer.body and not self._is_head:
            sent += h.send_with_data_passthrough(h11.Data(data=answer.body)) or []
        sent.append(h.send(h11.EndOfMessage()))
        return [bytes(piece) for piece in sent if piece]

    def go_on(self) -> bool:
        """The answer is sent: whether another request may come."""
        self._is_head = False
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
            return True
        return False
