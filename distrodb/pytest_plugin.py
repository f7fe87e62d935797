"""``distrodb_cluster``: a cluster of real slaves for people's own tests, with kills and pauses.

pytest imports this wherever distrodb is installed, so it imports nothing else until a test asks for
a cluster.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from distrodb.local import LocalCluster

MARK = "distrodb"
_CLUSTERS = pytest.StashKey[dict[tuple[Any, ...], "LocalCluster"]]()
# An election takes half a second rather than one: tests kill.
_QUICK = {"raft_election_timeout_ms": 500, "raft_heartbeat_ms": 50}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARK}(nodes=3, partitions=0, **options): the cluster that distrodb_cluster gives"
        " (arguments of distrodb.LocalCluster)",
    )


@pytest.fixture
def distrodb_cluster(request: pytest.FixtureRequest) -> Iterator["LocalCluster"]:
    """A ``distrodb.LocalCluster`` that is whole and empty: ``kill``, ``stop``, ``start``, ``pause``
    and ``resume`` a node of its ``nodes``; ``client()`` is redis-py's, ``addresses`` are for
    ``distrodb.connect``.

    Tests with the same arguments of ``@pytest.mark.distrodb(nodes=3, …)`` share one for the whole
    run.  After a test all slaves run again, and all keys are deleted.
    """
    mark = request.node.get_closest_marker(MARK)
    if mark is not None and mark.args:
        raise pytest.UsageError("@pytest.mark.distrodb takes names only, such as nodes=3")
    options = {"nodes": 3, **_QUICK, **(mark.kwargs if mark is not None else {})}
    cluster = _cluster(request.config, options)
    try:
        yield cluster
    finally:
        _mend(request.config, cluster)


def _cluster(config: pytest.Config, options: dict[str, Any]) -> "LocalCluster":
    known = config.stash.setdefault(_CLUSTERS, {})
    key = tuple(sorted((name, repr(value)) for name, value in options.items()))
    if key not in known:
        from distrodb.errors import DistrodbError
        from distrodb.local import LocalCluster

        try:
            known[key] = LocalCluster(**options).__enter__()
        except (DistrodbError, TypeError) as error:
            raise pytest.UsageError(f"distrodb_cluster: {error}") from None
    return known[key]


def _mend(config: pytest.Config, cluster: "LocalCluster") -> None:
    """A cluster that cannot be mended is not given to another test."""
    try:
        ended = cluster.ended()
        for node in cluster.nodes:
            if node in ended or node not in cluster.pids:
                cluster.start(node)
            elif node not in cluster.running():
                cluster.resume(node)
        cluster.wait_ready()
        with cluster.client() as client:
            client.flushall()
    except BaseException:
        known = config.stash[_CLUSTERS]
        for key in [key for key, each in known.items() if each is cluster]:
            del known[key]
        cluster.close()
        raise


def pytest_unconfigure(config: pytest.Config) -> None:
    for cluster in config.stash.get(_CLUSTERS, {}).values():
        cluster.close()
