"""Run the simulator by hand.

python -m tests.sim --seed 7                  replay one seed; prints what it covered
python -m tests.sim --soak 600 --report FILE  fresh seeds for so many seconds; appends to FILE
python -m tests.sim --without "read rounds"   how many seeds until a removed cure is noticed
"""

import argparse
import json
import os
from collections import Counter
from dataclasses import asdict

from distrodb.clock import monotonic
from tests.sim.chaos import VIRTUAL_S, Chaos
from tests.sim.without import CURES, SHOWN_ELSEWHERE, seeds_until_noticed


def soak(seconds: float, virtual_s: float, first: int, report: str | None) -> int:
    started, seed, count = monotonic(), first, 0
    total: Counter[str] = Counter()
    failed: list[str] = []
    while monotonic() - started < seconds:
        try:
            covered = asdict(Chaos(seed).run(virtual_s))
        except AssertionError as problem:
            failed.append(f"{replay(seed, virtual_s)}: {problem}")
            print(failed[-1], flush=True)
        else:
            total.update(covered.pop("faults"))
            total.update({name: covered[name] for name in ("virtual_s", "operations", "unknown")})
        seed, count = seed + 1, count + 1
    taken_s = monotonic() - started
    line = {
        "first_seed": first,
        "seeds": count,
        "failed": len(failed),
        "virtual_hours": round(total.pop("virtual_s", 0) / 3600, 2),
        "seconds": round(taken_s),
        **{name.replace(" ", "_"): number for name, number in sorted(total.items())},
    }
    print(json.dumps(line))
    if report:
        with open(report, "a") as file:
            file.write(json.dumps(line) + "\n")
            file.writelines(f"# {problem.splitlines()[0]}\n" for problem in failed)
    return 1 if failed else 0


def replay(seed: int, virtual_s: float) -> str:
    return f"python -m tests.sim --seed {seed} --seconds {virtual_s:g}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this one")
    parser.add_argument("--seconds", type=float, default=VIRTUAL_S, help="virtual, under faults")
    parser.add_argument("--soak", type=float, metavar="S", help="run fresh seeds for S seconds")
    parser.add_argument("--first", type=int, help="the soak's first seed (random unless given)")
    parser.add_argument("--report", help="file to append to")
    parser.add_argument("--without", choices=[*CURES, *SHOWN_ELSEWHERE], help="remove a cure")
    parser.add_argument("--seeds", type=int, default=200, help="at most, with --without")
    options = parser.parse_args()
    if options.without:

        def run(seed: int) -> None:
            Chaos(seed).run(options.seconds)

        count, what = seeds_until_noticed(options.without, run, range(options.seeds))
        print(f"{options.without}: " + (f"noticed after {count} seeds: {what}" if count else "-"))
        return 0
    if options.soak is not None:
        first = int.from_bytes(os.urandom(4), "big") if options.first is None else options.first
        return soak(options.soak, options.seconds, first, options.report)
    print(json.dumps(asdict(Chaos(options.seed or 0).run(options.seconds))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
