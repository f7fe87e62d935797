"""What is said of the copies that are left of a partition."""

from dataclasses import replace

from distrodb.backup.losses import Copy, judge
from distrodb.backup.recover import users_of
from distrodb.ring.clustermap import first_map

A, B, C, D = "a/1", "b/1", "c/1", "d/1"


def copy(holder: str, term: int, index: int, *members: str) -> Copy:
    return Copy(holder, (term, index), members)


def test_the_highest_position_wins_and_the_term_counts_first():
    longer, later = copy(A, 1, 90, A, B, C), copy(B, 2, 40, A, B, C)
    assert judge([longer, later]).best is later
    assert judge([longer, copy(B, 1, 91, A, B, C)]).best != longer


def test_with_a_majority_of_the_members_it_is_whole():
    verdict = judge([copy(A, 1, 9, A, B, C), copy(C, 1, 7, A, B, C)])
    assert verdict.is_whole and (verdict.here, verdict.missing) == (("a", "c"), ("b",))
    assert not judge([copy(A, 1, 9, A, B, C)]).is_whole
    assert not judge([copy(A, 1, 9, A, B)]).is_whole  # of two one is no majority


def test_members_are_those_that_the_best_copy_knows():
    """The others were told of a change later, or not."""
    verdict = judge([copy(A, 1, 9, A, B, C), copy(B, 2, 12, B, C, D)])
    assert (verdict.here, verdict.missing) == (("b",), ("c", "d")) and not verdict.is_whole


def test_a_slave_with_another_incarnation_does_not_count():
    verdict = judge([copy(A, 1, 9, A, B, C), copy("b/2", 1, 8, A, B, C)])
    assert verdict.here == ("a",) and not verdict.is_whole


def test_no_copy_is_none():
    verdict = judge([])
    assert verdict.best is None and not verdict.is_whole


def test_users_become_lines_that_redis_cli_reads_whatever_their_names():
    rows = [("a", "h:1", "h:11")]
    cluster_map = first_map(rows, 1, 1, {"a": "1"})
    users = {'o"\xff': "on nopass ~* -@all", "p": "off ~a (~b +get)"}
    cluster_map = replace(cluster_map, users=users)
    assert users_of(cluster_map) == (
        b'ACL SETUSER "o\\x22\\xff" "reset" "on" "nopass" "~*" "-@all"\n'
        b'ACL SETUSER "p" "reset" "off" "~a" "(~b" "+get)"\n'
    )
