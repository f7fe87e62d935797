"""How long a person waits: ``distrodb local`` until it is ready, the shell until it has answered.

python -m tests.benchmarks.starting
python -m tests.benchmarks.starting --rounds 2    a try
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.tables import spread, table
from tests.e2e.test_commands import free_base_port

DISTRODB = [sys.executable, "-m", "distrodb"]


def local_s(directory: Path, base: int, nodes: int) -> float:
    """Until it says that it is ready; then it is ended."""
    command = [*DISTRODB, "local", "--no-shell", "--nodes", str(nodes)]
    command += ["--dir", str(directory), "--base-port", str(base)]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            if not any(line.startswith("ready") for line in process.stdout):
                raise RuntimeError("it ended before it was ready")
            return time.perf_counter() - began
        finally:
            process.terminate()
            process.stdout.read()


def shell_s(base: int) -> float:
    """Until a GET was answered, and it has ended."""
    command = [*DISTRODB, "master", "--connect", f"127.0.0.1:{base}", "-c", "GET a"]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def version_s() -> float:
    began = time.perf_counter()
    subprocess.run([*DISTRODB, "--version"], check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=5)
    given = parser.parse_args()
    first, again, shell, version = list[float](), list[float](), list[float](), list[float]()
    base = free_base_port()
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory(prefix="distrodb-") as place:
            directory = Path(place, "local")
            first.append(local_s(directory, base, given.nodes))
            again.append(local_s(directory, base, given.nodes))
            command = [*DISTRODB, "local", "--no-shell", "--dir", str(directory)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                any(line.startswith("ready") for line in process.stdout)
                shell.append(shell_s(base))
                version.append(version_s())
                process.terminate()
                process.stdout.read()
    rows = [
        [
            f"distrodb local, {given.nodes} slaves, first start, until ready",
            spread(first, "{:.2f}"),
        ],
        ["the same, its directory is there", spread(again, "{:.2f}")],
        ["distrodb master -c 'GET a', the whole process", spread(shell, "{:.2f}")],
        ["distrodb --version", spread(version, "{:.2f}")],
    ]
    print(table(["seconds", ""], rows))


if __name__ == "__main__":
    main()
