"""Who leads: votes, members that come back, leaders that are cut off, leaders of old terms."""

import pytest

from distrodb.raft import messages as m
from tests.library import ours, plain

# No PreVote, no stickiness: a member that was cut off unseats a healthy leader on its return.


def a_member_is_cut_off_for_a_minute(cluster):
    cluster.lead("a")
    term = cluster["a"].term
    cluster.cut("c")
    cluster.run(60.0, "a", "b")
    cluster.join("c")
    cluster.tick("c")  # before it has heard anybody
    cluster.settle()
    return cluster["a"].leads and cluster["a"].term == term


def test_plain_a_member_that_comes_back_unseats_the_leader():
    assert not a_member_is_cut_off_for_a_minute(plain.Cluster())


def test_ours_a_member_that_comes_back_follows_the_leader():
    assert a_member_is_cut_off_for_a_minute(ours.Cluster())


# The same through the order of a tick: a member that was stopped for a while (SIGSTOP, a slow
# disk) stands for election before it reads the heartbeats that wait for it.


def a_member_is_stopped_for_a_while(cluster):
    cluster.lead("a")
    term = cluster["a"].term
    for _ in range(20):
        cluster.tick("a")
        cluster.deliver("a", "b")
        cluster.deliver("b", "a")
    assert cluster.under_way("a", "c")
    cluster.tick("c")
    cluster.settle()
    return cluster["a"].leads and cluster["a"].term == term


def test_plain_a_member_stands_before_it_reads_what_waits():
    assert not a_member_is_stopped_for_a_while(plain.Cluster())


def test_ours_a_member_that_was_stopped_disturbs_nobody():
    assert a_member_is_stopped_for_a_while(ours.Cluster())


# Votes are counted twice.


def test_plain_a_repeated_vote_counts_twice():
    cluster = plain.Cluster("abcde")
    cluster.stand("a")
    cluster.deliver("a", "b")
    (vote,) = cluster.deliver("b", "a")
    cluster.hand_over("b", "a", vote)
    assert cluster["a"].leads  # with two votes of five


def test_ours_a_repeated_vote_counts_once():
    cluster = ours.Cluster("abcde")
    cluster.stand("a")
    for voter in "bc":
        cluster.deliver("a", voter)
        cluster.deliver(voter, "a")
    cluster.deliver("a", "b")
    (vote,) = cluster.deliver("b", "a")
    assert vote[1] == m.VOTE and not cluster["a"].leads
    cluster.hand_over("b", "a", vote)
    assert not cluster["a"].leads


# New: a vote counts whoever gives it, a stranger or a member that was removed.


def test_plain_the_vote_of_a_stranger_counts():
    cluster = plain.Cluster("abc")
    cluster.stand("a")
    cluster.hand_over("stranger", "a", {"type": "response_vote", "term": cluster["a"].term})
    assert cluster["a"].leads


def test_ours_the_vote_of_a_stranger_is_ignored():
    cluster = ours.Cluster("abc")
    cluster.stand("a")
    cluster.deliver("a", "b")
    cluster.deliver("b", "a")
    cluster.hand_over("stranger", "a", [ours.GROUP, m.VOTE, cluster["a"].term])
    assert not cluster["a"].leads


# A cut-off leader leads on for 30 seconds; one of an old term is never told.


def test_plain_a_leader_that_is_cut_off_leads_on():
    cluster = plain.Cluster().lead("a")
    cluster.cut("a")
    cluster.run(29.0, "a")
    assert cluster["a"].leads
    cluster.elect("b", "c")
    assert cluster["a"].leads and cluster["b"].leads


def test_ours_a_leader_that_is_cut_off_steps_down():
    cluster = ours.Cluster().lead("a")
    cluster.cut("a")
    cluster.run(ours.TIMEOUT_S * 1.2, "a")
    assert not cluster["a"].leads


