"""Who may link: what two slaves say to each other before anything else.  Pure.

A link opens with six messages, each a small frame (framing.py), dialler first:

    1  dialler:   [protocol, challenge]
    2  acceptor:  [challenge]
    3  dialler:   [proof]
    4  acceptor:  [proof]
    5  dialler:   [introduction, proof]    of cluster, replicas, layout, from, to, [client, peer]
    6  acceptor:  [introduction, proof]    of cluster, replicas, layout, from, [client, peer]

At any step whoever does not go on may say why not instead: [why not].

A proof is an HMAC-SHA256 under the cluster's secret over who proves (dialler or acceptor), which
step it is, both challenges and the introduction; the secret itself is never sent.

What always holds:

- A side without the secret learns nothing of the other but the protocol's number, whichever of them
  dialled: introductions come when both have proved that they know it.  It costs the other two
  random challenges and an HMAC.
- No proof is of use anywhere else: not of the other side, not in another step, not on another link.

``from`` is a member's name: slave and incarnation; ``to`` is a slave's id, or empty when a joiner
takes whoever answers.  ``layout`` is a digest of the [cluster] section; it is empty, and not
compared, once a slave knows the cluster's map, and when it joins.  ``replicas`` is what the file
says; it is 0, and not compared, once a slave's map says it, which rules: then a file may have the
number of before.  (0.6.0 and before compare it always; a map that says it is of a level that they
do not know, so none of them is a slave of it any more.)  Each tells its own addresses, by which two
slaves with one id, or one directory, are told apart (place.py); the acceptor only if its map's
level says that all slaves know of it.  One that knows the secret and is of
another cluster or layout is told so.

Caveats: who listens on the way, or answers in the place of a slave, has a proof to try secrets
against at leisure, so a secret must be long and random.  And what follows is not encrypted by
this: that is what TLS is for (slave/tls.py).
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgpack

from distrodb.errors import PeerError
from distrodb.ring.clustermap import node_of
from distrodb.slave.links.place import TWICE, Place

PROTOCOL = 7  # grows with each change of what slaves say to each other
CHALLENGE_BYTES = 16
REASON_MAX = 200  # characters of what a stranger says that are shown
_DIALLER, _ACCEPTOR = b"dialler", b"acceptor"
_NOT_OURS = "it does not speak this protocol"
_NO_SECRET = "it does not know the cluster's secret"
_NO_VALUE = (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException)


@dataclass(frozen=True, slots=True)
class Introduction:
    """What both sides must have in common, and who one is."""

    cluster: str
    replicas: int  # 0: by the map
    layout: str
    secret: str = field(repr=False)
    me: str  # a member's name
    client: str  # our own addresses
    peer: str
    is_told_by_acceptor: bool = False  # where it is


class TwiceError(PeerError):
    """A slave that knows the secret says that another one runs with the data of our directory."""


class Handshake:
    """Either side of it.  ``receive`` returns what to answer; then ``peer`` and ``incarnation`` say
    who it is, and ``place`` where.  ``peer`` is the slave that the dialler looks for, empty for
    anybody, None for the acceptor; ``objection`` says what it has against a member at a place."""

    def __init__(
        self,
        ours: Introduction,
        peer: str | None,
        challenge: bytes,
        objection: Callable[[str, Place], str | None] = lambda *_: None,
    ):
        self._introduction = ours
        self._common = [ours.cluster, ours.replicas, ours.layout]
        self._secret = ours.secret.encode()
        self._me, self._challenge = ours.me, challenge
        self._challenges = b""  # of both, the dialler's first; empty: the other's is not known
        self._dials = peer is not None
        self._objection = objection
        self._step = 2 if self._dials else 1  # that is awaited
        self.peer = peer
        self.incarnation = ""
        self.place: Place | None = None  # None: it has not said so
        self.has_answered = False  # nothing can be said in place of an answer any more
        self.is_complete = False

    def opening(self) -> object:
        """What the dialler says first."""
        return [PROTOCOL, self._challenge]

    def receive(self, content: object) -> object | None:
        """Raises ``PeerError``."""
        if not isinstance(content, list):
            raise PeerError(_NOT_OURS)
        if self._dials and len(content) == 1 and isinstance(content[0], str):
            said = f"it refuses: {content[0][:REASON_MAX]}"
            has_proved = self._step > 4
            is_twice = has_proved and content[0].startswith(TWICE)
            raise TwiceError(said) if is_twice else PeerError(said)
        step, self._step = self._step, self._step + 2
        steps = {
            1: self._opened,
            2: self._challenged,
            3: self._proved,
            4: self._proved,
            5: self._introduced,
            6: self._introduced,
        }
        return steps[step](step, content)

    # -- steps -----------------------------------------------------------------------------------

    def _opened(self, step: int, content: list[Any]) -> object:
        protocol = content[0] if content else None
        if type(protocol) is int and protocol != PROTOCOL:
            told = f"{protocol!r:.20}"
            raise PeerError(f"its protocol version is another one: {told}, ours {PROTOCOL}")
        if [*map(type, content)] != [int, bytes]:
            raise PeerError(_NOT_OURS)
        self._challenges = _checked(content[1]) + self._challenge
        return [self._challenge]

    def _challenged(self, step: int, content: list[Any]) -> object:
        if [*map(type, content)] != [bytes]:
            raise PeerError(_NOT_OURS)
        self._challenges = self._challenge + _checked(content[0])
        return [self._prove(_DIALLER, 3)]

    def _proved(self, step: int, content: list[Any]) -> object:
        if len(content) != 1:
            raise PeerError(_NOT_OURS)
        theirs = _ACCEPTOR if self._dials else _DIALLER
        self._check(content[0], self._prove(theirs, step))
        if not self._dials:
            return [self._prove(_ACCEPTOR, 4)]
        ours = self._introduction
        return self._introduce(_DIALLER, 5, [self._me, self.peer, [ours.client, ours.peer]])

    def _introduced(self, step: int, content: list[Any]) -> object | None:
        if [*map(type, content)] != [bytes, bytes]:
            raise PeerError(_NOT_OURS)
        packed, proof = content
        self._check(proof, self._prove(_ACCEPTOR if self._dials else _DIALLER, step, packed))
        try:
            introduction = msgpack.unpackb(packed)
        except _NO_VALUE:
            raise PeerError(_NOT_OURS) from None
        types: tuple[type, ...] = (str, int, str, str, str, list)
        if self._dials:
            types = (str, int, str, str)
            if isinstance(introduction, list) and len(introduction) > len(types):
                types = (*types, list)
        if not isinstance(introduction, list) or tuple(map(type, introduction)) != types:
            raise PeerError(_NOT_OURS)
        self._check_common(introduction)
        name = introduction[3]
        if self._dials:
            if self.peer and node_of(name) != self.peer:
                raise PeerError(f"{name} answers where {self.peer} was expected")
            self._meet(name, *introduction[4:])
            self.is_complete = True
            return None
        to, place = introduction[4:]
        if to not in ("", node_of(self._me)):
            raise PeerError(f"{name} looked for {to} and found {self._me}")
        self._meet(name, place)
        self.has_answered = self.is_complete = True
        ours = self._introduction
        place = [[ours.client, ours.peer]] if ours.is_told_by_acceptor else []
        return self._introduce(_ACCEPTOR, 6, [self._me, *place])

    # -- who it is -------------------------------------------------------------------------------

    def _check_common(self, introduction: list[Any]) -> None:
        names = "cluster id", "number of replicas", "[cluster] section (nodes, partitions)"
        says_nothing = None, 0, ""
        rows = zip(names, introduction, self._common, says_nothing, strict=False)
        for name, theirs, ours, nothing in rows:
            if theirs != ours and nothing not in (theirs, ours):
                raise PeerError(f"its {name} is another one: {theirs!r:.100}, ours {ours!r}")

    def _meet(self, name: str, place: list[Any] | None = None) -> None:
        if place is not None:
            if [*map(type, place)] != [str, str]:
                raise PeerError(_NOT_OURS)
            self.place = place[0], place[1]
            if reason := self._objection(name, self.place):
                raise PeerError(reason)
        self.peer, _, self.incarnation = name.partition("/")
        if not self.incarnation:
            raise PeerError(f"{name} does not say which incarnation it is")

    # -- proofs ----------------------------------------------------------------------------------

    def _introduce(self, who: bytes, step: int, rest: list[Any]) -> object:
        packed: bytes = msgpack.packb([*self._common, *rest])
        return [packed, self._prove(who, step, packed)]

    def _prove(self, who: bytes, step: int, introduction: bytes = b"") -> bytes:
        words = b"distrodb %b %d " % (who, step)
        return hmac.digest(self._secret, words + self._challenges + introduction, hashlib.sha256)

    @staticmethod
    def _check(theirs: object, ours: bytes) -> None:
        if not isinstance(theirs, bytes) or not hmac.compare_digest(theirs, ours):
            raise PeerError(_NO_SECRET)


def _checked(challenge: bytes) -> bytes:
    if len(challenge) != CHALLENGE_BYTES:
        raise PeerError(_NOT_OURS)
    return challenge
