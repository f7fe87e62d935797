"""What a script that runs in a partition may ask of it: redis.call, and what it costs.

What always holds: what a call does, and what it counts as work, follows from the state and from
the words alone; so does whether the script ends.  A command that is refused has done nothing.

Keys: those of KEYS, and others in the same slots; where one partition holds all slots (through a
gateway, mostly) any keys.  Elsewhere Redis Cluster's rule is kept: only a script that says so
(``allow-cross-slot-keys``) may use keys of other slots of the same partition.

Caveat: the commands that scripts may run are those that this version has.  When a command of a
higher level comes (ring/levels.py) entries must say which ones a script may run.
"""

from collections.abc import Callable, Sequence

from distrodb.commands.acl_guard import CHANNEL, COMMAND, Guarding
from distrodb.commands.combine import Led
from distrodb.commands.command import Command
from distrodb.commands.databases import database_index
from distrodb.commands.error_replies import wrong_arity
from distrodb.commands.pubsub import CHANNEL_BYTES_MAX, LONG_CHANNEL
from distrodb.commands.stream_arguments import Wrong, parse_reading
from distrodb.keyspace.context import Table
from distrodb.keyspace.partition import Partition
from distrodb.keyspace.place_number import place_of
from distrodb.resp.encode import size_of
from distrodb.resp.reply import OK, ErrorReply, Reply, Status
from distrodb.ring.slots import SLOT_COUNT, slot_of
from distrodb.scripting.runtime import END, ERROR, TOO_MUCH, VALUE

# Steps of some 10 ns, as Lua's own are; of all commands of a script together: half a second.
COMMANDS_MAX = 50_000_000
CALL, KEY, WORD_BYTES, REPLY_BYTES = 300, 30, 16, 8
ELEMENT, STRING_BYTES = 50, 8  # of a value that is walked; bytes a step
COPIED = 10  # an element, so that it can be undone
ALL_SLOTS = 160_000  # are looked at, whether there are keys or not: which had some is no state
# What is unpacked and packed whole for each command, and a word of what reads and writes bits.
HYPERLOGLOG, RUN, BITS_WORD = 50_000, 15, 300

NOT_ALLOWED = b"ERR This Redis command is not allowed from script"
UNKNOWN = b"ERR Unknown Redis command called from script"
WRONG_COUNT = b"ERR Wrong number of args calling Redis command from script"
READ_ONLY = b"ERR Write commands are not allowed from read-only scripts."
NOT_LOCAL = b"ERR Script attempted to access a non local key in a cluster node"
OTHER_SLOT = b"ERR Script attempted to access keys that do not hash to the same slot"
ON_ALL = b"ERR '%b' is on all partitions, so it cannot be part of a script"
OOM = b"OOM command not allowed when used memory > 'maxmemory'."
NO_COMMAND = b"ERR Invalid command passed to redis.acl_check_cmd()"
_DENIED = {
    COMMAND: b"ERR The user executing the script can't run this command or subcommand",
    CHANNEL: b"ERR The user executing the script can't publish to the channel mentioned in the"
    b" command",
}
_DENIED_KEY = (
    b"ERR The user executing the script can't access at least one of the keys mentioned in the"
    b" command arguments"
)

Given = tuple[int, Reply, int]  # what scripting/runtime.py takes