def an_old_leader_speaks(cluster):
    """It has missed the election of another one; it is linked with the third member alone."""
    cluster.lead("a")
    cluster.cut("a")
    cluster.elect("b", "c")
    cluster.deliver("b", "c")
    cluster.join("a", "c")
    cluster.tick("a")
    assert cluster.deliver("a", "c")
    cluster.deliver("c", "a")
    return cluster["a"].leads


def test_plain_a_leader_of_an_old_term_is_not_told():
    assert an_old_leader_speaks(plain.Cluster())


def test_ours_a_leader_of_an_old_term_is_told():
    cluster = ours.Cluster().lead("a")
    cluster.cut("a")
    cluster.elect("b", "c")
    cluster.deliver("b", "c")
    cluster.join("a", "c")  # which makes it speak
    assert cluster["a"].leads and cluster.deliver("a", "c")
    assert [message[1] for message in cluster.deliver("c", "a")] == [m.STALE]
    assert not cluster["a"].leads


# New: any answer keeps a leader in office, even one that refuses, even one of an old term: acks
# carry no term, and ``lastResponseTime`` does not ask what they say.


def test_plain_an_ack_of_an_old_term_keeps_a_leader_in_office():
    cluster = plain.Cluster().lead("a")
    cluster.write("a", "x")
    cluster.deliver("a", "b")
    cluster.deliver("a", "c")
    (old,) = cluster.lose("b", "a")
    cluster.elect("c", "b")
    cluster.deliver("c", "a")
    cluster.elect("a", "b")
    cluster.cut("a")
    cluster.pass_time(29.0)
    cluster.hand_over("b", "a", old)
    cluster.tick("a", after_s=2.0)
    assert cluster["a"].leads


def test_ours_an_ack_of_an_old_term_keeps_nobody_in_office():
    cluster = ours.Cluster().lead("a")
    cluster.write("a", "x")
    cluster.deliver("a", "b")
    cluster.deliver("a", "c")
    (old,) = cluster.lose("b", "a")
    cluster.elect("c", "b")
    cluster.deliver("c", "a")
    cluster.elect("a", "b")
    cluster.cut("a")
    cluster.pass_time(ours.TIMEOUT_S * 0.9)
    cluster.hand_over("b", "a", old)
    cluster.tick("a", after_s=ours.TIMEOUT_S * 0.2)
    assert not cluster["a"].leads


# Leadership transfer.  New: the old leader goes on taking writes after it has asked another one to
# take over; what it takes then is lost, or its fate unknown.


def test_plain_a_leader_takes_writes_while_it_hands_over():
    cluster = plain.Cluster().lead("a")
    cluster["a"].transferLeadership(plain.Member("b"))
    outcome = cluster.write("a", "taken")
    cluster.deliver("a", "b", 1)
    cluster.tick("b")
    cluster.deliver("b", "a")
    cluster.deliver("b", "c")
    cluster.deliver("c", "b")
    cluster.settle()
    assert cluster["b"].leads and outcome.reason == plain.FAIL_REASON.DISCARDED


def test_ours_a_write_taken_while_handing_over_is_known_to_be_lost():
    """So it is handed back, which means that the client is sent to the new leader."""
    cluster = ours.Cluster().lead("a")
    cluster["a"].member.transfer_leadership(cluster.now, ["b"])
    call = cluster.ask("a", b"PUT", b"taken")
    cluster.deliver("a", "b", 1)
    cluster.deliver("b", "a")
    cluster.deliver("b", "c")
    cluster.deliver("c", "b")
    cluster.settle()
    assert cluster["b"].leads and call.was_handed_back
    assert cluster.counts_of("taken") == [0, 0, 0]


def test_plain_and_ours_a_follower_that_lags_is_not_handed_leadership():
    for cluster in plain.Cluster().lead("a"), ours.Cluster().lead("a"):
        cluster.cut("b")
        cluster.write("a", "not at b")
        cluster.join("b")
        if isinstance(cluster, plain.Cluster):
            cluster["a"].transferLeadership(plain.Member("b"))
        else:
            cluster["a"].member.transfer_leadership(cluster.now, ["b"])
        kinds = {cluster.kind(message) for message in cluster.links["a", "b"]}
        assert not kinds & {"timeout_now", m.TIMEOUT_NOW}


