"""Who may link: the introductions that two slaves exchange before anything else.  Pure.

A link opens with three messages, each a small frame (framing.py), dialler first:

    dialler:   [protocol, cluster, replicas, layout, from, to, [client, peer], challenge]
    acceptor:  [protocol, cluster, replicas, layout, from, challenge, proof], or [why not]
    dialler:   [proof]

``from`` is a member's name: slave and incarnation; ``to`` is a slave's id, or empty when a joiner
takes whoever answers.  ``layout`` is a digest of the [cluster] section; it is empty, and not
compared, once a slave knows the cluster's map, and when it joins.  The dialler tells its own
addresses, by which two slaves with one id are told apart.  A proof is an HMAC-SHA256 under the
cluster's secret over both challenges and the prover's name, so a peer without the secret gets no
further, and one of another cluster or layout is told why.
Caveat: links are not encrypted; the peer port belongs on a network that is trusted to keep them.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from distrodb.errors import PeerError
from distrodb.ring.clustermap import node_of

PROTOCOL = 6  # grows with each change of what slaves say to each other
REASON_MAX = 200  # characters of what a stranger says that are shown


@dataclass(frozen=True, slots=True)
class Introduction:
    """What both sides must have in common, and who one is."""

    cluster: str
    replicas: int
    layout: str
    secret: str
    me: str  # a member's name
    client: str  # our own addresses
    peer: str


class Handshake:
    """Either side of it.  ``receive`` returns what to answer; then ``peer`` and ``incarnation`` say
    who it is.  ``peer`` is the slave that the dialler looks for, empty for anybody, None for the
    acceptor; ``objection`` says what it has against a dialler of that id and addresses."""

    def __init__(
        self,
        ours: Introduction,
        peer: str | None,
        challenge: bytes,
        objection: Callable[[str, str, str], str | None] = lambda *_: None,
    ):
        self._introduction = ours
        self._ours = [PROTOCOL, ours.cluster, ours.replicas, ours.layout]
        self._secret = ours.secret.encode()
        self._me, self._challenge = ours.me, challenge
        self._dials = peer is not None
        self._objection = objection
        self._expected_proof = b""
        self.peer = peer
        self.incarnation = ""
        self.has_answered = False
        self.is_complete = False

    def opening(self) -> object:
        """What the dialler says first."""
        ours = [self._introduction.client, self._introduction.peer]
        return [*self._ours, self._me, self.peer, ours, self._challenge]

    def receive(self, content: object) -> object | None:
        if not isinstance(content, list):
            raise PeerError("it does not speak this protocol")
        if self._dials:
            if len(content) == 1 and isinstance(content[0], str):
                raise PeerError(f"it refuses: {content[0][:REASON_MAX]}")
            self._check_common(content)
            *_, name, challenge, proof = content
            if self.peer and node_of(name) != self.peer:
                raise PeerError(f"{name} answers where {self.peer} was expected")
            self._meet(name)
            challenges = self._challenge + challenge
            self._check_proof(proof, self._prove(challenges, name))
            self.is_complete = True
            return [self._prove(challenges, self._me)]
        if not self.peer:
            self._check_common(content)
            *_, name, to, addresses, challenge = content
            if to not in ("", node_of(self._me)):
                raise PeerError(f"{name} looked for {to} and found {self._me}")
            if len(addresses) != 2 or not all(isinstance(text, str) for text in addresses):
                raise PeerError("it does not speak this protocol")
            if reason := self._objection(node_of(name), *addresses):
                raise PeerError(reason)
            self._meet(name)
            self.has_answered = True
            challenges = challenge + self._challenge
            self._expected_proof = self._prove(challenges, name)
            return [*self._ours, self._me, self._challenge, self._prove(challenges, self._me)]
        if len(content) != 1:
            raise PeerError("it does not speak this protocol")
        self._check_proof(content[0], self._expected_proof)
        self.is_complete = True
        return None

    def _meet(self, name: str) -> None:
        self.peer, _, self.incarnation = name.partition("/")
        if not self.incarnation:
            raise PeerError(f"{name} does not say which incarnation it is")

    def _check_common(self, content: list[Any]) -> None:
        names = (
            "protocol version",
            "cluster id",
            "number of replicas",
            "[cluster] section (nodes, partitions)",
        )
        for name, theirs, ours in zip(names, content, self._ours, strict=False):
            is_open = name == names[-1] and "" in (theirs, ours)
            if theirs != ours and not is_open:
                raise PeerError(f"its {name} is another one: {_told(theirs)}, ours {ours!r}")
        types: tuple[type, ...] = (int, str, int, str, str, str, list, bytes)
        if self._dials:
            types = (int, str, int, str, str, bytes, bytes)
        if tuple(map(type, content)) != types:
            raise PeerError("it does not speak this protocol")

    def _prove(self, challenges: bytes, who: str) -> bytes:
        return hmac.digest(self._secret, challenges + who.encode(), hashlib.sha256)

    def _check_proof(self, theirs: object, ours: bytes) -> None:
        if not isinstance(theirs, bytes) or not hmac.compare_digest(theirs, ours):
            raise PeerError("it does not know the cluster's secret")


def _told(value: object) -> str:
    """Of what a stranger says.  Anything else may be nested too deep to be written out."""
    return f"{value!r:.100}" if isinstance(value, int | str) else "none"
