"""Which kinds of containers there are, by their numbers in snapshots."""

from collections.abc import Mapping

from distrodb.keyspace.containers.hash import Hash
from distrodb.keyspace.containers.list import List
from distrodb.keyspace.containers.set import Set
from distrodb.keyspace.containers.sorted_set import SortedSet
from distrodb.keyspace.containers.stream import Stream
from distrodb.keyspace.values import Container

CONTAINERS: Mapping[int, type[Container]] = {
    kind.tag: kind for kind in (Hash, List, Set, SortedSet, Stream)
}
