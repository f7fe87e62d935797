"""redis-benchmark at a gateway goes on while leaders are killed, and is told no error.

With `--cluster` it cannot: it knows only the slaves that led when it started (docs/clients.md).
"""

import subprocess
import tempfile

import pytest

from distrodb import LocalCluster
from tests.clients.test_kills import leader_to_kill

pytestmark = pytest.mark.timeout(600)  # of the ten kills


def commands(cluster: LocalCluster, node: str) -> int:
    """That have begun at this slave."""
    with cluster.connection(node) as slave:
        return slave.info("stats")["total_commands_processed"]


@pytest.mark.parametrize("kills", [1, pytest.param(10, marks=pytest.mark.soak)])
def test_it_goes_on_while_leaders_are_killed(kills):
    with LocalCluster(nodes=3) as cluster, tempfile.TemporaryFile() as output:
        spared = cluster.nodes[0]
        port = cluster.gateway_address(spared).rpartition(":")[2]
        words = f"-p {port} -t set,get -c 8 -r 1000 -n 1000 -l -q".split()
        program = subprocess.Popen(["redis-benchmark", *words], stdout=output, stderr=output)

        def goes_on() -> None:
            before = commands(cluster, spared)
            # As many as go through a gateway in two rounds of its own, so both SET and GET.
            cluster.wait_until(lambda: commands(cluster, spared) > before + 4000, "it goes on", 60)

        try:
            for _ in range(kills):
                goes_on()
                node = leader_to_kill(cluster, spared)
                cluster.kill(node)
                goes_on()
                cluster.start(node)
                cluster.wait_ready()
            goes_on()
            assert program.poll() is None  # it ends at the first error
        finally:
            program.kill()
            program.wait()
            output.seek(0)
            told = output.read().decode()
    assert "rror" not in told and "SET:" in told and "GET:" in told
