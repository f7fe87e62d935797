"""The cmd2 shell: commands in, `Cluster` calls, lines and tables out.

Invariants:
  - An error is one line on stderr and never a traceback; when it is not a person at a terminal who
    types, it also makes the exit status 1.
  - Nothing a person waits for is silent for longer than a moment (`patience`).
  - Only cmd2's public names are used; tests/unit/test_structure.py holds it.
"""

import logging
import os
import sys
import termios
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from io import TextIOBase
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO, cast

import cmd2
from cmd2 import Completions
from rich.console import Console, RenderableType

from distrodb.errors import DistrodbError
from distrodb.master import quoting
from distrodb.master.client import Cluster
from distrodb.master.commands import Keys, Ring, Slaves
from distrodb.master.healing_status import unborn
from distrodb.master.language import LineParser, command
from distrodb.master.render import is_live
from distrodb.patience import patience

if TYPE_CHECKING:
    from distrodb.local import LocalCluster

INTRO = "Commands: GET <key>, SET <key> <value>, KILL <NodeId>, QUIT"
NOT_LOCAL = "START works where `distrodb local` opened the shell; elsewhere: distrodb slave FILE"
INTERRUPTED_STATUS = 130  # 128 + SIGINT, as shells have it


class _Piped(TextIOBase):
    """A dumb terminal's input: cmd2 reads its lines as those of a pipe, and moves no cursor."""

    def readline(self, _: int = -1) -> str:  # type: ignore[override]
        return sys.stdin.readline()


@contextmanager
def _unechoed() -> Iterator[None]:
    """What is typed while something is drawn, ^C too, would move the lines that are drawn over.
    It is read afterwards, unless Ctrl-C ends it all."""
    before = termios.tcgetattr(sys.stdin)
    silent = [*before]
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


