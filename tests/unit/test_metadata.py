"""COMMAND where it is ours alone; the rows themselves are compared with Redis' in tests/oracle."""

import pytest

from distrodb.commands.table import COMMANDS
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
        ("ACLCAT hash", {"hset", "hget", "hdel", "hgetall", "hlen"}),
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
    assert b"+GETKEYS" in lines and lines[-2:] == [b"+HELP", b"+    Prints this help."]
