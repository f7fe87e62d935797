"""Redis' own encodings of HyperLogLogs; that they are is shown by the oracle."""

import random

import pytest

from distrodb.commands.hyperloglog import (
    ELEMENTS_BYTES_MAX,
    MERGED_MAX,
    REGISTERS,
    _dense,
    _larger,
    _sparse,
    cardinality,
    registers_of,
)
from distrodb.resp.reply import ErrorReply, error
from distrodb.slave.machine_factory import new_store


def some_registers(count: int, largest: int) -> bytearray:
    generator = random.Random(count)
    registers = bytearray(REGISTERS)
    for _ in range(count):
        registers[generator.randrange(REGISTERS)] = generator.randint(1, largest)
    return registers


@pytest.mark.parametrize("count", [0, 1, 700, 20000])
def test_both_encodings_hold_all_registers(count: int) -> None:
    registers = some_registers(count, 32)
    assert registers_of(_dense(registers)) == registers
    sparse = _sparse(registers)
    assert (sparse is None) == (count == 20000)
    assert sparse is None or registers_of(sparse) == registers


def test_a_large_value_is_dense() -> None:
    assert _sparse(some_registers(3, 32)) is not None
    registers = some_registers(3, 32)
    registers[5] = 33
    assert _sparse(registers) is None and registers_of(_dense(registers)) == registers


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"HYLL",
        b"HYLX" + bytes(12),
        b"HYLL\2" + bytes(11),
        b"HYLL\0" + bytes(11),
        b"HYLL\1" + bytes(11),
        b"HYLL\1" + bytes(11) + b"\x7f",
        b"HYLL\1" + bytes(11) + b"\x7f\xff\x00",
    ],
)
def test_what_is_none_is_refused(value: bytes) -> None:
    assert isinstance(registers_of(value), ErrorReply)


def test_it_counts_within_some_percent() -> None:
    store = new_store(0, REGISTERS - 1)
    for start in range(0, 30000, 1000):
        words = [b"%d" % number for number in range(start, start + 1000)]
        assert store.execute(0, [b"PFADD", b"h", *words], 0) == 1
    counted = store.execute(0, [b"PFCOUNT", b"h"], 0)
    assert isinstance(counted, int) and abs(counted - 30000) < 0.03 * 30000
    assert cardinality(bytes(REGISTERS)) == 0


def test_elements_are_bounded() -> None:
    store = new_store(0, REGISTERS - 1)
    long = b"x" * (ELEMENTS_BYTES_MAX + 1)
    assert store.execute(0, [b"PFADD", b"h", long], 0) == error(
        "ERR", f"elements exceed {ELEMENTS_BYTES_MAX} bytes together"
    )
    assert store.key_count() == 0


def test_keys_that_are_merged_are_bounded() -> None:
    """Entries of the log are applied while everybody waits, a millisecond for each key."""
    store = new_store(0, REGISTERS - 1)
    names = [b"h%d" % number for number in range(MERGED_MAX + 1)]
    for name in names:
        store.execute(0, [b"PFADD", name], 0)
    for command in (b"PFCOUNT", b"PFMERGE"):
        refused = store.execute(0, [command, *names], 0)
        assert isinstance(refused, ErrorReply) and store.key_count() == len(names)
    many = [b"h1"] * 1000 + [b"none%d" % number for number in range(1000)]
    assert store.execute(0, [b"PFCOUNT", *many], 0) == 0


@pytest.mark.parametrize("count", [0, 700, 20000])
def test_the_larger_of_each_register_is_merged(count: int) -> None:
    one, other = bytes(some_registers(count, 63)), bytes(some_registers(5000, 51))
    merged = _larger(int.from_bytes(one, "big"), int.from_bytes(other, "big"))
    assert merged.to_bytes(REGISTERS, "big") == bytes(map(max, one, other))