class ScriptCalls:
    def __init__(
        self,
        partition: Partition,
        commands: Table,
        keys: Sequence[bytes],
        database: int,
        now_ms: int,
    ):
        """``commands``: all that there are, by name in capitals."""
        self._partition, self._commands, self._now_ms = partition, commands, now_ms
        self._database = database
        self.is_read_only = False
        self.is_full = False  # its leader had no room for more, and it must not ask for any
        self.is_across = False  # it says that it uses keys of several slots
        self.guard: Guarding | None = None  # of a caller that may not do everything
        self._slots = {slot_of(key) for key in keys}
        self.is_whole = partition.first_slot == 0 and partition.last_slot == SLOT_COUNT - 1
        self._spent, self._has_written = 0, False
        self._may_grow = False  # whatever the memory
        self._messages: list[tuple[bytes, bytes, bool]] = []  # to be sent when it has ended

    # -- what the runtime asks ----------------------------------------------------------------

    def call(self, words: Sequence[bytes]) -> Given:
        row = self._row(words)
        if row is None:
            return ERROR, UNKNOWN, CALL
        if not row.arity_ok(words):
            return ERROR, WRONG_COUNT, CALL
        if "noscript" in row.flags:
            return ERROR, NOT_ALLOWED, CALL
        if self.guard is not None:
            objection = self.guard.objection(row, words)
            if objection is not None:
                return ERROR, _DENIED.get(objection.about, _DENIED_KEY), CALL
        if row.is_write and self.is_read_only:
            return ERROR, READ_ONLY, CALL
        if row.is_write:
            # As Redis: a script that has begun to write is not stopped in the middle.
            if self.is_full and not self._may_grow and "denyoom" in row.flags:
                return ERROR, OOM, CALL
            self._may_grow = True
        own = _OWN.get(row.name)
        if own is not None:
            reply = own(self, words)
        elif row.is_on_keys:
            reply = self._on_keys(row, words)
        elif row.scope == "partition":
            reply = self._on_all(row, words)
        else:
            return ERROR, NOT_ALLOWED, CALL
        if reply is _ENDS or self._spend(size_of(reply) // REPLY_BYTES):
            return END, TOO_MUCH, 0
        return VALUE, reply, 0

    def may(self, words: Sequence[bytes]) -> bool | bytes:
        row = self._row(words)
        if row is None:
            return NO_COMMAND
        return self.guard is None or (
            row.arity_ok(words) and self.guard.objection(row, words) is None
        )

    def log(self, level: int, text: bytes) -> None:
        """Where it would be written: each replica runs the script, so none does."""

    def seed(self) -> int:
        """It follows from the entry; of a script that only reads it is this slave's."""
        return self._partition.chance.number()

    # -- how it ends ---------------------------------------------------------------------------

    def end(self, is_undone: bool) -> None:
        if self._has_written:
            self._partition.end_script(is_undone)
        if not is_undone:
            for message in self._messages:
                self._partition.publish(*message)

    # -- commands ------------------------------------------------------------------------------

    def _row(self, words: Sequence[bytes]) -> Command | None:
        row = self._commands.get(words[0].upper())
        found = row.subcommand(words) if row is not None else None
        if found is None and row is not None and len(words) < 2:
            return row  # type: ignore[return-value]
        return found  # type: ignore[return-value]

    def _spend(self, steps: int) -> bool:
        """The script has no more left."""
        self._spent += steps
        return self._spent > COMMANDS_MAX

    def _on_keys(self, row: Command, words: Sequence[bytes]) -> Reply:
        keys = row.keys_of(words)
        slots = {slot_of(key) for key in keys}
        if not self.is_whole:
            first, last = self._partition.first_slot, self._partition.last_slot
            if any(not first <= slot <= last for slot in slots):
                return ErrorReply(NOT_LOCAL)
            is_one = slots <= self._slots if self._slots else len(slots) <= 1
            if not is_one and not self.is_across:
                return ErrorReply(OTHER_SLOT)
            self._slots |= slots
        if len(slots) == 1:
            place = place_of(self._database, min(slots))
        else:
            place = place_of(self._database, -1 if slots else self._partition.first_slot)
        if self._spend(self._cost(row, words, keys, place)):
            return _ENDS
        return self._run(row, place, words)

    def _cost(self, row: Command, words: Sequence[bytes], keys: Sequence[bytes], place: int) -> int:
        steps = CALL + KEY * len(keys) + sum(map(len, words)) // WORD_BYTES + 5 * len(words)
        if row.cost is not None:
            if row.group == "hyperloglog":
                steps += (HYPERLOGLOG + RUN * len(words)) * len(keys)
            elif row.name.startswith("bitfield"):
                steps += BITS_WORD * len(words)
            for key in keys:
                steps += ELEMENT * self._partition.elements(place, key)
        return steps

    def _on_all(self, row: Command, words: Sequence[bytes]) -> Reply:
        if not self.is_whole or row.combine is None:
            return ErrorReply(ON_ALL % row.name.encode())
        led = [Led(0, self._partition.first_slot, self._partition.last_slot)]
        if self._spend(CALL + ALL_SLOTS + ELEMENT * self._partition.key_count()):
            return _ENDS
        parts = row.combine.parts(words, led)
        replies: list[Reply] = []
        for _, part in parts:
            reply = self._run(row, place_of(self._database, -1), part)
            if isinstance(reply, ErrorReply):
                return reply
            replies.append(reply)
        return row.combine.whole(words, led, replies)

    def _run(self, row: Command, place: int, words: Sequence[bytes]) -> Reply:
        partition = self._partition
        if not row.is_write:
            return partition.execute(place, words, self._now_ms)
        if not self._has_written:
            self._has_written = True
            partition.begin_script()
        copied = partition.copied
        reply = partition.execute(place, words, self._now_ms)
        return _ENDS if self._spend(COPIED * (partition.copied - copied)) else reply

    # -- what a slave answers elsewhere --------------------------------------------------------

    def _ping(self, words: Sequence[bytes]) -> Reply:
        if len(words) > 2:
            return wrong_arity("ping")
        return words[1] if len(words) == 2 else Status(b"PONG")

    def _echo(self, words: Sequence[bytes]) -> Reply:
        return words[1]

    def _time(self, words: Sequence[bytes]) -> Reply:
        """The entry's."""
        seconds, ms = divmod(self._now_ms, 1000)
        return [b"%d" % seconds, b"%d" % (ms * 1000)]

    def _select(self, words: Sequence[bytes]) -> Reply:
        found = database_index(words[1], self._partition.store_limits.databases)
        if isinstance(found, ErrorReply):
            return found
        self._database = found
        return OK

    def _publish(self, words: Sequence[bytes]) -> Reply:
        """How many will hear it is not known here: 0 is told."""
        if len(words[1]) > CHANNEL_BYTES_MAX:
            return LONG_CHANNEL
        self._messages.append((words[1], words[2], words[0].upper() == b"SPUBLISH"))
        self._spent += CALL + (len(words[1]) + len(words[2])) // WORD_BYTES
        return 0


def _reading(calls: ScriptCalls, words: Sequence[bytes]) -> Reply:
    """Of streams: a script does not wait."""
    try:
        parse_reading(words, may_wait=False)
    except Wrong as wrong:
        return wrong.reply
    row = calls._row(words)
    assert row is not None
    return calls._on_keys(row, words)


_ENDS = b"the script ends"
_OWN: dict[str, Callable[[ScriptCalls, Sequence[bytes]], Reply]] = {
    "ping": ScriptCalls._ping,
    "echo": ScriptCalls._echo,
    "time": ScriptCalls._time,
    "select": ScriptCalls._select,
    "publish": ScriptCalls._publish,
    "spublish": ScriptCalls._publish,
    "xread": _reading,
    "xreadgroup": _reading,
}
