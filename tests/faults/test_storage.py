"""What a slave does with a directory or a port that is not its own."""

import subprocess
import sys


def run_slave(file) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-m", "distrodb", "slave", str(file)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr.splitlines()


def test_one_directory_one_slave(three):
    status, (line,) = run_slave(three.configs["node1"].file)  # without a wait for its ports
    assert status == 1 and "another slave runs on this directory" in line


def test_a_port_in_use_is_named(three):
    config = three.configs["node2"]
    other = config.file.with_name("other.toml")
    other.write_text(config.file.read_text().replace('"../node2"', '"../elsewhere"'))
    status, (*_, line) = run_slave(other)
    assert status == 2 and "cannot listen" in line and str(other) in line


def test_a_cluster_keeps_what_it_was_born_with(three):
    assert three.stop("node1") == 0
    file = three.configs["node1"].file
    file.write_text(file.read_text().replace("partitions = 0", "partitions = 2"))
    status, (*_, line) = run_slave(file)
    assert status == 2 and "is 2, and the cluster was born with 6" in line
