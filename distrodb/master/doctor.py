"""What is wrong with a cluster, as all of its slaves that answer see it together.

Each slave tells what it sees (DISTRODB DOCTOR), at that moment: what an election mends is told only
if it lasts.  What several tell is told once, as the worst of
them has it, and as the slave has it that it is about where that is among them.  A slave that should
answer and does not is a finding too.
"""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from redis.exceptions import RedisError

from distrodb.clock import monotonic, sleep
from distrodb.errors import DistrodbError, UnavailableError
from distrodb.master.client import Cluster
from distrodb.master.connections import one_line, parse_address, slave_at

Status = Mapping[str, Any]
Finding = Mapping[str, str]
Answers = Mapping[str, Sequence[Finding] | DistrodbError]  # by slave
ASKED_AT_ONCE = 16
# What is so for a moment after a slave was started or killed, and is told only if it lasts: longer
# than an election and a link take.  Who waits for ``ready`` and then asks is not told of it.
PASSING = frozenset({"no_leader", "map_without_leader", "slave_not_heard"})
PASSES_S, LOOK_S = 5.0, 0.25
SEVERITIES = ("error", "warning", "note")  # worst first


def examine(cluster: Cluster) -> list[Finding]:
    """Worst first.  Raises ``DistrodbError`` when nobody answers."""
    until = monotonic() + PASSES_S
    while True:
        status = cluster.status()
        found = judged(status, _ask_each(status))
        if not may_pass(found) or monotonic() >= until:
            return found
        sleep(LOOK_S)


def may_pass(found: Sequence[Finding]) -> bool:
    """Something is wrong that an election mends by itself; so it is looked at again for a while."""
    return any(each.get("code") in PASSING for each in found)


def _ask_each(status: Status) -> Answers:
    """All that are not down, at the same time: some may hang."""

    def ask(row: Mapping[str, Any]) -> list[Finding] | DistrodbError:
        address = parse_address(row["client"])
        try:
            with slave_at(address) as slave:
                found: list[Finding] = json.loads(slave.execute_command("DISTRODB", "DOCTOR"))
                return found
        except (RedisError, OSError, ValueError, TypeError) as error:
            return DistrodbError(f"{address}: {one_line(error)}")

    those = {node: row for node, row in status["nodes"].items() if row["status"] != "down"}
    with ThreadPoolExecutor(ASKED_AT_ONCE) as threads:
        return dict(zip(those, threads.map(ask, those.values()), strict=True))


def judged(status: Status, answers: Answers) -> list[Finding]:
    told = {node: each for node, each in answers.items() if not isinstance(each, DistrodbError)}
    refusals = {node: each for node, each in answers.items() if isinstance(each, DistrodbError)}
    if not told:
        why = next(iter(map(str, refusals.values())), "there is none")
        raise UnavailableError(f"no slave says how it is: {why}")
    nodes = status["nodes"]
    silent = [_silent(node, problem, nodes[node]) for node, problem in refusals.items()]
    return merged({**told, "": [each for each in silent if each]})


def _silent(node: str, problem: DistrodbError, row: Mapping[str, Any]) -> Finding | None:
    if row.get("status") != "up":
        return None  # which the others tell
    return {
        "code": "no_answer",
        "severity": "error",
        "about": node,
        "seen": f"{node} is up, as the others see it, and does not answer here: {problem}.",
        "do": "See whether its client port is reached from here, and its log.",
    }


def merged(told: Mapping[str, Sequence[Finding]]) -> list[Finding]:
    """``told``: by the slave that tells it."""
    found: dict[tuple[str, str], tuple[tuple[int, bool], Finding]] = {}
    for node, findings in told.items():
        for each in findings:
            key = (each.get("code", ""), each["about"])
            rank = SEVERITIES.index(each["severity"]), each["about"] != node
            if key not in found or rank < found[key][0]:
                found[key] = rank, each
    ranked = sorted(found.values(), key=lambda one: one[0][0])
    return [each for _, each in ranked if not any(_says_more(other, each) for _, other in ranked)]


def _says_more(one: Finding, other: Finding) -> bool:
    """The same of more slaves: the other has not heard of all of them yet."""
    names, fewer = set(one["about"].split()), set(other["about"].split())
    is_no_better = SEVERITIES.index(one["severity"]) <= SEVERITIES.index(other["severity"])
    return one.get("code") == other.get("code") and is_no_better and fewer < names


def is_ill(found: Sequence[Finding]) -> bool:
    return any(each["severity"] != "note" for each in found)
