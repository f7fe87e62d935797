"""The commands of the shell, a cmd2 `CommandSet` a category: each a call and what it prints.

What a command takes is told by `takes`; its first line of documentation is its line in HELP. What
it cannot do it raises as DistrodbError, which the shell makes one line.
"""
# ruff: noqa: N802  # a command's name is in capitals

from argparse import Namespace
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import cmd2
from cmd2 import Choices, Completions

from distrodb.errors import DistrodbError
from distrodb.master import quoting, render, watch
from distrodb.master.language import name, path, takes
from distrodb.master.populate import populate_file

if TYPE_CHECKING:
    from distrodb.master.shell import Shell

# More do not fit on a screen, and each is a key that a slave had to look at.
COMPLETIONS_MAX = 50


# -- what is offered for Tab ---------------------------------------------------------------------


def _keys(self: "Shell", text: str, line: str, begin: int, end: int) -> Completions:
    # cmd2 begins a word after | < > too, which are text here.
    if line[begin - 1 : begin] not in (*quoting.BLANKS, '"', "'"):
        return Completions()
    found = self.cluster.keys(quoting.encode(text), COMPLETIONS_MAX)
    plain = [key.decode() for key in found if quoting.is_plain(key)]
    return self.basic_complete(text, line, begin, end, plain)


def _of_status(part: Callable[[dict[str, Any]], Iterable[Any]]) -> Callable[["Shell"], Choices]:
    def choices(self: "Shell") -> Choices:
        try:
            return Choices.from_values(map(str, part(self.cluster.status())))
        except DistrodbError:
            return Choices()

    return choices


def _startable(self: "Shell") -> Choices:
    return Choices.from_values(self.local.nodes if self.local else ())


_NODE = {"type": name, "choices_provider": _of_status(lambda status: sorted(status["nodes"]))}
_SILENT = {"suppress_tab_hint": True}
KEY = ("key", {"type": quoting.unquote, "completer": _keys, **_SILENT})
VALUE = ("value", {"type": quoting.unquote, **_SILENT})
FILE = ("file", {"type": path, "completer": cmd2.Cmd.path_complete})
NODE = ("node", _NODE)
NODES = ("node", {**_NODE, "nargs": "+"})
MINE = ("node", {"type": name, "choices_provider": _startable, "nargs": "+"})
PARTITION = (
    "partition",
    {
        "type": name,
        "choices_provider": _of_status(lambda status: [row["id"] for row in status["partitions"]]),
    },
)
FOLLOW = ("--follow", {"action": "store_true", "help": "as WATCH-RING"})
QUOTES = (
    "Put \"…\" or '…' around what holds spaces or is empty. Between double quotes"
    ' \\n \\r \\t \\" \\\\ \\xNN \\uNNNN are escapes.'
)


class _Commands(cmd2.CommandSet["Shell"]):
    shell: "Shell"

    def on_register(self, cmd: "Shell") -> None:
        super().on_register(cmd)
        self.shell = cmd


class Keys(_Commands):
    DEFAULT_CATEGORY = "Keys"

    @takes(KEY)
    def do_GET(self, args: Namespace) -> None:
        """Print the key's value: Just "value", or Nothing if there is no such key.

        When the key's partition has lost its majority, a surviving copy answers and the line is
        marked as stale.
        """
        # Not by cmd2: to lay 16 MB out as text takes its time and memory, and there is no style.
        self.shell.stdout.write(render.maybe(*self.shell.cluster.get(args.key)) + "\n")

    @takes(KEY, VALUE, epilog=QUOTES)
    def do_SET(self, args: Namespace) -> None:
        """Give the key this value."""
        self.shell.cluster.set(args.key, args.value)
        self.shell.poutput("OK")

    @takes(KEY)
    def do_DEL(self, args: Namespace) -> None:
        """Delete the key: OK, or Nothing if there was none."""
        self.shell.poutput("OK" if self.shell.cluster.delete(args.key) else "Nothing")

    @takes(FILE)
    def do_POPULATE(self, args: Namespace) -> None:
        """Fill the store from a text file.

        Every word becomes a key, its value the word that follows; the last one wins. The last word
        of the file has the empty string.
        """
        with self.shell.drawing() as console:
            count = populate_file(self.shell.cluster, args.file, console)
        self.shell.poutput(f"{count} keys")

    @takes(KEY)
    def do_WHERE(self, args: Namespace) -> None:
        """Show the key's slot, partition, group and leader."""
        self.shell.show(render.where_table(args.key, *self.shell.cluster.where(args.key)))


