"""What peers say of themselves each second, and at once when it changes.  Pure.

Of every slave: how new its map is, whom it hears, what it leads, whether it has any group open,
how long its disk takes to sync, what it has done of late, where its gateway and its HTTP port are,
what its clock says, how it is (condition.py), what its version knows, and whether it is about to
end; of the leader of a
group: its members (membership_reports.py) and the copies that it sends; before the cluster is born:
whom it has met; of one that wants to join, and of those that have met it: its addresses; and whom
it is linked with elsewhere than its map says (links/place.py).

A slave uses it to redirect clients, to know who needs its map, and whom to hand a lead to; the
controller, wherever it is, judges by it who is down (failure_detector.py) and what the ring needs
next (controller.py).

``Gossip`` is one message, ``GossipBook`` what is known from all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from distrodb.errors import PeerError
from distrodb.raft.log import Configuration
from distrodb.raft.messages import NUMBER_MAX
from distrodb.ring.clustermap import ClusterMap
from distrodb.ring.levels import LEVEL
from distrodb.slave.condition import Condition
from distrodb.slave.group_ids import GROUP_MAX
from distrodb.slave.links.place import Place, checked
from distrodb.slave.recent import NOTHING, Load

MOVED_MAX = 1000  # far above the slaves of a cluster


@dataclass(frozen=True, slots=True)
class Joiner:
    """A slave that wants to be let in."""

    incarnation: str
    client: str
    peer: str


@dataclass(frozen=True, slots=True)
class Copy:
    """A snapshot on its way to a member, in bytes."""

    group: int
    to: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Gossip:
    """One message; ``map`` only if the sender thinks that ours is older."""

    epoch: int
    leads: Mapping[int, int] = field(default_factory=dict)  # group: term
    is_leaving: bool = False
    has_groups: bool = True  # any open
    hears: Mapping[str, str] = field(default_factory=dict)  # slave: incarnation
    reports: Mapping[int, Configuration] = field(default_factory=dict)  # of groups that it leads
    copies: tuple[Copy, ...] = ()
    joiners: Mapping[str, Joiner] = field(default_factory=dict)
    moved: Mapping[str, Place] = field(default_factory=dict)  # not where the sender's map says
    is_born: bool = True  # else ``hears`` is whom it has met
    sync_ms: int = 0  # what a sync of its disk has taken at most of late
    has_slow_disk: bool = False  # so slow that it should lead nothing
    gateway: str = ""  # its address, if it has one
    http: str = ""  # where its HTTP port is, if it has one: a URL without a path
    load: Load = NOTHING
    wall_ms: int = 0  # what its machine's clock says; 0: it does not tell
    condition: Condition | None = None
    level: int = LEVEL  # of features, that its version knows
    map: ClusterMap | None = None

    def to_plain(self) -> dict[str, Any]:
        plain: dict[str, Any] = {
            "epoch": self.epoch,
            "leads": [list(lead) for lead in self.leads.items()],
            "leaving": self.is_leaving,
            "groups": self.has_groups,
            "hears": dict(self.hears),
            "reports": [
                [group, c.index, c.epoch, list(c.members)] for group, c in self.reports.items()
            ],
            "copies": [[c.group, c.to, c.done, c.total] for c in self.copies],
            "joiners": {id_: [j.incarnation, j.client, j.peer] for id_, j in self.joiners.items()},
            "born": self.is_born,
            "sync": self.sync_ms,
            "slow": self.has_slow_disk,
            "gateway": self.gateway,
            "http": self.http,
            "load": [self.load.commands_per_s, self.load.write_us, self.load.read_us],
            "wall": self.wall_ms,
            "level": self.level,
        }
        if self.moved:
            plain["moved"] = {id_: list(place) for id_, place in self.moved.items()}
        if self.condition is not None:
            plain["condition"] = self.condition.to_plain()
        if self.map is not None:
            plain["map"] = self.map.to_plain()
        return plain

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> "Gossip":
        """Raises ``PeerError`` for what is not gossip."""
        try:
            return Gossip(
                epoch=_number(plain["epoch"]),
                leads={_group(group): _number(term) for group, term in plain["leads"]},
                is_leaving=_flag(plain["leaving"]),
                has_groups=_flag(plain["groups"]),
                hears=_texts(plain["hears"]),
                reports={
                    _group(group): Configuration(_number(index), _number(epoch), _members(members))
                    for group, index, epoch, members in plain["reports"]
                },
                copies=tuple(
                    Copy(_group(group), _name(to), _number(done), _number(total))
                    for group, to, done, total in plain["copies"]
                ),
                joiners={
                    _name(id_): _joiner(*_names(fields)) for id_, fields in plain["joiners"].items()
                },
                moved={_name(id_): _place(places) for id_, places in _moved(plain).items()},
                is_born=_flag(plain["born"]),
                sync_ms=_number(plain["sync"]),
                has_slow_disk=_flag(plain["slow"]),
                gateway=_name(plain["gateway"]),
                http=_name(plain["http"]),
                load=Load(*_three(plain["load"])),
                # Slaves of 0.5.0 and before say neither.
                wall_ms=_number(plain.get("wall", 0)),
                condition=_condition(plain.get("condition")),
                level=_number(plain.get("level", 1)),  # as does 0.6.0 here
                map=ClusterMap.from_plain(plain["map"]) if "map" in plain else None,
            )
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as problem:
            raise PeerError(f"malformed gossip: {problem!r:.200}") from None


def _condition(plain: Any) -> Condition | None:
    return None if plain is None else Condition.from_plain(plain)


def _joiner(incarnation: str, client: str, peer: str) -> Joiner:
    return Joiner(incarnation, *checked(client, peer))


def _moved(plain: Mapping[str, Any]) -> Mapping[Any, Any]:
    moved = plain.get("moved", {})
    if type(moved) is not dict or len(moved) > MOVED_MAX:
        raise ValueError(f"{moved!r:.80} are not slaves that have moved, or too many")
    return moved


def _place(values: object) -> Place:
    client, peer = _names(values)
    return checked(client, peer)


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < NUMBER_MAX:
        raise ValueError(f"{value!r:.80} is no number, or out of range")
    return value


def _three(values: object) -> tuple[int, int, int]:
    if type(values) is not list or len(values) != 3:
        raise ValueError(f"{values!r:.80} are not three numbers")
    return _number(values[0]), _number(values[1]), _number(values[2])


def _group(value: object) -> int:
    """Bounds what a peer can make us remember: one report for each, at most."""
    if _number(value) > GROUP_MAX:
        raise ValueError(f"{value!r:.80} is no group")
    return _number(value)


def _flag(value: object) -> bool:
    if type(value) is not bool:
        raise ValueError(f"{value!r:.80} is neither true nor false")
    return value


def _name(value: object) -> str:
    return _names([value])[0]


def _names(values: object) -> tuple[str, ...]:
    if type(values) is not list or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{values!r:.80} are not names")
    return tuple(values)


def _members(values: object) -> tuple[str, ...]:
    """A group has members: who reads that it has none would take itself for removed."""
    members = _names(values)
    if not members or len(set(members)) < len(members):
        raise ValueError(f"{values!r:.80} are not the members of a group")
    return members


def _texts(values: Mapping[Any, Any]) -> dict[str, str]:
    _names([*values, *values.values()])
    return dict(values)


class GossipBook:
    """What is known from it, but for what failure_detector.py and membership_reports.py keep."""

    def __init__(self) -> None:
        self._leads: dict[int, tuple[int, str]] = {}  # group: term, leader
        self._epochs: dict[str, int] = {}
        self.leaving: set[str] = set()  # peers that hand over too and take nothing more
        self.empty: set[str] = set()  # peers that have no group open
        self.slow: set[str] = set()  # peers whose disks are too slow to lead
        self._sync_ms: dict[str, int] = {}
        # Also of those that are lost: where they were.
        self._gateways: dict[str, str] = {}
        self._https: dict[str, str] = {}
        self._loads: dict[str, Load] = {}
        self._conditions: dict[str, Condition | None] = {}
        self.levels: dict[str, int] = {}  # of features, that peers know
        self._copies: dict[str, tuple[Copy, ...]] = {}
        self._joiners: dict[str, Mapping[str, Joiner]] = {}  # by who has met them
        self._moved: dict[str, Mapping[str, Place]] = {}  # the same

    def heard(self, peer: str, gossip: Gossip) -> bool:
        """True if another slave leads some group than was known."""
        self._epochs[peer] = gossip.epoch
        self._copies[peer] = gossip.copies
        self._joiners[peer], self._moved[peer] = gossip.joiners, gossip.moved
        self._sync_ms[peer] = gossip.sync_ms
        self._gateways[peer], self._https[peer] = gossip.gateway, gossip.http
        self._loads[peer], self._conditions[peer] = gossip.load, gossip.condition
        self.levels[peer] = gossip.level
        for peers, is_one in (
            (self.leaving, gossip.is_leaving or peer in self.leaving),
            (self.empty, not gossip.has_groups),
            (self.slow, gossip.has_slow_disk),
        ):
            if is_one:
                peers.add(peer)
            else:
                peers.discard(peer)
        has_changed = self._forget_leads(peer, but=gossip.leads)
        for group, term in gossip.leads.items():
            known = self._leads.get(group, (0, ""))
            if term >= known[0] and known != (term, peer):
                self._leads[group] = term, peer
                has_changed = True
        return has_changed

    def lost(self, peer: str) -> None:
        """Its link broke."""
        for peers in (self.leaving, self.empty, self.slow):
            peers.discard(peer)
        for known in (
            self._epochs,
            self._sync_ms,
            self._copies,
            self._joiners,
            self._moved,
            self._loads,
            self._conditions,
            self.levels,
        ):
            known.pop(peer, None)
        self._forget_leads(peer, but={})

    def _forget_leads(self, peer: str, but: Mapping[int, int]) -> bool:
        gone = [g for g, (_, leader) in self._leads.items() if leader == peer and g not in but]
        for group in gone:
            del self._leads[group]
        return bool(gone)

    def leader_of(self, group: int) -> str | None:
        return self._leads.get(group, (0, None))[1]

    def term_of(self, group: int) -> int:
        return self._leads.get(group, (0, ""))[0]

    def sync_ms(self, peer: str) -> int | None:
        """None if nothing is known."""
        return self._sync_ms.get(peer)

    def gateway(self, peer: str) -> str | None:
        """None if it has none, or nothing is known."""
        return self._gateways.get(peer) or None

    def http(self, peer: str) -> str | None:
        """The same of its HTTP port."""
        return self._https.get(peer) or None

    def load(self, peer: str) -> Load | None:
        """None if nothing is known."""
        return self._loads.get(peer)

    def condition(self, peer: str) -> Condition | None:
        """The same."""
        return self._conditions.get(peer)

    def is_behind(self, peer: str, epoch: int) -> bool:
        """The peer has said that its map is older than that."""
        return self._epochs.get(peer, epoch) < epoch

    @property
    def copies(self) -> list[Copy]:
        return [copy for copies in self._copies.values() for copy in copies]

    def joiner(self, peer: str) -> Joiner | None:
        """What a peer says of its own wish to join."""
        return self._joiners.get(peer, {}).get(peer)

    def place(self, peer: str, node: str) -> Place | None:
        """Where a peer is linked with another slave, if not where its map says."""
        return self._moved.get(peer, {}).get(node)

    @property
    def joiners(self) -> dict[str, Joiner]:
        """All that anybody has met; what somebody says of itself counts most."""
        known = {id_: each for joiners in self._joiners.values() for id_, each in joiners.items()}
        own = {peer: joiner for peer in self._joiners if (joiner := self.joiner(peer))}
        return {**known, **own}
