"""One heartbeat a pair of slaves, that speaks for all the groups that they share.  Pure.

Each slave keeps two tables: the groups that it *leads*, with their terms, the same for every peer;
and for each peer the groups in which it *follows* that peer, with their terms.  A table has a
version.  A heartbeat carries a table only until the peer has said that it holds that version; later
the version alone says "all of it is still so".  So a slave with a thousand quiet groups sends one
small message to each peer each ``interval_s``, and its groups none at all (raft/pulse.py is what
they ask).  One that *asks* is answered at the end of the turn: so one exchange a pair of slaves
confirms the reads of all groups (the read index of thesis 6.4).

    stamp     when it was sent, by the sender's clock, in microseconds; a later one is larger
    asks      whether it is to be answered at once
    echo      the newest stamp that came from the one to whom it goes; 0 for none
    versions  of the table of what the sender leads, and of that in which it follows the receiver
    held      the versions of the receiver's tables that the sender holds
    lease     for so many microseconds the sender helps to elect no other leader of the groups in
              which it follows the receiver (leases.py); 0: it promises nothing
    tables    the two tables, each [] if the receiver holds it, else [[group, term, group, ...]]

What always holds:

- What was heard counts from when it came; what was answered counts from when the *question* left,
  by our own clock, since the stamp comes back in ``echo``.
- One that was overtaken by a later one is ignored: no older table takes the place of a newer one.
- With a link everything that was known of its peer goes, and it is told everything anew.
- The tables say what is so when the heartbeat leaves: the core tells of each change before.

Caveat: it commits nothing; that a slave follows may not be on its disk yet.  A read needs no more:
who could take the lead in an older term, or in this one, was stopped by those who *voted* for this
leader, and their votes are on disk.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from distrodb.errors import PeerError
from distrodb.raft.messages import HEARTBEAT, NUMBER_MAX, SLAVE, Message
from distrodb.raft.pulse import NEVER
from distrodb.slave.group_ids import GROUP_MAX
from distrodb.slave.leases import Promises, relied_on

_MICRO = 1e6


class Table:
    """Groups and terms, and a version that changes with them."""

    def __init__(self) -> None:
        self.terms: dict[int, int] = {}
        self.version = 1

    def put(self, group: int, term: int | None) -> None:
        if self.terms.get(group) == term:
            return
        if term is None:
            del self.terms[group]
        else:
            self.terms[group] = term
        self.version += 1

    def unless_held(self, version: int) -> list[list[int]]:
        """As a heartbeat carries it to one that holds that version."""
        if version == self.version:
            return []
        return [[number for row in sorted(self.terms.items()) for number in row]]


class _Copy:
    """A peer's table, as it has come here."""

    def __init__(self) -> None:
        self.terms: Mapping[int, int] = {}
        self.version = 0  # none yet

    def take(self, version: int, content: Sequence[object]) -> None:
        if content:
            self.terms = _terms(content[0])
            self.version = version
        elif version != self.version:
            self.terms, self.version = {}, 0


class _Peer:
    def __init__(self) -> None:
        self.followed = Table()  # in which we follow it
        self.holds_led = self.holds_followed = 0  # the versions of our tables that it holds
        self.leads, self.follows = _Copy(), _Copy()
        self.stamp = 0  # the newest that came from it
        self.echo = 0  # the newest stamp of ours that it had when it sent that
        self.heard_at = self.answered_at = NEVER
        self.leased_until = NEVER  # its promise is relied on


