import re
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from distrodb.resp.parse import CommandParser, ParserLimits, ProtocolError, split_inline

pytestmark = pytest.mark.usefixtures("build")

LIMITS = ParserLimits(
    inline_bytes_max=200, bulk_bytes_max=300, arguments_max=12, command_bytes_max=500
)
Outcome = tuple[list[list[bytes]], str | None]


def pack(*args: bytes) -> bytes:
    return b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%b\r\n" % (len(a), a) for a in args)


def outcome(chunks: list[bytes], limits: ParserLimits = LIMITS) -> Outcome:
    """All commands until the error, and the error."""
    parser, commands = CommandParser(limits), []
    for chunk in chunks:
        try:
            commands += parser.feed(chunk)
        except ProtocolError as problem:
            return commands + problem.commands, str(problem)
    return commands, None


def reference(data: bytes, limits: ParserLimits = LIMITS) -> Outcome:
    """The same, as simple as it can be said: on all data at once, one command after the other."""
    commands: list[list[bytes]] = []

    def failed(text: str) -> Outcome:
        return commands, f"Protocol error: {text}"

    def number(rest: bytes) -> int | None:
        header = re.match(rb"[*$](0|-?[1-9][0-9]*)\r\n", rest[:33])
        return int(header[1]) if header else None

    while data:
        if data[:1] in (b"$", b"+", b"-", b":", b"_", b",", b"#", b"(", b"!", b"=", b"%", b"~",
                        b">", b"|"):  # fmt: skip
            return failed(f"expected '*', got {data[:1].decode()!r}")
        if data[0] < 32 and not data[:1].isspace():
            return failed(f"expected '*', got {chr(data[0])!r}")
        if data[:1] != b"*":
            line, newline, rest = data.partition(b"\n")
            if len(line) > limits.inline_bytes_max:
                limit = limits.inline_bytes_max
                return failed(f"too big inline request: more than inline_bytes_max ({limit})")
            if not newline:
                break
            args = split_inline(line.removesuffix(b"\r"))
            if args is None:
                return failed("unbalanced quotes in request")
            commands += [args] if args else []
            data = rest
            continue
        whole, command = data, []
        if b"\r\n" not in data[:32] and len(data) < 32:
            break
        count = number(data)
        if count is None:
            return failed("invalid multibulk length")
        if count > limits.arguments_max:
            too_many = f"{count} arguments exceed arguments_max ({limits.arguments_max})"
            return failed(f"invalid multibulk length: {too_many}")
        data = data[data.index(b"\r\n") + 2 :]
        for _ in range(count):
            if data and data[:1] != b"$":
                return failed(f"expected '$', got {chr(data[0])!r}")
            if b"\r\n" not in data[:32] and len(data) < 32:
                return commands, None
            length = number(data)
            if length is None or length < 0:
                return failed("invalid bulk length")
            if length > limits.bulk_bytes_max:
                too_long = f"{length} bytes exceed value_bytes_max ({limits.bulk_bytes_max})"
                return failed(f"invalid bulk length: {too_long}")
            data = data[data.index(b"\r\n") + 2 :]
            if len(whole) - len(data) + length + 2 > limits.command_bytes_max:
                return failed(f"command exceeds command_bytes_max ({limits.command_bytes_max})")
            if len(data) < length + 2:
                return commands, None
            command.append(data[:length])
            data = data[length + 2 :]
        commands += [command] if command else []
    return commands, None


# What hiredis must not see, or takes and we do not; also as the payload of a good command.
TRAPS = [
    b"*1000000000\r\n", b"*9\r\n", b"*-1\r\n", b"*0\r\n", b"*01\r\n", b"*+1\r\n", b"*-0\r\n",
    b"*2\r\n*10000000\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$01\r\na\r\n", b"*1\r\n:5\r\n",
    b"*1\r\n_\r\n", b"*1\r\n#f\r\n", b"#f\r\n", b"*1\r\n+OK\r\n", b"*1\r\n=5\r\ntxt:a\r\n",
    b"*1\r\n$1\r\naXX",
    b"%10000000\r\n", b"~10000000\r\n", b">9999999\r\n", b"|1\r\n$1\r\na\r\n$1\r\nb\r\n",
    b"*1\r\n|1\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n", b"*1\r\n*1\r\n$1\r\na\r\n", b"*1\r\n%0\r\n",
    b"$1\r\na\r\n", b"-ERR\r\n", b"PING\r\n", b"\r\n", b"\n", b"set a \"b c\"\r\n", b"set 'a\r\n",
    b"*1\r\n$301\r\n", b"*13\r\n", b"*2\r\n$300\r\n" + b"x" * 300 + b"\r\n$200\r\n", b"*1\n$1\na\n",
    b"x" * 199 + b"\r\n", b"x" * 201 + b"\n", b"*" + b"1" * 40, b"*1\r\n$" + b"0" * 40, b"*\r\n",
]  # fmt: skip

