"""Who may link with whom: the introductions, and whom a slave dials."""

from dataclasses import replace

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.config import Address, NodeAddress
from distrodb.errors import PeerError
from distrodb.ring.clustermap import first_map
from distrodb.ring.map_commands import apply
from distrodb.slave.links.arrival import ALONE_S, GAP_S, Arrival, Refusals, is_elsewhere
from distrodb.slave.links.dialling import OwnFile, is_in_majority, whom_to_dial
from distrodb.slave.links.introduction import Handshake, Introduction, TwiceError
from distrodb.slave.links.place import TWICE, objection
from distrodb.slave.links.strangers import AN_ADDRESS_MAX, STRANGERS_MAX, Strangers
from tests.unit.plain_values import plain


def shake(dialler: Handshake, acceptor: Handshake, change=lambda step, content: content) -> list:
    """What is said, in order.  ``change``: what somebody on the way makes of it."""
    said, content, sides = [], dialler.opening(), [acceptor, dialler]
    while content is not None:
        content = change(len(said) + 1, msgpack.unpackb(msgpack.packb(content)))
        said.append(content)
        content = sides[(len(said) - 1) % 2].receive(content)
    return said


INTRODUCTION = Introduction("c", 3, "l", "s", "b/2", "b:1", "b:2")


def side(
    me,
    peer,
    cluster="c",
    replicas=3,
    layout="l",
    secret="s",
    challenge=b"1" * 16,
    objection=lambda *_: None,
):
    ours = Introduction(cluster, replicas, layout, secret, me, "host:1", "host:2")
    return Handshake(ours, peer, challenge, objection)


def test_two_slaves_of_one_cluster_shake_hands():
    dialler, acceptor = side("a/1", "b"), side("b/2", None, challenge=b"2" * 16)
    shake(dialler, acceptor)
    assert (
        dialler.is_complete
        and acceptor.is_complete
        and (acceptor.peer, acceptor.incarnation) == ("a", "1")
    )
    assert (dialler.peer, dialler.incarnation) == ("b", "2")


@pytest.mark.parametrize(
    ("dialler", "words"),
    [
        (side("a/1", "b", cluster="other"), "cluster id"),
        (side("a/1", "b", layout="other"), "section"),
        (side("a/1", "b", replicas=5), "replicas"),
        (side("a/1", "b", secret="other"), "secret"),
        (side("a", "b"), "which incarnation"),
        (side("a/1", "x"), "looked for x and found b/2"),
    ],
)
def test_others_are_refused_and_told_why(dialler, words):
    with pytest.raises(PeerError, match=words):
        shake(dialler, side("b/2", None, challenge=b"2" * 16))
    assert not dialler.is_complete


@pytest.mark.parametrize(("one", "other"), [(0, 3), (5, 0), (0, 0)])
def test_a_number_of_copies_is_not_compared_once_a_map_says_it(one, other):
    dialler = side("a/1", "b", replicas=one)
    acceptor = side("b/2", None, challenge=b"2" * 16, replicas=other)
    shake(dialler, acceptor)
    assert dialler.is_complete and acceptor.is_complete


def test_a_cluster_s_id_is_compared_whatever_it_is():
    with pytest.raises(PeerError, match="cluster id"):
        shake(side("a/1", "b", cluster=""), side("b/2", None, challenge=b"2" * 16))


def test_who_does_not_know_the_secret_learns_nothing():
    """As dialler or acceptor: it sees a number and random bytes, not even a name."""
    words = [b"a/1", b"b/2", b"host", b"mycluster", b"mylayout"]

    def said(dialler, acceptor):
        seen = []
        with pytest.raises(PeerError, match="secret"):
            shake(dialler, acceptor, lambda step, content: seen.append(content) or content)
        return seen

    ours = {"cluster": "mycluster", "layout": "mylayout"}
    dialler = side("a/1", "b", **ours), side("b/2", None, secret="x", challenge=b"2" * 16)
    seen = said(*dialler)
    assert seen[:2] == [[7, b"1" * 16], [b"2" * 16]] and len(seen) == 3 and len(seen[2][0]) == 32
    acceptor = side("x/1", "b", secret="x"), side("b/2", None, challenge=b"2" * 16, **ours)
    seen += said(*acceptor)
    told = msgpack.packb(seen)
    assert len(seen) == 6 and not any(word in told for word in words)


@pytest.mark.parametrize("step", range(1, 7))
def test_what_is_changed_on_the_way_is_noticed(step):
    def change(at, content):
        if at != step:
            return content
        *rest, last = content
        return [*rest, last[:-1] + bytes([last[-1] ^ 1])]

    dialler, acceptor = side("a/1", "b"), side("b/2", None, challenge=b"2" * 16)
    with pytest.raises(PeerError):
        shake(dialler, acceptor, change)
    assert not dialler.is_complete


