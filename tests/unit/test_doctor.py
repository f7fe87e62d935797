"""What DOCTOR says: each thing that may be wrong, by a table of facts."""

import ast
import copy
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from distrodb.errors import DistrodbError, UnavailableError
from distrodb.master import doctor as master_doctor
from distrodb.master import render
from distrodb.slave.condition import (
    NO_PASSWORD,
    NO_SECRET,
    PEERS_REACHED,
    REACHED,
    SHORT_SECRET,
    UNPROTECTED,
    Condition,
)
from distrodb.slave.doctor import diagnosis as of
from distrodb.slave.doctor.facts import Facts
from distrodb.slave.doctor.finding import SEVERITIES

ROOT = Path(__file__).parents[2]
NOW_S = 1_700_000_000.0
DAY_S = 86400
NODES = ["node1", "node2", "node3", "node4", "node5"]
WELL = {
    "version": "1.0",
    "certificate_ends_s": int(NOW_S + 300 * DAY_S),
    "disk_free": 500 * 10**9,
    "disk_total": 1000 * 10**9,
    "data_max": 1000,
    "clients_max": 1000,
    "connections": 5,
    "connections_max": 100,
    "flags": frozenset({REACHED, PEERS_REACHED}),
    "settings": {"limits.databases": "16"},
}


def status_of(groups: int = 3, **changed: Any) -> dict[str, Any]:
    """Five slaves that are well, and a partition at each and its two neighbours."""
    around = [[NODES[(n + k) % 5] for k in range(groups)] for n in range(5)]
    status = {
        "asked": {
            "node": "node1",
            "waits_to_join": False,
            "not_yet_in": [],
            "replicas_of_file": 3,
        },
        "epoch": 3,
        "ring": NODES,
        "map_group": ["node1", "node2", "node3"],
        "controller": "node1",
        "replicas": 3,
        "healing": {
            "is_done": True,
            "moving": [],
            "waiting": [],
            "stuck": [],
            "is_map_moving": False,
        },
        "moves": [],
        "nodes": {node: {"status": "up", "slow_disk": False, "sync_ms": 3} for node in NODES},
        "partitions": [
            {"id": n, "owner": NODES[n], "group": group, "leader": NODES[n]}
            for n, group in enumerate(around)
        ],
    }
    return {**copy.deepcopy(status), **changed}


def diagnose(
    status: dict[str, Any] | None = None,
    skews_ms: dict[str, int] | None = None,
    node2: dict[str, Any] | None = None,
) -> list[dict[str, str]]:
    """``node2``: what is otherwise in what it tells of itself."""
    conditions = {node: Condition(**WELL) for node in NODES}
    conditions["node2"] = Condition(**{**WELL, **(node2 or {})})
    facts = Facts(status or status_of(), NOW_S, conditions, skews_ms or {"node2": 100})
    return [each.to_plain() for each in of.diagnosis(facts)]


def test_of_a_cluster_that_is_well_nothing_is_said():
    assert diagnose() == []


def down(*gone: str, word: str = "down", is_closed: bool = False) -> dict[str, Any]:
    status = status_of()
    for node in gone:
        status["nodes"][node]["status"] = word
    if is_closed:
        status["ring"] = [node for node in NODES if node not in gone]
        for row in status["partitions"]:
            place = NODES.index(row["owner"])
            row["group"] = [n for n in NODES[place:] + NODES[:place] if n not in gone][:3]
            row["leader"] = row["group"][0]
    return status


def with_partition(**changed: Any) -> dict[str, Any]:
    status = status_of()
    status["partitions"][2].update(changed)
    return status


def with_healing(**changed: Any) -> dict[str, Any]:
    status = status_of()
    status["healing"].update({"is_done": False, **changed})
    return status


def asked(**changed: Any) -> dict[str, Any]:
    return status_of(asked={**status_of()["asked"], **changed})


def slow() -> dict[str, Any]:
    status = status_of()
    status["nodes"]["node4"].update(slow_disk=True, sync_ms=1700)
    return status