# Our own PreVote, where it could fail.


def test_ours_a_pre_vote_that_comes_after_the_leader_was_heard_does_not_count():
    """Heartbeats come late for a while, as after a stall; then c hears the leader, and only
    afterwards the answer to what it had asked before."""
    cluster = ours.Cluster().lead("a")
    term = cluster["a"].term
    cluster.tick("a")
    cluster.deliver("a", "b")
    cluster.pass_time(ours.TIMEOUT_S * 0.6)
    cluster.deliver("b", "a")  # so a is in office for another timeout
    cluster.pass_time(ours.TIMEOUT_S * 0.5)
    cluster.stand("c")
    cluster.deliver("c", "b")
    assert cluster.under_way("b", "c", m.PREVOTE)
    cluster.tick("a", after_s=0.0)
    cluster.deliver("a", "b")
    cluster.deliver("a", "c")
    assert cluster["a"].leads and cluster["c"].member.leader == "a"
    cluster.deliver("b", "c")
    cluster.settle()
    assert cluster["a"].leads and cluster["a"].term == term


# Two of three are left, so both must agree; disks that are slower than the election timeout.

DISK_S = 6 * ours.TIMEOUT_S


def two_of_three():
    """b and c, who have not heard a leader for a while.  Neither wants to stand yet."""
    cluster = ours.Cluster().lead("a")
    cluster.cut("a")
    cluster.pass_time(ours.TIMEOUT_S * 1.01)
    cluster["b"].be_patient()
    cluster["c"].be_patient()
    return cluster


def asks(cluster, name, other):
    return cluster.under_way(name, other, m.PREVOTE_REQUEST)


def comes_to_ask(cluster, name, within_s, other="c"):
    until = cluster.now + within_s
    while cluster.now < until and not asks(cluster, name, other):
        cluster.tick(name, after_s=0.025)
    return asks(cluster, name, other)


def one_stands_while_its_disk_hangs():
    """That is b, with c's pre-vote."""
    cluster = two_of_three()
    cluster.stand("b")
    cluster.deliver("b", "c")
    cluster["b"].disk_is_held = True
    cluster.deliver("c", "b")
    return cluster


def test_ours_who_grants_a_pre_vote_leaves_the_other_the_time_to_stand():
    """Else both stand in the same term, and vote for themselves."""
    cluster = two_of_three()
    term = cluster["c"].term
    cluster.stand("b")
    cluster["c"].member.stand_at_once(cluster.now)
    cluster.deliver("b", "c")
    cluster.tick("c", after_s=0.001)
    assert not asks(cluster, "c", "b") and cluster["c"].term == term
    for _ in range(2):
        cluster.deliver("c", "b")
        cluster.deliver("b", "c")
    cluster.deliver("c", "b")
    assert cluster["b"].leads and cluster["b"].term == term + 1


def test_ours_who_asked_at_the_same_time_does_not_stand_on_what_comes_back():
    cluster = two_of_three()
    term = cluster["c"].term
    cluster.stand("b")
    cluster.stand("c")
    cluster.deliver("b", "c")
    cluster.deliver("c", "b", 1)
    cluster.deliver("c", "b")
    cluster.deliver("b", "c")
    assert cluster["b"].term == cluster["c"].term == term
    cluster.run(ours.ELECTION_S, "b", "c")
    assert [cluster[name].leads for name in "bc"].count(True) == 1


