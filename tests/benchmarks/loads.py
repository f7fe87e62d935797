"""Puts servers under load: by ``redis-benchmark``, and by our own ``distrodb bench``.

Both end in figures; what goes wrong raises an error with what was printed, so no figure stands for
a load that failed.
"""

import csv
import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from distrodb import LocalCluster
from tests.benchmarks.servers import cpu_s

KEYS = 100_000
BENCHMARK_S_MAX = 300.0  # redis-benchmark waits for ever for a reply that does not come


@dataclass(frozen=True, slots=True)
class Figure:
    a_second: float
    cpu_us: float  # of the processor a command, all processes of the servers together


def redis_benchmark(
    kind: str, port: int, pids: Iterable[int], pipeline: int, requests: int, *more: str
) -> Figure:
    """One kind of command; the usual figures are 50 clients, 64 bytes and 100,000 keys."""
    pids = list(pids)
    before = cpu_s(pids)
    command = ["redis-benchmark", "-p", str(port), "-t", kind, "-P", str(pipeline)]
    command += ["-n", str(requests), "-r", str(KEYS), "--csv"]
    if "-c" not in more:
        command += ["-c", "50", "-d", "64"]
    done = subprocess.run(
        [*command, *more], capture_output=True, text=True, check=False, timeout=BENCHMARK_S_MAX
    )
    spent = cpu_s(pids) - before
    for row in csv.reader(done.stdout.splitlines()):
        if row and row[0].lower() == kind:
            return Figure(float(row[1]), spent / requests * 1e6)
    raise RuntimeError(f"{' '.join(done.args)}: {done.stdout[-500:]}{done.stderr[-500:]}")


def bench(*words: str) -> dict:
    """The report of ``distrodb bench``; errors in it are the caller's to judge."""
    command = [sys.executable, "-m", "distrodb", "bench", "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-500:]}")
    report: dict = json.loads(done.stdout)
    return report


def faultless(*words: str) -> dict:
    report = bench(*words)
    if report["failed"]:
        raise RuntimeError(f"distrodb bench {' '.join(words)}: {report['errors']}")
    return report


def at(cluster: LocalCluster) -> list[str]:
    return ["--config", str(cluster.configs[cluster.running()[0]].file)]


def port_of(cluster: LocalCluster, node: str = "node1") -> int:
    return cluster.configs[node].me.client.port


def gateway_of(cluster: LocalCluster, node: str) -> int:
    address = cluster.gateway_address(node)
    assert address is not None
    return int(address.rpartition(":")[2])


def pids_of(cluster: LocalCluster) -> list[int]:
    return [cluster.pids[node] for node in cluster.running()]
