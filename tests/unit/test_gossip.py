"""What slaves tell each other each second."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.errors import PeerError
from distrodb.raft.journal import Configuration
from distrodb.ring.clustermap import first_map
from distrodb.slave.gossip import Copy, Gossip, Joiner, News

MAP = first_map([(n, f"{n}:1", f"{n}:2") for n in "abc"], 4, 3, dict.fromkeys("abc", "1"))
NEWS = News(
    7,
    leads={1: 3, 0xFFFE: 9},
    is_leaving=True,
    hears={"b": "1"},
    reports={1: Configuration(4, 2, ("a/1", "b/1"))},
    copies=(Copy(1, "c", 10, 20),),
    joiners={"d": Joiner("2", "d:1", "d:2")},
    is_born=False,
    map=MAP,
)


def test_news_come_back_as_they_were_sent():
    for news in (NEWS, News(0)):
        assert News.from_plain(json.loads(json.dumps(news.to_plain()))) == news


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.sampled_from(sorted(NEWS.to_plain())), anything)
def test_whatever_comes_it_is_news_or_refused(field, value):
    plain = {**NEWS.to_plain(), field: value}
    with contextlib.suppress(PeerError):
        News.from_plain(plain).to_plain()


@pytest.mark.parametrize("address", ["", "e", "e:", "e:x", "e:0", "e:65536", ":5"])
def test_a_joiner_without_an_address_is_refused(address):
    with pytest.raises(PeerError, match="is not an address"):
        News.from_plain(News(0, joiners={"e": Joiner("1", address, "e:2")}).to_plain())


@pytest.mark.parametrize("missing", ["epoch", "leads", "hears", "reports", "born"])
def test_a_missing_field_is_refused(missing):
    plain = NEWS.to_plain()
    del plain[missing]
    with pytest.raises(PeerError):
        News.from_plain(plain)


def test_what_a_joiner_says_of_itself_counts_most():
    gossip = Gossip()
    gossip.heard("d", News(0, joiners={"d": Joiner("new", "d:1", "d:2")}))
    gossip.heard(
        "a", News(1, joiners={"d": Joiner("old", "d:1", "d:2"), "e": Joiner("1", "e:1", "e:2")})
    )
    assert gossip.joiners["d"].incarnation == "new" and set(gossip.joiners) == {"d", "e"}
    gossip.lost("d")
    assert gossip.joiners["d"].incarnation == "old"
    gossip.lost("a")
    assert gossip.joiners == {}