def two_slaves() -> dict[str, Any]:
    status = down("node3", "node4", "node5", is_closed=True)
    return {**status, "map_group": ["node1", "node2"]}


def unknown() -> dict[str, Any]:
    status = status_of()
    del status["nodes"]["node1"]
    return status


# Facts; the code, severity and about of what is found; and words that are said of it.
CASES: list[tuple[dict[str, Any], tuple[str, str, str], str]] = [
    (
        {"status": down("node3", "node4", word="suspect")},
        ("no_majority", "error", "partitions 1-2"),
        "node3 node4 are down or not heard",
    ),
    ({"status": with_partition(leader=None)}, ("no_leader", "error", "partition 2"), "no leader"),
    (
        {"status": down("node2", "node3")},
        ("map_without_majority", "error", "the cluster map"),
        "node2 node3 are down",
    ),
    (
        {"status": status_of(controller=None)},
        ("map_without_leader", "error", "the cluster map"),
        "does not heal",
    ),
    (
        {"status": down("node2", is_closed=True)},
        ("slave_down", "warning", "node2"),
        "Its gap is closed. 1 more may die at once, 2 one after another.",
    ),
    (
        {"status": down("node2")},
        ("slave_down", "warning", "node2"),
        "not closed: 3 partitions have a copy less. No other slave may die now.",
    ),
    (
        {"status": down("node2", word="suspect")},
        ("slave_not_heard", "warning", "node2"),
        "node1 does not hear node2",
    ),
    (
        {"status": down("node2")},
        ("few_copies", "warning", "partitions 0-1 4"),
        "fewer than 3 copies",
    ),
    ({"status": two_slaves()}, ("few_slaves", "warning", "cluster"), "2 slaves that live"),
    (
        {"status": asked(replicas_of_file=5)},
        ("replicas_differ", "note", "cluster"),
        "say replicas = 5, and the cluster keeps 3",
    ),
    ({"status": status_of(replicas=1)}, ("few_replicas", "warning", "cluster"), "1 copy"),
    ({"status": status_of(replicas=2)}, ("few_replicas", "warning", "cluster"), "2 copies"),
    (
        {"status": with_healing(stuck=[4])},
        ("healing_stuck", "error", "partition 4"),
        "cannot be moved",
    ),
    (
        {
            "status": {
                **with_healing(moving=[1], waiting=[1, 2]),
                "moves": [{"group": 1, "done": 1500, "total": 3 * 10**9}],
            }
        },
        ("healing", "note", "cluster"),
        "1 group on the way, 1 waits; 1.5 kB of 3.0 GB are copied.",
    ),
    ({"status": slow()}, ("slow_disk", "warning", "node4"), "1700 ms"),
    (
        {"status": down("node4", word="leaving")},
        ("slave_leaving", "note", "node4"),
        "node4 is leaving",
    ),
    ({"status": asked(not_yet_in=[1, "map"])}, ("not_yet_in", "note", "node1"), "partition 1 and"),
    ({"status": unknown()}, ("not_in_map", "error", "node1"), "not one of"),
    ({"status": asked(waits_to_join=True)}, ("waits_to_join", "error", "node1"), "waits to be let"),
    (
        {"status": {**asked(waits_for_cluster=True), "epoch": 0}},
        ("waits_for_cluster", "error", "node1"),
        "is empty, and its file says",
    ),
    (
        {"status": {**down("node4", word="suspect"), "epoch": 0}},
        ("not_born", "error", "cluster"),
        "does not hear node4",
    ),
    (
        {"node2": {"disk_free": 49 * 10**9}},
        ("disk_nearly_full", "error", "node2"),
        "49.0 GB of 1.0 TB are free (4.9 %)",
    ),
    ({"node2": {"disk_free": 149 * 10**9}}, ("disk_nearly_full", "warning", "node2"), "14.9 %"),
    (
        {"node2": {"certificate_ends_s": int(NOW_S - 5)}},
        ("certificate_ends", "error", "node2"),
        "has ended",
    ),
    (
        {"node2": {"certificate_ends_s": int(NOW_S + 3 * DAY_S)}},
        ("certificate_ends", "warning", "node2"),
        "ends in 3.0 days",
    ),
    ({"skews_ms": {"node4": -2500}}, ("clock_apart", "warning", "node4"), "2.5 s behind that"),
    ({"skews_ms": {"node4": 2500}}, ("clock_apart", "warning", "node4"), "2.5 s ahead of that"),
    ({"node2": {"data": 850}}, ("memory_nearly_full", "warning", "node2"), "850 bytes"),
    ({"node2": {"data": 1001}}, ("memory_nearly_full", "error", "node2"), "are refused"),
    ({"node2": {"clients": 900}}, ("client_memory_nearly_full", "warning", "node2"), "closed"),
    ({"node2": {"connections": 90}}, ("connections_nearly_full", "warning", "node2"), "90 clients"),
    ({"node2": {"connections": 100}}, ("connections_nearly_full", "error", "node2"), "refused"),
    (
        {"node2": {"connections_wanted": 10000}},
        ("few_files", "warning", "node2"),
        "100 clients, not 10000",
    ),
    (
        {"node2": {"flags": frozenset({NO_SECRET, PEERS_REACHED})}},
        ("no_secret", "warning", "node2"),
        "whoever reaches",
    ),
    ({"node2": {"flags": frozenset({NO_SECRET})}}, ("no_secret", "note", "node2"), "own machine"),
    (
        {"node2": {"flags": frozenset({SHORT_SECRET, PEERS_REACHED})}},
        ("short_secret", "warning", "node2"),
        "is short",
    ),
    (
        {"node2": {"flags": frozenset({SHORT_SECRET})}},
        ("short_secret", "note", "node2"),
        "is short",
    ),
    (
        {"node2": {"flags": frozenset({UNPROTECTED, REACHED})}},
        ("unprotected", "warning", "node2"),
        "is off",
    ),
    (
        {"node2": {"flags": frozenset({NO_PASSWORD, REACHED})}},
        ("no_password", "warning", "node2"),
        "need no password",
    ),
    (
        {"node2": {"flags": frozenset({NO_PASSWORD})}},
        ("no_password", "note", "node2"),
        "own machine",
    ),
    (
        {"node2": {"version": "0.9"}},
        ("versions_differ", "warning", "cluster"),
        "0.9 at node2, 1.0 at node1 node3 node4 node5",
    ),
    (
        {"node2": {"settings": {"limits.databases": "32"}}},
        ("settings_differ", "warning", "limits.databases"),
        "16 at node1 node3 node4 node5, 32 at node2",
    ),
]


