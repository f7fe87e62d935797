"""The compiled part does what the functions do that it stands for, and nothing that is handed to it
makes it do more.

Under a build with ``-fsanitize=address`` (docs/testing.md) the same tests look for accesses beyond
what they are given.
"""

import copy
import inspect
import os
import random
import subprocess
import sys
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from distrodb import compiled
from distrodb.commands.table import DISPATCHED
from distrodb.resp import parse
from distrodb.resp.parse import CommandParser, ParserLimits, ProtocolError
from distrodb.resp.reply import OK, ErrorReply, Status, error
from distrodb.ring import slots
from tests.support.resp import pack
from tests.unit.test_resp_parse import LIMITS, TRAPS, cut, streams

ROOT = Path(__file__).parents[2]
hot = compiled.hot
is_compiled = pytest.mark.skipif(hot is None, reason="the compiled part is not there")


def test_each_build_runs_its_own_functions(build):
    is_reference = slots.slot_of is compiled.pure["slot_of"]
    assert is_reference == (build == "pure")


# -- the bytes of clients --------------------------------------------------------------------------

# Numbers that overflow, are not in their shortest form or are none, as counts and as lengths.
NUMBERS = [b"1" * 9, b"1" * 10, b"1" * 20, b"18446744073709551617", b"9223372036854775807"]
NUMBERS += [b"4294967297", b"-1", b"+1", b"01", b"", b" 1", b"1 ", b"\xb1", b"1\xff", b"\x001"]
HEADERS = [b"*%b\r\n$1\r\na\r\n", b"*1\r\n$%b\r\na\r\n", b"*1\r\n$1%b"]
MORE_TRAPS = [header % number for number in NUMBERS for header in HEADERS]
traps = st.sampled_from([*TRAPS, *MORE_TRAPS])
hostile = st.lists(streams | traps | st.binary(max_size=20), max_size=6).map(b"".join)


def story(chunks: list[bytes], limits: ParserLimits) -> list[object]:
    """All that can be seen of a parser that is fed with these."""
    parser, seen = CommandParser(limits), []
    for chunk in chunks:
        try:
            commands = parser.feed(chunk)
        except ProtocolError as problem:
            return [*seen, problem.commands, str(problem)]
        seen.append((commands, parser.held, parser.memory))
    return seen


@is_compiled
@settings(max_examples=1500)
@given(hostile, st.lists(st.integers(0, 10**6), max_size=12), st.booleans())
@example(b"*1\r\n$18446744073709551617\r\na\r\n", [], False)
@example(b"*1\r\n$1'\r\na\r\n", [], False)  # 1 * 10 + "'" - "0" is 1
@example(b"*1\r\n$:\r\n0123456789\r\n", [], False)
@example(pack(b"GET", b"a") * 2 + b"*2\r\n$3\r\nGET\r\n$1\r\na\r", [], False)
def test_both_find_the_same_commands(data: bytes, places: list[int], is_wide: bool) -> None:
    limits = ParserLimits() if is_wide else LIMITS
    seen = []
    for functions in (compiled.pure, vars(hot)):
        with mock.patch.object(parse, "find_commands", functions["find_commands"]):
            seen.append(story(cut(data, places), limits))
    assert seen[0] == seen[1]


@is_compiled
@given(hostile, st.integers(0, 20))
def test_what_the_compiled_parser_takes_is_a_head_of_the_data(data: bytes, most: int) -> None:
    commands: list[list[bytes]] = []
    end = hot.find_commands(data, commands, most)
    assert 0 <= end <= len(data) and all(0 < len(command) <= most for command in commands)
    headers = sum(len(pack(*command)) for command in commands)
    assert end == headers  # it takes numbers in their shortest form only


@given(st.lists(st.lists(st.binary(max_size=120), min_size=1, max_size=12), max_size=4))
def test_each_takes_all_of_what_clients_send(build: str, commands: list[list[bytes]]) -> None:
    """What is left to the exact parser costs time only, so no other test would notice."""
    found: list[list[bytes]] = []
    data = b"".join(pack(*command) for command in [[b"PING"], *commands])
    assert parse.find_commands(data, found, 12) == len(data)
    assert found == [[b"PING"], *commands]


@is_compiled
@given(st.binary() | st.text("{}ab").map(str.encode))
def test_both_find_the_same_slot(key: bytes) -> None:
    assert hot.slot_of(key) == compiled.pure["slot_of"](key)


# -- bursts ----------------------------------------------------------------------------------------

NAMES = [b"GET", b"SET", b"INCR", b"get", b"MGET", b"PING", b"STRLEN", b"NONE", b"CLIENT", b"LPUSH"]
words = st.lists(st.binary(max_size=5), max_size=4)
plain = st.tuples(st.sampled_from([b"GET", b"INCR"]), st.binary(max_size=5)).map(list)
waiting = st.lists(
    plain
    | plain
    | plain
    | st.builds(lambda name, rest: [name, *rest], st.sampled_from(NAMES), words)
    | st.just(error("ERR", "no more")),
    max_size=12,
)
maps = st.integers(1, 4).map(lambda count: [slot * count >> 14 for slot in range(16384)])


@is_compiled
@given(waiting, st.integers(1, 14), maps, st.sampled_from([0, 3 << 14]))
def test_both_share_out_the_same(
    commands: list[list[bytes] | ErrorReply], count_max: int, partitions: list[int], base: int
) -> None:
    asked = deque(commands), count_max, DISPATCHED, partitions, base
    expected = compiled.pure["share_out"](*asked)
    parts, names, row = hot.share_out(*asked)
    assert (parts, names) == expected[:2] and row is expected[2] and list(parts) == [*expected[0]]
    for commands_of_one, *_ in parts.values():
        assert hot.measure(commands_of_one) == compiled.pure["measure"](commands_of_one)


