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

from distrodb.errors import DistrodbError
from distrodb.master import quoting

_COMMAND = re.compile(rf"[{quoting.BLANKS}]*[^{quoting.BLANKS}]*")
ERROR_CHARACTERS_MAX = 200  # the message repeats arguments, which may have megabytes


class LineParser(StatementParser):
    def __init__(self) -> None:
        super().__init__(terminators=(), shortcuts={})

    def parse(self, line: str) -> cmd2.Statement:
        """Nothing but the command is looked at: what the rest means is the command's to say."""
        if line.lstrip().startswith("#"):
            return cmd2.Statement("", raw=line)
        command, rest = _command_and_rest(line)
        return cmd2.Statement(rest.rstrip(quoting.BLANKS), raw=line, command=command)

    def parse_command_only(self, rawinput: str) -> PartialStatement:
        command, rest = _command_and_rest(rawinput)
        return PartialStatement(command, rest, rawinput, multiline_command=False)

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
    match = _COMMAND.match(line)
    end = match.end() if match else 0
    return line[:end].strip(quoting.BLANKS).upper(), line[end:].lstrip(quoting.BLANKS)


def name(token: str) -> str:
    """An argument that is an id or a number: text, whatever was typed."""
    return quoting.unquote(token).decode("utf-8", "backslashreplace")


def path(token: str) -> Path:
    return Path(os.fsdecode(quoting.unquote(token))).expanduser()


class Arguments(cmd2.Cmd2ArgumentParser):
    """A command's arguments. A mistake is one line; what looks like an option is none."""

    def __init__(self, *, options: bool = False, **more: Any) -> None:
        # No argument begins with a blank, so without `options` nothing is taken for one.
        super().__init__(add_help=False, prefix_chars="-" if options else "\n", **more)

    def error(self, message: str) -> NoReturn:
        usage = " ".join(self.format_usage().split()).removeprefix("Usage: ")
        hint = '; put "…" around what holds spaces' if "unrecognized" in message else ""
        text = quoting.escape(quoting.encode(message[:ERROR_CHARACTERS_MAX]))
        raise DistrodbError(f"{text}{hint}; usage: {usage}")


def takes(
    *arguments: tuple[str, dict[str, Any]], options: bool = False, epilog: str | None = None
) -> Callable[..., Any]:
    """`cmd2.with_argparser` with these arguments, each (name, what `add_argument` takes)."""
    parser = Arguments(options=options, epilog=epilog)
    for argument, details in arguments:
        parser.add_argument(argument, **details)
    return cmd2.with_argparser(parser, preserve_quotes=True)
