"""One parser of addresses, whoever wrote them."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.config.address import Address, parse, parse_announced

PACKAGE = Path(__file__).parents[2] / "distrodb"


@pytest.mark.parametrize(
    ("text", "host", "port", "written"),
    [
        ("127.0.0.1:1", "127.0.0.1", 1, "127.0.0.1:1"),
        ("node-1.example:65535", "node-1.example", 65535, "node-1.example:65535"),
        ("[::1]:55551", "::1", 55551, "[::1]:55551"),
        ("::1:55551", "::1", 55551, "[::1]:55551"),
        (f"{'a' * 63}.ä.:1", f"{'a' * 63}.ä.", 1, f"{'a' * 63}.ä.:1"),
        ("[fe80::1%eth0]:7", "fe80::1%eth0", 7, "[fe80::1%eth0]:7"),
    ],
)
def test_what_is_an_address(text, host, port, written):
    assert parse(text) == Address(host, port)
    assert str(parse(text)) == written and parse(written) == parse(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        *((text, "no host and port") for text in ("", ":1", "55551", "localhost")),
        *(
            (f"a:{port}", "port")
            for port in ("", "0", "65536", "-1", "+1", "1 ", "¹", "1_0", "9" * 5000)
        ),
        *((f"{host}:1", "host") for host in ("a b", "[::1", "::1]", "a\n", "a\0", 'a"b', "a,b")),
        *(
            (f"{host}:1", "a part of its host")
            for host in ("a" * 64, f"a.{'b' * 64}.c", "a..b", ".a", "ä" * 63, "\u0627a")
        ),
        ("[localhost]:1", "brackets"),
        ("[]:1", "brackets"),
    ],
)
def test_what_is_none(text, why):
    with pytest.raises(ValueError, match=why):
        parse(text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("h", "h", 7),
        ("h:1", "h", 1),
        ("10.0.0.1", "10.0.0.1", 7),
        ("::1", "::1", 7),  # an IPv6 address with a port goes in brackets here
        ("::1:5", "::1:5", 7),
        ("[::1]", "::1", 7),
        ("[::1]:5", "::1", 5),
    ],
)
def test_the_port_of_what_is_announced_may_be_left_out(text, host, port):
    assert parse_announced(text, 7) == Address(host, port)


@pytest.mark.parametrize("text", ["", ":1", "h:", "h:0", "[h]", "a b", "h:1:2x"])
def test_what_cannot_be_announced(text):
    with pytest.raises(ValueError, match="port|host|brackets"):
        parse_announced(text, 7)


def test_redis_writes_no_brackets():
    assert Address("::1", 7).on_the_wire == "::1:7" and Address("h", 7).on_the_wire == "h:7"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "0", "::0", "0:0:0:0:0:0:0:0"])
def test_a_wildcard_however_it_is_written(host):
    assert Address(host, 1).is_wildcard


@pytest.mark.parametrize("host", ["::1", "10.0.0.0", "0x", "h0"])
def test_no_wildcard(host):
    assert not Address(host, 1).is_wildcard


def test_a_name_is_no_ip_address():
    assert Address("h", 1).is_named and not Address("::1", 1).is_named


@given(st.text(max_size=20) | st.text(max_size=90).map("{}:1".format))
def test_any_text_is_an_address_or_a_value_error(text):
    try:
        address = parse(text)
    except ValueError:
        return
    assert parse(str(address)) == address
    address.host.encode("idna")  # what sockets do first


# Where text is cut at a colon, and what that text is.
CUT_AT_A_COLON = {
    ("config/address.py", "text.rpartition(':')"): "an address",
    ("slave/machine_memory.py", "line.split(':', 2)"): "a line of the kernel's on control groups",
    (
        "slave/http/visitors.py",
        "b64decode(token.strip(), validate=True).partition(b':')",
    ): "name and password of Basic authentication",
    ("commands/usage.py", "line.partition(':')"): "a line of our own table of commands",
}


def test_nobody_else_takes_addresses_apart():
    cuts = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr in ("rpartition", "rsplit", "partition", "split"):
                    words = [*node.args, *(keyword.value for keyword in node.keywords)]
                    if any(isinstance(w, ast.Constant) and w.value in (":", b":") for w in words):
                        cuts.add((str(path.relative_to(PACKAGE)), ast.unparse(node)))
    assert cuts == set(CUT_AT_A_COLON)
