"""The leader's side: commands that gateways have forwarded, and the answers to them.  Pure.

What always holds: the commands of one gateway for one partition go into the partition's queue in
the order in which the gateway sent them, or not at all.  A gateway sends them in *generations*,
each to one leader, cut into numbered chunks.  A chunk that is not the next one of its generation is
refused, and so is all that comes behind one that was refused; the gateway then begins a new
generation.  TCP loses nothing and repeats nothing: this is what makes it so where a link does.

Where clients ask for more at once than a link can take, only the first of it is answered, and the
rest of the generation is refused, so that it is asked for again when that has arrived.

A command is answered to the link that it came by, or to nobody if that is gone: what comes by the
next one is another process, or will be asked again.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from distrodb.commands.command import Command
from distrodb.commands.gateway import NAME, OPEN, SKIP
from distrodb.errors import PeerError
from distrodb.keyspace.origins import Mark, NoReply
from distrodb.keyspace.place_number import slot_at
from distrodb.keyspace.transaction import (
    EXEC,
    EXEC_RO,
    PLACE_BITS,
    WATCH,
    Condition,
    Queued,
    parts_of,
)
from distrodb.raft.interfaces import Marked
from distrodb.raft.messages import NUMBER_MAX
from distrodb.resp.encode import size_of
from distrodb.resp.reply import Reply, error
from distrodb.ring.slots import slot_of

# In place of a command's number in the sequence of its origin.
READ, UNMARKED = 0, -1
# Of replies that leave in one turn, since what is behind them on a link waits for them; the others
# are asked for again.  A link keeps no more than twice as many (links/link.py).
TURN_BYTES_MAX = 1 << 26
# What partitions run and no client can send.  Their handlers rely on its words, so these are looked
# at here.
_OWN = frozenset({EXEC, EXEC_RO, WATCH, NAME})
ITEM_BYTES = 32  # what a command or an answer costs beside its arguments, about

# [partition, generation, chunk, origin, all below this are answered, [[number of the command,
# in the sequence of its origin, place, [name, argument, …]], …]]
Chunk = list[Any]
# Number of the command; 0, or the value of a NoReply; the reply.
Answer = tuple[int, int, Reply]


class Stream:
    """One generation of one gateway's commands for one partition."""

    __slots__ = (
        "answers",
        "generation",
        "is_gone",
        "is_refused",
        "next_chunk",
        "partition",
        "peer",
        "size",
    )

    def __init__(self, peer: str, partition: int, generation: int):
        self.peer, self.partition, self.generation = peer, partition, generation
        self.next_chunk = 0
        self.is_refused = False  # nothing more is taken
        self.is_gone = False  # nobody waits for the answers
        self.answers: list[Answer] = []
        self.size = 0  # of these, in bytes, about

    def take(self) -> tuple[list[Answer], int]:
        """The answers since the last time, and about their bytes."""
        answers, size = self.answers, self.size
        self.answers, self.size = [], 0
        return answers, size


class Forwarded(Marked):
    """One command, the ``Request`` of its group."""

    __slots__ = ("_answers", "args", "is_write", "number", "place", "size", "slot", "stream")

    def __init__(
        self,
        answers: "Answers",
        stream: Stream,
        number: int,
        place: int,
        args: Sequence[bytes],
        mark: Mark | None,
        is_write: bool,
    ):
        self._answers, self.stream, self.number = answers, stream, number
        self.place, self.slot, self.args = place, slot_at(place), args
        self.mark, self.is_write = mark, is_write
        self.size = ITEM_BYTES + sum(map(len, args))

    def resolve(self, reply: Reply) -> None:
        self._answers.add(self.stream, self.number, 0, reply)

    def fail(self, why: NoReply) -> None:
        self.stream.is_refused = True
        self._answers.add(self.stream, self.number, why.value, None)


class Answers:
    """What is to be told to gateways at the end of a turn."""

    def __init__(self, reply_bytes_max: int):
        self._bytes_max = reply_bytes_max
        self.streams: list[Stream] = []  # those with answers
        self._bytes = 0  # of replies that are to leave by links

    def add(self, stream: Stream, number: int, why: int, reply: Reply) -> None:
        if stream.is_gone:
            return
        if not stream.answers:
            self.streams.append(stream)
        size = 0 if type(reply) is int else size_of(reply)
        if size > self._bytes_max:
            reply, size = TOO_LARGE, 0
        if stream.peer and not why:
            if self._bytes and self._bytes + size > TURN_BYTES_MAX:
                stream.is_refused = True
                why, reply, size = NoReply.IN_DOUBT.value, None, 0
            self._bytes += size
        stream.answers.append((number, why, reply))
        stream.size += size + ITEM_BYTES

    def take(self) -> list[Stream]:
        """Streams with answers; whoever takes them takes those too."""
        streams, self.streams, self._bytes = self.streams, [], 0
        return [stream for stream in streams if not stream.is_gone]


TOO_LARGE = error("ERR", "the reply exceeds output_bytes_max; ask for less at once")


