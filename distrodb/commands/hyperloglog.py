"""HyperLogLogs (https://redis.io/docs/latest/commands/?group=hyperloglog), in Redis' own format.

A value is a string: ``HYLL``, its encoding, three zeros, eight bytes for a cached cardinality, then
16384 registers of 6 bits (dense), or runs of equal ones (sparse) while those are few and small:

    00xxxxxx             1 to 64 registers of zero
    01xxxxxx xxxxxxxx    1 to 16384 registers of zero
    1vvvvvxx             1 to 4 registers of value 1 to 32

Redis keeps the cardinality in the value when PFCOUNT has counted it.  Here a read changes nothing,
so the cache is always marked as stale, which Redis understands.

Caveat: hashing is done in Python, a byte in some 60 ns, so a command's elements are bounded
(``ELEMENTS_BYTES_MAX``), and so are the keys that are merged (``MERGED_MAX``).
"""

import math
from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence

from distrodb.commands.command import data_row
from distrodb.commands.costs import ELEMENT_US, ENCODED_US, HASHED_NS, MERGED_US, RUN_US, Sizes
from distrodb.commands.key_specs import KeySpec, one
from distrodb.commands.strings import over_limits
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import STRING, Keys
from distrodb.resp.reply import OK, ErrorReply, Reply, error

REGISTERS = 16384
_INDEX_BITS = 14
_VALUE_MAX = 64 - _INDEX_BITS + 1
_HEADER = 16  # bytes
_DENSE_BYTES = _HEADER + REGISTERS * 6 // 8
SPARSE_BYTES_MAX = 3000  # of runs: Redis' hll-sparse-max-bytes
_SPARSE_VALUE_MAX = 32
ELEMENTS_BYTES_MAX = 1 << 20  # of one command: some 60 ms
# Keys of one command that are there, each counted once: some 20 ms.  Sparse ones that a client
# makes of 16384 runs take half a second, and then they are weighed so (costs.py).
MERGED_MAX = 256
_SEED = 0xADC83B19
# What a byte of the sparse encoding stands for, but for those that need another one.
_RUNS = [
    bytes([(byte >> 2 & 31) + 1]) * ((byte & 3) + 1) if byte & 0x80 else bytes((byte & 0x3F) + 1)
    for byte in range(256)
]
_HIGHEST = int.from_bytes(b"\x80" * REGISTERS, "big")  # bit of each byte
_STALE = b"\0" * 7 + b"\x80"  # the cached cardinality is not to be trusted
_ALPHA = 0.721347520444481703680  # alpha for infinitely many registers: 1 / (2 ln 2)

NOT_ONE = error("WRONGTYPE", "Key is not a valid HyperLogLog string value.")
CORRUPTED = error("INVALIDOBJ", "Corrupted HLL object detected")

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TO_VALUES, _TO_BASE64 = (
    bytes.maketrans(_BASE64, bytes(range(64))),
    bytes.maketrans(bytes(range(64)), _BASE64),
)


# -- registers ---------------------------------------------------------------------------------


def murmur(data: bytes) -> int:
    """MurmurHash64A, little-endian."""
    multiplier, mask = 0xC6A4A7935BD1E995, (1 << 64) - 1
    state = _SEED ^ (len(data) * multiplier & mask)
    whole = len(data) & ~7
    for position in range(0, whole, 8):
        block = int.from_bytes(data[position : position + 8], "little") * multiplier & mask
        block = (block ^ block >> 47) * multiplier & mask
        state = (state ^ block) * multiplier & mask
    if rest := data[whole:]:
        state = (state ^ int.from_bytes(rest, "little")) * multiplier & mask
    state = (state ^ state >> 47) * multiplier & mask
    return state ^ state >> 47


def _register_of(element: bytes) -> tuple[int, int]:
    """Which register an element concerns, and the least value that it must have."""
    number = murmur(element)
    rest = number >> _INDEX_BITS | 1 << (64 - _INDEX_BITS)
    return number & (REGISTERS - 1), (rest & -rest).bit_length()


def registers_of(value: bytes) -> "bytearray | ErrorReply":
    """All of them, a byte each."""
    if len(value) < _HEADER or value[:4] != b"HYLL" or value[4] > 1:
        return NOT_ONE
    if value[4] == 0:
        if len(value) != _DENSE_BYTES:
            return NOT_ONE
        # The first register is in the lowest bits of the first byte: from the other end it is
        # base 64.
        return bytearray(b2a_base64(value[: _HEADER - 1 : -1])[-2::-1].translate(_TO_VALUES))
    found = bytearray()
    position = _HEADER
    while position < len(value) and len(found) <= REGISTERS:
        byte = value[position]
        position += 1
        if byte & 0xC0 != 0x40:
            found += _RUNS[byte]
        elif position == len(value):
            return CORRUPTED
        else:
            found += bytes(((byte & 0x3F) << 8 | value[position]) + 1)
            position += 1
    return found if len(found) == REGISTERS and position == len(value) else CORRUPTED


def _dense(registers: bytes | bytearray) -> bytes:
    packed = a2b_base64(bytes(registers).translate(_TO_BASE64)[::-1])
    return b"HYLL\0\0\0\0" + _STALE + packed[::-1]


def _sparse(registers: bytes | bytearray) -> bytes | None:
    """None if they are too many or too large for it."""
    if max(registers) > _SPARSE_VALUE_MAX:
        return None
    runs = bytearray()
    position = 0
    while position < REGISTERS and len(runs) <= SPARSE_BYTES_MAX:
        value = registers[position]
        if not value:
            rest = registers[position:]
            count = len(rest) - len(rest.lstrip(b"\0"))
            position += count
            if count > 64:
                runs += (0x4000 | count - 1).to_bytes(2, "big")
            else:
                runs.append(count - 1)
            continue
        count = 1
        while count < 4 and registers[position + count : position + count + 1] == bytes([value]):
            count += 1
        runs.append(0x80 | (value - 1) << 2 | count - 1)
        position += count
    if len(runs) > SPARSE_BYTES_MAX:
        return None
    return b"HYLL\1\0\0\0" + _STALE + bytes(runs)


