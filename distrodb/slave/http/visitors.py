"""Who asks the HTTP port: a user of the cluster, by Basic authentication (RFC 7617).  Pure.

Users, passwords and rights are those of the client port (slave/users.py): where ``default`` needs
no password whoever comes is ``default``, else he logs in.  A path is for whom the command that
tells the same is for.  Failed logins and what is refused are in ACL LOG.

What always holds: each request is looked at by itself, so a user that is changed or gone is another
one with the next request.  A password costs one SHA-256 of a few kilobytes at most, and no more are
looked at than ``Logins`` allows: that is for who guesses.
"""

import binascii
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hmac import compare_digest

from distrodb.commands.acl_guard import AUTH, STRANGER, Guarding
from distrodb.commands.acl_log import TOPLEVEL, Refused
from distrodb.commands.acl_user import DEFAULT, NAME_BYTES_MAX
from distrodb.config.address import Address, is_loopback
from distrodb.ready_token import SCHEME
from distrodb.slave.access import Access
from distrodb.slave.http.conversation import Answer, Asked
from distrodb.slave.logins import OF_HTTP, Logins

_CHALLENGE = (("WWW-Authenticate", 'Basic realm="distrodb", charset="UTF-8"'),)
LOG_IN = Answer(401, b"log in as a user of the cluster\n", more=_CHALLENGE)
TOO_OFTEN = Answer(429, b"too many failed logins\n", more=(("Retry-After", "1"),))
DENIED = Answer(
    403,
    b"this slave is in protected mode: no password is needed here, so it answers its own machine"
    b" alone; write requirepass under [clients] in its file\n",
)


@dataclass(frozen=True, slots=True)
class Visitor:
    name: bytes
    guard: Guarding | None  # None: it may do everything
    has_logged_in: bool
    address: Address | None


class Visitors:
    def __init__(
        self, access: Access, now: Callable[[], float], is_protected: bool, token: str = ""
    ):
        """``is_protected``: others than this machine must log in.  ``token``: ready_token.py's."""
        self._access, self._now, self._is_protected = access, now, is_protected
        self._token = f"{SCHEME} {token}".encode() if token else b""
        self._logins = Logins(access.users, OF_HTTP)

    def who(self, asked: Asked) -> Visitor | Answer:
        """Or why it is not answered."""
        users = self._access.users
        if self._is_protected and users.is_open and not is_loopback(asked.peer_host):
            return DENIED
        given = asked.headers.get("authorization", "")
        if not given:
            guard = users.guard_of(DEFAULT, has_logged_in=False)
            return LOG_IN if guard is STRANGER else Visitor(DEFAULT, guard, False, asked.peer)
        login = login_of(given)
        return LOG_IN if login is None else self._log_in(asked, *login)

    def _log_in(self, asked: Asked, name: bytes, password: bytes) -> Visitor | Answer:
        is_right = self._logins.takes(asked.peer_host, name, password, self._now())
        if is_right is None:
            return TOO_OFTEN
        if not is_right:
            self._note(AUTH, b"AUTH", name, asked.peer)
            return LOG_IN
        guard = self._access.users.guard_of(name, has_logged_in=True)
        return Visitor(name, guard, True, asked.peer)

    def is_of_the_house(self, asked: Asked) -> bool:
        """It is ``distrodb ready``, of this machine and the slave's own user."""
        given = asked.headers.get("authorization", "").encode(errors="replace")
        return bool(self._token) and compare_digest(given, self._token)

    def objection(self, visitor: Visitor, words: Sequence[bytes]) -> str:
        """Why it may not see what a command of these words tells; empty: it may."""
        row = self._access.users.table[words[0]].subcommand(words)
        if row is None:
            raise KeyError(words)
        objection = None if visitor.guard is None else visitor.guard.objection(row, words)
        if objection is None:
            return ""
        if objection.about:
            self._note(objection.about, objection.what, visitor.name, visitor.address)
        _, _, why = objection.reply.text.decode().partition(" ")
        return f"{visitor.name.decode(errors='backslashreplace')}: {why}"

    def _note(self, about: str, what: bytes, name: bytes, address: Address | None) -> None:
        user = name[:NAME_BYTES_MAX].decode(errors="replace")
        client = f"addr={address or ''} name=http user={user}".encode()
        self._access.note(Refused(about, TOPLEVEL, what, name, client, self._now()))


def login_of(given: str) -> tuple[bytes, bytes] | None:
    """Name and password of an ``Authorization``; without a name ``default`` is meant."""
    scheme, _, token = given.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = b64decode(token.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (name or DEFAULT, password) if colon else None
