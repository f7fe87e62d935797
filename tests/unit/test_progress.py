"""What a leader believes that a follower knows of the commit index: never more than it does."""

from distrodb.raft.progress import Progress


def told(since: int = 0) -> Progress:
    return Progress(0.0, 1, since)


def test_who_takes_an_append_knows_what_it_said_as_far_as_it_matches():
    progress = told()
    progress.tell_commit(9, 1)
    progress.answered(0.0, 1, 7)
    assert progress.commit_told == 7
    progress.answered(0.0, 1, 12)
    assert progress.commit_told == 9


def test_who_refuses_an_append_has_heard_nothing():
    progress = told()
    progress.tell_commit(9, 1)
    progress.answered(0.0, 1, 0)
    assert progress.commit_told == 0 and progress.answered_round == 1
    progress.answered(0.0, 1, 9)  # a later append of that round, which says as much
    assert progress.commit_told == 9


def test_the_answer_to_an_earlier_append_of_the_same_round_says_nothing_of_a_later_one():
    progress = told()
    progress.tell_commit(5, 1)
    progress.tell_commit(9, 1)
    progress.answered(0.0, 1, 9)
    assert progress.commit_told == 5
    progress.tell_commit(9, 2)
    progress.answered(0.0, 1, 9)  # a duplicate
    assert progress.commit_told == 5
    progress.answered(0.0, 2, 9)
    assert progress.commit_told == 9


def test_what_was_answered_on_a_lost_link_or_in_an_earlier_life_does_not_count():
    progress = told()
    progress.tell_commit(9, 3)
    progress.link_lost(0)
    progress.tell_commit(9, 3)
    progress.answered(0.0, 3, 9)
    assert progress.commit_told == 0
    progress = told(since=3)  # it is being taught anew
    progress.tell_commit(9, 3)
    progress.answered(0.0, 3, 9)
    assert progress.commit_told == 0
    progress.tell_commit(9, 4)
    progress.answered(0.0, 4, 9)
    assert progress.commit_told == 9
