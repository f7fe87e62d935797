"""What peers say of themselves survives the wire; nothing malformed gets past the border."""

import contextlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.errors import PeerError
from distrodb.raft.log import Configuration
from distrodb.ring.clustermap import first_map
from distrodb.slave.condition import Condition
from distrodb.slave.gossip import MOVED_MAX, Copy, Gossip, GossipBook, Joiner
from distrodb.slave.group_ids import GROUP_MAX
from distrodb.slave.recent import Load

NODES = [(name, f"{name}:1", f"{name}:2") for name in "abc"]
MAP = first_map(NODES, 3, 3, dict.fromkeys("abc", "1"))
FULL = Gossip(
    7,
    leads={0: 3, 0xFFFE: 9},
    is_leaving=True,
    hears={"b": "1f", "c": "2f"},
    reports={0: Configuration(5, 2, ("a/1", "b/1"))},
    copies=(Copy(0, "c", 10, 100),),
    joiners={"d": Joiner("4f", "h:1", "h:2")},
    moved={"c": ("x:1", "x:2")},
    is_born=False,
    gateway="h:3",
    http="h:4",
    load=Load(5, 6, 7),
    wall_ms=8,
    condition=Condition("1.0", flags=frozenset({"no_secret"}), settings={"a": "b"}),
    map=MAP,
)

names = st.text(max_size=5)
hosts = st.sampled_from(["h", "node-1.example", "10.0.0.1", "[::1]", "rechner-ü"])
addresses = st.builds("{}:{}".format, hosts, st.integers(1, 65535))
numbers = st.integers(0, 2**62 - 1)
groups = st.integers(0, GROUP_MAX)
configurations = st.builds(
    Configuration,
    numbers,
    numbers,
    st.lists(names, min_size=1, max_size=3, unique=True).map(tuple),
)
news = st.builds(
    Gossip,
    numbers,
    leads=st.dictionaries(groups, numbers, max_size=3),
    is_leaving=st.booleans(),
    hears=st.dictionaries(names, names, max_size=3),
    reports=st.dictionaries(groups, configurations, max_size=3),
    copies=st.lists(st.builds(Copy, groups, names, numbers, numbers), max_size=3).map(tuple),
    joiners=st.dictionaries(names, st.builds(Joiner, names, addresses, addresses), max_size=3),
    moved=st.dictionaries(names, st.tuples(addresses, addresses), max_size=3),
    is_born=st.booleans(),
    gateway=names,
    http=names,
    load=st.builds(Load, numbers, numbers, numbers),
    level=numbers,
    map=st.sampled_from([None, MAP]),
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def travelled(plain_news: object) -> object:
    return msgpack.unpackb(msgpack.packb(plain_news), strict_map_key=False)


@given(news)
def test_it_survives_the_wire(said):
    assert Gossip.from_plain(travelled(said.to_plain())) == said


@given(st.sampled_from(sorted(FULL.to_plain())), plain)
def test_a_field_that_is_anything_at_all_is_gossip_or_a_peer_error(field, value):
    with contextlib.suppress(PeerError):
        Gossip.from_plain({**FULL.to_plain(), field: value})


# What slaves of before do not tell.
FIELDS = sorted(FULL.to_plain().keys() - {"map", "wall", "condition", "level", "moved"})


def test_who_tells_no_level_is_of_the_first():
    said = FULL.to_plain()
    del said["level"]
    assert Gossip.from_plain(said).level == 1


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_that_is_missing_is_a_peer_error(field):
    rest = {key: value for key, value in FULL.to_plain().items() if key != field}
    with pytest.raises(PeerError, match="malformed gossip"):
        Gossip.from_plain(rest)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epoch", "7"),
        ("epoch", -1),
        ("epoch", 7.0),
        ("epoch", True),
        ("epoch", float("inf")),
        ("epoch", 2**63),  # would not fit a record on disk once something is added
        ("leads", [[0]]),
        ("leads", [[0x10000, 1]]),
        ("leads", [[0, -1]]),
        ("leads", {"0": 1}),
        ("leaving", 0),
        ("hears", {"b": 1}),
        ("hears", ["b"]),
        ("reports", [[0, 5, 2, "abc"]]),
        ("reports", [[0, 5, 2, []]]),
        ("reports", [[0, 5, 2, ["a", "a"]]]),
        ("reports", [[0, 2**62, 2, ["a"]]]),
        ("reports", [[0, 5, 2]]),
        ("copies", [[0, ["c"], 10, 100]]),
        ("copies", [[0, "c", -10, 100]]),
        ("joiners", {"d": "abc"}),
        ("joiners", {"d": ["4f", "h:1"]}),
        ("joiners", {1: ["4f", "h:1", "h:2"]}),
        ("joiners", {"d": ["4f", "0.0.0.0:1", "h:2"]}),  # clients would be sent nowhere
        ("moved", ["c"]),
        ("moved", {"c": ["x:1"]}),
        ("moved", {"c": ["x:1", "0.0.0.0:1"]}),
        ("moved", {"c": ["x", "x:1"]}),
        ("moved", {f"{n}": ["x:1", "x:2"] for n in range(MOVED_MAX + 1)}),
        ("born", None),
        ("map", None),
        ("map", {}),
        ("map", {**MAP.to_plain(), "ring": ["x"]}),
    ],
)
def test_what_is_of_the_wrong_kind_is_a_peer_error(field, value):
    with pytest.raises(PeerError, match="malformed gossip"):
        Gossip.from_plain({**FULL.to_plain(), field: value})


