"""OBJECT: how a value would be kept in Redis, and what is known of its use.

Here a string is bytes and a hash a dictionary; what is told is what Redis 8 with its own defaults
would say of the same value, since tools and libraries ask for it.

Caveats: Redis remembers how a value came to be (a string that was appended to is "raw", a hash
that was large stays a "hashtable"); we look at the value alone.  When a key was asked for last is
not kept, since a read changes nothing on any replica: IDLETIME is 0.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from distrodb.commands import sorted_sets
from distrodb.commands.command import container, data_row
from distrodb.commands.key_specs import one
from distrodb.commands.numbers import parse_integer
from distrodb.commands.sets import is_of_integers
from distrodb.commands.sets import is_small as is_small_set
from distrodb.keyspace.containers.hash import Hash
from distrodb.keyspace.containers.list import List
from distrodb.keyspace.containers.set import Set
from distrodb.keyspace.containers.sorted_set import SortedSet
from distrodb.keyspace.containers.stream import Stream
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import Keys
from distrodb.keyspace.values import Value
from distrodb.resp.reply import Reply, error

EMBEDDED_BYTES_MAX = 44  # of a string that is in one piece with its object
LISTPACK_ENTRIES_MAX, LISTPACK_BYTES_MAX = 512, 64  # hash-max-listpack-entries and -value
LIST_BYTES_MAX = 8192  # of a list in one listpack, list-max-listpack-size -2
SHARED_INTEGERS, SHARED = 10000, 2**31 - 1  # Redis has these once; how often they count as used

NO_FREQUENCY = error(
    "ERR",
    "An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when"
    " switching between policies at runtime LRU and LFU data will take some time to adjust.",
)


def _string(value: bytes) -> bytes:
    if parse_integer(value) is not None:
        return b"int"
    return b"embstr" if len(value) <= EMBEDDED_BYTES_MAX else b"raw"


def is_small(value: Hash) -> bool:
    """Redis would keep it as a list."""
    return len(value) <= LISTPACK_ENTRIES_MAX and all(
        max(len(field), len(text)) <= LISTPACK_BYTES_MAX for field, text in value.fields.items()
    )


def _hash(value: Hash) -> bytes:
    if not is_small(value):
        return b"hashtable"
    return b"listpack" if value.expiries is None else b"listpackex"


def _list(value: List) -> bytes:
    """Two bytes beside an element, about."""
    count = len(value)
    is_small = 2 * count <= LIST_BYTES_MAX and sum(map(len, value)) + 2 * count <= LIST_BYTES_MAX
    return b"listpack" if is_small else b"quicklist"


def _sorted_set(value: SortedSet) -> bytes:
    return b"listpack" if sorted_sets.is_small(value) else b"skiplist"


def _set(value: Set) -> bytes:
    if is_of_integers(value):
        return b"intset"
    return b"listpack" if is_small_set(value) else b"hashtable"


# A new kind of value is a line here.
_ENCODINGS: Mapping[type, Callable[[Any], bytes]] = {
    bytes: _string,
    Hash: _hash,
    List: _list,
    SortedSet: _sorted_set,
    Set: _set,
    Stream: lambda value: b"stream",
}


def encoding_of(value: Value) -> bytes:
    return _ENCODINGS[type(value)](value)


def encoding(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    value = keys.value(args[2])
    return None if value is None else encoding_of(value)


def refcount(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    value = keys.value(args[2])
    number = parse_integer(value) if isinstance(value, bytes) else None
    if number is not None and 0 <= number < SHARED_INTEGERS:
        return SHARED
    return None if value is None else 1


def idletime(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return 0 if args[2] in keys else None


def freq(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return NO_FREQUENCY if args[2] in keys else None


_ABOUT = {
    "encoding": (encoding, "How the value of a key would be kept in Redis."),
    "freq": (freq, "Is refused: how often a key is asked for is not counted."),
    "idletime": (idletime, "Seconds since a key was asked for; 0, since that is not kept."),
    "refcount": (refcount, "How many refer to the value of a key."),
}

COMMANDS = (
    container(
        "object",
        "generic",
        "Tells of a key's value.",
        "2.2.3",
        [
            data_row(
                f"object|{word}",
                handler,
                3,
                "readonly",
                one("RO", 2),
                "generic",
                summary,
                "4.0.0" if word == "freq" else "2.2.3",
                tips=("nondeterministic_output",),
            )
            for word, (handler, summary) in _ABOUT.items()
        ],
    ),
)
