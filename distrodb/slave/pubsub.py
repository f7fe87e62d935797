"""Messages that clients publish: to the subscribers of this slave at once, to those of all other
slaves over the peer links, gathered for a turn of the loop.  Pure.

What holds: messages that one client publishes reach each subscriber in their order; each at most
once.  One is lost where the link between two slaves is down, or too much waits for it
(links/link.py), as between the nodes of a Redis Cluster.  Two subscribers need not agree on the
order of what two clients publish.
"""

from collections.abc import Iterable

from distrodb.errors import PeerError
from distrodb.slave.links.framing import PUBLISHED
from distrodb.slave.outgoing import Outgoing
from distrodb.slave.subscriptions import Subscriptions

PLAIN, SHARDED = range(2)  # the first field of a message: of which name space its channel is
PARCEL_BYTES = 1 << 16  # gathered in one frame; a larger message goes alone
MESSAGE_BYTES = 16  # of a message in a frame, beside its channel and text


class Pubsub:
    def __init__(self, subscriptions: Subscriptions, outgoing: Outgoing, peers: Iterable[str]):
        """``peers``: the slaves that are linked at the moment."""
        self.subscriptions, self._outgoing, self._peers = subscriptions, outgoing, peers
        self._gathered: list[tuple[int, bytes, bytes]] = []
        self._gathered_bytes = 0

    def publish(self, channel: bytes, message: bytes) -> int:
        """Returns how many clients of this slave have received it."""
        self._gather(PLAIN, channel, message)
        return self.subscriptions.publish(channel, message)

    def publish_to_shard(self, channel: bytes, message: bytes) -> int:
        self._gather(SHARDED, channel, message)
        return self.subscriptions.publish_to_shard(channel, message)

    def receive(self, content: object) -> None:
        """What a peer's clients have published.  Raises ``PeerError``."""
        for kind, channel, message in _checked(content):
            if kind == SHARDED:
                self.subscriptions.publish_to_shard(channel, message)
            else:
                self.subscriptions.publish(channel, message)

    def _gather(self, kind: int, channel: bytes, message: bytes) -> None:
        self._gathered.append((kind, channel, message))
        self._gathered_bytes += len(channel) + len(message) + MESSAGE_BYTES
        if self._gathered_bytes >= PARCEL_BYTES:
            self.send()

    @property
    def has_gathered(self) -> bool:
        return bool(self._gathered)

    def send(self) -> None:
        """Let what is gathered go to all slaves that are linked."""
        for peer in self._peers:
            self._outgoing.send_parcel(peer, (PUBLISHED, self._gathered, self._gathered_bytes))
        self._gathered, self._gathered_bytes = [], 0


def _checked(content: object) -> Iterable[tuple[int, bytes, bytes]]:
    if not isinstance(content, list):
        raise PeerError("published messages that are no list")
    for each in content:
        if not isinstance(each, list) or list(map(type, each)) != [int, bytes, bytes]:
            raise PeerError("what is no published message")
    return content
