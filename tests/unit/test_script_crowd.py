"""Strings and numbers that are alike to Lua stop a script, and never the slave."""

import random
import time

import pytest

from distrodb.resp.reply import Reply
from distrodb.scripting.crowd import KEPT_BYTES, Crowd, hashes_of, lua_hash, number_hash, worst_of
from distrodb.scripting.errors import CompileError
from distrodb.scripting.rewrite import rewrite
from distrodb.scripting.runtime import ALIKE, TOO_MUCH, Outcome, Runtime, runtime
from tests.unit.test_script_sandbox import Nothing, value

# Above 31 bytes Lua looks at some only: all of these have one hash.
SIZE = 64
_FREE = [at for at in range(SIZE) if (SIZE - 1 - at) % 3][:6]
SECONDS = 5  # of processor time: far above what any takes, far below what each took


def alike(number: int) -> bytes:
    made = bytearray(b"x" * SIZE)
    for at, digit in zip(_FREE, b"%06d" % number, strict=True):
        made[at] = digit
    return bytes(made)


class Gives(Nothing):
    def __init__(self, reply: Reply):
        super().__init__()
        self.reply = reply

    def call(self, words: object) -> "tuple[int, Reply | bytes, int]":
        return 0, self.reply, 300


def ended(text: str, args: list[bytes] | None = None, reply: Reply = None) -> Outcome:
    before = time.process_time()
    outcome = runtime().script(text.encode(), [], args or [], Gives(reply))
    assert time.process_time() - before < SECONDS
    return outcome


def test_the_hash_is_that_of_lua() -> None:
    """The order in which a table is walked is that of its places: the last bits of the hashes."""
    generator = random.Random(1)
    for size in (1, 5, 31, 32, 40, 63, 64, 100, 300):
        chosen: dict[int, bytes] = {}
        while len(chosen) < 16:
            string = bytes(generator.choices(b"abcdefghijklmnop", k=size))
            if size == 1:
                string = bytes([generator.randrange(65, 123)])
            chosen.setdefault(lua_hash(string) % 16, string)
        words = list(chosen.values())
        text = "local t, out = {}, {} for _, k in ipairs(ARGV) do t[k] = 1 end "
        text += "for k in pairs(t) do out[#out + 1] = k end return out"
        assert value(text, *words) == [chosen[place] for place in range(16)], size


def test_the_hash_of_numbers_is_that_of_lua() -> None:
    chosen: dict[int, float] = {}
    generator = random.Random(1)
    while len(chosen) < 15:  # of 16 places the last one is nobody's own
        number = generator.randrange(1 << 20, 1 << 50) / 8
        chosen.setdefault(number_hash(number) % 15, number)
    text = "local t, out = {}, {} for _, k in ipairs(ARGV) do t[tonumber(k)] = 1 end "
    text += "for k in pairs(t) do out[#out + 1] = string.format('%.17g', k) end return out"
    found = value(text, *[b"%.17g" % number for number in chosen.values()])
    assert [float(each) for each in found] == [chosen[place] for place in range(15)]  # type: ignore[union-attr, arg-type]


def test_hashes_that_are_made_together_are_the_same() -> None:
    generator = random.Random(1)
    sizes = [0, 1, 2, 31, 32, 33, 63, 64, 65, 200, KEPT_BYTES, KEPT_BYTES + 1, 5000]
    strings = [generator.randbytes(generator.choice(sizes)) for _ in range(1500)]
    strings += [b"\xff" * 31, b"\0" * 31] * 20 + [b"%d" % number for number in range(3000)]
    assert hashes_of(strings) == [lua_hash(each) for each in strings]
    assert len({lua_hash(alike(number)) for number in range(100)}) == 1


def test_how_much_alike_strings_are() -> None:
    assert worst_of([]) == 0
    assert worst_of([alike(number) for number in range(1000)]) == 1000
    assert worst_of([alike(1)] * 1000) == worst_of([b"x" * 5000] * 1000) == 1
    assert worst_of([b"user:%d" % number for number in range(1000)]) < 60
    assert 60 < worst_of([b"user:%d" % number for number in range(10_000)]) <= 130
    long = [alike(number) + b"x" * 0 for number in range(5)]
    assert worst_of(long * 3) == 5


def test_what_is_alike_costs_more() -> None:
    plain, bad = Crowd(), Crowd()
    of_plain = plain.add([b"%064d" % (7919 * number) for number in range(2000)])
    assert bad.add([alike(number) for number in range(2000)]) > 4 * of_plain


def test_replies_and_arguments_that_are_alike_end_a_script() -> None:
    """Whoever may write to a hash could stop its slaves by what others run."""
    many = [alike(number) for number in range(60_000)]
    expected = Outcome(None, TOO_MUCH, 0, True)
    assert ended("return #redis.call('HGETALL', 'h')", reply=many)[1:] == (TOO_MUCH, 1, True)
    nested: list[Reply] = [[each, 1] for each in many]
    assert ended("return #redis.call('ZRANGE', 'h')", reply=nested).is_over
    text = "redis.setresp(3) return redis.call('HGETALL', 'h')"
    assert ended(text, reply=dict.fromkeys(many, b"1")).is_over
    assert ended("return 1", many[:30_000]) == expected
    assert ended("return #redis.call('X')", reply=many[:1000]).reply == 1000


