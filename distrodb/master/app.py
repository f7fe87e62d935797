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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

import cmd2
from cmd2 import rich_utils
from cmd2.completion import CompletionItem, Completions
from cmd2.parsing import PartialStatement, Statement, StatementParser
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from distrodb.errors import DistrodbError
from distrodb.master import quoting, render, watch
from distrodb.master.client import Cluster, Read
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
    def ask(self, *words: str) -> bool: ...
    def quit(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Verb:
    name: str
    run: Callable[["Shell", list[bytes]], bool | None]  # True: leave the shell
    parameters: tuple[str, ...]  # "key", "value", "file", "node"; "[verb]" may be left out
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
        node_id = _word(arguments[0])
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

    def _remove(self, arguments: list[bytes]) -> None:
        node_id = _word(arguments[0])
        if node_id not in self.cluster.node_ids():
            known = ", ".join(self.cluster.node_ids())
            raise DistrodbError(f"unknown node {node_id}; the nodes are {known}")
        self.cluster.ask("REMOVE", node_id)
        self._follow(watch.removed(node_id), f"{node_id} goes on leaving; RING shows how far it is")

    def _move(self, arguments: list[bytes]) -> None:
        is_new = self.cluster.ask("MOVE", _word(arguments[0]), _word(arguments[1]))
        self.poutput("OK" if is_new else "Nothing to do")

    def _balance(self, arguments: list[bytes]) -> None:
        self.poutput("OK" if self.cluster.ask("BALANCE") else "Nothing to do")

    def _ring(self, arguments: list[bytes]) -> None:
        if not arguments:
            self._show(render.ring_view(self.cluster.status()))
        elif arguments[0].lower() in (b"--follow", b"-f"):
            self._watch_ring([])
        else:
            raise DistrodbError(f"RING takes --follow, not {quoting.escape(arguments[0])}")

    def _watch_ring(self, arguments: list[bytes]) -> None:
        self._follow(watch.healed, "the ring goes on healing")

    def _follow(self, finished: watch.Finished, stopped: str) -> None:
        console = rich_utils.Cmd2GeneralConsole(file=self.stdout)
        try:
            self.poutput(watch.follow(self.cluster.status, console, finished))
        except KeyboardInterrupt:
            if not console.is_terminal:
                raise
            self.poutput(stopped)

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
            return _completions(offers, line[start:endidx], begidx - start)
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
        offers = [(_as_argument(value, raw[:1]), quoting.escape(value)) for value in values]
        return _completions(offers, raw, begidx - start)

    def _values(self, parameter: str, typed: bytes) -> list[bytes]:
        if parameter == "key":
            return self.cluster.keys(typed, COMPLETIONS_MAX)
        names: Iterable[str] = ()
        if parameter == "partition":
            names = [str(partition["id"]) for partition in self.cluster.status()["partitions"]]
        elif parameter == "[--follow]":
            names = ["--follow"]
        elif parameter == "node":
            names = self.cluster.node_ids()
        elif parameter == "[verb]":
            names, typed = VERBS, typed.upper()
        return [name.encode() for name in names if name.encode().startswith(typed)]


def _word(argument: bytes) -> str:
    return argument.decode("utf-8", "backslashreplace")


def _as_argument(value: bytes, mark: str) -> str:
    """`value` as it can go on after the quote `mark` that the person typed, if one."""
    text = quoting.escape(value)
    if mark == '"':
        return f'"{text}"'
    if mark == "'" and text.encode() == value and "'" not in text:
        return f"'{text}'"
    return quoting.quote(value)


def _completions(offers: Iterable[tuple[str, str]], raw: str, skip: int) -> Completions:
    """Offers are (what to type for the whole argument, what to show).

    `raw` is the argument as typed so far; its first `skip` characters are not going to be replaced,
    so an offer that would change them cannot be made.
    """
    kept = raw[:skip] if skip > 0 else ""
    items = [
        CompletionItem(typed[len(kept) :], display=shown)
        for typed, shown in offers
        if typed.startswith(kept)
    ]
    return Completions(items=items)


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
            "Show the ring, its gaps, and what is moving.",
            "A slave that is down, or leaves, stands in brackets: it is out of the ring.\n"
            "RING --follow is WATCH-RING.",
        ),
        Verb(
            "WATCH-RING",
            Shell._watch_ring,
            (),
            "Follow the ring until it is healed.",
            "Ctrl-C stops watching; the ring heals all the same.",
        ),
        Verb("PARTITIONS", Shell._partitions, (), "Show every partition, its group and leader."),
        Verb("KILL", Shell._kill, ("node",), "End that slave at once, as a crash would."),
        Verb(
            "REMOVE",
            Shell._remove,
            ("node",),
            "Let that slave leave: others take over what it holds, then it ends.",
            "At no moment there are fewer copies than before. Ctrl-C stops watching, not leaving.\n"
            "A slave that is down is forgotten.",
        ),
        Verb(
            "MOVE",
            Shell._move,
            ("partition", "node"),
            "Let that slave own the partition, until the ring changes or BALANCE.",
        ),
        Verb("BALANCE", Shell._balance, (), "Let slaves own equally many partitions again."),
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