@pytest.mark.parametrize(
    "facts, found, words", CASES, ids=[f"{found[0]}-{found[1]}" for _, found, _ in CASES]
)
def test_what_is_wrong_is_found(facts, found, words):
    told = diagnose(**facts)
    (one,) = [each for each in told if each["code"] == found[0]]
    assert (one["code"], one["severity"], one["about"]) == found
    assert words in one["seen"] and one["seen"].endswith(".") and one["do"].endswith(".")


@pytest.mark.parametrize(
    ("skews_ms", "odd", "words"),
    [
        ({"node2": -3000, "node3": -3100, "node4": -2900}, ["node1"], "2.9 s ahead of most others"),
        ({"node2": 3000, "node3": 3100, "node4": 2900}, ["node1"], "behind most others"),
        ({"node2": 10, "node3": 5000, "node4": -20}, ["node3"], "5.0 s ahead of most others"),
        ({"node2": -3000, "node3": -3000}, ["node1"], "3.0 s ahead of most others"),
        ({"node2": -3000}, ["node2"], "3.0 s behind that of node1, as node1 sees it"),
        ({"node2": 0, "node3": -3000, "node4": -3000}, ["node3", "node4"], "behind others,"),
        ({"node2": 1900, "node3": -1900}, [], ""),
    ],
)
def test_the_odd_clock_is_named_and_not_all_others(skews_ms, odd, words):
    found = [each for each in diagnose(skews_ms=skews_ms) if each["code"] == "clock_apart"]
    assert [each["about"] for each in found] == odd
    assert all(words in each["seen"] for each in found)


