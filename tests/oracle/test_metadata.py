"""What COMMAND tells of each row, against what Redis tells of its own."""

from typing import Any

from distrodb.commands.command import Command
from distrodb.commands.table import COMMANDS
from tests.oracle.frames import Frame
from tests.oracle.ours import PureServer
from tests.oracle.redis_server import RedisServer

FIELDS = ["name", "arity", "flags", "first", "last", "step", "categories", "tips", "keys"]
Told = dict[str, Any]

# What our rows say otherwise than Redis' own, by row and field, and why.
MEANT: dict[tuple[str, str], str] = {
    ("zrank", "arity"): "WITHSCORE is of 7.2",
    ("zrevrank", "arity"): "WITHSCORE is of 7.2",
}
NOT_IN_REDIS = {"distrodb"}


def rows(table: dict[bytes, Command]) -> list[Command]:
    return [each for row in table.values() for each in (row, *row.subcommands.values())]


def told_by(frame: Frame) -> Told | None:
    """Of one command; None for one that is not known."""
    if frame[1] is None or frame[0] == b"_":
        return None
    fields = [_plain(field) for field in frame[1][: len(FIELDS)]]
    return dict(zip(FIELDS, fields, strict=True))


def _plain(frame: Frame) -> Any:
    """Sets in an order of ours."""
    kind, content = frame
    if kind == b"%":
        items = [_plain(item) for item in content]
        return dict(zip(items[::2], items[1::2], strict=True))
    if isinstance(content, list):
        items = [_plain(item) for item in content]
        return sorted(items) if kind == b"~" and all(type(i) is bytes for i in items) else items
    return content


def test_every_row_is_as_redis_has_it(single: RedisServer) -> None:
    theirs, ours = single.connect(), PureServer()
    for server in (theirs, ours):
        server.ask_all([[b"HELLO", b"3"]])
    every = rows(COMMANDS)
    asked = [[b"COMMAND", b"INFO", row.name.encode()] for row in every]
    both = zip(every, theirs.ask_all(asked), ours.ask_all(asked), strict=True)
    differences, compared = {}, 0
    for row, their, our in both:
        expected, said = told_by(their[1][0]), told_by(our[1][0])
        assert said is not None
        if expected is None:
            assert row.since > "7.0" or row.name in NOT_IN_REDIS, f"Redis knows no {row.name}"
            continue
        compared += 1
        for field in FIELDS:
            if said[field] != expected[field]:
                differences[row.name, field] = f"Redis {expected[field]}, ours {said[field]}"
    print(f"{compared} rows compared with COMMAND INFO, {len(MEANT)} fields are meant to differ")
    wrong = [f"{key}: {how}" for key, how in differences.items() if key not in MEANT]
    assert not wrong, "\n".join(wrong)
    assert set(MEANT) <= set(differences), "no difference any more"
