"""Lines of the log: each has a name, and the docs have them all."""

import ast
import json
import logging
import re
import string
import sys
from pathlib import Path

import pytest

from distrodb.events import EVENTS, said
from distrodb.slave.log_format import as_json, as_logfmt, as_text, fields_of
from distrodb.slave.log_output import Formatter
from distrodb.slave.logging_limit import LimitedLog

ROOT = Path(__file__).parents[2]
FIRST = {"time", "level", "node", "event", "text", "do", "trace"}


def calls() -> list[tuple[str, set[str] | None]]:
    """Each place in the code that tells of an event: its name, and the fields that it gives."""
    found = []
    for path in (ROOT / "distrodb").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = node.args[0]
            if name in ("say", "_say", "said", "lead") and isinstance(
                getattr(first, "value", None), str
            ):
                fields = {keyword.arg for keyword in node.keywords}
                if path.parent.name == "raft":
                    fields = None if name == "lead" else fields | {"partition"}
                found.append((first.value, fields))
    return found


# Told by way of a table: of slaves' statuses, and of the disk.
BY_TABLE = {"slave_up", "slave_not_heard", "slave_down", "slave_leaving"}
BY_TABLE |= {"disk_has_room", "disk_nearly_full", "disk_full"}


def names_in(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field}


def test_each_event_is_told_somewhere_and_none_that_is_not_known():
    assert {name for name, _ in calls()} | BY_TABLE == set(EVENTS)
    assert not {name for name, _ in calls()} & BY_TABLE


def test_each_event_gets_the_fields_that_its_words_need():
    for name, fields in calls():
        if fields is not None:
            assert names_in(EVENTS[name].text) == fields, name
    for event in EVENTS.values():
        assert not names_in(event.text) & FIRST and re.fullmatch(r"[a-z_]+", event.name)


def test_the_log_is_written_by_events_alone():
    for path in (ROOT / "distrodb").rglob("*.py"):
        text = path.read_text()
        if path.name not in ("logging_limit.py", "log_output.py", "shell.py"):
            assert "import logging" not in text, path


def test_the_docs_have_each_event():
    section = (ROOT / "docs/monitoring.md").read_text().partition("## The log")[2]
    rows = [row for row in section.partition("\n## ")[0].splitlines() if row.startswith("| `")]
    table = {}
    for row in rows:
        _, names, level, fields, *_ = [cell.strip() for cell in row.split("|")]
        for name in re.findall(r"`(\w+)`", names):
            assert name not in table
            table[name] = level, set(re.findall(r"`(\w+)`", fields))
    assert set(table) == set(EVENTS)
    for name, event in EVENTS.items():
        assert table[name] == (event.level, names_in(event.text)), name


# -- formats ---------------------------------------------------------------------------------------


def record(happened, message=None, error=None) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    made = logging.LogRecord("x", logging.WARNING, "f", 1, message or str(happened), (), info)
    if happened is not None:
        made.said = happened
    return made


DOWN = said("slave_down", slave="node2")


def test_text_is_for_people():
    fields = fields_of(record(DOWN), "node1", "t", "")
    assert as_text(fields, "2026-11-28 05:00:00,123") == (
        "2026-11-28 05:00:00,123 node1 WARNING node2 is down: a majority does not hear it;"
        f" {EVENTS['slave_down'].do}"
    )


def test_json_and_logfmt_have_names_and_fields():
    line = Formatter("node1", "json").format(record(DOWN))
    read = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", read.pop("time"))
    assert read == {
        "level": "warning",
        "node": "node1",
        "event": "slave_down",
        "text": "node2 is down: a majority does not hear it",
        "do": EVENTS["slave_down"].do,
        "slave": "node2",
    }
    line = Formatter("node1", "logfmt").format(record(said("link_up", peer="node2/ab")))
    assert re.fullmatch(
        r'time=\S+Z level=warning node=node1 event=link_up text="link with node2/ab is up"'
        r" peer=node2/ab",
        line,
    )


@pytest.mark.parametrize(
    "value", ["", "a b", 'a"b', "a=b", "a\\b", "a\nb", "\x1b[31m", "ü", "\x00"]
)
def test_whatever_a_stranger_has_written_stays_in_its_field(value):
    happened = said("link_refused", peer="x", problem=value)
    made = record(happened, message=f"link with x closed: {value}")
    fields = fields_of(made, "node1", "t", "")
    lines = [as_json(fields), as_logfmt(fields), as_text(fields, "t")]
    assert all(line.isprintable() for line in lines if value.isprintable() or line != lines[0])
    assert all(len(line.splitlines()) == 1 for line in lines)
    assert json.loads(lines[0])["problem"] == value
    shown = re.search(r'problem=(".*"|\S*)$', lines[1]).group(1)
    assert (json.loads(shown) if shown.startswith('"') else shown) == value


def test_a_trace_is_one_field_and_a_library_s_line_is_one_too():
    try:
        raise KeyError("x")
    except KeyError as error:
        made = record(said("internal_error"), error=error)
    for form in ("json", "logfmt"):
        line = Formatter("node1", form).format(made)
        assert len(line.splitlines()) == 1 and "KeyError" in line and "trace" in line
    assert Formatter("node1", "text").format(made).splitlines()[-1] == "KeyError: 'x'"
    read = json.loads(Formatter("node1", "json").format(record(None, "something")))
    assert read["event"] == "other" and read["text"] == "something"


def test_what_was_left_out_is_told_in_each_format(caplog, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("distrodb.slave.logging_limit.monotonic", lambda: now[0])
    log = LimitedLog("distrodb.test")
    for _ in range(20):
        log.say("link_silent", "a", peer="a")
    now[0] = 100.0
    log.say("link_silent", "a", peer="a")
    assert (
        "more such lines" in json.loads(Formatter("n", "json").format(caplog.records[-1]))["text"]
    )


def test_a_trace_of_is_written(caplog):
    log = LimitedLog("distrodb.test")
    log.write(said("internal_error"), trace_of=ValueError("x"))
    assert caplog.records[-1].exc_info and caplog.records[-1].levelno == logging.CRITICAL
    assert sys.exc_info() == (None, None, None)