class Heartbeats:
    """A slave's; ``Pulse`` for its groups.  Peers are named by slave and incarnation."""

    def __init__(self, now: float, interval_s: float, lease_s: float = 0.0):
        self._interval_s = interval_s
        self._promises = Promises(now, lease_s)
        self.uses_leases = lease_s > 0
        self._beat_at = now  # seconds: when all are to get one
        self._stamp = 0  # the newest that was sent
        self._asked: set[str] = set()  # who is to get one that asks
        self._owed: set[str] = set()  # who has asked
        self._led = Table()
        self._peers: dict[str, _Peer] = {}
        self._follows: dict[int, str] = {}  # group: the peer in whose table it stands

    # -- what is said ------------------------------------------------------------------------

    def group_changed(
        self, group: int, leads_in: int | None, follows: tuple[str, int] | None
    ) -> None:
        """It leads in this term, or follows (peer, term), or neither."""
        self._led.put(group, leads_in)
        peer, term = follows or (None, None)
        before = self._follows.pop(group, None)
        if before is not None and before != peer:
            self._promises.leaves(group, before)
            if before in self._peers:
                self._peers[before].followed.put(group, None)
        if peer is not None:
            self._follows[group] = peer
            if peer in self._peers:
                self._peers[peer].followed.put(group, term)

    def link_up(self, name: str) -> None:
        self._peers[name] = _Peer()

    def link_down(self, name: str) -> None:
        self._peers.pop(name, None)

    @property
    def next_due(self) -> float:
        """Seconds: when somebody is to get a heartbeat; minus infinity is now."""
        return -math.inf if self._asked or self._owed else self._beat_at

    def take(self, now: float) -> Iterator[tuple[str, Message]]:
        """What is to leave now, and to whom: to all when it is time, else to those that are asked
        something or have asked."""
        if now < self.next_due:
            return
        names = self._asked | self._owed
        if now >= self._beat_at:
            self._beat_at = now + self._interval_s
            names = set(self._peers)
        asked, self._asked, self._owed = self._asked, set(), set()
        self._stamp = stamp = max(self._stamp + 1, int(now * _MICRO))
        for name in sorted(names & self._peers.keys()):
            peer = self._peers[name]
            self._promises.promise(now, name)
            yield (
                name,
                [
                    SLAVE,
                    HEARTBEAT,
                    stamp,
                    name in asked,
                    peer.stamp,
                    [self._led.version, peer.followed.version],
                    [peer.leads.version, peer.follows.version],
                    int(self._promises.lease_s * _MICRO),
                    self._led.unless_held(peer.holds_led),
                    peer.followed.unless_held(peer.holds_followed),
                ],
            )

    # -- what is heard -----------------------------------------------------------------------

    def receive(self, now: float, name: str, message: Message) -> bool:
        """A heartbeat, whose outer shape is checked; True if it may answer a question.  Raises
        ``PeerError``."""
        _, _, stamp, asks, echo, versions, held, lease, led, followed = message
        led_version, followed_version = _pair(versions)
        held_led, held_followed = _pair(held)
        peer = self._peers[name]
        if stamp <= peer.stamp:
            return False
        peer.leads.take(led_version, led)
        peer.follows.take(followed_version, followed)
        peer.stamp, peer.heard_at = stamp, now
        peer.holds_led, peer.holds_followed = held_led, held_followed
        if asks:
            self._owed.add(name)
        if not peer.echo < echo <= self._stamp:
            return False
        peer.echo, peer.answered_at = echo, min(now, echo / _MICRO)
        peer.leased_until = relied_on(echo / _MICRO, min(lease / _MICRO, self._promises.lease_s))
        return True

    # -- what groups ask ---------------------------------------------------------------------

    def heard_at(self, leader: str, group: int, term: int) -> float:
        peer = self._peers.get(leader)
        is_led = peer is not None and peer.leads.terms.get(group) == term
        return peer.heard_at if peer is not None and is_led else NEVER

    def answered_at(self, voter: str, group: int, term: int) -> float:
        peer = self._peers.get(voter)
        follows = peer is not None and peer.follows.terms.get(group) == term
        return peer.answered_at if peer is not None and follows else NEVER

    def ask(self, voters: Iterable[str]) -> int:
        self._asked.update(voters)
        return self._stamp + 1

    def confirmed(self, voter: str, group: int, term: int) -> int:
        peer = self._peers.get(voter)
        follows = peer is not None and peer.follows.terms.get(group) == term
        return peer.echo if peer is not None and follows else 0

    def leased_until(self, voter: str, group: int, term: int) -> float:
        peer = self._peers.get(voter)
        follows = peer is not None and peer.follows.terms.get(group) == term
        return peer.leased_until if peer is not None and follows else NEVER

    def promised_until(self, group: int) -> float:
        return self._promises.until(group, self._follows.get(group))


def _pair(content: Sequence[object]) -> tuple[int, int]:
    if tuple(map(type, content)) != (int, int):
        raise PeerError("a heartbeat has no versions")
    first, second = content
    assert isinstance(first, int) and isinstance(second, int)
    if not (0 <= first < NUMBER_MAX and 0 <= second < NUMBER_MAX):
        raise PeerError("a heartbeat has a version out of range")
    return first, second


def _terms(content: object) -> dict[int, int]:
    if not isinstance(content, list) or len(content) % 2:
        raise PeerError("a heartbeat has a malformed table")
    if not all(type(number) is int and 0 <= number < NUMBER_MAX for number in content):
        raise PeerError("a heartbeat has a malformed table")
    groups, terms = content[::2], content[1::2]
    if groups and max(groups) > GROUP_MAX:
        raise PeerError("a heartbeat names a group that cannot be")
    return dict(zip(groups, terms, strict=True))
