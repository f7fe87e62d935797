"""What partitions and slaves cost: throughput and processor time as both grow.

    python -m tests.benchmarks.scaling                       3 to 96 partitions, 3 to 7 slaves
    python -m tests.benchmarks.scaling --rounds 1 --scale 0.1   a try

All sizes alternate, round by round.  Those with more partitions have three slaves, those with more
slaves two partitions for each, as ``distrodb local`` makes them.  Each cluster runs alone: it is
started for its turn and ended after it.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence

from distrodb import LocalCluster
from tests.benchmarks.loads import Figure, pids_of, port_of, redis_benchmark
from tests.benchmarks.tables import shares, spread, table

PARTITIONS = (3, 6, 12, 24, 48, 96)
SLAVES = (3, 4, 5, 6, 7)
REQUESTS = {("set", 1): 30_000, ("get", 1): 60_000, ("set", 16): 300_000, ("get", 16): 500_000}
Rows = dict[int, dict[tuple[str, int], list[Figure]]]


def measured(shapes: Sequence[tuple[int, int, int]], rounds: int, scale: float) -> Rows:
    """For each of (name, slaves, partitions)."""
    rows: Rows = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        for name, slaves, partitions in shapes:
            with LocalCluster(nodes=slaves, partitions=partitions) as cluster:
                cluster.wait_healed()
                for (kind, pipeline), usual in REQUESTS.items():
                    requests = max(1000, int(usual * scale))
                    port, pids = port_of(cluster), pids_of(cluster)
                    figure = redis_benchmark(kind, port, pids, pipeline, requests, "--cluster")
                    rows[name][kind, pipeline].append(figure)
        print(f"round {number + 1} of {rounds} is done", flush=True)
    return rows


def shown(rows: Rows, what: str) -> str:
    """Beside each rate its share of the first row's in the same round."""
    first = next(iter(rows.values()))
    head = [what, *(f"{kind.upper()} P={pipeline}" for kind, pipeline in REQUESTS)]
    lines = []
    for name, cells in rows.items():
        line = [str(name)]
        for cell, figures in cells.items():
            rates = [figure.a_second for figure in figures]
            share = shares(rates, [figure.a_second for figure in first[cell]])
            cpu = spread([figure.cpu_us for figure in figures], "{:.1f}")
            line.append(f"{spread(rates)}; {spread(share, '{:.2f}')}; {cpu} µs")
        lines.append(line)
    return table(head, lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual requests")
    parser.add_argument("--partitions", type=int, nargs="*", default=PARTITIONS)
    parser.add_argument("--slaves", type=int, nargs="*", default=SLAVES)
    given = parser.parse_args()
    print("commands a second; share of the first row; CPU a command, all slaves together\n")
    if given.partitions:
        shapes = [(count, 3, count) for count in given.partitions]
        print(shown(measured(shapes, given.rounds, given.scale), "partitions"), flush=True)
    if given.slaves:
        shapes = [(count, count, 2 * count) for count in given.slaves]
        print(shown(measured(shapes, given.rounds, given.scale), "slaves"), flush=True)


if __name__ == "__main__":
    main()
