"""What the event loop tells of: what of it ends a slave, and what is logged."""

import pytest

from distrodb.slave import process
from distrodb.slave.logging_limit import LINES_AT_ONCE, LimitedLog


def test_an_exception_of_ours_ends_the_slave():
    error = KeyError("x")
    assert process.serious({"message": "a callback", "exception": error}) is error


@pytest.mark.parametrize(
    ("context", "line"),
    [
        ({"message": "Task was destroyed"}, "event loop: Task was destroyed"),
        ({"message": "accept", "exception": OSError(24, "full")}, "event loop: accept: [Errno 24]"),
        ({}, "event loop: None"),
    ],
)
def test_whatever_else_the_loop_tells_of_is_logged_at_a_bounded_rate(
    context, line, caplog, monkeypatch
):
    monkeypatch.setattr(process, "limited", LimitedLog("distrodb"))
    for _ in range(100):
        assert process.serious(context) is None
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == LINES_AT_ONCE and all(each.startswith(line) for each in lines)
