"""What a slave takes while the same things are asked again and again: it must not grow.

    python -m tests.benchmarks.growth                     half an hour
    python -m tests.benchmarks.growth --minutes 6 --kill  with one kill -9 in the middle, and return
    python -m tests.benchmarks.growth --json FILE         all samples too

Three slaves, a few clients with the load of mixed_load.py, snapshots far more often than usual so
that all that comes round does so several times (``--log-bytes``).  Every ten seconds each slave's
memory, descriptors, threads, and what is in its directory are taken; judged is the second half, or
that of the time since the killed slave was whole again (trends.py).  Status 1 if something grows,
or if anything failed while nobody was killed.
"""

import argparse
import json
import os
import re
import sys
import threading
import time
from collections import Counter, defaultdict
from dataclasses import asdict
from pathlib import Path

from distrodb import LocalCluster
from tests.benchmarks.mixed_load import MixedLoad
from tests.benchmarks.servers import resident_bytes
from tests.benchmarks.tables import table
from tests.benchmarks.trends import DISK, MEMORY, Sample, Trend, second_half, trends

KILLED = "node2"


def taken(pid: int, directory: Path) -> dict[str, float]:
    """What a process and its directory take now."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    proportional = re.search(r"Pss:\s+(\d+) kB", rollup)
    assert proportional is not None
    sizes = []
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                sizes.append(os.stat(Path(folder, name)).st_size)
            except FileNotFoundError:
                continue  # it is being removed
    return {
        "resident": resident_bytes(pid),
        "proportional": int(proportional[1]) * 1024,
        "disk": sum(sizes),
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": len(os.listdir(f"/proc/{pid}/task")),
        "files": len(sizes),
    }


def sampled(cluster: LocalCluster, at_s: float, commands: int) -> dict[str, Sample]:
    return {
        node: Sample(at_s, commands, taken(cluster.pids[node], cluster.directory / node))
        for node in cluster.running()
    }


class Clients:
    """Threads that take turn after turn, each on its own."""

    def __init__(self, cluster: LocalCluster, count: int):
        self._loads = [MixedLoad(cluster, number) for number in range(count)]
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=[load]) for load in self._loads]
        for thread in self._threads:
            thread.start()

    def _run(self, load: MixedLoad) -> None:
        while not self._is_over.is_set():
            load.turn()
        load.close()

    @property
    def commands(self) -> int:
        return sum(load.commands for load in self._loads)

    @property
    def errors(self) -> Counter[str]:
        return sum((load.errors for load in self._loads), Counter())

    def close(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()


def run(
    cluster: LocalCluster, minutes: float, every_s: float, count: int, is_killing: bool
) -> tuple[dict[str, list[Sample]], float, Counter[str]]:
    """The samples of each slave, from when on they are judged, and what failed."""
    samples: dict[str, list[Sample]] = defaultdict(list)
    clients = Clients(cluster, count)
    began, since_s = time.monotonic(), 0.0
    try:
        while (passed := time.monotonic() - began) < 60 * minutes:
            if is_killing and not since_s and passed >= 30 * minutes:
                cluster.kill(KILLED)
                time.sleep(every_s)
                cluster.revive(KILLED)
                cluster.wait_healed()
                samples[KILLED].clear()  # of another process
                since_s = time.monotonic() - began
                continue
            for node, sample in sampled(cluster, passed, clients.commands).items():
                samples[node].append(sample)
            time.sleep(every_s)
    finally:
        clients.close()
    return samples, since_s, clients.errors


def _shown(trend: Trend) -> str:
    unit = 1e6 if trend.kind in (*MEMORY, DISK) else 1
    each = f"{trend.slope:+.2f} B a command" if unit != 1 else f"{trend.added:+.1f} in all"
    text = f"{trend.first / unit:,.0f} → {trend.last / unit:,.0f}; {each}"
    return text if trend.is_flat else f"**{text}**"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two samples")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--log-bytes", type=int, default=1 << 20, help="until a snapshot")
    parser.add_argument("--kill", action="store_true", help="kill -9 one slave in the middle")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    with LocalCluster(nodes=3, raft_snapshot_log_bytes=given.log_bytes) as cluster:
        cluster.wait_healed()
        samples, since_s, errors = run(
            cluster, given.minutes, given.every, given.clients, given.kill
        )
    judged = {node: second_half(each, since_s) for node, each in samples.items()}
    found = {node: trends(each) for node, each in judged.items()}
    one = next(iter(judged.values()))
    print(
        f"{one[-1].commands:,} commands, judged: the last {one[-1].commands - one[0].commands:,}\n"
    )
    kinds = [trend.kind for trend in next(iter(found.values()))]
    names = [f"{kind}, MB" if kind in (*MEMORY, DISK) else kind for kind in kinds]
    rows = [[node, *map(_shown, each)] for node, each in found.items()]
    print(table(["slave", *names], rows))
    for text, times in errors.most_common():
        print(f"{times} times {text}")
    if given.json:
        report = {
            "trends": {node: [asdict(t) for t in each] for node, each in found.items()},
            "samples": {node: [asdict(s) for s in each] for node, each in samples.items()},
            "errors": errors,
        }
        given.json.write_text(json.dumps(report, indent=1) + "\n")
    is_flat = all(trend.is_flat for each in found.values() for trend in each)
    print("nothing grows" if is_flat else "what is bold grows")
    sys.exit(0 if is_flat and (given.kill or not errors) else 1)


if __name__ == "__main__":
    main()
