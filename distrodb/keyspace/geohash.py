"""Places on the earth as numbers of 52 bits, so that places near each other are mostly near each
other as numbers: scores of a sorted set.

A place is in one of 2^26 stripes of longitude and one of as many of latitude; the bits of the two
take turns.  The first 2n of these bits are a cell, of which there are 2^n by 2^n.  What lies in a
circle or in a box is looked for in the cell of its middle and in the eight around it, of a size by
which these cover it.

All of it is as Redis has it (https://redis.io/docs/latest/commands/geoadd/), so that its clients
find the same.  The earth is a ball here; latitudes end where Mercator's map does.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from typing import TypeAlias

from distrodb.keyspace.trigonometry import PI, asin, cos, sin

LONGITUDE_MAX, LATITUDE_MAX = 180.0, 85.05112878
STEPS = 26  # bits of each
EARTH_M = 6372797.560856  # its radius
_MERCATOR_M = 20037726.37
_DEGREE = PI / 180.0
_LETTERS = b"0123456789bcdefghjkmnpqrstuvwxyz"
_BITS_64 = (1 << 64) - 1

Place: TypeAlias = tuple[float, float]  # longitude, latitude
Cell: TypeAlias = tuple[int, int]  # stripes of longitude and of latitude


def is_place(longitude: float, latitude: float) -> bool:
    return abs(longitude) <= LONGITUDE_MAX and abs(latitude) <= LATITUDE_MAX


# -- bits ------------------------------------------------------------------------------------------


def _spread(number: int) -> int:
    """A zero before each bit."""
    for shift, mask in (
        (16, 0x0000FFFF0000FFFF),
        (8, 0x00FF00FF00FF00FF),
        (4, 0x0F0F0F0F0F0F0F0F),
        (2, 0x3333333333333333),
        (1, 0x5555555555555555),
    ):
        number = (number | number << shift) & mask
    return number


def _gathered(number: int) -> int:
    """The inverse: every second bit, from the last one."""
    number &= 0x5555555555555555
    for shift, mask in (
        (1, 0x3333333333333333),
        (2, 0x0F0F0F0F0F0F0F0F),
        (4, 0x00FF00FF00FF00FF),
        (8, 0x0000FFFF0000FFFF),
        (16, 0x00000000FFFFFFFF),
    ):
        number = (number | number >> shift) & mask
    return number


def _cell(place: Place, steps: int, latitude_max: float = LATITUDE_MAX) -> Cell:
    longitude, latitude = place
    x = (longitude + LONGITUDE_MAX) / (2 * LONGITUDE_MAX)
    y = (latitude + latitude_max) / (2 * latitude_max)
    return int(x * (1 << steps)) & 0xFFFFFFFF, int(y * (1 << steps)) & 0xFFFFFFFF


def encode(place: Place) -> int:
    x, y = _cell(place, STEPS)
    return _spread(x) << 1 | _spread(y)


def _edge(stripe: int, steps: int, most: float) -> float:
    return -most + stripe / (1 << steps) * (2 * most)


def _bits(score: float) -> int:
    """What a processor makes of a double that should be an unsigned number of 64 bits, in Redis."""
    if score < -(2.0**63):
        return 1 << 63
    return int(score) & _BITS_64 if score < 2.0**64 else 0


def decode(score: float) -> Place:
    """The middle of the smallest cell; of whatever score, since any command may have set it."""
    bits = _bits(score)
    x, y = _gathered(bits >> 1), _gathered(bits)
    longitude = (_edge(x, STEPS, LONGITUDE_MAX) + _edge(x + 1, STEPS, LONGITUDE_MAX)) / 2
    latitude = (_edge(y, STEPS, LATITUDE_MAX) + _edge(y + 1, STEPS, LATITUDE_MAX)) / 2
    return min(longitude, LONGITUDE_MAX), min(latitude, LATITUDE_MAX)


def text(place: Place) -> bytes:
    """As https://en.wikipedia.org/wiki/Geohash has it: latitudes up to the poles, 11 letters."""
    x, y = _cell(place, STEPS, 90.0)
    bits = _spread(x) << 1 | _spread(y)
    letters = [_LETTERS[bits >> (52 - 5 * (n + 1)) & 31] for n in range(10)]
    return bytes(letters) + b"0"  # 52 bits are two too few for the last one


# -- distances -------------------------------------------------------------------------------------


def latitude_distance(one: float, other: float) -> float:
    """Metres between two latitudes."""
    return EARTH_M * abs(other * _DEGREE - one * _DEGREE)


