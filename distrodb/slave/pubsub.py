"""Messages that clients publish: to the subscribers of this slave at once, to those of all other
slaves over the peer links, gathered for a turn of the loop.  Pure.

What holds: messages that one client publishes reach each subscriber in their order; each at most
once.  One is lost where the link between two slaves is down, or too much waits for it
(links/link.py), as between the nodes of a Redis Cluster.  Two subscribers need not agree on the
order of what two clients publish.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from distrodb.errors import PeerError
from distrodb.slave.links.framing import PUBLISHED
from distrodb.slave.outgoing import Outgoing
from distrodb.slave.questions import ANSWER, Answers, Questions
from distrodb.slave.subscriptions import CHANNEL, SHARD, Subscriptions

# The first field of what a frame holds: messages, by the name space of their channels; 2 answers a
# question (questions.py); and questions: a message whose receivers are to be counted, how many
# have subscribed to some names, what anybody has subscribed to; and how many copies have what was
# written (copies.py), which has nothing to do with messages but is asked in the same way.
PLAIN, SHARDED = range(2)
COUNTED, SUBSCRIBERS, ACTIVE, COPIES = range(3, 7)
PARCEL_BYTES = 1 << 16  # gathered in one frame; a larger message goes alone
MESSAGE_BYTES = 16  # of a message in a frame, beside its channel and text
KINDS = range(3)  # of subscriptions
_FORMS: dict[int, list[type]] = {
    PLAIN: [int, bytes, bytes],
    SHARDED: [int, bytes, bytes],
    COUNTED: [int, int, int, bytes, bytes],
    SUBSCRIBERS: [int, int, int, list],
    ACTIVE: [int, int, int],
    COPIES: [int, int, int, list],
}


class Pubsub:
    def __init__(self, subscriptions: Subscriptions, outgoing: Outgoing, peers: Iterable[str]):
        """``peers``: the slaves that are linked at the moment."""
        self.subscriptions, self._outgoing, self.peers = subscriptions, outgoing, peers
        self.questions = Questions(outgoing, peers)
        self.count_copies: Callable[[list[Any]], list[list[int]]] = lambda asked: []
        self.gathered: dict[str, _Parcel] = {}  # by peer: what ``send`` lets go

    def publish(self, channel: bytes, message: bytes, kind: int = CHANNEL) -> int:
        """Returns how many clients of this slave have received it."""
        form = SHARDED if kind == SHARD else PLAIN
        for peer in self.peers:
            self._gather(peer, form, channel, message)
        return self._tell(kind, channel, message)

    def publish_at(self, peer: str | None, channel: bytes, message: bytes) -> None:
        """To the subscribers of one slave alone; None: of this one."""
        if peer is None:
            self._tell(CHANNEL, channel, message)
        else:
            self._gather(peer, PLAIN, channel, message)

    def _gather(self, peer: str, form: int, channel: bytes, message: bytes) -> None:
        parcel = self.gathered.get(peer)
        if parcel is None:
            parcel = self.gathered[peer] = _Parcel()
        parcel.messages.append((form, channel, message))
        parcel.bytes += len(channel) + len(message) + MESSAGE_BYTES
        if parcel.bytes >= PARCEL_BYTES:
            del self.gathered[peer]
            self._outgoing.send_parcel(peer, (PUBLISHED, parcel.messages, parcel.bytes))

    def _tell(self, kind: int, channel: bytes, message: bytes) -> int:
        if kind == SHARD:
            return self.subscriptions.publish_to_shard(channel, message)
        return self.subscriptions.publish(channel, message)

    # -- of all slaves -----------------------------------------------------------------------

    def publish_counted(
        self, now: float, kind: int, channel: bytes, message: bytes, done: Callable[[int], None]
    ) -> None:
        """The same; ``done`` is told how many have received it on all slaves."""
        own = self._tell(kind, channel, message)
        words = COUNTED, kind, channel, message
        size = len(channel) + len(message) + MESSAGE_BYTES
        self.questions.ask(now, words, size, own, lambda answers: done(_sum(answers)))

    def count_subscribers(
        self, now: float, kind: int, names: Sequence[bytes], done: Callable[[list[int]], None]
    ) -> None:
        def whole(answers: Answers) -> None:
            done([_sum(column) for column in zip(*filter(_is_row, answers), strict=True)])

        def _is_row(answer: Any) -> bool:
            return isinstance(answer, list) and len(answer) == len(names)

        size = sum(map(len, names)) + MESSAGE_BYTES * len(names)
        words = SUBSCRIBERS, kind, list(names)
        self.questions.ask(now, words, size, self._counts(kind, names), whole)

    def list_active(self, now: float, kind: int, done: Callable[[list[bytes]], None]) -> None:
        def whole(answers: Answers) -> None:
            lists = [answer for answer in answers if isinstance(answer, list)]
            names = dict.fromkeys(name for each in lists for name in each if type(name) is bytes)
            done(list(names))

        self.questions.ask(now, (ACTIVE, kind), 0, list(self.subscriptions.active(kind)), whole)

    def _counts(self, kind: int, names: Iterable[bytes]) -> list[int]:
        return [self.subscriptions.subscriber_count(kind, name) for name in names]

    # -- from and to peers -------------------------------------------------------------------

    def receive(self, peer: str, content: object) -> None:
        """What a peer's clients have published, and what it asks and answers.  Raises
        ``PeerError``."""
        if not isinstance(content, list):
            raise PeerError("published messages that are no list")
        for each in content:
            if not isinstance(each, list) or not each or type(each[0]) is not int:
                raise PeerError("what is no published message")
            if each[0] == ANSWER and len(each) == 3 and type(each[1]) is int:
                self.questions.answered(peer, each[1], each[2])
            elif list(map(type, each)) == _FORMS.get(each[0]):
                self._take(peer, *each)
            else:
                raise PeerError("what is no published message")

    def _take(self, peer: str, form: int, *rest: Any) -> None:
        if form in (PLAIN, SHARDED):
            self._tell(SHARD if form == SHARDED else CHANNEL, *rest)
            return
        number, kind, *words = rest
        if kind not in KINDS:
            raise PeerError("a question of no kind of subscriptions")
        answer: Any
        if form == COUNTED:
            answer, size = self._tell(kind, *words), 0
        elif form == SUBSCRIBERS:
            names = [name for name in words[0] if type(name) is bytes]
            answer, size = self._counts(kind, names), MESSAGE_BYTES * len(names)
        elif form == COPIES:
            answer = self.count_copies(words[0])
            size = MESSAGE_BYTES * len(answer)
        else:
            answer = list(self.subscriptions.active(kind))
            size = sum(map(len, answer))
        self.questions.answer(peer, number, answer, size)

    def send(self) -> None:
        """Let what is gathered go."""
        gathered, self.gathered = self.gathered, {}
        for peer, parcel in gathered.items():
            self._outgoing.send_parcel(peer, (PUBLISHED, parcel.messages, parcel.bytes))

    def send_to(self, peer: str, kind: int, content: str) -> None:
        """A small frame of another kind."""
        self._outgoing.send_parcel(peer, (kind, content, len(content)))


class _Parcel:
    """What is gathered for one slave."""

    __slots__ = ("bytes", "messages")

    def __init__(self) -> None:
        self.messages: list[tuple[int, bytes, bytes]] = []
        self.bytes = 0


def _sum(answers: Iterable[Any]) -> int:
    return sum(answer for answer in answers if type(answer) is int)
