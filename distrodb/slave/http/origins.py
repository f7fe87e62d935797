"""Which requests a web page elsewhere makes through somebody's browser; they are refused.  Pure.

Whoever can reach this port lends that power to each page that his browser shows, and a browser
that has logged in here sends the password along.  What a page elsewhere gets it may not read, since
no answer allows it to; but it shall not even be asked.  Three things give it away:

- what the request calls this server (``Host``): neither an IP address nor a name of this slave,
  where a name elsewhere was made to mean its address ("DNS rebinding");
- ``Sec-Fetch-Site``, which browsers of today send to loopback and by TLS: another site, or another
  port of this one.  A person who follows a link to here is let in: that page cannot read it;
- ``Origin``, which every browser sends where a page asks another origin so that it could read.

Caveat: whoever is no browser may say what he wants there, and has to log in as everybody.
"""

from collections.abc import Iterable

from distrodb.config.address import Address, parse_announced
from distrodb.slave.http.conversation import Answer, Asked

ELSEWHERE = Answer(403, b"a web page elsewhere may not ask this\n")


class Origins:
    def __init__(self, known: Iterable[Address | None]):
        """``known``: addresses with hosts by which this slave is known."""
        self._hosts = {"localhost", *(address.host.lower() for address in known if address)}

    def objection(self, asked: Asked, is_followed: bool = True) -> Answer | None:
        """``is_followed``: a link may lead there from elsewhere."""
        if not self._is_known(asked.host):
            why = f"{asked.host} is not known here: use an IP address, or a name of this slave\n"
            return Answer(421, why.encode())
        headers = asked.headers
        if "origin" in headers:
            ours = asked.host.lower()
            if not ours or headers["origin"].lower().partition("://")[2] != ours:
                return ELSEWHERE
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            mode, what = headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")
            if not (is_followed and (mode, what) == ("navigate", "document")):
                return ELSEWHERE
        return None

    def _is_known(self, host: str) -> bool:
        if not host:
            return True  # HTTP/1.0; browsers send it
        try:
            address = parse_announced(host, 80)
        except ValueError:
            return False
        return not address.is_named or address.host.lower() in self._hosts