def distance(one: Place, other: Place) -> float:
    """Metres, along a great circle."""
    across = sin((other[0] * _DEGREE - one[0] * _DEGREE) / 2)
    if across == 0.0:
        return latitude_distance(one[1], other[1])
    lower, upper = one[1] * _DEGREE, other[1] * _DEGREE
    up = sin((upper - lower) / 2)
    square = up * up + cos(lower) * cos(upper) * across * across
    return 2.0 * EARTH_M * asin(sqrt(square))


# -- shapes ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shape:
    """A circle around a place, or a box with a place in its middle; in metres."""

    middle: Place
    width: float  # of a circle: its radius
    height: float
    is_box: bool = False

    def distance(self, place: Place) -> float | None:
        """From its middle; None for what is outside."""
        up = latitude_distance(place[1], self.middle[1])
        if not self.is_box:
            if up > self.width * (1 + 1e-9):  # no longer way is a shorter one
                return None
            found = distance(self.middle, place)
            return found if found <= self.width else None
        if up > self.height / 2:
            return None
        if distance(place, (self.middle[0], place[1])) > self.width / 2:
            return None
        return distance(self.middle, place)

    def _half(self) -> tuple[float, float]:
        return (self.width / 2, self.height / 2) if self.is_box else (self.width, self.width)

    def _bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north of it, about."""
        longitude, latitude = self.middle
        width, height = self._half()
        up = height / EARTH_M / _DEGREE
        nearer_to_pole = latitude - up if latitude < 0 else latitude + up
        # Beyond a pole, as beyond what sines are made for, any meridian is near.
        shrunk = cos(nearer_to_pole * _DEGREE) if abs(nearer_to_pole) < 200 else 0.0
        across = width / EARTH_M / shrunk / _DEGREE if shrunk else 360.0
        return longitude - across, latitude - up, longitude + across, latitude + up

    def _reach(self) -> float:
        width, height = self._half()
        return sqrt(width * width + height * height) if self.is_box else width

    def score_ranges(self) -> list[tuple[int, int]]:
        """Scores from the first on, before the second: of up to nine cells that cover it."""
        bounds = self._bounds()
        steps = _steps(self._reach(), self.middle[1])
        if steps > 1 and not _covers(_cell(self.middle, steps), steps, bounds):
            steps -= 1
        cell = _cell(self.middle, steps)
        found: list[tuple[int, int]] = []
        for x, y in _around(cell, steps, bounds):
            shift = 2 * (STEPS - steps)
            first = (_spread(x) << 1 | _spread(y)) << shift
            if not found or found[-1][0] != first:  # there are few cells of the largest size
                found.append((first, first + (1 << shift)))
        return found


def _steps(reach_m: float, latitude: float) -> int:
    """Of cells that are about as large."""
    if reach_m == 0:
        return STEPS
    steps = 1
    while reach_m < _MERCATOR_M:
        reach_m *= 2
        steps += 1
    steps -= 2  # so that it is covered wherever in a cell it is, mostly
    if abs(latitude) > 66:  # stripes are narrow there
        steps -= 2 if abs(latitude) > 80 else 1
    return max(1, min(STEPS, steps))


def _covers(cell: Cell, steps: int, bounds: tuple[float, float, float, float]) -> bool:
    """With those around it."""
    (x, y), count = cell, 1 << steps
    west, south, east, north = bounds
    return (
        _edge((y + 1) % count + 1, steps, LATITUDE_MAX) >= north
        and _edge((y - 1) % count, steps, LATITUDE_MAX) <= south
        and _edge((x + 1) % count + 1, steps, LONGITUDE_MAX) >= east
        and _edge((x - 1) % count, steps, LONGITUDE_MAX) <= west
    )


_MIDDLE_FIRST = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))


def _around(cell: Cell, steps: int, bounds: tuple[float, float, float, float]) -> Iterator[Cell]:
    """The cell and those around it, but for those that it reaches beyond the bounds towards."""
    (x, y), count = cell, 1 << steps
    west, south, east, north = bounds
    is_left_out: list[Callable[[int, int], bool]] = []
    if steps >= 2:
        if _edge(y, steps, LATITUDE_MAX) < south:
            is_left_out.append(lambda right, up: up < 0)
        if _edge(y + 1, steps, LATITUDE_MAX) > north:
            is_left_out.append(lambda right, up: up > 0)
        if _edge(x, steps, LONGITUDE_MAX) < west:
            is_left_out.append(lambda right, up: right < 0)
        if _edge(x + 1, steps, LONGITUDE_MAX) > east:
            is_left_out.append(lambda right, up: right > 0)
    for right, up in _MIDDLE_FIRST:
        if not any(test(right, up) for test in is_left_out):
            # At the very edge of the map a place is in a stripe beyond the last one.
            yield (x + right) % count if right else x, (y + up) % count if up else y