class Slaves(_Commands):
    DEFAULT_CATEGORY = "Slaves"

    @takes()
    def do_NODES(self, _: Namespace) -> None:
        """Show every slave.

        `status` is the cluster map's word; `answers` was tried just now.
        """
        status = self.shell.cluster.status()
        self.shell.show(render.nodes_table(status, self.shell.cluster.answering(status)))

    @takes(NODES)
    def do_KILL(self, args: Namespace) -> None:
        """End these slaves at once, as a crash would."""
        for node in args.node:
            self.shell.cluster.kill(node)
            self.shell.poutput(f"Killed {node}")

    @takes(MINE)
    def do_START(self, args: Namespace) -> None:
        """Start these slaves of this machine's cluster again."""
        for node in args.node:
            if self.shell.local is not None:
                self.shell.cluster.awaited = f"{node} to answer"
                self.shell.local.revive(node)
                self.shell.poutput(f"Started {node}")

    @takes(NODE)
    def do_REMOVE(self, args: Namespace) -> None:
        """Let that slave leave: others take what it holds.

        It ends when others have copies of all that it holds. Ctrl-C ends the waiting only: it goes
        on leaving; KEEP calls it back.
        """
        node = args.node
        self.shell.cluster.ask("REMOVE", node)
        try:
            with self.shell.drawing() as console:
                watch.wait_removed(self.shell.cluster, node, console)
        except KeyboardInterrupt:
            self.shell.poutput(
                f"{node} goes on leaving: WATCH-RING to look on, KEEP to call it back"
            )
            raise
        self.shell.poutput(f"Removed {node}")

    @takes(NODE)
    def do_KEEP(self, args: Namespace) -> None:
        """Call back a slave that is leaving."""
        self.shell.cluster.ask("KEEP", args.node)
        self.shell.poutput("OK")

    @takes()
    def do_QUIT(self, _: Namespace) -> bool:
        """End all slaves, cleanly, and leave.

        It asks first at a terminal if this shell did not start them all.
        """
        try:
            if not self._may_end(self.shell.cluster.running()):
                return False
            self.shell.poutput(f"Ended {' '.join(self.shell.cluster.quit())}")
        except DistrodbError as error:
            self.shell.perror(str(error))
        return True

    def _may_end(self, running: Iterable[str]) -> bool:
        strange = [
            node for node in running if not (self.shell.local and self.shell.local.is_own(node))
        ]
        if not strange or not self.shell.is_asking:
            return True
        self.shell.forget_reminder()
        question = f"End {' '.join(running)}? This shell did not start {' '.join(strange)}. [y/N] "
        try:
            return self.shell.read_input(question).strip().lower() in ("y", "yes")
        except EOFError:
            return False


class Ring(_Commands):
    DEFAULT_CATEGORY = "Ring"

    @takes(FOLLOW, options=True)
    def do_RING(self, args: Namespace) -> None:
        """Show the ring, the neighbours, and what moves.

        In brackets: who is not up; a dashed arrow leads past who is not in the ring. `moves`:
        partitions that the slave is to hold (+) or to forget (-).
        """
        if args.follow:
            self.follow()
        else:
            self.shell.show(render.ring_view(self.shell.cluster.status()))

    def follow(self) -> None:
        with self.shell.drawing() as console:
            outcome = watch.watch_ring(self.shell.cluster, console)
        self.shell.poutput(outcome)

    @takes()
    def do_PARTITIONS(self, _: Namespace) -> None:
        """Show every partition, its group and leader."""
        self.shell.show(render.partitions_table(self.shell.cluster.status()))

    @takes(PARTITION, NODE)
    def do_MOVE(self, args: Namespace) -> None:
        """Make that slave the partition's owner.

        It stays so until a slave comes or goes, or BALANCE.
        """
        done = self.shell.cluster.ask("MOVE", args.partition, args.node)
        self.shell.poutput("OK" if done else "Nothing to do")

    @takes()
    def do_BALANCE(self, _: Namespace) -> None:
        """Share the partitions out evenly among the slaves."""
        self.shell.poutput("OK" if self.shell.cluster.ask("BALANCE") else "Nothing to do")


def _watch_ring(self: Ring, _: Namespace) -> None:
    """Show the ring until it is healed.

    Ctrl-C ends the watching only. Without a terminal it prints a line for each change.
    """
    self.follow()


_watch_ring.__name__ = "do_WATCH-RING"
setattr(Ring, "do_WATCH-RING", takes()(_watch_ring))
