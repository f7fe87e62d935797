"""An order to stand that outlives the lead of who gave it unseats a later leader: its lease lies.

a tells b to take over; an entry comes with the order, and b's disk is slow, so b waits.  a tells c
too (``Leadership.leave`` goes on with who is able), who leads in the next term.  b votes for c and
follows it, and still believed that its leader had asked it to stand: one or two election timeouts
later it unseated c, which had told nobody to, with the vote of a, who had promised c not to.
"""

import pytest

from distrodb.raft.elections import Elections
from distrodb.ring.clustermap import node_of
from distrodb.ring.slots import slot_of
from tests.sim.test_leases import EVERY_S, KEY, WATCHED_S, Story, _term
from tests.support.request import Asked


def unseated(seed: int) -> tuple[Story, bool]:
    story = Story(seed)
    cluster, old = story.cluster, story.cluster.slaves[story.old]
    group = old.core.groups[0]
    first, second = group.member.voters[:2]
    slow, new = node_of(first), node_of(second)
    term = group.member.term

    cluster.slaves[slow].slow_sync_s = 0.3
    assert group.member.transfer_leadership(old.now, [first])
    write = Asked(b"SET", KEY.encode(), b"0", slot=slot_of(KEY.encode()))
    old.core.submit(write, 0)
    old.turn_soon()
    cluster.run_until(lambda: write.is_answered)
    cluster.run(0.01)
    assert group.member.is_leader
    assert group.member.transfer_leadership(old.now, [second])
    old.core._schedule.touch(0)
    old.turn_soon()

    def member(node):
        return cluster.slaves[node].core.groups[0].member

    cluster.run_until(lambda: _term(cluster, new) == term + 1 and member(new).is_leader)
    # As if c were the owner: it does not give the lead back.
    cluster.slaves[new].core.groups[0].hand_over = lambda *args, **options: False
    story.old = new
    story.until = cluster.now + 10.0
    story._read()
    cluster.run_until(lambda: _term(cluster, slow) > term and member(slow).follows is not None)
    cluster.slaves[slow].slow_sync_s = 0.0
    at = cluster.now
    while cluster.now < at + 3.0 and _term(cluster, slow) == term + 1:
        cluster.run(0.0005)
    is_unseated = _term(cluster, slow) > term + 1
    if is_unseated:
        cluster.isolate(new)  # the moment that b stands
        story.began = cluster.now - EVERY_S
        story.until = cluster.now + WATCHED_S
        story._write(1)
        cluster.run_until(lambda: cluster.now >= story.until)
    return story, is_unseated


# When the slow one's disk and links are in time differs.
@pytest.mark.parametrize("seed", range(4))
def test_an_old_order_unseats_no_leader_that_did_not_give_it(seed):
    assert not unseated(seed)[1]


def test_who_goes_on_believing_it_is_noticed_and_so_are_the_stale_reads(monkeypatch):
    """``on_vote_request`` as it was: the term comes with pysyncobj's own handling."""

    def on_vote_request(self, peer, term, last_index, last_term, is_transfer):
        state = self._state
        if term < state.term:
            state.tell_newer_term(peer)
        elif state.log.may_vote and (is_transfer or not self._is_loyal()):
            state.library.take_vote_request(peer, term, last_index, last_term)
            state.changed()

    monkeypatch.setattr(Elections, "on_vote_request", on_vote_request)
    stories = [unseated(seed) for seed in range(6)]
    assert any(is_unseated for _, is_unseated in stories)
    assert any(story.stale for story, _ in stories)