def test_one_thing_that_is_wrong_of_a_slave_is_one_finding():
    for facts, _, _ in CASES:
        if "node2" in facts or "skews_ms" in facts:
            assert len(diagnose(**facts)) == 1


def test_who_has_no_leader_to_copy_from_is_not_told_to_wait():
    """Two of three started with empty directories: nothing gets better by itself."""
    for leader, controller, words in (
        (None, "node1", "Partition 2 has no leader to copy from."),
        ("node3", None, "The cluster map has no leader to copy from."),
        ("node3", "node1", "Wait; it gets its copies from their leaders."),
    ):
        status = {**asked(not_yet_in=[2, "map"]), "controller": controller}
        status["partitions"][2]["leader"] = leader
        found = {each["code"]: each["do"] for each in diagnose(status)}
        assert found["not_yet_in"].startswith(words)
        assert ("docs/operations.md" in found["not_yet_in"]) is (words[0] != "W")
        assert leader or "empty directories" in found["no_leader"]


@pytest.mark.parametrize(
    ("down", "emptied", "seen", "do"),
    [
        ([], ["node3", "node4"], "up without what it held (node3 node4).", "recover and restore"),
        (["node3"], ["node4"], "down (node3) or up without what it held (node4).", "Start node3 w"),
        ([], [], "nobody is there who could take a copy.", "Let a slave join."),
        (["node3"], [], "nobody is there who could take a copy.", "Start node3, or let another"),
    ],
)
def test_who_is_missing_where_partitions_are_stuck(down, emptied, seen, do):
    """Slaves that are up with new directories need not be started."""
    status = with_healing(stuck=[2])
    for node in NODES:
        status["nodes"][node]["incarnation"] = "new" if node in emptied else "old"
    for node in down:
        status["nodes"][node]["status"] = "down"
    status["partitions"][2]["members"] = [f"{node}/old" for node in ("node3", "node4", "node5")]
    (one,) = [each for each in diagnose(status) if each["code"] == "healing_stuck"]
    assert one["about"] == "partition 2" and one["seen"].endswith(seen) and do in one["do"]
    assert ("operations.md#a-majority-is-lost-for-good" in one["do"]) is bool(emptied)
    assert ("Start" in one["do"]) is bool(down)


def test_the_worst_is_first():
    status = {**slow(), "controller": None, "healing": with_healing(moving=[1])["healing"]}
    severities = [each["severity"] for each in diagnose(status)]
    assert severities == sorted(severities, key=SEVERITIES.index) and len(set(severities)) == 3


def test_a_slave_that_waits_says_nothing_of_a_cluster_that_it_does_not_know():
    status = {**down("node2", "node3"), "asked": asked(waits_to_join=True)["asked"]}
    assert [each["code"] for each in diagnose(status)] == ["waits_to_join"]


def test_slaves_that_tell_nothing_are_no_finding():
    facts = Facts(status_of(), NOW_S)
    assert of.diagnosis(facts) == []


def test_each_finding_has_a_case_and_a_line_in_the_docs():
    codes = set()
    for path in [
        *(ROOT / "distrodb/slave/doctor").glob("*.py"),
        ROOT / "distrodb/master/doctor.py",
    ]:
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
                if isinstance(node.args[0], ast.Constant):
                    codes.add(node.args[0].value)
        codes |= set(re.findall(r'"code": "(\w+)"', text))
    codes |= {"memory_nearly_full", "client_memory_nearly_full"}  # in a loop
    assert {found[0] for _, found, _ in CASES} == codes - {"no_answer"}
    section = (ROOT / "docs/monitoring.md").read_text().partition("## What is wrong")[2]
    rows = [row for row in section.partition("\n## ")[0].splitlines() if row.startswith("| `")]
    table = {code for row in rows for code in _codes(row.split("|")[1])}
    assert table == codes
    for _, (code, severity, _), _ in CASES:
        (row,) = [row for row in rows if f"`{code}`" in row.split("|")[1]]
        assert severity in row.split("|")[2], code


