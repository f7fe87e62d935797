"""The ring and its healing as they are drawn, on statuses alone."""

import copy
from typing import Any

import pytest
from rich.console import Console, RenderableType

from distrodb.master import healing, render

NODES = ["node1", "node2", "node3", "node4", "node5"]


def status_of(*gone: str, known: str = "down", **more: Any) -> dict[str, Any]:
    """Five slaves and ten partitions; those that are gone are `known` as that, out of the ring."""
    ring = [node for node in NODES if node not in gone]
    return {
        "epoch": 7,
        "ring": ring,
        "nodes": {
            node: {
                "status": known if node in gone else "up",
                "client": f"127.0.0.1:5555{n}",
                "peer": f"127.0.0.1:5655{n}",
            }
            for n, node in enumerate(NODES, 1)
        },
        "partitions": [
            {
                "id": n,
                "slots": [n, n],
                "owner": ring[n % len(ring)],
                "group": [ring[(n + by) % len(ring)] for by in (-1, 0, 1)],
                "leader": ring[0],
                "term": 1,
            }
            for n in range(10)
        ],
        **more,
    }


def under_way() -> dict[str, Any]:
    return status_of(
        "node3",
        controller="node1",
        replicas=3,
        healing={
            "is_done": False,
            "is_map_moving": True,
            "moving": [3],
            "waiting": [4, 5, 6, 8],
            "stuck": [9],
        },
        moves=[
            {
                "group": 3,
                "from": ["node3"],
                "to": ["node4"],
                "done": 12_300_000,
                "total": 40_000_000,
            },
            {"group": "map", "from": ["node3"], "to": ["node5"], "done": 0, "total": 0},
        ],
    )


def text_of(renderable: RenderableType, width: int = 80) -> str:
    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


@pytest.mark.parametrize(
    ("status", "drawn"),
    [
        (status_of(), "node1 → node2 → node3 → node4 → node5 → node1"),
        (status_of("node3"), "node1 → node2 ⇢ (node3 down) ⇢ node4 → node5 → node1"),
        (status_of("node1"), "(node1 down) ⇢ node2 → node3 → node4 → node5 ⇢ (node1 down)"),
        (
            status_of("node4", "node5", known="leaving"),
            "node1 → node2 → node3 ⇢ (node4 leaving) ⇢ (node5 leaving) ⇢ node1",
        ),
        ({"ring": [], "nodes": {}}, "(empty)"),
        ({"ring": ["a"], "nodes": {"a": {"status": "up"}}}, "a → a"),
        ({"ring": [], "nodes": {"a": {"status": "joining"}}}, "(a joining) ⇢ (a joining)"),
        (
            # In the ring, though not plainly up: placement counts on it.
            {"ring": ["b", "a"], "nodes": {"a": {"status": "suspect"}, "b": {"status": "up"}}},
            "b → (a suspect) → b",
        ),
    ],
)
def test_the_circle_has_gaps(status: dict[str, Any], drawn: str) -> None:
    assert render.circle(status).plain == drawn


def test_each_slave_has_its_neighbours_and_what_moves() -> None:
    rows = [line.split() for line in text_of(render.ring_view(under_way())).splitlines()]
    assert rows[0] == ["epoch", "7,", "controller", "node1"]
    assert ["left", "node", "right", "status", "leads", "owns", "holds", "moves"] in rows
    assert ["node5", "node1", "node2", "up", "10", "3", "8"] in rows
    assert ["node3", "down", "0", "0", "0", "-3", "-map"] in rows
    assert ["node2", "node4", "node5", "up", "0", "2", "7", "+3"] in rows
    assert ["node4", "node5", "node1", "up", "0", "2", "7", "+map"] in rows


def test_moves_are_below_the_ring() -> None:
    lines = text_of(render.ring_view(under_way())).splitlines()
    move = next(line for line in lines if line.startswith("partition 3"))
    assert move.startswith("partition 3: node3 → node4  ━")
    assert move.rstrip().endswith("12.3 / 40.0 MB")
    assert any(
        line.split() == ["cluster", "map:", "node3", "→", "node5", "not", "copying", "now"]
        for line in lines
    )
    assert "waiting for their turn: partitions 4-6 8" in lines
    assert "stuck until a slave comes back: partition 9" in lines


def test_a_bar_for_the_whole_and_a_word_when_nobody_answers() -> None:
    text = text_of(render.followed_view(under_way(), "no slave answers; trying again"))
    assert "4 of 10 partitions" in text
    assert "no slave answers; trying again" in text


def test_an_older_slave_s_status_has_nothing_to_heal() -> None:
    assert render.healing_view(status_of()) is None
    found = healing.healing_of(status_of())
    assert found.is_done
    assert found.settled == 10
    assert "controller" not in text_of(render.ring_view(status_of()))


def test_five_slaves_fit_into_80_columns() -> None:
    status = under_way()
    status["nodes"]["node5"]["status"] = "leaving"
    status["ring"].remove("node5")
    status["moves"] *= 2
    text = text_of(render.followed_view(status), width=1000)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80


def test_many_moves_are_cut_short() -> None:
    status = under_way()
    status["moves"] = [
        {"group": n, "from": ["node3"], "to": ["node4"], "done": 1, "total": 2} for n in range(1000)
    ]
    text = text_of(render.ring_view(status))
    assert text.count("partition ") == render.MOVES_SHOWN_MAX + 1  # the stuck one
    assert f"and {1000 - render.MOVES_SHOWN_MAX} more" in text


@pytest.mark.parametrize(
    ("move", "line"),
    [
        ({"group": 1, "from": [], "to": ["node4"]}, "partition 1: → node4"),
        ({"group": 1, "from": ["node2"], "to": []}, "partition 1: node2 →"),
        # The asked slave is new to the group.
        (
            {"group": 1, "from": [], "to": ["node1", "node2", "node3"]},
            "partition 1: on its way",
        ),
        ({"group": "map", "from": ["node2"], "to": ["node4"]}, "cluster map: node2 → node4"),
    ],
)
def test_a_move(move: dict[str, Any], line: str) -> None:
    view = render.healing_view(status_of(moves=[move]))
    assert view is not None
    assert text_of(view).startswith(line)


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [
        (0, 999, "0 / 999 B"),
        (500, 1000, "0.5 / 1.0 kB"),
        (12_300_000, 40_000_000, "12.3 / 40.0 MB"),
        (1, 2_500_000_000_000, "0.0 / 2500.0 GB"),
    ],
)
def test_bytes(done: int, total: int, text: str) -> None:
    assert healing.byte_count(done, total) == text


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([7], "7"), ([3, 1, 2], "1-3"), ([0, 1, 5, 7, 8], "0-1 5 7-8")]
)
def test_ranges(numbers: list[int], text: str) -> None:
    assert healing.ranges(numbers) == text


def test_what_a_slave_still_holds() -> None:
    status = under_way()
    assert healing.held_by(status, "node3") == [3]
    assert healing.copied_for(status, "node3") == (12_300_000, 40_000_000)
    assert healing.copied_for(status, "node1") == (0, 0)


def test_news_are_what_changes_but_for_bytes() -> None:
    status = under_way()
    line = healing.changes(status)
    assert line == (
        "4 of 10 partitions settled; moving: 3 map; waiting: 4-6 8; stuck: 9; node3 down"
    )
    later = copy.deepcopy(status)
    later["moves"][0]["done"] += 1
    assert healing.changes(later) == line
    later["nodes"]["node3"]["status"] = "up"
    assert healing.changes(later) != line
