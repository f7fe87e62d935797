"""What the event loop tells of: what of it ends a slave, and what is logged."""

import asyncio
import math
from unittest import mock

import pytest

from distrodb.errors import DistrodbError, StorageError
from distrodb.events import said
from distrodb.slave import process
from distrodb.slave.logging_limit import LINES_AT_ONCE, RateLimit
from distrodb.slave.outgoing import Output


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
    monkeypatch.setattr(process.limited, "_limit", RateLimit())
    for _ in range(100):
        assert process.serious(context) is None
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == LINES_AT_ONCE and all(each.startswith(line) for each in lines)


def ends_with(context: dict) -> DistrodbError | None:
    """What a slave ends with when its loop tells of this."""

    async def main():
        loop = asyncio.get_running_loop()
        slave = object.__new__(process.SlaveProcess)
        slave._ended = loop.create_future()
        slave._on_error(loop, context)
        return slave._ended.exception() if slave._ended.done() else None

    return asyncio.run(main())


@pytest.mark.parametrize("context", [{"message": "Task was destroyed"}, {"exception": OSError(24)}])
def test_what_is_logged_does_not_end_a_slave(context):
    assert ends_with(context) is None


def test_an_error_with_a_line_of_its_own_ends_a_slave_with_that_line(caplog):
    error = StorageError("journal: is full")
    assert ends_with({"exception": error}) is error
    assert not caplog.records


def test_any_other_exception_is_an_internal_error_and_its_trace_is_logged(caplog):
    error = ends_with({"exception": KeyError("x")})
    assert str(error) == "internal error: KeyError('x'); the slave stops, its data is kept"
    (record,) = caplog.records
    assert record.getMessage() == "internal error" and record.exc_info


@pytest.mark.parametrize("log_format", ["text", "logfmt", "json"])
def test_what_ends_a_slave_is_an_event_where_programs_read_the_log(log_format, caplog, monkeypatch):
    """A snapshot that cannot be written, say; as text it is the last line of standard error."""
    error = StorageError("snapshots/1: cannot write: full")
    monkeypatch.setattr(process, "_run", mock.Mock(side_effect=error))
    monkeypatch.setattr(process.log_output, "begin", lambda _: None)
    with pytest.raises(StorageError):
        process.run(mock.Mock(log_format=log_format))
    wanted = [] if log_format == "text" else ["ends: snapshots/1: cannot write: full"]
    assert caplog.messages == wanted


def test_what_a_slave_warns_of_again_and_again_is_logged_at_a_bounded_rate(caplog, monkeypatch):
    """A snapshot that is always damaged, for one."""
    monkeypatch.setattr(process.limited, "_limit", RateLimit())

    async def main():
        slave = object.__new__(process.SlaveProcess)
        slave._ended = asyncio.get_running_loop().create_future()
        slave._links, slave._clients = mock.Mock(), mock.Mock(has_work=False)
        slave._disk = mock.Mock()
        slave._core = mock.Mock(has_work=False, next_due=math.inf)
        slave._followed, slave._wakes_at = slave._core.map, -math.inf
        for _ in range(100):
            slave._core.flush.return_value = Output(
                said=[
                    said("snapshot_refused", partition=n, slave="b", damage="bad") for n in (1, 2)
                ]
            )
            slave._turn()

    asyncio.run(main())
    lines = [record.getMessage() for record in caplog.records]
    both = [f"group {n}: the snapshot from b is refused: bad" for n in (1, 2)]
    assert lines == both * LINES_AT_ONCE
