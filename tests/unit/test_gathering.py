"""What is answered when a part of a command on several partitions has failed."""

import pytest

from distrodb.resp.reply import OK, ErrorReply
from distrodb.slave.gathering import worst

DOWN = ErrorReply(b"CLUSTERDOWN partition 3 has no leader that answers")
WRONG = ErrorReply(b"ERR the command was wrong")
UNKNOWN = ErrorReply(b"UNKNOWN it may have happened")
IN_PART = ErrorReply(
    b"UNKNOWN this write was done in part, and not where it was answered " + DOWN.text
)


@pytest.mark.parametrize(
    ("replies", "is_write", "answer"),
    [
        ([OK, OK], True, None),
        ([DOWN, DOWN], True, DOWN),
        ([OK, DOWN], True, IN_PART),  # "it did not happen" would not be true
        ([1, DOWN], False, DOWN),  # of a read nothing is left undone
        ([OK, WRONG], True, WRONG),
        ([DOWN, UNKNOWN], True, UNKNOWN),
    ],
)
def test_an_error_says_no_more_than_is_true_of_the_whole(replies, is_write, answer):
    assert worst(replies, is_write) == answer