def test_the_complaint_is_one_short_line():
    with pytest.raises(PeerError) as caught:
        Gossip.from_plain({**FULL.to_plain(), "hears": {"x" * 100_000: 1}})
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value)


# What is known from it.


def told(*said: tuple[str, dict[int, int]]) -> GossipBook:
    gossip = GossipBook()
    for peer, leads in said:
        gossip.heard(peer, Gossip(1, leads=leads))
    return gossip


def test_the_leader_of_the_newest_term_leads():
    assert told(("a", {0: 3}), ("b", {0: 4})).leader_of(0) == "b"
    assert told(("b", {0: 4}), ("a", {0: 3})).leader_of(0) == "b"


def test_who_says_no_more_that_it_leads_does_not():
    gossip = told(("a", {0: 3}), ("a", {}))
    assert (gossip.leader_of(0), gossip.term_of(0)) == (None, 0)


def test_nothing_is_known_of_who_is_lost():
    gossip = told(("a", {0: 3}))
    gossip.heard("a", FULL)
    gossip.lost("a")
    assert gossip.leader_of(0) is None and not gossip.leaving and not gossip.copies
    assert not gossip.joiners and not gossip.is_behind("a", 100)


def test_a_peer_is_behind_once_it_has_said_so():
    gossip = told(("a", {}))
    assert gossip.is_behind("a", 2) and not gossip.is_behind("a", 1)
    assert not gossip.is_behind("b", 2)


def test_what_a_joiner_says_of_itself_counts_most():
    gossip = GossipBook()
    gossip.heard("d", Gossip(0, joiners={"d": Joiner("new", "h:1", "h:2")}))
    gossip.heard("a", Gossip(1, joiners={"d": Joiner("old", "h:1", "h:2")}))
    assert gossip.joiners["d"].incarnation == "new"


@pytest.mark.parametrize("address", ["", "e", "e:", "e:x", "e:0", "e:65536", ":5"])
def test_a_joiner_without_an_address_is_refused(address):
    """It gets a row in the map, and clients are sent there."""
    with pytest.raises(PeerError, match="is not an address"):
        Gossip.from_plain(Gossip(0, joiners={"e": Joiner("1", address, "e:2")}).to_plain())