def _codes(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


# -- all slaves together ---------------------------------------------------------------------------


def finding(code: str, severity: str, about: str, seen: str = "") -> dict[str, str]:
    return {"code": code, "severity": severity, "about": about, "seen": seen, "do": "x"}


def test_what_several_tell_is_told_once():
    told = {
        "node1": [finding("a", "warning", "node2", "by node1"), finding("c", "note", "node1")],
        "node2": [finding("a", "warning", "node2", "by itself"), finding("b", "error", "node9")],
        "node3": [finding("b", "note", "node9"), finding("c", "note", "node1 node2")],
    }
    assert [(each["code"], each["seen"]) for each in master_doctor.merged(told)] == [
        ("b", ""),
        ("a", "by itself"),
        ("c", ""),
    ]
    assert [each["about"] for each in master_doctor.merged(told)][2] == "node1 node2"


def test_a_slave_that_should_answer_and_does_not_is_a_finding():
    words = {"node1": "up", "node2": "up", "node3": "suspect"}
    status = {"nodes": {node: {"status": word} for node, word in words.items()}}
    silent = {"node2": DistrodbError("refused"), "node3": DistrodbError("refused")}
    (one,) = master_doctor.judged(status, {"node1": [], **silent})
    assert (one["code"], one["about"], one["severity"]) == ("no_answer", "node2", "error")
    with pytest.raises(UnavailableError, match="refused"):
        master_doctor.judged(status, silent)


@pytest.mark.parametrize("code", sorted(master_doctor.PASSING))
@pytest.mark.parametrize("lasts", [False, True])
def test_what_an_election_mends_is_told_only_if_it_lasts(code, lasts, monkeypatch):
    """Right behind ``distrodb ready`` another slave may not have heard yet who leads."""
    clock = [0.0]
    answers = [[finding(code, "error", "x")], [finding(code, "error", "x")], []]

    def ask(status):
        return {"node1": answers[0] if lasts or len(answers) == 1 else answers.pop(0)}

    def sleep(seconds):
        clock[0] += seconds

    monkeypatch.setattr(master_doctor, "_ask_each", ask)
    monkeypatch.setattr(master_doctor, "monotonic", lambda: clock[0])
    monkeypatch.setattr(master_doctor, "sleep", sleep)
    found = master_doctor.examine(SimpleNamespace(status=lambda: {"nodes": {}}))
    assert [each["code"] for each in found] == ([code] if lasts else [])
    assert clock[0] == (master_doctor.PASSES_S if lasts else 2 * master_doctor.LOOK_S)


def test_what_is_wrong_for_longer_is_told_at_once(monkeypatch):
    monkeypatch.setattr(master_doctor, "_ask_each", lambda _: {"a": [finding("x", "error", "y")]})
    monkeypatch.setattr(master_doctor, "sleep", lambda _: pytest.fail("it waits"))
    assert len(master_doctor.examine(SimpleNamespace(status=lambda: {"nodes": {}}))) == 1


@pytest.mark.parametrize("severity, is_ill", [("error", True), ("warning", True), ("note", False)])
def test_notes_are_nothing_that_is_wrong(severity, is_ill):
    assert master_doctor.is_ill([finding("a", severity, "x")]) is is_ill
    assert not master_doctor.is_ill([])


def test_it_is_shown_in_two_lines_each(capsys):
    from rich.console import Console

    console = Console(width=200)
    console.print(
        render.findings([{**finding("a", "error", "x", "It [b]burns[/b]."), "do": "Run."}])
    )
    console.print(render.findings([]))
    assert capsys.readouterr().out == "error: It [b]burns[/b].\n  → Run.\nall is well\n"
