"""How lines of the log look: text for people, logfmt or JSON for programs; one line each.  Pure.

Every line has the same first fields: ``time`` (UTC), ``level``, ``node``, ``event``, ``text``, and
``do`` where a person is to do something; then those of the event.  A trace of our own bug is a
field of its own, and in text the only thing that takes more than a line.

A line that is none of ours (a library's) has the event ``other``.
"""

import json
from collections.abc import Iterable
from typing import Protocol

from distrodb.events import Said

FORMATS = ("text", "logfmt", "json")
OTHER = "other"
_FIRST = ("time", "level", "node", "event", "text", "do", "trace")


class Record(Protocol):
    """The part of a ``logging.LogRecord`` that is used."""

    levelname: str

    def getMessage(self) -> str: ...  # noqa: N802


def fields_of(record: Record, node: str, time: str, trace: str) -> dict[str, object]:
    """In the order in which they are written."""
    happened = getattr(record, "said", None)
    event = happened.event if isinstance(happened, Said) else None
    found: dict[str, object] = {
        "time": time,
        "level": record.levelname.lower(),
        "node": node,
        "event": OTHER if event is None else event.name,
        "text": record.getMessage(),
    }
    if event is not None and event.do:
        found["do"] = event.do
    if trace:
        found["trace"] = trace
    if isinstance(happened, Said):
        found |= {name: value for name, value in happened.fields.items() if name not in _FIRST}
    return found


def as_json(fields: dict[str, object]) -> str:
    return json.dumps(fields, ensure_ascii=False, default=str)


def as_logfmt(fields: dict[str, object]) -> str:
    return " ".join(f"{name}={_value(value)}" for name, value in fields.items())


def as_text(fields: dict[str, object], time: str) -> str:
    do = f"; {fields['do']}" if "do" in fields else ""
    level, node = str(fields["level"]).upper(), fields["node"]
    line = f"{time} {node} {level} {fields['text']}{do}"
    return "\n".join([one_line(line), *filter(None, [str(fields.get("trace", ""))])])


def one_line(text: str) -> str:
    """Nothing that somebody else has written begins a line of its own, or moves a cursor."""
    return text if text.isprintable() else "".join(_shown(text))


def _shown(text: str) -> Iterable[str]:
    return (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _value(value: object) -> str:
    text = str(value)
    is_plain = text != "" and text.isprintable() and not set(text) & set(' "=\\')
    return text if is_plain else json.dumps(text, ensure_ascii=False)
