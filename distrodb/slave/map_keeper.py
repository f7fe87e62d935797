"""The cluster map that a slave goes by, and the one place where it takes a newer one.

A map comes from three sides: all slaves agree on the first one (birth.py); the map's own group has
applied a change, or installed a snapshot; a peer's gossip has a newer one.  All three end in
``adopt``, which is called once for each map that is gone by; what else follows from a new map is
done by the core, in the same turn (``Core._follow``).

What always holds:

- the epoch of ``map`` never goes back;
- an adopted map is in the write set that is being filled, with the groups that it opens;
- nobody is told of a map that is not on this slave's disk: ``durable`` is what others hear of;
- no map is gone by whose level this version does not know (``VersionError``: the slave stops).
"""

from collections.abc import Mapping

from distrodb.config import SlaveConfig
from distrodb.ring.clustermap import ClusterMap, first_map
from distrodb.ring.levels import check_known
from distrodb.slave.birth import Birth
from distrodb.slave.gossip import Gossip
from distrodb.slave.own_records import Records


def map_of(
    config: SlaveConfig, incarnations: Mapping[str, str] | None = None, replicas: int = 0
) -> ClusterMap:
    """The first map: the same on every slave, since it comes from the [cluster] section alone, and
    from the incarnations on which all have agreed (none yet: only the layout counts).
    ``replicas``: if it is known otherwise what the section said then."""
    nodes = [(node.id, str(node.client), str(node.peer)) for node in config.nodes]
    return first_map(nodes, config.partitions, replicas or config.replicas, incarnations)


class MapKeeper:
    def __init__(self, config: SlaveConfig, records: Records):
        self._config, self._records = config, records
        self.me, self.incarnation = config.id, records.incarnation
        self.map = records.map or map_of(config)
        self.durable = records.map
        self.birth: Birth | None = None  # until the cluster is born, or lets us in
        check_known(self.map.level)
        if records.map is None:
            nodes = [node.id for node in config.nodes]
            self.birth = Birth(
                self.me, self.incarnation, nodes, bool(config.join), not config.is_born
            )

    # -- what is gone by -----------------------------------------------------------------------

    @property
    def is_removed(self) -> bool:
        """The cluster goes on without this slave, and has forgotten it."""
        return self.map.epoch > 0 and self.me not in self.map.nodes

    @property
    def waits_for(self) -> list[str] | None:
        """The slaves that must be met before the cluster is born; None when it is."""
        return None if self.birth is None else self.birth.missing

    @property
    def waits_to_join(self) -> bool:
        """It has not been let into the cluster yet, and knows nothing of it."""
        return self.birth is not None and self.birth.joins

    @property
    def waits_for_cluster(self) -> bool:
        """Its directory is empty, and it is told that the cluster has been born."""
        return self.birth is not None and not (self.birth.joins or self.birth.may_begin)

    @property
    def counts_us(self) -> bool:
        """The map knows this slave by the directory that it runs with."""
        row = self.map.nodes.get(self.me)
        return row is not None and row.incarnation == self.incarnation

    # -- a newer one -----------------------------------------------------------------------------

    def agreed(self) -> ClusterMap | None:
        """The first map, once all agree on it."""
        incarnations = None if self.birth is None else self.birth.agreed()
        return None if incarnations is None else map_of(self._config, incarnations)

    def is_newer(self, cluster_map: ClusterMap) -> bool:
        return cluster_map.epoch > self.map.epoch

    def link_up(self, peer: str, incarnation: str) -> None:
        if self.birth is not None:
            self.birth.met(peer, incarnation)

    def link_down(self, peer: str) -> None:
        if self.birth is not None:
            self.birth.lost(peer)

    def heard(self, peer: str, gossip: Gossip) -> ClusterMap | None:
        """A map that a peer's gossip brings: its own, unless we wait for one that names us; or the
        first one, if all agree on it now."""
        if gossip.map is not None and self.is_newer(gossip.map):
            if self.me in gossip.map.nodes or not self.waits_to_join:
                return gossip.map
        if self.birth is not None:
            self.birth.told(peer, {} if gossip.is_born else gossip.hears)
        return self.agreed()

    def is_behind_us(self, gossip: Gossip) -> bool:
        """Its sender should hear of our map."""
        return self.durable is not None and gossip.epoch < self.durable.epoch

    def adopt(self, cluster_map: ClusterMap) -> ClusterMap | None:
        """Go by this one.  Returns the first map, if we were born into it and have missed that.
        Raises ``VersionError``."""
        check_known(cluster_map.level)
        born_into = self._missed_birth(cluster_map)
        self.map, self.birth = cluster_map, None
        self._records.keep(cluster_map)
        return born_into

    def _missed_birth(self, cluster_map: ClusterMap) -> ClusterMap | None:
        """The others agreed on us, and we hear of it only now that the map has changed."""
        if self.birth is None or self.birth.joins or cluster_map.epoch == 1:
            return None
        founders = cluster_map.founders
        if founders.get(self.me) != self.incarnation:
            return None
        if list(founders) != [node.id for node in self._config.nodes]:
            return None  # the file has changed since
        first = map_of(self._config, founders, cluster_map.replicas_at_birth)
        return first if len(first.partitions) == len(cluster_map.partitions) else None

    def write_set_is_durable(self, sequence: int) -> bool:
        """A write set is on disk; true if others may hear of a newer map now."""
        if self.durable is self._records.map or self._records.sequence > sequence:
            return False
        self.durable = self._records.map
        return True
