from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from distrodb.errors import DistrodbError
from distrodb.master import quoting, render

STATUS: dict[str, Any] = {
    "epoch": 7,
    "ring": ["node1", "node2", "node3"],
    "nodes": {
        f"node{n}": {
            "status": "down" if n == 3 else "up",
            "client": f"127.0.0.1:5555{n}",
            "peer": f"127.0.0.1:5655{n}",
        }
        for n in (1, 2, 3)
    },
    "partitions": [
        {
            "id": 0,
            "slots": [0, 8191],
            "owner": "node1",
            "group": ["node3", "node1", "node2"],
            "leader": "node1",
            "term": 2,
        },
        {
            "id": 1,
            "slots": [8192, 16383],
            "owner": "node2",
            "group": ["node1", "node2", "node3"],
            "leader": None,
            "term": 5,
        },
    ],
}


def split(line: str) -> list[bytes]:
    return [quoting.unquote(token) for token in quoting.tokens(line)]


def text_of(renderable: RenderableType, width: int = 120) -> str:
    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def rows_of(renderable: RenderableType) -> list[list[str]]:
    return [line.split() for line in text_of(renderable).splitlines()]


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (b"", 'Just ""'),
        (b"plain words", 'Just "plain words"'),
        ("größe 🙂 日本".encode(), 'Just "größe 🙂 日本"'),
        (b'say "hi" \\', r'Just "say \"hi\" \\"'),
        (b"a\nb\tc\r", r'Just "a\nb\tc\r"'),
        (b"\x00\x1b[31m\x7f", r'Just "\x00\x1b[31m\x7f"'),
        (b"\xff\xc3", r'Just "\xff\xc3"'),
        ("\x9b\u202e\u2028".encode(), r'Just "\u009b\u202e\u2028"'),
    ],
)
def test_just(value: bytes, line: str) -> None:
    assert render.maybe(value) == line


def test_an_empty_value_and_none_differ() -> None:
    assert render.maybe(b"") == 'Just ""'
    assert render.maybe(None) == "Nothing"


def test_a_stale_answer_says_so() -> None:
    why = "partition 3 has no majority, answered by node2"
    assert render.maybe(b"v", why) == f'Just "v"  (stale: {why})'
    assert render.maybe(None, why) == f"Nothing  (stale: {why})"


@given(st.binary(max_size=40))
def test_what_is_printed_can_be_typed(value: bytes) -> None:
    printed = render.maybe(value).removeprefix("Just ")
    assert split(f"SET k {printed}") == [b"SET", b"k", value]
    assert "\n" not in printed


@given(st.text(max_size=40))
def test_any_text_is_printed_as_one_line(text: str) -> None:
    assert len(render.maybe(text.encode("utf-8", "surrogatepass")).splitlines()) == 1


@given(st.text(alphabet="ab \\\"'xu0f\t", max_size=20))
def test_any_line_splits_or_is_refused_in_one_line(line: str) -> None:
    try:
        split(line)
    except DistrodbError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ('SET k ""', [b"SET", b"k", b""]),
        ('SET "a key" "b  c"', [b"SET", b"a key", b"b  c"]),
        ("GET don't", [b"GET", b"don't"]),
        ("GET 'tis it'", [b"GET", b"tis it"]),
        (r"SET k C:\new", [b"SET", b"k", rb"C:\new"]),
        (r"'it\'s' '\n'", [b"it's", rb"\n"]),
        (r'"\x00\u00e9\q\x1"', ["\0é\\q\\x1".encode()]),
        ("a|b > c ; # !x @y &", [b"a|b", b">", b"c", b";", b"#", b"!x", b"@y", b"&"]),
        ("\udcff", [b"\xff"]),
        ('"a\nb"', [b"a\nb"]),
    ],
)
def test_split(line: str, arguments: list[bytes]) -> None:
    assert split(line) == arguments


def test_nodes_table() -> None:
    rows = rows_of(render.nodes_table(STATUS, answering={"node1", "node2"}))
    assert rows[0] == ["node", "status", "answers", "clients", "peers", "owns", "leads", "holds"]
    assert ["node1", "up", "yes", "127.0.0.1:55551", "127.0.0.1:56551", "1", "1", "2"] in rows
    assert ["node3", "down", "no", "127.0.0.1:55553", "127.0.0.1:56553", "0", "0", "2"] in rows
    assert "answers" not in text_of(render.nodes_table(STATUS))


def test_partitions_table() -> None:
    rows = rows_of(render.partitions_table(STATUS))
    assert ["0", "0-8191", "node1", "node3", "node1", "node2", "node1", "2"] in rows
    assert ["1", "8192-16383", "node2", "node1", "node2", "node3", "none", "5"] in rows


def test_where_table() -> None:
    rows = rows_of(render.where_table(b"[red]k\n", 15495, STATUS["partitions"][1]))
    assert [r"[red]k\n", "15495", "1", "8192-16383", "node1", "node2", "node3", "none"] in rows
