import pytest

from distrodb import LocalCluster

QUICK = {"raft_election_timeout_ms": 500, "raft_heartbeat_ms": 50}


@pytest.fixture
def three():
    with LocalCluster(nodes=3, **QUICK) as cluster:
        yield cluster


@pytest.fixture
def five():
    with LocalCluster(nodes=5, **QUICK) as cluster:
        yield cluster
