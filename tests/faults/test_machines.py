"""Machines whose link is pulled, and whose addresses change, while clients work."""

import pytest

from tests.e2e.load import load
from tests.faults.conftest import QUICK
from tests.faults.network import network_cluster, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture
def machines(tmp_path, request):
    with network_cluster(3, tmp_path, by_names=getattr(request, "param", False), **QUICK) as both:
        network, cluster = both
        cluster.wait_until(lambda: cluster.status("node1")["level"] >= 2, "addresses may change")
        yield network, cluster


by_names = pytest.mark.parametrize("machines", [True], indirect=True, ids=["by names"])


def follows(cluster) -> bool:
    """All maps say where the slaves' own files say that they are."""
    wanted = {node: (str(c.me.client), str(c.me.peer)) for node, c in cluster.configs.items()}
    statuses = [cluster.status(node) for node in cluster.nodes]
    return all(
        status is not None
        and wanted == {id_: (row["client"], row["peer"]) for id_, row in status["nodes"].items()}
        for status in statuses
    )


def works(cluster, books, commands: int = 300) -> None:
    goal = books.commands + commands
    cluster.wait_until(lambda: books.commands >= goal, "clients are answered", 60.0)


def renumber(network, cluster, node: str, files: list[str]) -> None:
    """The machine has another address, and these files say so."""
    old = network.addresses[node]
    network.renumber(node)
    for other in files:
        file = cluster.configs[other].file
        text = file.read_text()
        assert f'"{old}:' in text
        file.write_text(text.replace(f'"{old}:', f'"{network.addresses[node]}:'))
    cluster.read_files()


def test_a_machine_is_numbered_anew(machines):
    network, cluster = machines
    with load(cluster) as books:
        works(cluster, books)
        cluster.kill("node2")
        renumber(network, cluster, "node2", files=["node2"])
        cluster.start("node2")
        cluster.wait_until(lambda: follows(cluster), "the map follows node2")
        works(cluster, books)
    cluster.wait_ready()


@pytest.mark.soak
def test_all_machines_are_numbered_anew_at_once(machines):
    network, cluster = machines
    with load(cluster) as books:
        works(cluster, books)
    for node in cluster.nodes:
        cluster.kill(node)
    for node in cluster.nodes:
        renumber(network, cluster, node, files=cluster.nodes)
    for node in cluster.nodes:
        cluster.start(node)
    cluster.wait_until(lambda: follows(cluster), "the map follows all")
    cluster.wait_ready()
    client = cluster.client()
    assert all(int(client.get(key)) >= number for key, number in books.acknowledged.items())
    with load(cluster) as books:
        works(cluster, books)


@pytest.mark.soak
@by_names
def test_a_name_comes_to_mean_another_address(machines):
    """One machine after the other, each file as it was."""
    network, cluster = machines
    with load(cluster) as books:
        for node in cluster.nodes:
            works(cluster, books)
            cluster.kill(node)
            network.renumber(node)
            cluster.start(node)
            cluster.wait_ready()
        works(cluster, books)
    assert follows(cluster)


@pytest.mark.soak
def test_a_link_is_pulled_and_comes_back(machines):
    """Its kernel tells the slave at once; the others hear nothing."""
    network, cluster = machines
    with load(cluster) as books:
        for node in cluster.nodes:
            works(cluster, books)
            network.unplug(node)
            others = network.others(node)
            cluster.wait_until(
                lambda node=node, other=others[0]: (
                    cluster.status(other)["nodes"][node]["status"] != "up"
                ),
                f"{node} is missed",
            )
            works(cluster, books)
            network.plug(node)
            cluster.wait_ready()
        works(cluster, books)
