"""The cmd2 shell: verbs in, `Cluster` calls, lines and tables out.

cmd2 gives the prompt (prompt_toolkit), history, hooks and the loop. Its own language is replaced
here, because keys and values are arbitrary text: a line is a verb and `quoting.split`, and |, >, ;,
#, !, @ mean nothing. So its built-in commands, aliases, macros, shortcuts, scripts and redirection
are out of reach: only `VERBS` can be looked up.

Invariants: an error is one line on stderr and never a traceback; when it is not a person at a
terminal who types, it also makes the exit status 1.

Caveat: some overridden methods are private to cmd2 4.x; tests/unit/test_shell.py notices a change.
"""

import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

import cmd2
from cmd2 import rich_utils
from cmd2.completion import Completions
from cmd2.parsing import PartialStatement, Statement, StatementParser
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from distrodb.errors import DistrodbError
from distrodb.master import quoting, render, ringview, watch
from distrodb.master.client import Cluster, Read
from distrodb.master.completion import as_argument, completions
from distrodb.master.populate import populate_file

INTRO = "Commands: GET <key>, SET <key> <value>, KILL <NodeId>, QUIT"
PROMPT = "> "
# What Ctrl-D types; it reaches the parser as a line of its own, and no verb of that name exists.
END_OF_INPUT = "\x04"
HISTORY_LINES_MAX = 1000
# More do not fit on a screen, and each is a key that a slave had to look at.
COMPLETIONS_MAX = 50
INTERRUPTED_STATUS = 130  # 128 + SIGINT, as shells have it


