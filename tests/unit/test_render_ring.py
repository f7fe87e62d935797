"""The ring and its healing as they are drawn, on statuses alone."""

import copy
from typing import Any

import pytest
from rich.console import Console, RenderableType

from distrodb.master import healing_status, render
from distrodb.ranges import ranges

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


def lost_majority() -> dict[str, Any]:
    """Nobody knows yet that they are down: who would say so is among them."""
    status = status_of(controller=None, replicas=3, map_group=NODES)
    for node in ("node3", "node4", "node5"):
        status["nodes"][node]["status"] = "suspect"
    for partition in status["partitions"]:
        partition["leader"] = "node1" if {"node1", "node2"} <= {*partition["group"]} else None
    return status


def text_of(
    renderable: RenderableType, width: int = 80, terminal: bool = False, soft_wrap: bool = False
) -> str:
    console = Console(
        width=width, color_system=None, force_terminal=terminal, _environ={"TERM": "xterm"}
    )
    with console.capture() as capture:
        console.print(renderable, soft_wrap=soft_wrap)
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
    assert "waiting: partitions 4-6 8" in lines
    assert "stuck until a slave comes back: partition 9" in lines


def test_a_bar_for_the_whole_and_a_word_when_nobody_answers() -> None:
    text = text_of(render.followed_view(under_way(), "no slave answers; trying again"))
    assert "4 of 10 partitions" in text
    assert "no slave answers; trying again" in text


def test_an_older_slave_s_status_has_nothing_to_heal() -> None:
    found = healing_status.Healing(status_of())
    assert render.moves(found) == []
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


def test_a_partition_without_a_leader_is_not_settled() -> None:
    """Three of five have died at once: nobody can act, and who is missing is said."""
    status = lost_majority()
    found = healing_status.Healing(status)
    assert (found.settled, found.stuck, found.is_map_lost) == (4, {2, 3, 4, 7, 8, 9, "map"}, True)
    said = healing_status.changes(status)
    assert said.startswith(
        "4 of 10 partitions settled; stuck without node3 node4 node5:"
        " partitions 2-4 7-9 and the cluster map;"
    )
    text = text_of(render.followed_view(status))
    assert "4 of 10 partitions" in text
    assert "stuck without node3 node4 node5: partitions 2-4 7-9 and the cluster map" in text


def test_an_election_is_no_loss() -> None:
    status = status_of(controller="node1")
    status["partitions"][3]["leader"] = None
    found = healing_status.Healing(status)
    assert (found.settled, found.stuck, found.absent) == (9, set(), [])
    assert (
        healing_status.changes(status)
        == "9 of 10 partitions settled; without a leader: partition 3"
    )
    assert "without a leader: partition 3" in text_of(render.ring_view(status))


def test_an_unborn_cluster_has_nothing_settled() -> None:
    status = {**lost_majority(), "epoch": 0}
    line = "the cluster is not born yet: its first start needs all of its slaves; start "
    assert healing_status.changes(status) == line + "node3 node4 node5"
    drawn = text_of(render.ring_view(status), width=200)
    assert line + "node3 node4 node5" in drawn and "without a leader" not in drawn
    status = {**status_of(), "epoch": 0}
    assert healing_status.unborn(status) == line.removesuffix("start ") + "they are meeting now"
    assert healing_status.unborn(status_of()) is None


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("status", [status_of(), under_way(), status_of("node3", "node4")])
def test_a_narrow_terminal_loses_columns_and_no_id(status: dict[str, Any], width: int) -> None:
    status["nodes"]["node1"]["slow_disk"] = True
    tables = {
        "nodes": (render.nodes_table(status, {"node1"}), ["127.0.0.1:55555", "slow disk"]),
        "partitions": (render.partitions_table(status), ["node1 node2"]),
        "where": (render.where_table(b"k" * 100, 1, status["partitions"][0]), ["group", "leader"]),
        "ring": (render.ring_view(status), ["node5", "status", "moves"]),
    }
    for name, (table, kept) in tables.items():
        text = text_of(table, width, terminal=True)
        assert max(map(len, text.splitlines())) <= width
        assert "…" not in text, name
        for word in kept:
            assert word in text, (name, text)
    text = text_of(tables["nodes"][0], width, terminal=True)
    assert ("peers" in text.splitlines()[0]) == (width > 80)
    assert ("not shown: peers" in text) == (width <= 80)


def test_a_pipe_has_all_columns() -> None:
    text = text_of(render.nodes_table(status_of(), set()), width=40, soft_wrap=True)
    assert "peers" in text
    assert "127.0.0.1:56555  2     0      6" in text


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
    (view,) = render.moves(healing_status.Healing(status_of(moves=[move])))
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
    assert render.byte_count(done, total) == text


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([7], "7"), ([3, 1, 2], "1-3"), ([0, 1, 5, 7, 8], "0-1 5 7-8")]
)
def test_ranges(numbers: list[int], text: str) -> None:
    assert ranges(numbers) == text


def test_what_a_slave_still_holds() -> None:
    status = under_way()
    assert healing_status.held_by(status, "node3") == {3}
    assert healing_status.held_by(status, "node1") == {0, 1, 3, 4, 5, 7, 8, 9}


def test_news_are_what_changes_but_for_bytes() -> None:
    status = under_way()
    line = healing_status.changes(status)
    assert line == (
        "4 of 10 partitions settled; moving: partition 3 and the cluster map;"
        " waiting: partitions 4-6 8;"
        " stuck until a slave comes back: partition 9; node3 down"
    )
    later = copy.deepcopy(status)
    later["moves"][0]["done"] += 1
    assert healing_status.changes(later) == line
    later["nodes"]["node3"]["status"] = "up"
    assert healing_status.changes(later) != line
