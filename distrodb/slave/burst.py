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

from collections.abc import Sequence
from itertools import chain
from typing import Any, Protocol

from distrodb.errors import InvariantViolation
from distrodb.keyspace.place_number import slot_at
from distrodb.raft.interfaces import Burst as GroupBurst
from distrodb.raft.interfaces import Request
from distrodb.resp.reply import Reply

COMMAND_BYTES = 32  # that a command counts as beside its words, as one by itself does (replies.py)


class Owner(Protocol):
    """Whose commands they are: the connection's replies."""

    def resolve_part(self, part: "Part", replies: Sequence[Reply]) -> None: ...

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

    def __init__(self) -> None:
        self.commands: list[tuple[int, Sequence[bytes]]] = []
        self.numbers: list[int] = []  # of each in its burst
        self.which_write: list[bool] = []  # of the same length
        self.writes: Sequence[tuple[int, Sequence[bytes]]] = ()
        self.size = self.words = 0

    def complete(self) -> None:
        """All of its commands are there."""
        commands, which_write = self.commands, self.which_write
        sizes = list(map(len, chain.from_iterable([args for _, args in commands])))
        self.words, self.size = len(sizes), sum(sizes) + COMMAND_BYTES * len(commands)
        writes = which_write.count(True)
        if writes == len(commands):
            self.writes = commands
        elif writes:
            pairs = zip(commands, which_write, strict=True)
            self.writes = [command for command, is_write in pairs if is_write]

    def resolve(self, replies: Sequence[Reply]) -> None:
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