@pytest.mark.parametrize("step", [5, 6])
def test_an_introduction_that_is_changed_on_the_way_is_noticed(step):
    def change(at, content):
        return (
            [content[0].replace(b"host", b"evil").replace(b"b/2", b"c/2"), content[1]]
            if (at == step)
            else content
        )

    with pytest.raises(PeerError, match="secret"):
        shake(side("a/1", "b"), side("b/2", None, challenge=b"2" * 16), change)


def test_a_proof_of_our_own_is_no_proof():
    """Nor is one of another link: challenges are random."""
    dialler = side("a/1", "b")
    dialler.receive([b"2" * 16])
    for who, step in ((b"acceptor", 4), (b"acceptor", 3), (b"dialler", 5)):
        victim = side("b/2", None, challenge=b"2" * 16)
        victim.receive(dialler.opening())
        with pytest.raises(PeerError, match="secret"):
            victim.receive([dialler._prove(who, step)])
    first = shake(side("a/1", "b"), side("b/2", None, challenge=b"2" * 16))
    again = side("b/2", None, challenge=b"3" * 16)
    again.receive(first[0])
    with pytest.raises(PeerError, match="secret"):
        again.receive(first[2])


def test_a_slave_of_an_older_version_is_told_so():
    opening = [6, "c", 3, "l", "a/1", "b", ["host:1", "host:2"], b"1" * 16]
    with pytest.raises(PeerError, match="its protocol version is another one: 6, ours 7"):
        side("b/2", None).receive(opening)


def test_a_layout_is_compared_only_before_a_map_is_known():
    dialler, acceptor = side("a/1", "b", layout=""), side("b/2", None, challenge=b"2" * 16)
    shake(dialler, acceptor)
    assert dialler.is_complete and acceptor.is_complete


def test_a_joiner_takes_whoever_answers():
    dialler, acceptor = side("f/1", "", layout=""), side("b/2", None, challenge=b"2" * 16)
    shake(dialler, acceptor)
    assert (dialler.peer, acceptor.peer) == ("b", "f")


def test_a_slave_at_other_addresses_than_its_id_s_is_told_so():
    seen = []

    def objection(*who):
        seen.append(who)
        return "b is elsewhere"

    with pytest.raises(PeerError, match="elsewhere"):
        shake(side("a/1", "b"), side("b/2", None, challenge=b"2" * 16, objection=objection))
    assert seen == [("a/1", ("host:1", "host:2"))]
    with pytest.raises(PeerError, match="it refuses: b is elsewhere"):
        side("a/1", "b").receive(["b is elsewhere"])


@given(plain, st.integers(1, 6))
def test_anything_else_is_refused_at_each_step(content, step):
    def change(at, said):
        return content if at == step else said

    dialler, acceptor = side("a/1", "b"), side("b/2", None, challenge=b"2" * 16)
    with pytest.raises(PeerError):
        shake(dialler, acceptor, change)
    assert not dialler.is_complete


@given(plain)
def test_any_introduction_of_who_knows_the_secret_is_refused(content):
    dialler, acceptor = side("a/1", "b"), side("b/2", None, challenge=b"2" * 16)

    def change(at, said):
        if at != 5:
            return said
        packed = msgpack.packb(content)
        return [packed, dialler._prove(b"dialler", 5, packed)]

    with pytest.raises(PeerError):
        shake(dialler, acceptor, change)


def nodes(*ids):
    return [(id_, f"{id_}:1", f"{id_}:2") for id_ in ids]


def test_of_two_slaves_the_one_with_the_later_row_dials():
    born = first_map(nodes("a", "b", "c"), 3, 3, dict.fromkeys("abc", "1"))

    def dialled(id_):
        me = NodeAddress(id_, Address(id_, 1), Address(id_, 2))
        return whom_to_dial(OwnFile(me), born)

    assert dialled("a") == {}
    assert dialled("c") == {"a:2": "a", "b:2": "b"}
    assert dialled("removed") == {}


def test_a_joiner_dials_its_seeds_until_the_map_names_it():
    me, seeds = (
        NodeAddress("f", Address("f", 1), Address("f", 2)),
        [Address("b", 2), Address("f", 2)],
    )
    file = OwnFile(me, seeds)
    assert whom_to_dial(file, first_map(nodes("f"), 3, 3)) == {"b:2": ""}
    born = first_map(nodes("a", "b"), 3, 3, dict.fromkeys("ab", "1"))
    joined = apply(born, ["add_node", "f", "f:1", "f:2", "1"])
    assert whom_to_dial(file, joined) == {"a:2": "a", "b:2": "b"}


