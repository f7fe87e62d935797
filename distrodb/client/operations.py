"""What the methods of the mapping ask: pure."""

from collections.abc import Iterable, Mapping

from distrodb.client.request import Command, Key, Request, Steps, Word
from distrodb.ring.slots import slot_of

MANY = 500  # commands that go to a slave in one write


def as_bytes(word: Word) -> bytes:
    """As redis-py writes it."""
    if isinstance(word, bytes):
        return word
    return word.encode() if isinstance(word, str) else repr(word).encode()


def get(key: Key) -> Steps[bytes | None]:
    (value,) = yield Request((("GET", key),), key, is_repeatable=True)
    return None if value is None else bytes(value)


def put(key: Key, value: Word, ttl_s: float | None, keep_ttl: bool = False) -> Steps[None]:
    yield Request((("SET", key, value, *_lasting(ttl_s, keep_ttl)),), key)


def delete(key: Key) -> Steps[bool]:
    (count,) = yield Request((("DEL", key),), key)
    return bool(count)


def exists(key: Key) -> Steps[bool]:
    (count,) = yield Request((("EXISTS", key),), key, is_repeatable=True)
    return bool(count)


def ttl(key: Key) -> Steps[float | None]:
    """Raises ``KeyError``."""
    (left,) = yield Request((("PTTL", key),), key, is_repeatable=True)
    if left == -2:
        raise KeyError(key)
    return None if left == -1 else left / 1000


def expire(key: Key, ttl_s: float | None) -> Steps[bool]:
    if ttl_s is None:
        (count,) = yield Request((("PERSIST", key),), key)
    else:
        (count,) = yield Request((("PEXPIRE", key, _milliseconds(ttl_s)),), key)
    return bool(count)


def add(key: Key, amount: int) -> Steps[int]:
    (value,) = yield Request((("INCRBY", key, amount),), key)
    return int(value)


def compare_and_set(
    key: Key, old: Word | None, new: Word | None, ttl_s: float | None
) -> Steps[bool]:
    if new is None:
        if old is None:
            raise ValueError("compare_and_set(key, None, None) would change nothing")
        (count,) = yield Request((("DELEX", key, "IFEQ", old),), key)
        return bool(count)
    condition: Command = ("NX",) if old is None else ("IFEQ", old)
    (done,) = yield Request((("SET", key, new, *condition, *_lasting(ttl_s)),), key)
    return done is not None


def get_many(keys: Iterable[Key]) -> Steps[dict[Key, bytes]]:
    """A slot at a time: each slot's are of one moment."""
    found: dict[Key, bytes] = {}
    for of_slot in _by_slot(keys):
        (values,) = yield Request((("MGET", *of_slot),), of_slot[0], is_repeatable=True)
        pairs = zip(of_slot, values, strict=True)
        found |= {key: bytes(value) for key, value in pairs if value is not None}
    return found


def set_many(values: Mapping[Key, Word]) -> Steps[None]:
    """A slot at a time: each slot's are one write."""
    for of_slot in _by_slot(values):
        words = [word for key in of_slot for word in (key, values[key])]
        yield Request((("MSET", *words),), of_slot[0])


def delete_many(keys: Iterable[Key]) -> Steps[int]:
    count = 0
    for of_slot in _by_slot(keys):
        count += (yield Request((("DEL", *of_slot),), of_slot[0]))[0]
    return count


def scan(cursor: bytes, match: Key | None, address: tuple[str, int] | None) -> Request:
    words: Command = () if match is None else ("MATCH", match)
    command: Command = ("SCAN", cursor, "COUNT", MANY, *words)
    return Request((command,), is_repeatable=True, address=address)


def size(address: tuple[str, int] | None) -> Request:
    return Request((("DBSIZE",),), is_repeatable=True, address=address)


def _by_slot(keys: Iterable[Key]) -> list[list[Key]]:
    slots: dict[int, list[Key]] = {}
    for key in keys:
        slots.setdefault(slot_of(as_bytes(key)), []).append(key)
    return [of[at : at + MANY] for of in slots.values() for at in range(0, len(of), MANY)]


def _lasting(ttl_s: float | None, keep_ttl: bool = False) -> Command:
    if ttl_s is None:
        return ("KEEPTTL",) if keep_ttl else ()
    return ("PX", _milliseconds(ttl_s))


def _milliseconds(ttl_s: float) -> int:
    if not 0.001 <= ttl_s < 1e12:
        raise ValueError(f"ttl_s is {ttl_s}; use 0.001 s or more, or None for no end")
    return int(ttl_s * 1000)
