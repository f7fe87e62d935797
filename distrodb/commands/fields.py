"""What is there of a hash, to who looks and to who writes.

A field whose time has come is not there for whoever looks; it is removed by entries alone, as keys
are (keyspace/place.py): when a command writes to it, or when an entry says so.  A reader that meets
one without an entry since then notes that for the leader (``Keys.is_past``).

Caveat: of a hash whose fields have all expired the key is there, to EXISTS and its like, until an
entry has removed them, as in Redis.
"""

from collections.abc import Iterable, Mapping

from distrodb.keyspace.containers.hash import Hash
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import GENERIC, HASH, Keys
from distrodb.keyspace.values import Value

# -- to who looks ----------------------------------------------------------------------------------


def value_in(keys: Keys, found: Hash | None, field: bytes) -> bytes | None:
    """None for a field that is not there."""
    if found is None:
        return None
    value = found.get(field)
    if value is None or found.expiries is None:
        return value
    at_ms = found.expiries.get(field)
    return None if at_ms is not None and keys.is_past(at_ms) else value


def value_of(keys: Keys, key: bytes, field: bytes) -> bytes | None:
    return value_in(keys, keys.container(key, Hash), field)


def count_gone(keys: Keys, found: Hash, context: Context) -> int:
    """How many fields' time has come that are not removed yet."""
    if found.expiries is None or not (count := found.expiries.count_due(context.now_ms)):
        return 0
    latest_ms = found.expiries.latest_due_ms(context.now_ms)
    assert latest_ms is not None
    keys.is_past(latest_ms)  # notes it for the leader
    return count


def all_in(keys: Keys, found: Hash | None, context: Context) -> Mapping[bytes, bytes]:
    """The fields that are there and their values, to be read only."""
    if found is None:
        return {}
    if not count_gone(keys, found, context):
        return found.fields
    expiries, now_ms = found.expiries, context.now_ms
    assert expiries is not None
    gone = set(expiries.due(now_ms, len(expiries)))
    return {field: value for field, value in found.fields.items() if field not in gone}


def as_seen(keys: Keys, value: Value | None, context: Context) -> Value | None:
    """Whatever value: of a hash that which is there; None if nothing is."""
    if not isinstance(value, Hash) or not count_gone(keys, value, context):
        return value
    seen = value.clone(value.generation)
    return None if drop_gone(seen, context.now_ms) else seen


# -- to who writes ---------------------------------------------------------------------------------


def drop_gone(value: Value, now_ms: int) -> bool:
    """From a hash that no key has yet.  True if nothing is left of it."""
    if not isinstance(value, Hash) or value.expiries is None:
        return False
    for field in value.expiries.due(now_ms, len(value)):
        value.delete(field)
    return not len(value)


def open_to_write(
    keys: Keys, key: bytes, fields: Iterable[bytes], context: Context, replaces: bool = False
) -> Hash:
    """The hash, without those of these fields whose time has come; that is told, unless a value
    ``replaces`` each of them whatever it was.  Whoever changes then when fields expire, or deletes
    some, calls ``close`` in the end."""
    written = keys.container_to_write(key, Hash)
    if written.soonest_ms <= context.now_ms:
        later_ms = context.now_ms + 1
        gone = [each for each in fields if (written.expiry(each) or later_ms) < later_ms]
        if sum(map(written.delete, gone)):
            keys.follow_fields(key)
            if not replaces:
                keys.event(HASH, b"hexpired", key)
    return written


def close(keys: Keys, key: bytes, written: Hash, context: Context) -> None:
    """A hash of which no field is left is gone."""
    gone = 0 if written.expiries is None else written.expiries.count_due(context.now_ms)
    if gone < len(written):
        keys.follow_fields(key)
        return
    if gone:
        keys.event(HASH, b"hexpired", key)
    keys.delete(key)
    keys.event(GENERIC, b"del", key)