class ClusterLike(Protocol):
    """What the shell needs of `client.Cluster`."""

    def status(self) -> dict[str, Any]: ...
    def answering(self, status: dict[str, Any]) -> set[str]: ...
    def node_ids(self) -> list[str]: ...
    def where(self, key: bytes) -> tuple[int, dict[str, Any]]: ...
    def get(self, key: bytes) -> Read: ...
    def set(self, key: bytes, value: bytes) -> None: ...
    def set_many(self, pairs: Sequence[tuple[bytes, bytes]]) -> None: ...
    def delete(self, key: bytes) -> bool: ...
    def keys(self, prefix: bytes, limit: int) -> list[bytes]: ...
    def kill(self, node_id: str) -> None: ...
    def quit(self) -> list[str]: ...
    def remove(self, node_id: str) -> None: ...
    def keep(self, node_id: str) -> None: ...
    def move(self, partition: str, node_id: str) -> bool: ...
    def balance(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Verb:
    name: str
    run: Callable[["Shell", list[bytes]], bool | None]  # True: leave the shell
    # "key", "value", "file", "node", "partition"; "[verb]" and "[--follow]" may be left out
    parameters: tuple[str, ...]
    summary: str
    details: str = ""

    @property
    def usage(self) -> str:
        words = (word if word[0] == "[" else f"<{word}>" for word in self.parameters)
        return " ".join([self.name, *words])

    def takes(self, count: int) -> bool:
        required = sum(word[0] != "[" for word in self.parameters)
        return required <= count <= len(self.parameters)


class LineParser(StatementParser):
    """A line is a verb, in any case, and the rest; `quoting` takes the rest apart."""

    def parse(self, line: str) -> Statement:
        verb, rest = _verb_and_rest(line)
        return Statement(rest, raw=line, command=verb.upper())

    def parse_command_only(self, rawinput: str) -> PartialStatement:
        verb, rest = _verb_and_rest(rawinput)
        return PartialStatement(verb.upper(), rest, rawinput, multiline_command=False)


def _name(argument: bytes) -> str:
    return argument.decode("utf-8", "backslashreplace")


def _verb_and_rest(line: str) -> tuple[str, str]:
    stripped = line.strip(quoting.BLANKS)
    end = next((at for at, mark in enumerate(stripped) if mark in quoting.BLANKS), len(stripped))
    return stripped[:end], stripped[end:].lstrip(quoting.BLANKS)


class Shell(cmd2.Cmd):
    def __init__(
        self, cluster: ClusterLike, *, history_file: str = "", stdout: TextIO | None = None
    ) -> None:
        super().__init__(
            stdout=stdout,
            allow_cli_args=False,
            allow_clipboard=False,
            allow_redirection=False,
            auto_load_commands=False,
            intro=INTRO,
            persistent_history_file=history_file,
            persistent_history_length=HISTORY_LINES_MAX,
            shortcuts={},
            terminators=(),
        )
        self.prompt = PROMPT
        self.statement_parser = LineParser(terminators=(), shortcuts={})
        self.exclude_from_history = [END_OF_INPUT]
        self.cluster = cluster
        self.failed = False
        self._is_drawing = False

    # -- in place of cmd2's language ------------------------------------------------------------

    def get_all_commands(self) -> list[str]:
        # Both cases, since the highlighter looks the typed word up here.
        return [*VERBS, *map(str.lower, VERBS)]

    def get_command_func(self, command: str) -> Any:
        if command == END_OF_INPUT:
            return functools.partial(self._run, VERBS["EXIT"])
        verb = VERBS.get(command)
        return None if verb is None else functools.partial(self._run, verb)

    def _register_subcommands(self, owner: Any) -> None:
        """cmd2's are those of its own commands, which are gone."""

    def _read_command_line(self, prompt: str) -> str:
        try:
            return super()._read_command_line(prompt)
        except EOFError:
            return END_OF_INPUT

    def _raise_keyboard_interrupt(self) -> None:
        # cmd2 begins a new line first, which what is being drawn would not know of.
        if self._is_drawing:
            raise KeyboardInterrupt
        super()._raise_keyboard_interrupt()

    def default(self, statement: Statement) -> bool | None:
        self._fail(
            f"unknown verb {quoting.escape(quoting.encode(statement.command))};"
            f" the verbs are {' '.join(VERBS)}"
        )
        return None

    def pexcept(self, exception: BaseException, **kwargs: Any) -> None:
        text = " ".join(str(exception).split())
        self._fail(f"internal error: {type(exception).__name__}: {text}; please report it")

    # -- running a verb -------------------------------------------------------------------------

    def _run(self, verb: Verb, statement: Statement) -> bool | None:
        try:
            arguments = quoting.split(statement.args)
            if not verb.takes(len(arguments)):
                raise DistrodbError(
                    f"{verb.name} takes {_count(verb)}, not {len(arguments)}: {verb.usage}"
                    f"{_QUOTES_HINT if len(arguments) > len(verb.parameters) > 0 else ''}"
                )
            return verb.run(self, arguments)
        except DistrodbError as error:
            self._fail(str(error))
            return None

    def _fail(self, message: str) -> None:
        self.failed = True
        self.perror(message)

    def _show(self, renderable: RenderableType) -> None:
        self.poutput(renderable, soft_wrap=False)

    def _get(self, arguments: list[bytes]) -> None:
        read = self.cluster.get(arguments[0])
        self.poutput(render.maybe(read.value, read.stale))

    def _set(self, arguments: list[bytes]) -> None:
        self.cluster.set(arguments[0], arguments[1])
        self.poutput("OK")

    def _del(self, arguments: list[bytes]) -> None:
        self.poutput("OK" if self.cluster.delete(arguments[0]) else "Nothing")

    def _populate(self, arguments: list[bytes]) -> None:
        path = Path(os.fsdecode(arguments[0])).expanduser()
        console = rich_utils.Cmd2GeneralConsole(file=self.stdout)
        count = populate_file(self.cluster, path, console)
        self.poutput(f"{count} keys")

    def _kill(self, arguments: list[bytes]) -> None:
        node_id = _name(arguments[0])
        self.cluster.kill(node_id)
        self.poutput(f"Killed {node_id}")

    def _quit(self, arguments: list[bytes]) -> bool:
        try:
            self.poutput(f"Ended {' '.join(self.cluster.quit())}")
        except DistrodbError as error:
            self._fail(str(error))
        return True

    def _exit(self, arguments: list[bytes]) -> bool:
        return True

    def _nodes(self, arguments: list[bytes]) -> None:
        status = self.cluster.status()
        self._show(render.nodes_table(status, self.cluster.answering(status)))

    def _ring(self, arguments: list[bytes]) -> None:
        if arguments:
            if arguments[0] != b"--follow":
                raise DistrodbError(f"{quoting.escape(arguments[0])} is no option; use --follow")
            self._watch_ring([])
        else:
            self._show(ringview.ring_view(self.cluster.status()))

    def _watch_ring(self, arguments: list[bytes]) -> None:
        with self._drawing() as console:
            outcome = watch.watch_ring(self.cluster, console)
        self.poutput(outcome)

    def _remove(self, arguments: list[bytes]) -> None:
        node_id = _name(arguments[0])
        self.cluster.remove(node_id)
        try:
            with self._drawing() as console:
                watch.wait_removed(self.cluster, node_id, console)
        except KeyboardInterrupt:
            self.poutput(f"{node_id} goes on leaving: WATCH-RING to look on, KEEP to call it back")
            raise
        self.poutput(f"Removed {node_id}")

    def _keep(self, arguments: list[bytes]) -> None:
        self.cluster.keep(_name(arguments[0]))
        self.poutput("OK")

    def _move(self, arguments: list[bytes]) -> None:
        partition, node_id = map(_name, arguments)
        self.poutput("OK" if self.cluster.move(partition, node_id) else "Nothing to do")

    def _balance(self, arguments: list[bytes]) -> None:
        self.poutput("OK" if self.cluster.balance() else "Nothing to do")

    @contextmanager
    def _drawing(self) -> Iterator[Console]:
        """A console for what is drawn again and again; unlike cmd2's it cuts lines at the width,
        by which the lines to draw over are counted."""
        self._is_drawing = True
        try:
            yield Console(file=self.stdout, markup=False, emoji=False, highlight=False)
        finally:
            self._is_drawing = False

    def _partitions(self, arguments: list[bytes]) -> None:
        self._show(render.partitions_table(self.cluster.status()))

    def _where(self, arguments: list[bytes]) -> None:
        slot, partition = self.cluster.where(arguments[0])
        self._show(render.where_table(arguments[0], slot, partition))

    def _help(self, arguments: list[bytes]) -> None:
        if not arguments:
            table = Table.grid(padding=(0, 3))
            for verb in VERBS.values():
                table.add_row(Text(verb.usage, style="bold"), verb.summary)
            self._show(table)
            return
        name = arguments[0].decode("utf-8", "replace").upper()
        if name not in VERBS:
            raise DistrodbError(
                f"no help on {quoting.escape(arguments[0])}; the verbs are {' '.join(VERBS)}"
            )
        verb = VERBS[name]
        self.poutput(Text(verb.usage, style="bold"))
        self.poutput(verb.summary + ("\n" + verb.details if verb.details else ""))

    # -- completion -----------------------------------------------------------------------------

    def complete(
        self, text: str, line: str, begidx: int, endidx: int, custom_settings: Any = None
    ) -> Completions:
        """`text` is line[begidx:endidx]; a completion takes its place.

        cmd2 begins `text` after any blank, quote, or one of | < >, which may be inside an argument.
        """
        tokens = list(quoting.scan(line[:endidx]))
        if not tokens or (tokens[-1].closed and line[endidx - 1] in quoting.BLANKS):
            tokens.append(quoting.Token(endidx, b"", True))
        index, (start, typed, _) = len(tokens) - 1, tokens[-1]
        if index == 0:
            # In the case it was begun in: prompt_toolkit finishes a word at once only if the
            # completion goes on with what is there; otherwise it takes a second Enter.
            case = str.upper if text == text.upper() else str.lower
            offers = [
                (text + case(name[len(text) :]), name)
                for name in VERBS
                if name.startswith(text.upper())
            ]
            return completions(offers, line[start:endidx], begidx - start)
        verb = VERBS.get(line[tokens[0].start :].split(None, 1)[0].upper())
        if verb is None or index > len(verb.parameters):
            return Completions()
        parameter = verb.parameters[index - 1]
        if parameter == "file":
            return self.path_complete(text, line, begidx, endidx)
        try:
            values = self._values(parameter, typed)
        except DistrodbError:
            return Completions()
        raw = line[start:endidx]
        offers = [(as_argument(value, raw[:1]), quoting.escape(value)) for value in values]
        return completions(offers, raw, begidx - start)

    def _values(self, parameter: str, typed: bytes) -> list[bytes]:
        if parameter == "key":
            return self.cluster.keys(typed, COMPLETIONS_MAX)
        names: Iterable[str] = ()
        if parameter == "node":
            names = self.cluster.node_ids()
        elif parameter == "partition":
            names = [str(partition["id"]) for partition in self.cluster.status()["partitions"]]
        elif parameter == "[--follow]":
            names = ("--follow",)
        elif parameter == "[verb]":
            names, typed = VERBS, typed.upper()
        return [name.encode() for name in names if name.encode().startswith(typed)]


_QUOTES_HINT = '; put "…" around what holds spaces'


def _count(verb: Verb) -> str:
    number = len(verb.parameters)
    if number == 1:
        return "at most one argument" if verb.parameters[0][0] == "[" else "one argument"
    return ("no argument", "", "two arguments")[number]


_QUOTING_HELP = (
    "Put \"…\" or '…' around what holds spaces or is empty. Between double quotes"
    ' \\n \\r \\t \\" \\\\ \\xNN are escapes.'
)

VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb(
            "GET",
            Shell._get,
            ("key",),
            "Print the key's value.",
            'Just "value", or Nothing if there is no such key. When the key\'s partition has lost\n'
            "its majority, a surviving copy answers and the line is marked as stale.",
        ),
        Verb("SET", Shell._set, ("key", "value"), "Give the key this value.", _QUOTING_HELP),
        Verb("DEL", Shell._del, ("key",), "Delete the key.", "OK, or Nothing if there was none."),
        Verb(
            "POPULATE",
            Shell._populate,
            ("file",),
            "Fill the store from a text file.",
            "Every word becomes a key, its value the word that follows; the last one wins. The\n"
            "last word of the file has the empty string.",
        ),
        Verb("WHERE", Shell._where, ("key",), "Show the key's slot, partition, group and leader."),
        Verb(
            "NODES",
            Shell._nodes,
            (),
            "Show every slave.",
            "`status` is the cluster map's; `answers` was tried just now.",
        ),
        Verb(
            "RING",
            Shell._ring,
            ("[--follow]",),
            "Show the ring, the neighbours, and what moves.",
            "In brackets: who is not up; a dashed arrow leads past who is not in the ring.\n"
            "`moves`: partitions that the slave is to hold (+) or to forget (-).\n"
            "--follow: as WATCH-RING.",
        ),
        Verb(
            "WATCH-RING",
            Shell._watch_ring,
            (),
            "Show the ring until it is healed.",
            "Ctrl-C ends the watching only. Without a terminal it prints a line for each change.",
        ),
        Verb("PARTITIONS", Shell._partitions, (), "Show every partition, its group and leader."),
        Verb("KILL", Shell._kill, ("node",), "End that slave at once, as a crash would."),
        Verb(
            "REMOVE",
            Shell._remove,
            ("node",),
            "Let that slave leave: others take what it holds.",
            "It ends when others have copies of all that it holds.\n"
            "Ctrl-C ends the waiting only: it goes on leaving; KEEP calls it back.",
        ),
        Verb("KEEP", Shell._keep, ("node",), "Call back a slave that is leaving."),
        Verb(
            "MOVE",
            Shell._move,
            ("partition", "node"),
            "Make that slave the partition's owner.",
            "It stays so until a slave comes or goes, or BALANCE.",
        ),
        Verb("BALANCE", Shell._balance, (), "Share the partitions out evenly among the slaves."),
        Verb("QUIT", Shell._quit, (), "End all slaves, cleanly, and leave."),
        Verb("EXIT", Shell._exit, (), "Leave; the slaves go on. Ctrl-D does the same."),
        Verb("HELP", Shell._help, ("[verb]",), "List the verbs, or explain one."),
    )
}


