"""What is asked for: commands as bytes, made before they are sent.  Pure.

A pipeline is made of commands for one leader, as a client of Redis Cluster sends them; leaders get
their share by the slots that they lead, since all keys are as likely.  Pipelines stand in a ring
and are sent again and again, as long as all keys have room in it; with more keys each pipeline is
made afresh, which costs the generator about a microsecond a command.

Invariant: a pipeline that was made for an older slot map is made anew before it is sent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from distrodb.bench.slot_map import SlotMap
from distrodb.config.address import Address
from distrodb.ring.slots import slot_of

RING_COMMANDS = 1 << 17
RING_BYTES = 1 << 26
_FILL_AT_ONCE = 100
_FILL_BYTES = 1 << 20
_JOINED_BYTES = 1 << 14  # larger values are not copied into each pipeline
_PRINTABLE = bytes(range(0x30, 0x3A)) + bytes(range(0x41, 0x5B)) + bytes(range(0x61, 0x7B))

Command = tuple[bytes, ...]  # pieces to be sent one after another


@dataclass(frozen=True, slots=True)
class Pipeline:
    commands: tuple[Command, ...]
    is_set: bytes  # for each command 1, or 0 for a GET
    leader: Address | None  # None: nobody leads the slots
    pieces: list[bytes]
    version: int  # of the slot map
    usual: bytes  # the reply to a command if all have the same and all goes well; else empty


@dataclass(frozen=True, slots=True)
class Shape:
    """What commands look like."""

    keys: int
    prefix: bytes
    sizes: tuple[int, ...]  # of values, all alike often
    get_percent: float
    pipeline: int


class Workload:
    def __init__(self, shape: Shape, slot_map: SlotMap, chance: Random) -> None:
        self._shape, self._map, self._chance = shape, slot_map, chance
        letters = bytes(chance.choices(_PRINTABLE, k=4096))  # not all alike: they may be compressed
        self._values = [(letters * (size // 4096 + 1))[:size] for size in shape.sizes]
        self._ring: list[Pipeline] = []
        self._next = 0
        bytes_each = max(size if size <= _JOINED_BYTES else 0 for size in shape.sizes) + 256
        self._room = min(RING_COMMANDS, RING_BYTES // bytes_each)
        self._numbers = self._permuted() if shape.keys <= self._room else self._drawn()
        self._begun: dict[Address | None, list[tuple[Command, int]]] = {}
        self._begun_version = slot_map.version

    def prepare(self) -> None:
        """Make the ring, so that it does not cost time later."""
        if self._shape.keys <= self._room:
            count = max(1, self._room // self._shape.pipeline)
            self._ring = [self._made() for _ in range(count)]

    def next(self) -> Pipeline:
        if not self._ring:
            return self._made()
        number = self._next
        self._next = number + 1 if number + 1 < len(self._ring) else 0
        pipeline = self._ring[number]
        if pipeline.version != self._map.version:
            pipeline = self._ring[number] = self._made()
        return pipeline

    def fill(self) -> Iterator[Pipeline]:
        """Every key once, many at once, whatever the load does: it is not measured."""
        largest = max(self._shape.sizes)
        at_once = max(self._shape.pipeline, min(_FILL_AT_ONCE, _FILL_BYTES // (largest + 1)), 1)
        begun: dict[Address | None, list[tuple[Command, int]]] = {}
        for number in range(self._shape.keys):
            key = self._key(number)
            leader = self._map.leaders[slot_of(key)]
            some = begun.setdefault(leader, [])
            some.append((self._set(key), 1))
            if len(some) >= at_once:
                yield self._pipeline(leader, begun.pop(leader))
        for leader, some in begun.items():
            yield self._pipeline(leader, some)

    def _made(self) -> Pipeline:
        """Draws until the commands for one of the leaders are enough."""
        if self._begun_version != self._map.version:
            self._begun.clear()
            self._begun_version = self._map.version
        shape, chance, leaders = self._shape, self._chance, self._map.leaders
        while True:
            key = self._key(next(self._numbers))
            is_get = chance.random() * 100 < shape.get_percent
            leader = leaders[slot_of(key)]
            some = self._begun.setdefault(leader, [])
            some.append((get(key), 0) if is_get else (self._set(key), 1))
            if len(some) >= shape.pipeline:
                return self._pipeline(leader, self._begun.pop(leader))

    def _permuted(self) -> Iterator[int]:
        """All keys as often: what is drawn once and kept would leave some out for ever."""
        numbers = list(range(self._shape.keys))
        while True:
            self._chance.shuffle(numbers)
            yield from numbers

    def _drawn(self) -> Iterator[int]:
        keys, random = self._shape.keys, self._chance.random
        while True:
            yield int(random() * keys)

    def _key(self, number: int) -> bytes:
        return b"%b%012d" % (self._shape.prefix, number)

    def _set(self, key: bytes) -> Command:
        values = self._values
        value = values[0] if len(values) == 1 else self._chance.choice(values)
        head = b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n" % (len(key), key, len(value))
        return (head, value, b"\r\n") if len(value) > _JOINED_BYTES else (head + value + b"\r\n",)

    def _pipeline(self, leader: Address | None, some: list[tuple[Command, int]]) -> Pipeline:
        commands = tuple(command for command, _ in some)
        is_set = bytes(is_set for _, is_set in some)
        usual = b""
        if 0 not in is_set:
            usual = b"+OK\r\n"
        elif 1 not in is_set and len(self._values) == 1 and len(self._values[0]) < _JOINED_BYTES:
            usual = b"$%d\r\n%b\r\n" % (len(self._values[0]), self._values[0])
        return Pipeline(commands, is_set, leader, joined(commands), self._map.version, usual)


def get(key: bytes) -> Command:
    return (b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key),)


def joined(commands: tuple[Command, ...]) -> list[bytes]:
    """Small ones in one piece; large values stay what they are."""
    pieces: list[bytes] = []
    small: list[bytes] = []
    for command in commands:
        if len(command) == 1:
            small.append(command[0])
        else:
            pieces += [b"".join([*small, command[0]]), *command[1:]]
            small = []
    return [*pieces, b"".join(small)] if small else pieces
