"""Run the simulator by hand.

python -m tests.sim --seed 7                  replay one seed; prints what it covered
python -m tests.sim --soak 600 --report FILE  fresh seeds for so many seconds; appends to FILE
  with --kind NAME: other runs (kinds.py), such as healing, containers, queues; "all": each kind in
  turn, a tenth of the time at once
python -m tests.sim --without "read rounds"   how many seeds until a removed cure is noticed
python -m tests.sim --speed                   how fast it is, without faults
"""

import argparse
import json
import os
from dataclasses import asdict
from time import process_time

from distrodb.clock import monotonic
from tests.sim.chaos import VIRTUAL_S
from tests.sim.coverage import Coverage
from tests.sim.kinds import KINDS
from tests.sim.removed_cures import CURES, SHOWN_ELSEWHERE, seeds_until_noticed
from tests.sim.simulation import Simulation
from tests.sim.workload import Client


def soak(
    seconds: float, virtual_s: float, first: int, report: str | None, kind: str = "chaos"
) -> int:
    started, seed, coverage = monotonic(), first, Coverage(kind)
    failed: list[str] = []
    while monotonic() - started < seconds:
        try:
            coverage.run(seed, virtual_s)
        except Exception as problem:
            failed.append(
                f"{coverage.replay(seed, virtual_s)}: {type(problem).__name__}: {problem}"
            )
            print(failed[-1], flush=True)
        seed += 1
    line = {**coverage.line(), "failed": len(failed)}
    print(json.dumps(line), flush=True)
    if report:
        with open(report, "a") as file:
            file.write(json.dumps(line) + "\n")
            file.writelines(f"# {problem.splitlines()[0]}\n" for problem in failed)
    return 1 if failed else 0


def soak_all(seconds: float, virtual_s: float, first: int, report: str | None) -> int:
    """All kinds in turn, so that each has had its share whenever it is ended."""
    started, failed, rounds = monotonic(), 0, 0
    share_s = max(seconds / 10 / len(KINDS), 1.0)
    while monotonic() - started < seconds:
        for kind in KINDS:
            failed |= soak(share_s, virtual_s, first + rounds * 10_000, report, kind)
        rounds += 1
    return failed


def speed(virtual_s: float = 200.0) -> float:
    """Virtual seconds a second of CPU: three slaves, four partitions, one client, no faults."""
    cluster = Simulation(1, nodes=3, partitions=4)
    Client(cluster, 1, [])
    cluster.run(2.0)
    started = process_time()
    cluster.run(virtual_s)
    return virtual_s / (process_time() - started)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this one")
    parser.add_argument("--seconds", type=float, default=VIRTUAL_S, help="virtual, under faults")
    parser.add_argument("--soak", type=float, metavar="S", help="run fresh seeds for S seconds")
    parser.add_argument("--kind", choices=[*KINDS, "all"], default="chaos", help="of runs")
    parser.add_argument("--first", type=int, help="the soak's first seed (random unless given)")
    parser.add_argument("--report", help="file to append to")
    parser.add_argument("--without", choices=[*CURES, *SHOWN_ELSEWHERE], help="remove a cure")
    parser.add_argument("--seeds", type=int, default=200, help="at most, with --without")
    parser.add_argument("--speed", action="store_true", help="virtual seconds a second of CPU")
    options = parser.parse_args()
    if options.speed:
        print(f"{speed():.0f} virtual seconds a second of CPU")
        return 0
    if options.without:
        count, what = seeds_until_noticed(options.without, range(options.seeds))
        print(f"{options.without}: " + (f"noticed after {count} seeds: {what}" if count else "-"))
        return 0
    if options.soak is not None:
        first = int.from_bytes(os.urandom(4), "big") if options.first is None else options.first
        if options.kind == "all":
            return soak_all(options.soak, options.seconds, first, options.report)
        return soak(options.soak, options.seconds, first, options.report, options.kind)
    if options.kind == "all":
        parser.error("a seed is of one kind")
    print(json.dumps(asdict(KINDS[options.kind](options.seed or 0, options.seconds))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