def history_path() -> str:
    """The file the history is kept in; empty if it cannot be: a shell without one is still one."""
    try:
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        file = Path(state) / "distrodb" / "history"
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Values may be secrets.
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return ""
    return str(file)


def run(connect: str | None, commands: Sequence[str]) -> int:
    """Run the commands, or what a pipe brings, or a person's; the process's exit status."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        # Bytes that are no UTF-8 pass through as they are; what a terminal cannot show is escaped.
        errors = "surrogateescape" if stream is sys.stdin else "backslashreplace"
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=errors)
    if os.environ.get("NO_COLOR"):
        rich_utils.ALLOW_STYLE = rich_utils.AllowStyle.NEVER
    try:
        cluster = Cluster(connect)
    except DistrodbError as error:
        print(error, file=sys.stderr)
        return 2
    if not commands and sys.stdin.isatty():
        return Shell(cluster, history_file=history_path()).cmdloop()
    return run_lines(Shell(cluster), commands or sys.stdin)


def run_lines(shell: Shell, lines: Iterable[str]) -> int:
    """All lines, also after one that failed: each stands for itself, as in a pipe to redis-cli."""
    try:
        for line in lines:
            if shell.onecmd_plus_hooks(
                line.rstrip("\r\n"), add_to_history=False, raise_keyboard_interrupt=True
            ):
                break
            shell.stdout.flush()
        shell.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED_STATUS
    except BrokenPipeError:
        # Whoever read has left; Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return int(shell.failed)
