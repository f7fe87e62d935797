"""Run the simulator by hand.

python -m tests.sim --seed 7                  replay one seed; prints what it covered
python -m tests.sim --soak 600 --report FILE  fresh seeds for so many seconds; appends to FILE
  with --healing: the runs in which slaves die for good, join and are removed
python -m tests.sim --without "read rounds"   how many seeds until a removed cure is noticed
python -m tests.sim --speed                   how fast it is, without faults
"""

import argparse
import json
import os
from dataclasses import asdict
from time import process_time

from distrodb.clock import monotonic
from tests.sim.chaos import VIRTUAL_S, Chaos
from tests.sim.coverage import Coverage
from tests.sim.healing_chaos import HealingChaos
from tests.sim.removed_cures import CURES, SHOWN_ELSEWHERE, seeds_until_noticed
from tests.sim.simulation import Simulation
from tests.sim.workload import Client


def soak(
    seconds: float, virtual_s: float, first: int, report: str | None, is_healing: bool = False
) -> int:
    started, seed, coverage = monotonic(), first, Coverage(is_healing)
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
    print(json.dumps(line))
    if report:
        with open(report, "a") as file:
            file.write(json.dumps(line) + "\n")
            file.writelines(f"# {problem.splitlines()[0]}\n" for problem in failed)
    return 1 if failed else 0


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
    parser.add_argument("--healing", action="store_true", help="with deaths, joins and removals")
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
        return soak(options.soak, options.seconds, first, options.report, options.healing)
    kind = HealingChaos if options.healing else Chaos
    print(json.dumps(asdict(kind(options.seed or 0).run(options.seconds))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