def test_ours_nobody_stands_aside_for_ever():
    """For one that asks again and again, and is not heard to be answered."""
    cluster = two_of_three()
    cluster.stand("b")
    cluster["c"].member.stand_at_once(cluster.now)
    cluster.deliver("b", "c")
    for _ in range(200):
        cluster.lose("c", "b")
        cluster.tick("b", "c", after_s=0.005)
        cluster.deliver("b", "c")
        if asks(cluster, "c", "b"):
            break
    assert asks(cluster, "c", "b")
    cluster.run(ours.ELECTION_S, "b", "c")
    assert [cluster[name].leads for name in "bc"].count(True) == 1


def test_ours_who_stands_aside_is_handed_the_lead_at_once():
    cluster = ours.Cluster().lead("a")
    term = cluster["a"].term
    cluster.cut("c", "a")
    cluster.pass_time(ours.TIMEOUT_S * 1.01)
    cluster.stand("c")
    cluster.deliver("c", "b")  # which stands aside
    cluster["a"].member._replication.heartbeat()
    cluster["a"].collect()
    cluster.deliver("a", "b")
    cluster.deliver("b", "a")
    assert cluster["a"].member.transfer_leadership(cluster.now, ["b"])
    cluster["a"].collect()
    cluster.deliver("a", "b")
    cluster.deliver("b", "a")
    cluster.deliver("a", "b")
    assert cluster["b"].leads and cluster["b"].term == term + 1


def test_ours_a_candidate_whose_disk_was_late_waits_for_votes_from_then_on():
    """The votes come from disks that are as late; stood it again, they would be of an old term."""
    cluster = one_stands_while_its_disk_hangs()
    term = cluster["b"].term
    assert term == cluster["c"].term + 1
    for _ in range(round(DISK_S / 0.05)):
        cluster.tick("b", after_s=0.05)
        cluster.deliver("b", "c")
        cluster.deliver("c", "b")
    cluster["b"].disk_is_held = False
    for _ in range(round(DISK_S / 0.05)):
        cluster.tick("b", after_s=0.05)
    assert cluster["b"].term == term and not asks(cluster, "b", "c")
    cluster.deliver("b", "c")
    cluster.deliver("c", "b")
    assert cluster["b"].leads and cluster["b"].term == term


def test_ours_a_voter_whose_disk_was_late_waits_for_the_leader_from_then_on():
    cluster = two_of_three()
    cluster.stand("b")
    cluster.deliver("b", "c")
    cluster.deliver("c", "b")
    cluster["c"].disk_is_held = True
    cluster.deliver("b", "c")
    for _ in range(round(DISK_S / 0.05)):
        cluster.tick("c", after_s=0.05)
    cluster["c"].disk_is_held = False
    for _ in range(round(ours.TIMEOUT_S / 0.05)):
        cluster.tick("c", after_s=0.05)
    assert not asks(cluster, "c", "b")
    cluster.deliver("c", "b")
    assert cluster["b"].leads


def test_ours_a_disk_that_hung_for_minutes_is_not_waited_for_as_long_again():
    cluster = one_stands_while_its_disk_hangs()
    cluster.tick("b", after_s=1.0)  # it wants to stand again
    cluster.pass_time(600.0)
    cluster["b"].disk_is_held = False
    assert comes_to_ask(cluster, "b", ours.TIMEOUT_S * 25)


def test_ours_what_a_leader_said_when_it_stood_tells_nothing_of_its_disk_now():
    cluster = ours.Cluster().lead("a")
    cluster.run(60.0, "a", "b", "c")
    cluster["a"].disk_is_held = True
    cluster["a"].member._state.enter_term(cluster["a"].term + 1)
    cluster.tick("a", after_s=ours.ELECTION_S)  # it wants to stand
    cluster["a"].disk_is_held = False
    assert comes_to_ask(cluster, "a", ours.TIMEOUT_S, "b")


def test_ours_a_leader_is_not_ready_while_it_is_told_that_it_leads():
    """``role_changed`` runs inside pysyncobj's __setState, when __noopIDx is still that of an
    earlier leadership, or None.  Nobody asks then at present."""
    cluster = ours.Cluster()
    seen = []
    changed = cluster["a"].member.role_changed
    cluster["a"].member.role_changed = lambda: (
        seen.append(cluster["a"].member.is_ready),
        changed(),
    )
    cluster.elect("a")
    assert seen and not any(seen)


