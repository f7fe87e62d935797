"""How long a person waits: ``distrodb local`` until it is ready, the shell until it has answered.

    python -m tests.benchmarks.starting
    python -m tests.benchmarks.starting --rounds 2    a try

Modules are compiled before, in a round that does not count, as an installation does; where the
environment forbids to keep what is compiled each start would else compile all of it again.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.tables import spread, table
from tests.e2e.test_commands import free_base_port

DISTRODB = [sys.executable, "-m", "distrodb"]


def compiled_in(folder: str) -> dict[str, str]:
    """An environment that keeps compiled modules there."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": folder}


def local_s(environment: dict[str, str], directory: Path, base: int, nodes: int) -> float:
    """Until it says that it is ready; then it is ended."""
    command = [*DISTRODB, "local", "--no-shell", "--nodes", str(nodes)]
    command += ["--dir", str(directory), "--base-port", str(base)]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            if not any(line.startswith("ready") for line in process.stdout):
                raise RuntimeError("it ended before it was ready")
            return time.perf_counter() - began
        finally:
            process.terminate()
            process.stdout.read()


def shell_s(environment: dict[str, str], base: int) -> tuple[float, float]:
    """Until a GET was answered, and it has ended; and its processor time, which says more on a
    machine that does other things."""
    command = [*DISTRODB, "master", "--connect", f"127.0.0.1:{base}", "-c", "GET a"]
    began, spent = time.perf_counter(), _children_s()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - began, _children_s() - spent


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # of those that have ended
    return used.ru_utime + used.ru_stime


def version_s(environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run([*DISTRODB, "--version"], check=True, capture_output=True, env=environment)
    return time.perf_counter() - began


def once(environment: dict[str, str], base: int, nodes: int) -> list[float]:
    """First start, start with a directory that is there, the shell and its processor time,
    ``--version``."""
    with tempfile.TemporaryDirectory(prefix="distrodb-") as place:
        directory = Path(place, "local")
        first = local_s(environment, directory, base, nodes)
        again = local_s(environment, directory, base, nodes)
        command = [*DISTRODB, "local", "--no-shell", "--dir", str(directory)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment
        ) as process:
            assert process.stdout is not None
            any(line.startswith("ready") for line in process.stdout)
            try:
                return [first, again, *shell_s(environment, base), version_s(environment)]
            finally:
                process.terminate()
                process.stdout.read()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=5)
    given = parser.parse_args()
    figures: list[list[float]] = [[], [], [], [], []]
    base = free_base_port()
    with tempfile.TemporaryDirectory(prefix="distrodb-") as kept:
        environment = compiled_in(kept)
        for number in range(given.rounds + 1):
            for each, took in zip(figures, once(environment, base, given.nodes), strict=True):
                if number:
                    each.append(took)
    first, again, shell, shell_cpu, version = figures
    rows = [
        [
            f"distrodb local, {given.nodes} slaves, first start, until ready",
            spread(first, "{:.2f}"),
        ],
        ["the same, its directory is there", spread(again, "{:.2f}")],
        ["distrodb master -c 'GET a', the whole process", spread(shell, "{:.2f}")],
        ["its processor time", spread(shell_cpu, "{:.2f}")],
        ["distrodb --version", spread(version, "{:.2f}")],
    ]
    print(table(["seconds", ""], rows))


if __name__ == "__main__":
    main()
