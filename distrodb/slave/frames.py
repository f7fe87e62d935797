"""The bytes between two slaves: frames, and the handshake that opens a link.  Pure.

    frame: length of the rest (4 bytes), CRC-32 of the content (4 bytes), content (msgpack)

A link opens with the three messages of the handshake, dialler first:

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
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgpack

from distrodb.errors import PeerError
from distrodb.raft.messages import APPEND, SNAPSHOT, Message
from distrodb.ring.clustermap import node_of

PROTOCOL = 4
FRAME_BYTES_MAX = 1 << 28  # far above the largest command with its window of appends
PART_BYTES = 1 << 20  # beyond, the rest of a flush goes in another frame
HANDSHAKE_BYTES_MAX = 4096  # nothing larger is taken from a stranger
REASON_MAX = 200  # characters of what a stranger says that are shown
_HEADER = struct.Struct(">II")


def pack(content: object) -> bytes:
    data: bytes = msgpack.packb(content)
    return _HEADER.pack(len(data), zlib.crc32(data)) + data


def split(messages: list[Message]) -> Iterator[list[Message]]:
    """The messages in parts that each fit a frame: one large message, or several small ones."""
    part: list[Message] = []
    size = 0
    for message in messages:
        part.append(message)
        if message[1] == APPEND:
            size += sum(len(command) for _, command in message[7])
        elif message[1] == SNAPSHOT:
            size += len(message[8])
        if size > PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


class FrameReader:
    """Bytes in, contents of frames out.  Raises ``PeerError`` for what is not a frame."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.bytes_max = HANDSHAKE_BYTES_MAX

    def feed(self, data: bytes) -> Iterator[object]:
        buffer = self._buffer
        buffer += data
        position = 0
        try:
            while len(buffer) - position >= _HEADER.size:
                length, checksum = _HEADER.unpack_from(buffer, position)
                if length > self.bytes_max:
                    raise PeerError(f"a frame of {length} bytes")
                end = position + _HEADER.size + length
                if len(buffer) < end:
                    break
                content = bytes(buffer[position + _HEADER.size : end])
                if zlib.crc32(content) != checksum:
                    raise PeerError("a frame is damaged (checksum does not match)")
                position = end
                try:
                    yield msgpack.unpackb(content)
                except (ValueError, TypeError, OverflowError, msgpack.UnpackException):
                    raise PeerError("a frame holds no msgpack value") from None
        finally:
            del buffer[:position]


@dataclass(frozen=True, slots=True)
class Terms:
    """What both sides must have in common, and who we are."""

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
        terms: Terms,
        peer: str | None,
        challenge: bytes,
        objection: Callable[[str, str, str], str | None] = lambda *_: None,
    ):
        self._terms = terms
        self._ours = [PROTOCOL, terms.cluster, terms.replicas, terms.layout]
        self._secret = terms.secret.encode()
        self._me, self._challenge = terms.me, challenge
        self._dials = peer is not None
        self._objection = objection
        self._expected_proof = b""
        self.peer = peer
        self.incarnation = ""
        self.has_answered = False
        self.is_complete = False

    def opening(self) -> object:
        """What the dialler says first."""
        ours = [self._terms.client, self._terms.peer]
        return [*self._ours, self._me, self.peer, ours, self._challenge]

    def receive(self, content: object) -> object | None:
        if not isinstance(content, list):
            raise PeerError("it does not speak this protocol")
        if self._dials:
            if len(content) == 1 and isinstance(content[0], str):
                raise PeerError(f"it refuses: {content[0][:REASON_MAX]}")
            self._check_terms(content)
            *_, name, challenge, proof = content
            if self.peer and node_of(name) != self.peer:
                raise PeerError(f"{name} answers where {self.peer} was expected")
            self._meet(name)
            challenges = self._challenge + challenge
            self._check_proof(proof, self._prove(challenges, name))
            self.is_complete = True
            return [self._prove(challenges, self._me)]
        if not self.peer:
            self._check_terms(content)
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

    def _check_terms(self, content: list[Any]) -> None:
        names = (
            "protocol version",
            "cluster id",
            "number of replicas",
            "[cluster] section (nodes, partitions)",
        )
        for name, theirs, ours in zip(names, content, self._ours, strict=False):
            is_open = name == names[-1] and "" in (theirs, ours)
            if theirs != ours and not is_open:
                raise PeerError(f"its {name} is another one: {theirs!r:.100}, ours {ours!r}")
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
