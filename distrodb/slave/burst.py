"""Commands of one connection that came together, as one object with many replies.  Pure.

A client that pipelines sends many commands at once, and most of them are of one kind: on one key,
quickly done.  An object, a place in each queue and a call back for each of them cost more than all
the rest, so what came together stays together: in the connection's queue of replies it is one
``Burst``, in the queue of each group that it concerns one ``Part``.

What always holds:

- Replies leave in the order of the commands, each as soon as it and all before it are there, as if
  each command had been begun by itself; so do all counts and limits (replies.py).
- The commands of a part are in the order in which they came.  A group takes them as a whole, or
  hands them back as single ones (``Part.singles``): each may have to be told to go elsewhere then.

Only a connection in its plain state begins bursts: one that is in no transaction, reads no copies,
is told of no changes and wants its replies.  Who else is told what it does is none of its business,
so nothing is put between the replies of a burst.
"""

from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import Any, Protocol

from distrodb.commands.command import Command
from distrodb.compiled import compiled
from distrodb.errors import InvariantViolation
from distrodb.keyspace.place_number import slot_at
from distrodb.raft.interfaces import Burst as GroupBurst
from distrodb.raft.interfaces import Request
from distrodb.resp.reply import ErrorReply, Reply
from distrodb.ring.slots import slot_of

COMMAND_BYTES = 32  # that a command counts as beside its words, as one by itself does (replies.py)


class Owner(Protocol):
    """Whose commands they are: the connection's replies."""

    def resolve_part(self, part: "Part", replies: list[Reply]) -> None: ...

    def resolve_one(self, part: "Part", position: int, reply: Reply) -> None: ...


class Burst:
    """In the queue of a connection's replies."""

    __slots__ = ("answers", "left", "owner", "parts", "size", "taken")

    reply = None  # it is none that others could add to, or wait for

    def __init__(self, owner: Owner, parts: Sequence["Part"], count: int):
        self.owner, self.parts = owner, parts
        self.answers: list[Any] = [None] * count  # replies as they are kept (replies.py)
        self.left = count  # commands that are not answered
        self.taken = 0  # so many replies are on their way to the client
        self.size = 0  # bytes of the commands
        for part in parts:
            part.burst = self
            self.size += part.size

    @property
    def has_output(self) -> bool:
        return self.answers[self.taken] is not None

    @property
    def is_over(self) -> bool:
        """All replies are on their way."""
        return self.taken == len(self.answers)

    def may_tell_of(self, keys: object) -> bool:
        """Some of it is answered: what is to come behind those replies comes behind all of it."""
        return self.left < len(self.answers)

    def holds(self, args: Sequence[bytes]) -> bool:
        """This very command is one of them."""
        return any(words is args for part in self.parts for _, words in part.commands)


class Part(GroupBurst):
    """The commands of a burst that are for one group: a request to it."""

    __slots__ = ("burst", "numbers", "which_write")

    burst: Burst

    def __init__(
        self,
        commands: list[tuple[int, Sequence[bytes]]],
        numbers: list[int],
        which_write: list[bool],
    ):
        """All are of the same length."""
        self.commands = commands
        self.numbers = numbers  # of each in its burst
        self.which_write = which_write
        self.words, size = measure(commands)
        self.size = size + COMMAND_BYTES * len(commands)
        writes = which_write.count(True)
        self.writes: Sequence[tuple[int, Sequence[bytes]]] = ()
        if writes == len(commands):
            self.writes = commands
        elif writes:
            pairs = zip(commands, which_write, strict=True)
            self.writes = [command for command, is_write in pairs if is_write]

    def resolve(self, replies: list[Reply]) -> None:
        self.burst.owner.resolve_part(self, replies)

    def singles(self) -> list[Request]:
        return [_Single(self, position) for position in range(len(self.commands))]


class _Single:
    """One command of a part, on a way of its own: a request."""

    __slots__ = ("_part", "_position", "args", "is_answered", "is_write", "place")

    def __init__(self, part: Part, position: int):
        self._part, self._position = part, position
        self.place, self.args = part.commands[position]
        self.is_write = part.which_write[position]
        self.is_answered = False

    @property
    def slot(self) -> int:
        return slot_at(self.place)

    @property
    def size(self) -> int:
        return COMMAND_BYTES + sum(map(len, self.args))

    def resolve(self, reply: Reply) -> None:
        if self.is_answered:
            raise InvariantViolation("a command is answered twice")
        self.is_answered = True
        self._part.burst.owner.resolve_one(self._part, self._position, reply)


# What a part is made of: places and words of its commands, their numbers, which of them write.
Lists = tuple[list[tuple[int, Sequence[bytes]]], list[int], list[bool]]


@compiled
def share_out(
    waiting: Iterable[list[bytes] | ErrorReply],
    count_max: int,
    table: dict[bytes, Command],
    partition_of_slot: list[int],
    base: int,
) -> tuple[dict[int, Lists], dict[str, int], Command | None]:
    """The plain commands at the head of what waits, so many at most: those for each partition, how
    many there are of each name, and the row of the last.  ``base``: the place of slot 0."""
    parts: dict[int, Lists] = {}
    names: list[str] = []
    row = None
    for number, args in enumerate(islice(waiting, count_max)):
        if isinstance(args, ErrorReply):
            break
        found = table.get(args[0])
        if found is None or not found.is_plain:
            break
        if not found.words_min <= len(args) <= found.words_max:
            break
        row = found
        slot = slot_of(args[row.first_key])
        partition = partition_of_slot[slot]
        part = parts.get(partition)
        if part is None:
            part = parts[partition] = [], [], []
        commands, numbers, which_write = part
        commands.append((base + slot, args))
        numbers.append(number)
        which_write.append(row.is_write)
        names.append(row.name)
    return parts, {name: names.count(name) for name in set(names)}, row


@compiled
def measure(commands: list[tuple[int, Sequence[bytes]]]) -> tuple[int, int]:
    """The words of these commands, and the bytes of all words."""
    sizes = list(map(len, chain.from_iterable([args for _, args in commands])))
    return len(sizes), sum(sizes)
