"""MEMORY: what a key takes, and what is known of the slave's memory.

Caveat: what a key takes is an estimate, from the sizes of what it holds; where SAMPLES says that
Redis would look at so many elements, here all are known.
"""

from collections import deque
from collections.abc import Sequence

from distrodb.commands.api import SessionApi
from distrodb.commands.command import container, data_row, session_row
from distrodb.commands.costs import Sizes
from distrodb.commands.error_replies import SYNTAX
from distrodb.commands.key_specs import one
from distrodb.commands.numbers import NOT_AN_INTEGER, parse_integer
from distrodb.keyspace.containers.list import ITEM_BYTES, List
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import Keys
from distrodb.keyspace.values import Value
from distrodb.resp.reply import OK, Reply, Verbatim

KEY_BYTES = 33 + 33 + 100  # of two Python bytes objects, and of a key's place in a dictionary
MEASURED_US = 0.1  # of an element of a list
EXPIRY_BYTES = 200  # of a place in another one, and in the queue of what expires


def usage(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """MEMORY USAGE key [SAMPLES count]"""
    words = deque(args[3:])
    while words:
        if words.popleft().upper() != b"SAMPLES" or not words:
            return SYNTAX
        count = parse_integer(words.popleft())
        if count is None:
            return NOT_AN_INTEGER
        if count < 0:
            return SYNTAX
    key = args[2]
    value = keys.value(key)
    if value is None:
        return None
    size = KEY_BYTES + len(key) + _bytes_of(value, keys.chance.is_agreed)
    return size if keys.expiry(key) is None else size + EXPIRY_BYTES


def _bytes_of(value: Value, is_agreed: bool) -> int:
    """How copies keep a list differs: where they must agree, it is by its elements alone."""
    if is_agreed and isinstance(value, List):
        return sum(map(len, value)) + len(value) * ITEM_BYTES
    return len(value) if isinstance(value, bytes) else value.size


def _measured_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    value = sizes.value(args[2])
    return len(value) * MEASURED_US if sizes.is_logged and isinstance(value, List) else 0.0


def stats(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """The numbers of INFO memory and INFO keyspace, by the names that Redis gives them here."""
    info = session.slave.info()
    memory = info["memory"]()
    peak = memory.get("used_memory_peak", 0)
    told: dict[Reply, Reply] = {
        b"peak.allocated": _integer(peak),
        b"total.allocated": _integer(memory.get("used_memory", peak)),
    }
    fields = [str(line).split(",")[0].partition("=")[2] for line in info["keyspace"]().values()]
    return told | {b"keys.count": sum(map(int, fields))}


def _integer(number: object) -> int:
    return number if isinstance(number, int) else 0


def doctor(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return Verbatim(b"This slave looks for no problems of its memory; INFO memory has its numbers.")


def malloc_stats(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return b"Stats not supported for the current allocator"


def purge(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return OK  # there is nothing that could be given back now and not later


_ALL = "request_policy:all_shards"
_TOLD = ("nondeterministic_output", _ALL, "response_policy:special")

COMMANDS = (
    container(
        "memory",
        "server",
        "Tells of memory.",
        "4.0.0",
        [
            session_row(
                "memory|doctor", doctor, 2, "", "server", "Says nothing.", "4.0.0", tips=_TOLD
            ),
            session_row(
                "memory|malloc-stats",
                malloc_stats,
                2,
                "",
                "server",
                "Says that there are none.",
                "4.0.0",
                tips=_TOLD,
            ),
            session_row(
                "memory|purge",
                purge,
                2,
                "",
                "server",
                "Does nothing.",
                "4.0.0",
                tips=(_ALL, "response_policy:all_succeeded"),
            ),
            session_row(
                "memory|stats",
                stats,
                2,
                "",
                "server",
                "What a slave takes, in bytes.",
                "4.0.0",
                tips=_TOLD,
            ),
            data_row(
                "memory|usage",
                usage,
                -3,
                "readonly",
                one("RO", 2),
                "server",
                "What a key takes, in bytes.",
                "4.0.0",
                cost=_measured_us,
            ),
        ],
    ),
)