def test_a_lonely_slave_dials_all_that_it_knows():
    me = NodeAddress("a", Address("a", 1), Address("a", 2))
    born = first_map(nodes("a", "b"), 3, 3, dict.fromkeys("ab", "1"))
    assert whom_to_dial(OwnFile(me), born, is_lonely=True) == {"b:2": "b"}
    elsewhere = first_map(nodes("b", "c"), 3, 3, dict.fromkeys("bc", "1"))
    assert whom_to_dial(OwnFile(me), elsewhere, is_lonely=True) == {"b:2": "b", "c:2": "c"}


@pytest.mark.parametrize(
    ("linked", "known", "expected"),
    [
        ("", "a", True),
        ("", "ab", False),
        ("b", "ab", True),
        ("b", "abc", True),
        ("b", "abcd", False),
        ("bxy", "abcd", False),  # whoever is not in the map does not count
        ("", "bc", False),  # we were removed
        ("b", "bc", True),
    ],
)
def test_who_is_in_a_majority(linked, known, expected):
    assert is_in_majority("a", linked, known) is expected


def why_not(name, place, heard=(), level=2, me="b"):
    """What b, whose map knows a, b and c by incarnation 1, has against a member at ``place:1`` and
    ``place:2``."""
    cluster_map = replace(
        first_map(nodes("a", "b", "c"), 3, 3, dict.fromkeys("abc", "1")), level=level
    )

    def linked_with(node, incarnation):
        return [each for each in heard if f"{node}/{incarnation}" == name]

    return objection(me, cluster_map, linked_with, name, (f"{place}:1", f"{place}:2"))


@pytest.mark.parametrize("level", [1, 2])
def test_two_slaves_with_one_id_are_told_apart_by_the_map(level):
    assert why_not("a/1", "a", level=level) is why_not("new/1", "x", level=level) is None
    assert why_not("a/2", "a", level=level) is None  # it has lost its directory
    told = why_not("a/2", "x", level=level)
    assert "a is at a:1 and a:2 in the cluster map, not at x:1 and x:2" in told
    assert "our own id" in why_not("b/1", "b", level=level)
    assert objection("b", None, lambda *_: [], "a/1", ("x:1", "x:2")) is None


def test_a_slave_may_come_back_elsewhere_with_its_directory_only():
    assert why_not("a/1", "x") is None
    assert "an id of its own" in why_not("a/1", "x", level=1)
    assert "with the directory that it had" in why_not("a/2", "x")
    assert "another slave is at one of these" in why_not("a/1", "c")
    assert "is a wildcard" in why_not("a/1", "0.0.0.0")
    assert "not an address" in why_not("a/1", "x y")


def test_one_that_knows_no_map_takes_those_that_have_moved_since_its_file_was_written():
    layout = first_map(nodes("a", "b", "c"), 3, 3)

    def why(place, linked=None):
        heard = [("b", linked)] if linked else []
        return objection("b", layout, lambda *_: heard, "a/1", place)

    assert why(("a:1", "a:2")) is why(("x:1", "x:2")) is None
    assert why(("x:1", "x:2"), linked=("x:1", "x:2")) is None
    assert why(("x:1", "x:2"), linked=("a:1", "a:2")) == "b is linked with another a"


def test_nobody_is_taken_who_is_linked_elsewhere():
    """Two slaves with copies of one directory."""
    copy = why_not("a/1", "x", heard=[("c", None)])
    assert copy == f"{TWICE} c is linked with a at a:1 and a:2"
    assert why_not("a/1", "x", heard=[("b", ("y:1", "y:2"))]).startswith(TWICE)
    assert why_not("a/1", "x", heard=[("b", ("x:1", "x:2")), ("c", ("x:1", "x:2"))]) is None
    # One that joins goes by no map that says where slaves are.
    assert why_not("a/1", "x", heard=[("joiner", None)]) is None
    # Where the map has it, it may well be the right one: it is not told to end.
    assert why_not("a/1", "a", heard=[("c", ("x:1", "x:2"))]) == "c is linked with a at x:1 and x:2"
    assert why_not("a/1", "a", heard=[("c", None), ("b", ("a:1", "a:2"))]) is None


def test_only_who_knows_the_secret_says_that_another_one_runs_with_our_directory():
    words = f"{TWICE} c is linked with a"
    dialler = side("a/1", "b")
    with pytest.raises(PeerError) as refused:
        dialler.receive([words])
    assert not isinstance(refused.value, TwiceError)
    acceptor = side("b/2", None, challenge=b"2" * 16, objection=lambda *_: words)
    dialler = side("a/1", "b")
    with pytest.raises(PeerError, match="another slave runs with the data of this directory"):
        shake(dialler, acceptor)
    with pytest.raises(TwiceError):
        dialler.receive([words])


