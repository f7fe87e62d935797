"""COMMAND where it is ours alone; the rows themselves are compared with Redis' in tests/oracle."""

import pytest

from distrodb.commands.table import COMMANDS
from distrodb.commands.usage import _USAGE, Argument, arguments, usage_of
from tests.unit.session_world import World


def ask(line: str) -> bytes:
    return World().ask(line.encode() + b"\r\n")


def test_count_is_of_commands_and_list_has_subcommands_too() -> None:
    assert ask("COMMAND COUNT") == b":%d\r\n" % len(COMMANDS)
    names = ask("COMMAND LIST")
    assert b"$3\r\nget\r\n" in names and b"command|getkeys\r\n" in names


@pytest.mark.parametrize(
    ("filtered", "found"),
    [
        ("ACLCAT hash", {"hset", "hget", "hdel", "hgetall", "hlen", "hscan", "hmset"}),
        ("pattern hgeta*", {"hgetall"}),
        ("PATTERN COMMAND|C*", {"command|count"}),
        ("MODULE x", set()),
    ],
)
def test_list_is_filtered(filtered: str, found: set[str]) -> None:
    reply = ask(f"COMMAND LIST FILTERBY {filtered}")
    names = {line.decode() for line in reply.split(b"\r\n") if line[:1] not in b"*$"}
    assert names >= found and len(names) < len(COMMANDS)
    assert found or reply == b"*0\r\n"


def test_docs_have_subcommands_and_leave_out_what_is_not_known() -> None:
    reply = ask("COMMAND DOCS nosuch command")
    assert reply.startswith(b"*2\r\n$7\r\ncommand\r\n*8\r\n$7\r\nsummary\r\n")
    assert b"$13\r\ncommand|count\r\n" in reply


def test_help_is_made_of_the_rows() -> None:
    lines = ask("COMMAND HELP").split(b"\r\n")[1:-1]
    assert lines[0] == b"+COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    assert b"+GETKEYS command [arg [arg ...]]" in lines and lines[-2:] == [
        b"+HELP",
        b"+    Prints this help.",
    ]


def test_docs_tell_of_the_arguments() -> None:
    nx, xx = (Argument(name, "pure-token", name.upper()) for name in ("nx", "xx"))
    assert arguments("key [NX | XX] [EX seconds] [LIMIT offset count]") == [
        Argument("key", "key"),
        Argument("nx_xx", "oneof", flags=["optional"], parts=[nx, xx]),
        Argument("seconds", "integer", "EX", ["optional"]),
        Argument(
            "offset_count",
            "block",
            "LIMIT",
            ["optional"],
            [Argument("offset", "integer"), Argument("count", "integer")],
        ),
    ]
    assert arguments("key value [key value ...]") == [
        Argument(
            "key_value",
            "block",
            flags=["multiple"],
            parts=[Argument("key", "key"), Argument("value", "string")],
        )
    ]
    assert arguments("[GET pattern [GET pattern ...]]") == [
        Argument("pattern", "pattern", "GET", ["multiple", "multiple_token", "optional"])
    ]


def test_every_usage_is_read() -> None:
    for name in _USAGE:
        assert arguments(usage_of(name)) or not usage_of(name), name