def test_ours_a_vote_of_long_ago_says_nothing_of_the_disk_now():
    """It was on disk at once.  A moment before its voter wants to stand its disk has something else
    to write."""
    cluster = two_of_three()
    elections = cluster["c"].member._elections
    cluster.stand("b")
    cluster.deliver("b", "c")
    cluster.deliver("c", "b")
    cluster.deliver("b", "c")
    cluster.join("c", "a")
    for pair in ("a", "c"), ("c", "a"):
        cluster.lose(*pair)
    cluster.pass_time(elections.deadline - cluster.now - 0.005)
    cluster["c"].disk_is_held = True
    cluster["c"].member._state.enter_term(cluster["c"].term + 1)
    cluster.tick("c", after_s=0.006)
    cluster["c"].disk_is_held = False
    assert comes_to_ask(cluster, "c", ours.TIMEOUT_S, "a")


def hears_a_pre_vote_request(cluster, name, peer, term):
    log = cluster[name].journal
    message = [ours.GROUP, m.PREVOTE_REQUEST, term, log.last_index, log.last_term]
    cluster[name].member.receive(cluster.now, peer, message)


def test_ours_two_who_ask_in_turn_in_different_terms_keep_no_third_one_aside():
    cluster = two_of_three()
    term = cluster["c"].term
    cluster["c"].member.stand_at_once(cluster.now)
    for number in range(100):
        hears_a_pre_vote_request(cluster, "c", "b", term + 1 + number % 2)
        cluster.tick("c", after_s=0.05)
        if asks(cluster, "c", "b"):
            break
    assert asks(cluster, "c", "b")


def test_ours_who_stands_aside_does_not_stand_sooner_for_it():
    cluster = two_of_three()
    before = cluster["c"].member._elections.deadline
    hears_a_pre_vote_request(cluster, "c", "b", cluster["c"].term + 1)
    assert cluster["c"].member._elections.deadline >= before


def test_ours_who_knows_that_disks_are_slow_stands_aside_for_longer():
    cluster = one_stands_while_its_disk_hangs()
    cluster.tick("b", after_s=1.0)
    cluster.pass_time(DISK_S)
    cluster["b"].disk_is_held = False
    for _ in range(2):
        cluster.tick("b", after_s=0.05)
    cluster["b"].member.stand_at_once(cluster.now)
    hears_a_pre_vote_request(cluster, "b", "c", cluster["b"].term + 1)
    assert cluster["b"].member._elections.deadline - cluster.now > DISK_S


def test_ours_what_was_learned_without_a_leader_is_forgotten_with_one():
    """How long disks take, and for whom it stood aside."""
    cluster = two_of_three()
    elections, member = cluster["c"].member._elections, cluster["c"].member
    elections._learned.disks_s = DISK_S
    hears_a_pre_vote_request(cluster, "c", "b", cluster["c"].term + 1)
    elections.heard_leader()
    cluster.pass_time(ours.TIMEOUT_S * 1.01)
    member.stand_at_once(cluster.now)
    hears_a_pre_vote_request(cluster, "c", "b", cluster["c"].term + 1)
    assert 0 < elections.deadline - cluster.now < ours.TIMEOUT_S


@pytest.mark.parametrize("is_vote", [True, False])
def test_ours_nobody_waits_for_a_candidate_whose_link_breaks(is_vote):
    cluster = two_of_three()
    cluster.stand("b")
    cluster.deliver("b", "c")
    if is_vote:
        cluster.deliver("c", "b")
        cluster.deliver("b", "c")
    elections = cluster["c"].member._elections
    cluster["c"].member.link_down(cluster.now, "b", 0.01)
    assert elections.deadline <= cluster.now + 0.01