class Shell(cmd2.Cmd):
    DEFAULT_CATEGORY = "Shell"

    def __init__(
        self,
        cluster: Cluster,
        *,
        local: "LocalCluster | None" = None,
        history_file: str = "",
        stdout: TextIO | None = None,
    ) -> None:
        self.cluster, self.local = cluster, local
        is_dumb = os.environ.get("TERM") == "dumb"
        self.is_plain = is_dumb or bool(os.environ.get("NO_COLOR"))
        if self.is_plain:
            cmd2.rich_utils.ALLOW_STYLE = cmd2.rich_utils.AllowStyle.NEVER
        super().__init__(
            stdin=cast(TextIO, _Piped()) if is_dumb else None,
            stdout=stdout,
            allow_cli_args=False,
            allow_clipboard=False,
            allow_redirection=False,
            auto_suggest=not self.is_plain,  # without colour it looks like what was typed
            intro=INTRO,
            persistent_history_file=history_file,
            command_sets=(Keys(), Slaves(), Ring()),
        )
        self.failed = False
        self.is_asking = False  # a person sits there, at a terminal and not behind -c or a pipe
        self._is_drawing = False
        self.statement_parser = LineParser()
        self.interactive_pipe = is_dumb
        self.exclude_from_history = ["_EOF", "HISTORY"]
        self.doc_leader = "HELP <command> explains a command, HELP -v has a line for each"
        self.help_error = "no help on {}; HELP lists the commands"
        self.hidden_commands += [word for word in self.get_all_commands() if word.islower()]
        self.hidden_commands.append("_EOF")
        for built_in in ("edit", "run_script", "shell"):  # HISTORY would call them
            self.disable_command(built_in, f"{built_in} is not a part of this shell")
        for setting in set(self.settables) - {"allow_style", "max_completion_table_items"}:
            self.remove_settable(setting)
        if local is None:
            self.disable_command("START", NOT_LOCAL)

    # -- how it speaks --------------------------------------------------------------------------

    def _set_prompt(self) -> None:
        self.prompt = f"{self.cluster.connected or 'not connected'}> "

    def preloop(self) -> None:
        self._set_prompt()

    def onecmd(self, statement: cmd2.Statement | str, *, add_to_history: bool = True) -> bool:
        self.cluster.awaited = ""
        try:
            with patience(lambda: self.cluster.awaited or "an answer") as self.reminder:
                return super().onecmd(statement, add_to_history=add_to_history)
        finally:
            self._set_prompt()

    def default(self, statement: cmd2.Statement) -> bool | None:
        length = min(40, len(statement.command))
        typed = quoting.shown(statement.raw.lstrip(quoting.BLANKS)[:length])
        like = cmd2.utils.suggest_similar(statement.command, self.get_visible_commands())
        hint = f"did you mean {like}?" if like else "HELP lists the commands"
        self.perror(f"unknown command {typed}; {hint}")
        return None

    def perror(self, *objects: Any, **options: Any) -> None:
        self.failed = True
        # At a terminal it breaks at blanks, and never in an id.
        super().perror(*objects, **{"soft_wrap": not sys.stderr.isatty(), **options})

    def pexcept(self, exception: BaseException, **options: Any) -> None:
        if isinstance(exception, BrokenPipeError):
            raise exception
        if isinstance(exception, DistrodbError):
            self.perror(quoting.shown(str(exception)))
        else:
            text = f"{type(exception).__name__}: {' '.join(str(exception).split())}"
            self.perror(f"internal error: {text}; please report it")

    def sigint_handler(self, signum: int, frame: FrameType | None) -> None:
        # cmd2 begins a new line first, which what is being drawn would not know of.
        if self._is_drawing:
            raise KeyboardInterrupt
        super().sigint_handler(signum, frame)

    def show(self, renderable: RenderableType) -> None:
        self.poutput(renderable, soft_wrap=not self.stdout.isatty())

    @contextmanager
    def drawing(self) -> Iterator[Console]:
        """A console for what is drawn again and again; unlike cmd2's it cuts lines at the width,
        by which the lines to draw over are counted."""
        self.reminder.cancel()
        console = Console(
            file=self.stdout,
            markup=False,
            emoji=False,
            highlight=False,
            color_system=None if self.is_plain else "auto",
        )
        self._is_drawing = is_live(console)
        try:
            with _unechoed() if self._is_drawing and self.is_asking else nullcontext():
                yield console
        finally:
            self._is_drawing = False

    def complete(
        self, text: str, line: str, begidx: int, endidx: int, custom_settings: Any = None
    ) -> Completions:
        """Commands are offered in the case in which they were begun."""
        if line[:begidx].strip() or custom_settings is not None:
            return super().complete(text, line, begidx, endidx, custom_settings)
        found = super().complete(text.upper(), line.upper(), begidx, endidx)
        if text == text.upper():
            return found
        return Completions.from_values([str(item).lower() for item in found])

    @command()
    def do_EXIT(self) -> bool:  # noqa: N802
        """Leave; the slaves go on. Ctrl-D does the same."""
        return True

    def do__EOF(self, _: cmd2.Statement) -> bool:  # noqa: N802
        """What cmd2 types for Ctrl-D."""
        if self.is_asking and self.interactive_pipe:  # nobody has ended the line
            self.poutput()
        return True

    def do_HISTORY(self, statement: cmd2.Statement) -> None:  # noqa: N802
        """List what was typed; HISTORY -h says more."""
        self.do_history(statement.args)

    def do_OPTION(self, statement: cmd2.Statement) -> None:  # noqa: N802
        """Show the shell's options, or set one."""
        option = statement.args.partition(" ")[0]
        if option and option[0] != "-" and option not in self.settables:
            raise DistrodbError(f"unknown option {option}; OPTION lists them")
        self.do_set(statement.args)

    def do_HELP(self, statement: cmd2.Statement) -> None:  # noqa: N802
        """List the commands (-v: with a line for each), or explain one."""
        word = statement.args
        self.do_help(word if word[:1] == "-" else word.upper())

    def complete_HELP(  # noqa: N802
        self, text: str, line: str, begidx: int, endidx: int
    ) -> Completions:
        return self.complete_help_command(text.upper(), line, begidx, endidx)


# -- starting it -----------------------------------------------------------------------------------


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


def run(connect: str | None, commands: Sequence[str], local: "LocalCluster | None" = None) -> int:
    """Run the commands, or what a pipe brings, or a person's; the process's exit status."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        # Bytes that are no UTF-8 pass through as they are; what a terminal cannot show is escaped.
        errors = "surrogateescape" if stream is sys.stdin else "backslashreplace"
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=errors)
    # What a library logs would go to stderr, into the prompt.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        cluster = Cluster(connect)
    except DistrodbError as error:
        print(error, file=sys.stderr)
        return 2
    is_asking = not commands and sys.stdin.isatty()
    shell = Shell(cluster, local=local, history_file=history_path() if is_asking else "")
    shell.is_asking = is_asking
    try:
        why = unborn(cluster.status())
    except DistrodbError as error:
        shell.pexcept(error)
        if not is_asking:
            return 1
    else:
        if why and is_asking:
            shell.perror(why)
    return shell.cmdloop() if is_asking else run_lines(shell, commands or sys.stdin)


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