class Inbox:
    """What comes from gateways."""

    def __init__(
        self,
        table: Mapping[bytes, Command],
        answers: Answers,
        partition_of_slot: Callable[[], Sequence[int]],
        submit: Callable[[Forwarded, int], None],
    ):
        self._table, self._answers = table, answers
        self._partition_of_slot, self._submit = partition_of_slot, submit
        self._streams: dict[tuple[str, int], Stream] = {}  # by peer and partition: the newest

    def link_down(self, peer: str) -> None:
        for key in [key for key in self._streams if key[0] == peer]:
            self._streams.pop(key).is_gone = True

    def receive(self, peer: str, content: object) -> None:
        """Raises ``PeerError``."""
        for chunk in content if isinstance(content, list) else [None]:
            if not isinstance(chunk, list) or tuple(map(type, chunk)) != _CHUNK:
                raise PeerError("what was forwarded is no list of commands")
            if not all(0 <= number < NUMBER_MAX for number in chunk[:5]):
                raise PeerError("what was forwarded has a number out of range")
            self._take(peer, chunk)

    def _take(self, peer: str, chunk: Chunk) -> None:
        partition, generation, number, origin, answered, rows = chunk
        if partition > self._partition_of_slot()[-1]:
            raise PeerError("what was forwarded is of no partition")
        stream = self._streams.get((peer, partition))
        if stream is None or generation > stream.generation:
            stream = self._streams[peer, partition] = Stream(peer, partition, generation)
        if generation < stream.generation or number < stream.next_chunk:
            return  # it was overtaken, or has come twice: no answer to it is waited for
        if number != stream.next_chunk:
            stream.is_refused = True
        stream.next_chunk = number + 1
        for row in rows:
            self.submit(self._request(stream, origin, answered, row), partition)

    def submit(self, request: Forwarded, partition: int) -> None:
        """To its group; also what this slave forwards to itself."""
        if request.stream.is_refused:
            request.fail(NoReply.NOT_DONE)
        else:
            self._submit(request, partition)

    def _request(self, stream: Stream, origin: int, answered: int, plain: object) -> Forwarded:
        if not isinstance(plain, list) or tuple(map(type, plain)) != _ROW:
            raise PeerError("what was forwarded is no command")
        number, sequence, place, args = plain
        if not args or set(map(type, args)) != {bytes} or not UNMARKED <= sequence < NUMBER_MAX:
            raise PeerError("what was forwarded is no command")
        if place.bit_length() > PLACE_BITS or (args[0] not in _OWN and args[0].upper() in _OWN):
            raise PeerError("what was forwarded is no command")
        conditions, commands = _parts_of(args)
        places = [place, *(each.place for each in conditions), *(at for at, _ in commands)]
        slots = self._partition_of_slot()
        if any(at >= 0 and slots[slot_at(at)] != stream.partition for at in places):
            raise PeerError("what was forwarded is of another partition")
        known = self._known(args, sequence)
        if known is args and args[0] not in _OWN:
            self._check_keys(stream.partition, place, args)
        for at, words in commands:
            self._check_keys(stream.partition, at, words)
            row = self._row(words)
            if words[0].upper() in _OWN or (row and row.is_write and args[0] == EXEC_RO):
                raise PeerError("what was forwarded is no transaction")
            if known is args and not self._is_known(words):
                known = self._unknown(words)
        args = known
        mark = (origin, sequence, answered) if sequence > 0 else None
        return Forwarded(self._answers, stream, number, place, args, mark, sequence != READ)

    def _known(self, args: list[bytes], sequence: int) -> Sequence[bytes]:
        """The gateway's version may be another one.  What is not known here must not get into the
        log, but its number in the sequence must, since others follow it."""
        row = self._row(args)
        if (sequence == UNMARKED) != (args[0] == NAME and tuple(args) == OPEN):
            raise PeerError("a write without a mark was forwarded")
        if row is None or not self._is_known(args):
            return self._unknown(args)
        if (row.is_write and sequence == READ) or (args[0] == WATCH and sequence != READ):
            raise PeerError("a write was forwarded as a read, or a read as a write")
        return args

    def _check_keys(self, partition: int, place: int, args: Sequence[bytes]) -> None:
        """A command's place is that of its keys, or all of them are of this partition: one that
        runs elsewhere would leave keys where nobody finds them, or stop every copy."""
        row = self._row(args)
        if row is None or not row.is_on_keys or not self._is_known(args):
            return
        keys = [args[row.first_key]] if row.has_one_key else row.keys_of(args)
        if place >= 0:
            slot = slot_at(place)
            is_there = all(slot_of(key) == slot for key in keys)
        else:
            slots = self._partition_of_slot()
            is_there = all(slots[slot_of(key)] == partition for key in keys)
        if not is_there:
            raise PeerError("what was forwarded has keys that are elsewhere")

    def _row(self, args: Sequence[bytes]) -> Command | None:
        row = self._table.get(args[0]) or self._table.get(args[0].upper())
        return row.subcommand(args) if row is not None else None

    def _is_known(self, args: Sequence[bytes]) -> bool:
        row = self._row(args)
        return row is not None and row.words_min <= len(args) <= row.words_max

    def _unknown(self, args: Sequence[bytes]) -> Sequence[bytes]:
        name = args[0][:64].decode(errors="replace")
        what = error("ERR", f"unknown command '{name}': the leader has another version")
        return [*SKIP, what.text]


def _parts_of(args: Sequence[bytes]) -> tuple[Sequence[Condition], Sequence[Queued]]:
    """Of a transaction.  Raises ``PeerError``."""
    if args[0] not in (EXEC, EXEC_RO):
        return (), ()
    try:
        return parts_of(args)
    except ValueError as problem:
        raise PeerError(f"what was forwarded is no transaction: {problem}") from None


_CHUNK = (int, int, int, int, int, list)
_ROW = (int, int, int, list)
