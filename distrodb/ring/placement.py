"""Which slaves hold a partition: its owner and the owner's neighbours on the ring."""

from collections.abc import Sequence

# Of copies of a partition.  One more than an odd number bears no loss more.
REPLICAS = (1, 3, 5)
MAP_GROUP_MAX = 5  # more members would slow each change of the map and add no safety worth it


def group_of(ring: Sequence[str], owner: str, replicas: int) -> tuple[str, ...]:
    """The group of ``owner``'s partitions: left neighbours, owner, right neighbours.

    With no more slaves than ``replicas`` it is all of them, in ring order.  ``replicas`` is odd.
    """
    if len(ring) <= replicas:
        return tuple(ring)
    position, side = ring.index(owner), replicas // 2
    return tuple(ring[(position + step) % len(ring)] for step in range(-side, side + 1))


def map_group_of(ring: Sequence[str]) -> tuple[str, ...]:
    """The slaves that hold the cluster map: the first ones of the ring."""
    return tuple(ring[:MAP_GROUP_MAX])
