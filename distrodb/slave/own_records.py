"""What a slave keeps of itself on its disk, beside its groups: three records.

- its incarnation, a random name that the directory gets when it is made, with the level of who made
  it (ring/levels.py);
- the newest cluster map that it has adopted;
- the first map, on which the log of the map's own group builds (a slave that joined later has
  none).

A map is durable with the write set in which it was kept (``sequence``); until then nobody may be
told of it (map_keeper.py).
"""

import json
import random

from distrodb.raft.write_set import WriteSet
from distrodb.ring.clustermap import ClusterMap
from distrodb.ring.levels import LEVEL
from distrodb.storage.records import (
    FIRST_MAP_KEY,
    INCARNATION_KEY,
    MAP_KEY,
    JournalStore,
    Put,
    sealed,
    unseal,
)


class Records:
    def __init__(self, store: JournalStore, writes: WriteSet, generator: random.Random):
        self._writes = writes
        self.sequence = 0  # of the write set that holds the newest map
        self.map = newest_map(store)
        self.first_map = first_map(store)
        found = stored_incarnation(store)
        self.incarnation = found or f"{generator.getrandbits(64):016x}.{LEVEL}"
        if found is None:
            store.commit([self._incarnation_record()])

    def _incarnation_record(self) -> Put:
        return sealed(INCARNATION_KEY, self.incarnation.encode())

    def keep(self, cluster_map: ClusterMap) -> None:
        """Remember a map; durable with the write set that is being filled."""
        self.map, self.sequence = cluster_map, self._writes.sequence
        self._save(MAP_KEY, cluster_map)
        if cluster_map.epoch == 1:
            self.first_map = cluster_map
            self._save(FIRST_MAP_KEY, cluster_map)

    def probe(self) -> None:
        """Write a record again as it is, to see how long that takes."""
        self._writes.add(self._incarnation_record())

    def _save(self, key: bytes, cluster_map: ClusterMap) -> None:
        content = json.dumps(cluster_map.to_plain()).encode()
        self._writes.add(sealed(key, content))


def stored_incarnation(store: JournalStore) -> str | None:
    """None: the directory is new.  Raises ``CorruptionError``."""
    for key, value in store.scan(INCARNATION_KEY, INCARNATION_KEY):
        return unseal(key, value, "the slave's incarnation").decode()
    return None


def newest_map(store: JournalStore) -> ClusterMap | None:
    """That the slave has adopted.  Raises ``CorruptionError``."""
    return _load(store, MAP_KEY)


def first_map(store: JournalStore) -> ClusterMap | None:
    """That the cluster was born with, if this slave was there.  Raises ``CorruptionError``."""
    return _load(store, FIRST_MAP_KEY)


def _load(store: JournalStore, key: bytes) -> ClusterMap | None:
    for _, value in store.scan(key, key):
        return ClusterMap.of_own(json.loads(unseal(key, value, "the cluster map")))
    return None