arguments = st.binary(max_size=20) | st.sampled_from(TRAPS) | st.binary(min_size=90, max_size=110)
good = st.lists(arguments, min_size=1, max_size=4).map(lambda args: pack(*args))
streams = st.lists(good | good | st.sampled_from(TRAPS) | st.binary(max_size=6), max_size=8).map(
    b"".join
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in pairwise(bounds)]


@settings(max_examples=1500)
@given(streams, st.lists(st.integers(0, 10**6), max_size=12))
@example(b"#f\r\n" + pack(b"a"), [])
@example(pack(b"a") + b"*1000000000\r\n", [12])
def test_any_chunking_gives_what_the_simple_parser_gives(data: bytes, places: list[int]) -> None:
    assert outcome(cut(data, places)) == reference(data)


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("before", [b"", pack(b"GET", b"a") * 2, b"PING\r\n"])
def test_byte_by_byte_is_the_same_as_at_once(trap: bytes, before: bytes) -> None:
    data = before + trap + pack(b"a", b"*99999999\r\n")
    expected = reference(data)
    assert outcome([data]) == expected
    assert outcome([data[n : n + 1] for n in range(len(data))]) == expected


@given(st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=5), max_size=10))
def test_good_commands_come_back_whatever_their_payload(commands: list[list[bytes]]) -> None:
    assert outcome([b"".join(pack(*args) for args in commands)]) == (commands, None)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            b"*1000000000\r\n",
            "invalid multibulk length: 1000000000 arguments exceed arguments_max (65536)",
        ),
        (b"*x\r\n", "invalid multibulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (
            b"*1\r\n$16777217\r\n",
            "invalid bulk length: 16777217 bytes exceed value_bytes_max (16777216)",
        ),
        (b"*1\r\n:1\r\n", "expected '$', got ':'"),
        (b"$1\r\na\r\n", "expected '*', got '$'"),
        (b"\x16\x03\x01\x02\0\nSET a b\n", "expected '*', got '\\x16'"),  # TLS
        (b"\0\x14\0\x01\nSET a b\n", "expected '*', got '\\x00'"),  # STUN over TCP
        (b"set 'a\r\n", "unbalanced quotes in request"),
        (b"a" * 65537, "too big inline request: more than inline_bytes_max (65536)"),
    ],
)
def test_errors_have_redis_wording_and_keep_the_commands_before(data: bytes, text: str) -> None:
    before = pack(b"GET", b"a")
    expected = ([[b"GET", b"a"]] * 2, f"Protocol error: {text}")
    assert outcome([before * 2 + data], ParserLimits()) == expected


@pytest.mark.parametrize(
    "header",
    [
        b"*1000000000\r\n",
        b"*65536\r\n",
        b"*2\r\n*99999999\r\n",
        b"%99999999\r\n",
        b"~99999999\r\n",
        b">99999999\r\n",
        b"|99999999\r\n",
        b"*1\r\n>99999999\r\n",
        b"*1\r\n$16777216\r\n",
        b"*9999\r\n" * 9,
    ],
)
def test_a_header_alone_allocates_little(header: bytes) -> None:
    parser = CommandParser(ParserLimits())
    tracemalloc.start()
    try:
        parser.feed(pack(b"PING") + header)
    except ProtocolError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1_500_000


def test_held_counts_the_incomplete_command() -> None:
    parser, data = CommandParser(ParserLimits()), pack(b"SET", b"key", b"x" * 1000)
    assert parser.held == 0
    for length in range(1, len(data)):
        assert parser.feed(data[length - 1 : length]) == []
        assert parser.held == length
    assert parser.feed(data[-1:]) == [[b"SET", b"key", b"x" * 1000]]
    assert parser.held == 0


def test_limits_hold_at_the_byte() -> None:
    exact = pack(b"x" * 300, b"y" * 180)
    assert len(exact) == LIMITS.command_bytes_max
    assert outcome([exact]) == outcome([exact[:9], exact[9:]]) == reference(exact)
    assert outcome([exact])[1] is None
    assert outcome([pack(b"x" * 300, b"y" * 181)])[1] is not None
    most = [b"a"] * LIMITS.arguments_max
    assert outcome([pack(*most)]) == ([most], None)
    assert outcome([pack(*most, b"a")]) == (
        [],
        "Protocol error: invalid multibulk length: 13 arguments exceed arguments_max (12)",
    )


@pytest.mark.parametrize(
    ("line", "args"),
    [
        (b"", []),
        (b"  GET\t a ", [b"GET", b"a"]),
        (rb'"a b" "\x41\n\"\q"', [b"a b", b'A\n"q']),
        (rb"'a\n\'b'", [rb"a\n'b"]),
        (b'a"b c"', [b"ab c"]),
        (b'""', [b""]),
        (b'"a"b', None),
        (b"'a", None),
        (b'"a\\', None),
    ],
)
def test_inline_quoting_is_that_of_redis(line: bytes, args: list[bytes] | None) -> None:
    assert split_inline(line) == args


@given(st.binary())
def test_inline_quoting_takes_any_bytes(line: bytes) -> None:
    split_inline(line)