def test_an_acceptor_says_where_it_is_once_all_know_of_it():
    def told(is_told):
        seen = []
        ours = replace(INTRODUCTION, is_told_by_acceptor=is_told)
        acceptor = Handshake(ours, None, b"2" * 16)
        dialler = side("a/1", "b", objection=lambda *who: seen.append(who))
        shake(dialler, acceptor)
        assert acceptor.place == ("host:1", "host:2")
        return dialler.place, seen

    assert told(False) == (None, [])
    assert told(True) == (("b:1", "b:2"), [("b/2", ("b:1", "b:2"))])


def test_one_that_has_moved_looks_for_the_others_also_where_its_file_has_them():
    born = first_map(nodes("a", "b", "c"), 3, 3, dict.fromkeys("abc", "1"))
    rows = [NodeAddress(id_, Address(at, 1), Address(at, 2)) for id_, at in ("ax", "by", "cb")]
    found = whom_to_dial(OwnFile(rows[0], [Address("seed", 2)], rows), born)
    # Where b was is c now, or still b.
    assert found == {"b:2": "", "y:2": "b", "c:2": "c", "seed:2": ""}
    stays = NodeAddress("a", Address("a", 1), Address("a", 2))
    assert whom_to_dial(OwnFile(stays, [], [stays, *rows[1:]]), born) == {}
    lonely = whom_to_dial(OwnFile(stays, [], [stays, *rows[1:]]), born, is_lonely=True)
    assert lonely == {"b:2": "", "y:2": "b", "c:2": "c"}
    swapped = NodeAddress("a", Address("b", 1), Address("b", 2))
    assert "b:2" not in whom_to_dial(OwnFile(swapped), born)  # that is us


def test_one_that_has_moved_takes_part_when_all_have_let_it_in():
    born = first_map(nodes("a", "b", "c"), 3, 3, dict.fromkeys("abc", "1"))
    assert is_elsewhere("a", ("x:1", "x:2"), born) and not is_elsewhere("a", ("a:1", "a:2"), born)
    assert not is_elsewhere("new", ("x:1", "x:2"), born)
    arrival = Arrival(0.0, "a", born)
    assert not arrival.is_over(1.0, ["b"], is_refused=False)
    assert arrival.is_over(1.0, ["b", "c"], is_refused=False)
    assert arrival.is_over(ALONE_S, ["b"], is_refused=False)
    assert not arrival.is_over(ALONE_S, ["b"], is_refused=True)
    lost = replace(born, nodes={**born.nodes, "c": replace(born.nodes["c"], status="down")})
    assert Arrival(0.0, "a", lost).is_over(1.0, ["b"], is_refused=False)


def test_a_slave_that_is_told_for_long_that_it_is_a_copy_is_one():
    refusals = Refusals(3.0)
    assert not refusals.is_recent(0.0) and not refusals.are_final(0.0)
    for now in range(15):
        refusals.refused(float(now))
        assert refusals.is_recent(now) and not refusals.are_final(now)
    refusals.refused(15.0)
    assert refusals.are_final(15.0) and not refusals.is_recent(15.1 + GAP_S)
    refusals.refused(16.0 + GAP_S)  # long after
    assert not refusals.are_final(16.0 + GAP_S)


def test_strangers_of_one_address_drive_out_each_other_only():
    strangers = Strangers()
    assert strangers.admit("peer", "peer") is None
    crowd = [f"idle{n}" for n in range(1000)]
    gone = [strangers.admit(each, "crowd") for each in crowd]
    assert gone == [None] * AN_ADDRESS_MAX + crowd[: 1000 - AN_ADDRESS_MAX]
    assert "peer" in strangers and len(strangers) == AN_ADDRESS_MAX + 1


def test_strangers_of_many_addresses_drive_out_the_oldest_of_the_most():
    strangers = Strangers()
    for n in range(STRANGERS_MAX // 32):
        for each in range(32):
            assert strangers.admit((n, each), f"host{n}") is None
    strangers.discard((0, 0))
    assert strangers.admit("first", "host1") is None
    assert strangers.admit("peer", "peer") == (1, 0)
    assert len(strangers) == STRANGERS_MAX


@pytest.mark.parametrize("position", range(2))
def test_an_opening_that_is_nested_as_deep_as_msgpack_allows_is_refused(position):
    """To say what it was would end the slave with a RecursionError."""
    deep = []
    for _ in range(1000):
        deep = [deep]
    opening = list(side("a/1", "b").opening())
    opening[position] = deep
    with pytest.raises(PeerError):
        side("b/2", None).receive(opening)
    with pytest.raises(PeerError):
        side("b/2", "a").receive(opening)