def hears_a_vote_request(cluster, name, peer, term, is_transfer=False):
    log = cluster[name].journal
    message = [ours.GROUP, m.VOTE_REQUEST, term, log.last_index, log.last_term, is_transfer]
    cluster[name].member.receive(cluster.now, peer, message)
    cluster[name].turn()


def four_of_five():
    """They have not heard their leader, a, for a while.  None of them wants to stand yet."""
    cluster = ours.Cluster("abcde").lead("a")
    cluster.cut("a")
    cluster.pass_time(ours.TIMEOUT_S * 1.01)
    for name in "bcde":
        cluster[name].be_patient()
    return cluster


@pytest.mark.parametrize("is_on_disk", [True, False])
def test_ours_a_late_candidacy_says_nothing_of_a_vote_that_came_after_it(is_on_disk):
    cluster = one_stands_while_its_disk_hangs()
    cluster.tick("b", after_s=ours.TIMEOUT_S * 0.6)  # it wants to stand again
    if is_on_disk:
        cluster["b"].disk_is_held = False
        cluster["b"].turn()
    hears_a_vote_request(cluster, "b", "c", cluster["b"].term + 1)
    cluster["b"].disk_is_held = False
    cluster.tick("b", after_s=0.01)
    assert comes_to_ask(cluster, "b", ours.TIMEOUT_S * 2.2)


def test_ours_a_candidacy_that_a_newer_term_has_ended_is_not_waited_for():
    cluster = one_stands_while_its_disk_hangs()
    for _ in range(round(DISK_S / 0.05)):
        cluster.tick("b", after_s=0.05)
    cluster["b"].disk_is_held = False
    cluster["b"].turn()
    cluster["b"].member._state.enter_term(cluster["b"].term + 1)
    assert comes_to_ask(cluster, "b", ours.TIMEOUT_S)


def test_ours_who_voted_and_stood_aside_for_another_sees_its_candidate_die():
    cluster = four_of_five()
    term, elections = cluster["c"].term, cluster["c"].member._elections
    hears_a_vote_request(cluster, "c", "b", term + 1)
    hears_a_pre_vote_request(cluster, "c", "d", term + 2)
    cluster["c"].member.link_down(cluster.now, "b", 0.01)
    assert elections.deadline <= cluster.now + 0.01


def test_ours_who_voted_and_stood_aside_for_another_that_dies_waits_for_its_candidate():
    cluster = four_of_five()
    term, elections = cluster["c"].term, cluster["c"].member._elections
    hears_a_vote_request(cluster, "c", "b", term + 1)
    elections._learned.disks_s = DISK_S
    before = elections.deadline
    hears_a_pre_vote_request(cluster, "c", "d", term + 2)
    assert elections.deadline > before
    cluster["c"].member.link_down(cluster.now, "d", 0.01)
    assert elections.deadline == before


def test_ours_who_has_not_yet_on_disk_what_it_gave_grants_nothing_more():
    """What it gave would be void, though it is paid for."""
    cluster = four_of_five()
    term = cluster["d"].term
    cluster["d"].disk_is_held = True
    hears_a_vote_request(cluster, "d", "b", term + 1)
    for is_held in (True, False):
        cluster["d"].disk_is_held = is_held
        cluster["d"].turn()
        hears_a_pre_vote_request(cluster, "d", "c", term + 2)
        cluster["d"].turn()
        assert bool(cluster.under_way("d", "c", m.PREVOTE)) != is_held


def test_ours_nobody_is_bound_to_the_leader_of_an_older_term():
    """It told b to take over, all have voted for b, and b dies."""
    cluster = ours.Cluster("abcde").lead("a")
    cluster.settle()
    term = cluster["c"].term
    for name in "acde":
        hears_a_vote_request(cluster, name, "b", term + 1, is_transfer=True)
    for name in "acde":
        assert not cluster[name].member._elections.hears_leader()
