"""How long commands take: with few and many clients, at half of what is possible, and alone.

    python -m tests.benchmarks.latency
    python -m tests.benchmarks.latency --seconds 1 --clients 1 10    a try

Three slaves as ``distrodb local --nodes 3`` has them, by ``distrodb bench``: GETs and SETs by
halves.  The open loop asks for half of what the closed loop with 50 clients reached just before,
and counts from when a command was due.  The last table has one client that writes one value after
another, beside what one fdatasync takes on the same disk just before and just after.
"""

import argparse
from statistics import median

from distrodb import LocalCluster
from tests.benchmarks.loads import at, faultless
from tests.benchmarks.servers import fdatasync_s
from tests.benchmarks.tables import spread, table

CLIENTS = (1, 10, 100, 1000)
NAMES = ("p50", "p99", "p99.9", "max")
DEPTH_OF_OPEN = 200  # clients at most; a pipeline that is due takes whichever is free


def row(name: str, report: dict) -> list[str]:
    cells = [name, f"{report['a_second']:,.0f}"]
    for kind in ("get", "set"):
        took = report["latency_ms"].get(kind, {})
        cells.append(" ".join(f"{took[n]:.2f}" if n in took else "–" for n in NAMES))
    return cells


def by_clients(cluster: LocalCluster, clients: list[int], seconds: float) -> str:
    words = [*at(cluster), "--seconds", str(seconds)]
    faultless(*at(cluster), "--fill", "-n", "1")
    rows = [row(f"{n} clients", faultless(*words, "-c", str(n))) for n in clients]
    most = faultless(*words, "-c", "50")
    rows.append(row("50 clients", most))
    rate = most["a_second"] / 2
    half = faultless(*words, "-c", str(DEPTH_OF_OPEN), "--rate", f"{rate:.0f}")
    rows.append(row(f"open loop, {rate:,.0f} a second", half))
    head = ["", "commands a second", f"GET, ms: {' '.join(NAMES)}", f"SET, ms: {' '.join(NAMES)}"]
    return table(head, rows)


def alone(cluster: LocalCluster, seconds: float, rounds: int) -> str:
    syncs, times, p50s = list[float](), list[float](), list[float]()
    for _ in range(rounds):
        before = fdatasync_s(cluster.directory)
        report = faultless(*at(cluster), "-c", "1", "--gets", "0", "--seconds", str(seconds))
        sync = median([*before, *fdatasync_s(cluster.directory)]) * 1000
        p50s.append(report["latency_ms"]["set"]["p50"])
        syncs.append(sync)
        times.append(p50s[-1] / sync)
    rows = [[spread(syncs, "{:.3f}"), spread(p50s, "{:.3f}"), f"**{spread(times, '{:.2f}')}**"]]
    return table(["one fdatasync, ms", "one write at a time, p50 ms", "times a fdatasync"], rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load")
    parser.add_argument("--rounds", type=int, default=5, help="of one write at a time")
    parser.add_argument("--clients", type=int, nargs="*", default=CLIENTS)
    given = parser.parse_args()
    with LocalCluster(nodes=3) as cluster:
        cluster.wait_healed()
        print(by_clients(cluster, list(given.clients), given.seconds), flush=True)
        print()
        print(alone(cluster, given.seconds, given.rounds), flush=True)


if __name__ == "__main__":
    main()
