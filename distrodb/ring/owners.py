"""Who owns which partition when the ring has changed: balanced, with the fewest changes.

With P partitions and n slaves everybody owns ``P // n`` or one more.  A partition changes owner
only when its owner is not in the ring, or owns too many; so no other balanced choice changes fewer.
A slave that owns too many gives first what somebody who needs partitions holds a copy of.  Whoever
holds a copy takes first, then the neighbours of those (their groups overlap, so less is copied),
then whoever owns the fewest.

Caveat: holders are matched greedily, in the order of partitions; now and then one copy more is made
than an optimal matching would need.  The number of changed owners is the least in any case.

The result depends on the arguments' order only, never on that of a set: it is computed inside
``commands.apply``, on each slave that holds the map.  So another choice is another map command,
not a change of this one.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush

Row = tuple[str, Sequence[str]]  # a partition's owner and its group


def balanced_owners(ring: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """The owner of each partition.  ``ring`` is not empty; owners that are not in it lose all."""
    owned: dict[str, list[int]] = {node: [] for node in ring}
    for number, (owner, _) in enumerate(rows):
        if owner in owned:
            owned[owner].append(number)
    room = _Room(rows, ring, owned)
    owners = [owner for owner, _ in rows]
    loose = [number for number, owner in enumerate(owners) if owner not in owned]
    loose += room.given
    for takers in (_holders, _neighbours):
        loose = _take(sorted(loose), rows, owners, room, takers)
    for number, taker in zip(loose, room.takers(len(loose)), strict=True):
        owners[number] = taker
    return owners


class _Room:
    """What each slave gives, and how many partitions it may still take."""

    def __init__(self, rows: Sequence[Row], ring: Sequence[str], owned: Mapping[str, list[int]]):
        self.ring = ring
        self.position = {node: position for position, node in enumerate(ring)}
        self._least, extra = divmod(len(rows), len(ring))
        self.count = {node: min(len(owned[node]), self._least) for node in ring}
        needy = {node for node in ring if len(owned[node]) < self._least}
        away = _steps_away(ring, needy)

        def ease(number: int) -> tuple[int, int, bool, int]:
            """How little is copied when this one is given."""
            owner, group = rows[number]
            return _places_off(group, needy), away[owner], owner in group, number

        surplus = {
            node: sorted(owned[node], key=ease)[: len(owned[node]) - self._least]
            for node in ring
            if len(owned[node]) > self._least
        }
        # So many may keep one more: those who would give it at the highest price.
        keeping = sorted(surplus, key=lambda node: ease(surplus[node][-1]), reverse=True)[:extra]
        for node in keeping:
            self.count[node] += 1
            surplus[node].pop()
        self._spare = extra - len(keeping)
        self.given = [number for numbers in surplus.values() for number in numbers]

    def has_room(self, node: str) -> bool:
        count = self.count[node]
        return count < self._least or (count == self._least and self._spare > 0)

    def take(self, node: str) -> str:
        self._spare -= self.count[node] == self._least
        self.count[node] += 1
        return node

    def takers(self, number: int) -> Iterable[str]:
        """So many slaves with room, whoever owns the fewest first."""
        heap = [(self.count[node], self.position[node]) for node in self.ring]
        heapify(heap)
        for _ in range(number):
            count, position = heappop(heap)
            heappush(heap, (count + 1, position))
            yield self.take(self.ring[position])


def _steps_away(ring: Sequence[str], needy: Container[str]) -> dict[str, int]:
    """How far each slave is from the nearest needy one along the ring."""
    away = dict.fromkeys(ring, len(ring))
    for lap in (ring, ring[::-1]):
        steps = len(ring)
        for node in (*lap, *lap):
            steps = 0 if node in needy else steps + 1
            away[node] = min(away[node], steps)
    return away


def _take(
    loose: Sequence[int],
    rows: Sequence[Row],
    owners: list[str],
    room: _Room,
    takers: Callable[[_Room, Sequence[str]], list[str]],
) -> list[int]:
    """Give what those can take; the rest is returned."""
    rest = []
    for number in loose:
        able = [node for node in takers(room, rows[number][1]) if room.has_room(node)]
        if able:
            owners[number] = room.take(min(able, key=lambda node: room.count[node]))
        else:
            rest.append(number)
    return rest


def _middle_out(group: Sequence[str]) -> list[str]:
    """The nearer to the middle, the less is copied when that one becomes the owner."""
    middle = len(group) // 2
    return [group[place] for place in sorted(range(len(group)), key=lambda p: abs(p - middle))]


def _places_off(group: Sequence[str], wanted: Container[str]) -> int:
    """How many members are nearer to the middle than the first of the wanted ones."""
    nearest = (place for place, node in enumerate(_middle_out(group)) if node in wanted)
    return next(nearest, len(group))


def _holders(room: _Room, group: Sequence[str]) -> list[str]:
    return [node for node in _middle_out(group) if node in room.position]


def _neighbours(room: _Room, group: Sequence[str]) -> list[str]:
    places = [room.position[node] for node in _holders(room, group)]
    return [room.ring[(place + step) % len(room.ring)] for place in places for step in (-1, 1)]