replies_of_parts = st.sampled_from([OK, None, Status(b"OK"), 5, error("ERR", "no")]) | st.binary(
    max_size=12
)


@is_compiled
@given(st.data(), st.lists(replies_of_parts, max_size=8), st.integers(-5, 80))
def test_both_keep_and_take_the_same(data: st.DataObject, replies: list, bytes_max: int) -> None:
    count = len(replies)
    numbers = data.draw(st.permutations(range(count + 2)))[:count]
    earlier = st.sampled_from([None, None, None, b"there"])
    answers = data.draw(st.lists(earlier, min_size=count + 2, max_size=count + 2))
    which_write = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    position, number = data.draw(st.integers(0, count)), data.draw(st.integers(0, count + 2))
    seen = []
    for functions in (compiled.pure, vars(hot)):
        kept = list(answers)
        burst = SimpleNamespace(answers=kept)
        part = SimpleNamespace(burst=burst, numbers=numbers, which_write=which_write)
        told = functions["keep_plain"](part, replies, position, bytes_max, b"_\r\n", OK, 10)
        after, pieces = list(kept), [b"first"]
        took = functions["take_plain"](kept, number, pieces, bytes_max)
        seen.append((told, after, took, kept, pieces))
    assert seen[0] == seen[1]


# -- entries ---------------------------------------------------------------------------------------

good_rows = st.tuples(st.integers(), st.lists(st.binary(), min_size=1, max_size=3).map(tuple))
UNLIKE = [
    None,
    True,
    1,
    1.5,
    b"",
    b"ab",
    "ab",
    (),
    (1,),
    (1, 2),
    (1, ()),
    (True, (b"a",)),
    (1, b"ab"),
] + [(1, (b"a", "b")), (1, (b"a",), 2), (1, [b"a"]), [1, (b"a",)], {1: 2, 3: 4}, (b"a", (b"a",))]
unlike = st.sampled_from(UNLIKE)


@is_compiled
@example(((0, (b"",)), UNLIKE[-3]))
@given(st.lists(good_rows | good_rows | unlike, min_size=1, max_size=6).map(tuple))
def test_both_refuse_the_same_rows(rows: tuple[object, ...]) -> None:
    seen = []
    for check in (compiled.pure["check_rows"], hot.check_rows):
        try:
            check(rows)
            seen.append(True)
        except (ValueError, TypeError):
            seen.append(False)
    assert seen[0] is seen[1] is (not any(each is row for row in rows for each in UNLIKE))


# -- what is no sense at all -----------------------------------------------------------------------

ODD = [None, True, -1, 3, 1 << 70, b"", b"{a}", "a", (), (1, (b"a",)), [], [None], [b"a"], [[b"a"]]]
ODD += [[[]], [[b"GET"]], {}, [(1, None)], [(1, 2), (3, [4])], [-1], [1 << 70], object()]


@is_compiled
@pytest.mark.parametrize("name", sorted(compiled.pure))
def test_odd_arguments_raise_or_do_nothing(name: str) -> None:
    """The process lives, whatever comes."""
    function, chance = getattr(hot, name), random.Random(1)
    count = len(inspect.signature(compiled.pure[name]).parameters)
    outcomes = set()
    for _ in range(5000):
        odd = [copy.copy(each) for each in chance.choices(ODD, k=count)]
        if name == "keep_plain":
            lists = [copy.copy(each) for each in chance.choices(ODD, k=3)]
            burst = SimpleNamespace(answers=lists[0])
            odd[0] = SimpleNamespace(burst=burst, numbers=lists[1], which_write=lists[2])
        try:
            function(*odd)
            outcomes.add("went")
        except (TypeError, ValueError, IndexError, AttributeError, OverflowError) as problem:
            outcomes.add(type(problem).__name__)
    assert "TypeError" in outcomes


# -- how it is built -------------------------------------------------------------------------------


@is_compiled
def test_what_was_built_from_another_file_is_left_out(monkeypatch):
    assert compiled._load() is hot
    monkeypatch.setattr(hot, "source", "")
    assert compiled._load() is None


def test_each_compiled_function_has_a_reference_and_the_other_way_round():
    text = (ROOT / "distrodb" / "hot.pyx").read_text()
    stub = (ROOT / "distrodb" / "hot.pyi").read_text()
    functions = {line[4:].split("(")[0] for line in text.splitlines() if line.startswith("def ")}
    stubs = {line[4:].split("(")[0] for line in stub.splitlines() if line.startswith("def ")}
    assert functions == stubs == set(compiled.pure)


def run(*arguments: str, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout + result.stderr


def test_it_is_left_out_where_the_environment_says_so():
    assert run("-m", "distrodb", "--version", DISTRODB_PURE="1").endswith("(pure)\n")


@pytest.mark.parametrize(
    ("environment", "note"),
    [({"CC": "/bin/false"}, "hot"), ({"DISTRODB_PURE": "1"}, "without the compiled part")],
)
def test_an_installation_goes_on_without_it(tmp_path, environment, note):
    out = run(
        "setup.py", "build", "--build-base", str(tmp_path), **{"DISTRODB_PURE": "0"} | environment
    )
    assert note in out and not list(tmp_path.rglob("*.so"))
    assert list(tmp_path.rglob("cli.py"))
