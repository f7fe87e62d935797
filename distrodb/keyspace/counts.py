"""How many keys a database has, in a partition or on a slave: what INFO says of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counts:
    keys: int
    expiring: int
    ttl_ms: int  # of those that expire, on average and about

    def __add__(self, other: "Counts") -> "Counts":
        expiring = self.expiring + other.expiring
        ttls = self.ttl_ms * self.expiring + other.ttl_ms * other.expiring
        return Counts(self.keys + other.keys, expiring, ttls // max(1, expiring))


def keyspace_lines(partitions: Iterable[Mapping[int, Counts]]) -> Mapping[str, object]:
    """INFO keyspace: a line for each database that is not empty."""
    totals: dict[int, Counts] = {}
    for partition in partitions:
        for database, counts in partition.items():
            totals[database] = counts + totals[database] if database in totals else counts
    return {
        f"db{database}": f"keys={total.keys},expires={total.expiring},avg_ttl={total.ttl_ms}"
        for database, total in sorted(totals.items())
    }