LOOPS = [
    # lookups in a chain
    "local t = {} for i, k in ipairs(ARGV) do t[k] = i end while true do"
    " for i, k in ipairs(ARGV) do t[k] = i end end",
    # doubles that agree in the sum of their halves
    "local t, n = {}, 0 while true do n = n + 1"
    " t[struct.unpack('<d', struct.pack('<I4I4', n, 2000000000 - n))] = n end",
    "local t, n = {}, 0 while true do n = n + 1 table.insert(t,"
    " struct.unpack('<d', struct.pack('<I4I4', n, 2000000000 - n)), 1) end",
    # the end of what is no list
    "local t = {} for j = 0, 12 do t[2 ^ j] = 1 end for m = 1, 60 do for r = 1, 30 do"
    " t[r * 17 + m * 1023] = 1 end end local x while true do x = #t end",
    # tables that look into tables
    "local t = {} for i = 1, 90 do t = setmetatable({}, {__index = t}) end"
    " while true do local x = t.x end",
    # letters of formats
    "local s = ('i'):rep(100000) while true do struct.size(s) end",
    "local s = ('x'):rep(1000) while true do pcall(struct.unpack, s, s) end",
    "local s = ('\\145'):rep(99) .. '\\1' while true do pcall(cmsgpack.unpack, s) end",
    # texts of numbers
    "local s = ('1'):rep(1000) while true do local x = s + 1 end",
    "local s = '0x' .. ('f'):rep(500) while true do local x = s + 1 end",
    "while true do string.format('%99.99f', 1e308) end",
    # errors are strings too
    "local n = 0 while true do n = n + 1 pcall(error, ARGV[n % 4000 + 1]) end",
]


@pytest.mark.parametrize("text", LOOPS)
def test_nothing_costs_far_more_than_it_counts(text: str) -> None:
    assert ended(text, [alike(number) for number in range(2000)]).error is not None


def test_a_text_of_names_that_are_alike_is_refused() -> None:
    names = [b"t." + b"a" + alike(number).replace(b"\0", b"0") for number in range(1000)]
    with pytest.raises(CompileError, match=ALIKE):
        runtime().compile(b"local t = {} " + b"".join(name + b" = 1 " for name in names))
    escaped = [b"'\\120" + alike(number)[1:] + b"'," for number in range(1000)]
    with pytest.raises(CompileError, match=ALIKE):
        runtime().compile(b"return {" + b"".join(escaped) + b"}")
    text = (
        "local f, why = loadstring('return {' .. table.concat(ARGV) .. '}') return f and 1 or why"
    )
    assert ALIKE in str(ended(text, escaped[:900]))


STRINGS = [
    *(rb"'a\n\r\t\a\b\f\v\\\'\"'", rb"'\65\066\2555\0'", b"'a\\\nb\\\r\nc'", b'"\\q\\\'"'),
    *(b"[[a\\n]]", b"[==[\r\nb]]\n\rc]==]", b"[[\n\nx]]", b"''", b"[=[]=]"),
]


def test_strings_of_a_text_are_counted_as_lua_reads_them() -> None:
    for literal in STRINGS:
        found: set[bytes] = set()
        rewrite(b"return " + literal, strings=found)
        assert found - {b"return"} == {value(f"return {literal.decode('latin-1')}")}, literal


@pytest.mark.parametrize(
    "expression, expected",
    [
        ("#ARGV", 2),
        ("-#ARGV", -2),
        ("2^#ARGV", 4),
        ("#ARGV^2", None),
        ("#'abc'..#ARGV", b"32"),
        ("not#ARGV", None),
        ("#ARGV==2 and 5", 5),
        ("#{1,2,#ARGV}", 3),
        ("2-#ARGV*3", -4),
        ("ARGV[#ARGV]", b"b"),
        ("({n={1,2,3}}).n[#ARGV]+#KEYS", 2),
    ],
)
def test_lengths_are_what_they_were(expression: str, expected: Reply) -> None:
    text = f"local KEYS = {{}} return{' ' if expression[0] != '#' else ''}{expression}"
    outcome = runtime().script(text.encode(), [], [b"a", b"b"], Nothing())
    if expression == "#ARGV^2":
        assert outcome.error is not None and b"arithmetic" in outcome.error
    else:
        assert outcome.error is None and outcome.reply == expected, outcome


def test_what_came_before_does_not_count() -> None:
    """Another runtime, or an older one, comes to the same end."""
    text = "local t = {} for i = 1, #ARGV do t[ARGV[i]] = i end return 1"
    words = [alike(number) for number in range(1200)]
    first = Runtime().script(text.encode(), [], words, Nothing())
    for _ in range(3):
        assert runtime().script(text.encode(), [], words, Nothing()) == first
