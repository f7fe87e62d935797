"""The line's language, told to cmd2 by its own `StatementParser` and `Cmd2ArgumentParser`.

A line is a command, in any case, and arguments as quoting.py has them. cmd2's redirection, pipes,
terminators and shortcuts would change a value silently (`SET k a|b`), so they mean nothing here; a
line that begins with # is a comment, as in cmd2.

Invariant: the name of every command of ours is in capitals, and so is what is looked up: cmd2's own
commands, which are in small letters, cannot be typed.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import cmd2
from cmd2.parsing import PartialStatement, StatementParser
from cmd2.string_utils import strip_style

from distrodb.errors import DistrodbError
from distrodb.master import quoting

_BLANKS = re.compile(f"[{quoting.BLANKS}]+")
ERROR_CHARACTERS_MAX = 200  # the message repeats arguments, which may have megabytes


class LineParser(StatementParser):
    def __init__(self) -> None:
        super().__init__(terminators=(), shortcuts={})

    def parse(self, line: str) -> cmd2.Statement:
        """Nothing but the command is looked at: what the rest means is the command's to say."""
        command, rest = _command_and_rest(line)
        if command.startswith("#"):
            return cmd2.Statement("", raw=line)
        return cmd2.Statement(rest.rstrip(quoting.BLANKS), raw=line, command=command)

    def parse_command_only(self, rawinput: str) -> PartialStatement:
        return PartialStatement(*_command_and_rest(rawinput), rawinput, multiline_command=False)

    def split_on_punctuation(self, tokens: list[str]) -> list[str]:
        return tokens  # | and > are text

    def get_command_arg_list(
        self, command_name: str, to_parse: cmd2.Statement | str, preserve_quotes: bool
    ) -> tuple[cmd2.Statement, list[str]]:
        if not isinstance(to_parse, cmd2.Statement):
            to_parse = self.parse(f"{command_name} {to_parse}")
        tokens = quoting.tokens(to_parse.args)
        if preserve_quotes:
            # argparse takes -- for a mark of its own, whatever its prefixes are.
            return to_parse, ['"--"' if token == "--" else token for token in tokens]
        return to_parse, [name(token) for token in tokens]


def _command_and_rest(line: str) -> tuple[str, str]:
    command, *rest = _BLANKS.split(line.lstrip(quoting.BLANKS), maxsplit=1)
    return command.upper(), "".join(rest)


def name(token: str) -> str:
    """An argument that is an id or a number: text, whatever was typed."""
    return quoting.unquote(token).decode("utf-8", "backslashreplace")


def path(token: str) -> Path:
    return Path(os.fsdecode(quoting.unquote(token))).expanduser()


class Arguments(cmd2.Cmd2ArgumentParser):
    """A command's arguments. A mistake is one line."""

    def error(self, message: str) -> NoReturn:
        usage = " ".join(strip_style(self.format_usage()).split()).removeprefix("Usage: ")
        hint = '; put "…" around what holds spaces' if "unrecognized" in message else ""
        raise DistrodbError(f"{message[:ERROR_CHARACTERS_MAX]}{hint}; usage: {usage}")


def command(*, prefix_chars: str = "\n", epilog: str | None = None) -> Callable[..., Any]:
    """A command: its arguments are the method's parameters, its help is the documentation.

    No argument begins with a line's end, so what looks like an option is none.
    """
    return cmd2.with_annotated(
        preserve_quotes=True,
        parser_class=Arguments,
        add_help=False,
        prefix_chars=prefix_chars,
        epilog=epilog,
    )