def _encoded(registers: bytes | bytearray, may_be_sparse: bool) -> bytes:
    return (_sparse(registers) if may_be_sparse else None) or _dense(registers)


def cardinality(registers: bytes | bytearray) -> int:
    """Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017)."""
    counts = [registers.count(value) for value in range(_VALUE_MAX + 1)]
    size = float(REGISTERS)
    z = size * _tau((size - counts[_VALUE_MAX]) / size)
    for value in range(_VALUE_MAX - 1, 0, -1):
        z = 0.5 * (z + counts[value])
    z += size * _sigma(counts[0] / size)
    return math.floor(_ALPHA * size * size / z + 0.5)


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z, before = 1.0, 1 - x, -1.0
    while z != before:
        x = math.sqrt(x)
        before, y = z, 0.5 * y
        rest = 1 - x
        z -= rest * rest * y  # a power is the C library's, and may differ in the last bit
    return z / 3


def _sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    y, z, before = 1.0, x, -1.0
    while z != before:
        x *= x
        before = z
        z += x * y
        y += y
    return z


# -- commands ----------------------------------------------------------------------------------


def pfadd(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key, elements = args[1], args[2:]
    if sum(map(len, elements)) > ELEMENTS_BYTES_MAX:
        return error("ERR", f"elements exceed {ELEMENTS_BYTES_MAX} bytes together")
    if problem := over_limits(context, key, b""):
        return problem
    value = keys.string(key)
    registers = bytearray(REGISTERS) if value is None else registers_of(value)
    if isinstance(registers, ErrorReply):
        return registers
    is_changed = value is None
    for element in elements:
        at, least = _register_of(element)
        if registers[at] < least:
            registers[at] = least
            is_changed = True
    if is_changed:
        may_be_sparse = value is None or value[4] == 1
        keys.update(key, _encoded(registers, may_be_sparse))
        keys.event(STRING, b"pfadd", key)
    return int(is_changed)


def _merged(keys: Keys, names: Sequence[bytes]) -> "tuple[bytearray, bool] | ErrorReply":
    """The largest of each register, and whether all of these keys are sparse."""
    merged, are_sparse, count = 0, True, 0
    for key in dict.fromkeys(names):
        value = keys.string(key)  # one by one: of several faults the first key's is told
        if value is None:
            continue
        count += 1
        if count > MERGED_MAX:
            return error("ERR", f"more than {MERGED_MAX} keys to merge")
        registers = registers_of(value)
        if isinstance(registers, ErrorReply):
            return registers
        are_sparse = are_sparse and value[4] == 1
        merged = _larger(merged, int.from_bytes(registers, "big"))
    return bytearray(merged.to_bytes(REGISTERS, "big")), are_sparse


def _larger(one: int, other: int) -> int:
    """Of each two bytes the larger one, all at once; none has its highest bit set."""
    is_one = ((one | _HIGHEST) - other & _HIGHEST) >> 7  # 1 for each byte that is not the smaller
    mask = (is_one << 8) - is_one
    return one & mask | other & ~mask


def pfcount(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    merged = _merged(keys, args[1:])
    return merged if isinstance(merged, ErrorReply) else cardinality(merged[0])


def pfmerge(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """PFMERGE destination [source …]; what the destination has is one of them."""
    if problem := over_limits(context, args[1], b""):
        return problem
    merged = _merged(keys, args[1:])
    if isinstance(merged, ErrorReply):
        return merged
    keys.update(args[1], _encoded(*merged))
    keys.event(STRING, b"pfadd", args[1])
    return OK


def _added_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    size = sum(map(len, args)) - len(args[0]) - len(args[1])
    if size > ELEMENTS_BYTES_MAX:
        return 0.0
    sizes.grow(args[1], _DENSE_BYTES)
    return size * HASHED_NS / 1000 + len(args) * ELEMENT_US + ENCODED_US


def _merged_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    lengths = [size for key in dict.fromkeys(args[1:]) if (size := sizes.size(key))]
    runs = sum(min(size, REGISTERS) for size in lengths if size != _DENSE_BYTES)
    return len(lengths) * MERGED_US + runs * RUN_US if len(lengths) <= MERGED_MAX else 0.0


def _merged_into_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    cost_us = _merged_us(sizes, args)
    sizes.grow(args[1], _DENSE_BYTES)
    return cost_us + ENCODED_US


_MERGES = (KeySpec("RW access insert", 1), KeySpec("RO access", 2, last=-1))
_COUNTS = (
    KeySpec(
        "RW access",
        last=-1,
        notes="RW because it may change the internal representation of the key, and propagate to"
        " replicas",
    ),
)

COMMANDS = (
    data_row(
        "pfadd",
        pfadd,
        -2,
        "write denyoom fast",
        one("RW insert"),
        "hyperloglog",
        "Counts elements.",
        "2.8.9",
        cost=_added_us,
    ),
    data_row(
        "pfcount",
        pfcount,
        -2,
        "readonly",
        _COUNTS,
        "hyperloglog",
        "How many there were.",
        "2.8.9",
        cost=_merged_us,
    ),
    data_row(
        "pfmerge",
        pfmerge,
        -2,
        "write denyoom",
        _MERGES,
        "hyperloglog",
        "Merges counts.",
        "2.8.9",
        cost=_merged_into_us,
    ),
)
