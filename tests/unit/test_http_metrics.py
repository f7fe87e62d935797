"""/metrics of a slave with many partitions: in slices, and well-formed as a whole."""

from collections import Counter

from prometheus_client.parser import text_string_to_metric_families

from distrodb.config import LimitsConfig
from distrodb.slave.http.metrics.raft import GROUPS, PARTITIONS_A_SLICE
from distrodb.slave.http.metrics.registry import Metrics
from distrodb.slave.http.metrics.sources import Sources
from distrodb.slave.own_process import OwnProcess
from distrodb.slave.service import Service
from tests.library.slaves import Slaves

PARTITIONS = 2 * PARTITIONS_A_SLICE + 10


def test_many_partitions_come_in_slices_and_stand_together():
    slaves = Slaves("a", PARTITIONS)
    slaves.until(lambda: slaves["a"].routing.leaderless() == [])
    core = slaves["a"]
    process = OwnProcess(lambda: None, lambda delay_s, what: None)
    service = Service(core, LimitsConfig(), process)
    pieces = list(Metrics(Sources(core, service, 0)).text())
    text = b"".join(pieces).decode()
    families = list(text_string_to_metric_families(text))
    assert max(Counter(family.name for family in families).values()) == 1
    by_name = {family.name: family for family in families}
    partitions = {str(n) for n in range(PARTITIONS)} | {"map"}
    for name, _, _ in GROUPS:
        told = [sample.labels["partition"] for sample in by_name[name].samples]
        assert len(told) == len(partitions) and set(told) == partitions
    # Each family of partitions is made in three pieces.
    assert len(pieces) >= 2 * len(families) + 2 * len(GROUPS)
