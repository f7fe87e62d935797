"""The commands of the shell, a cmd2 `CommandSet` a category: each a call and what it prints.

Its parameters are what it takes, its documentation is its line in HELP. What it cannot do it raises
as DistrodbError, which the shell makes one line.
"""
# ruff: noqa: N802  # a command's name is in capitals

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import cmd2
from cmd2 import Choices, Completions
from cmd2.annotated import Argument, Option

from distrodb.errors import DistrodbError
from distrodb.master import doctor, quoting, render, watch
from distrodb.master.language import command, name, path
from distrodb.ring.placement import REPLICAS

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


def _copies(self: "Shell") -> Choices:
    return Choices.from_values(map(str, REPLICAS))


_nodes = _of_status(lambda status: sorted(status["nodes"]))
_partitions = _of_status(lambda status: [row["id"] for row in status["partitions"]])

Key = Annotated[bytes, Argument(converter=quoting.unquote, completer=_keys, suppress_tab_hint=True)]
Value = Annotated[bytes, Argument(converter=quoting.unquote, suppress_tab_hint=True)]
File = Annotated[Path, Argument(converter=path, completer=cmd2.Cmd.path_complete)]
Node = Annotated[str, Argument(converter=name, choices_provider=_nodes)]
Nodes = Annotated[list[str], Argument(converter=name, choices_provider=_nodes)]
Mine = Annotated[list[str], Argument(converter=name, choices_provider=_startable)]
Partition = Annotated[str, Argument(converter=name, choices_provider=_partitions)]
Copies = Annotated[str, Argument(converter=name, choices_provider=_copies)]
Follow = Annotated[bool, Option("--follow", action="store_true", help_text="as WATCH-RING")]
QUOTES = (
    "Put \"…\" or '…' around what holds spaces or is empty. Between double quotes"
    ' \\n \\r \\t \\" \\\\ \\xNN \\uNNNN are escapes.'
)


class _Commands(cmd2.CommandSet["Shell"]):
    shell: "Shell"

    def on_register(self, cmd: "Shell") -> None:
        super().on_register(cmd)
        self.shell, self.cluster = cmd, cmd.cluster

    def ask(self, idle: str, *words: str) -> None:
        """Of the ring's controller. `idle`: why there may be nothing to do, which is no failure."""
        self.shell.poutput("OK" if self.cluster.ask(*words) else f"Nothing to do: {idle}")


class Keys(_Commands):
    DEFAULT_CATEGORY = "Keys"

    @command()
    def do_GET(self, key: Key) -> None:
        """Print the key's value: Just "value", or Nothing if there is no such key."""
        # Not by cmd2: to lay 16 MB out as text takes its time and memory, and there is no style.
        self.shell.stdout.write(render.maybe(*self.cluster.get(key)) + "\n")

    @command(epilog=QUOTES)
    def do_SET(self, key: Key, value: Value) -> None:
        """Give the key this value."""
        self.cluster.set(key, value)
        self.shell.poutput("OK")

    @command()
    def do_DEL(self, key: Key) -> None:
        """Delete the key: OK, or Nothing if there was none."""
        self.shell.poutput("OK" if self.cluster.delete(key) else "Nothing")

    @command()
    def do_POPULATE(self, file: File) -> None:
        """Fill the store from a text file."""
        from distrodb.master.populate import populate, word_pairs  # and its progress bar

        self.cluster.awaited = f"the words of {file}"
        pairs = word_pairs(file)
        try:
            with self.shell.drawing() as console:
                populate(self.cluster, pairs, console)
        except KeyboardInterrupt:
            self.shell.show("what is written stays; POPULATE again to write the rest")
            raise
        self.shell.poutput(f"{len(pairs)} keys")

    @command()
    def do_WHERE(self, key: Key) -> None:
        """Show the key's slot, partition, group and leader."""
        self.shell.show(render.where_table(key, *self.cluster.where(key)))


class Slaves(_Commands):
    DEFAULT_CATEGORY = "Slaves"

    @command()
    def do_NODES(self) -> None:
        """Show every slave."""
        status = self.cluster.status()
        self.shell.show(render.nodes_table(status, self.cluster.answering(status)))

    @command()
    def do_DOCTOR(self) -> None:
        """Say what is wrong with this cluster, worst first."""
        self.shell.show(render.findings(doctor.examine(self.cluster)))

    @command()
    def do_KILL(self, node: Nodes) -> None:
        """End these slaves at once, as a crash would."""
        for each in node:
            self.cluster.kill(each)
            self.shell.poutput(f"Killed {each}")

    @command()
    def do_START(self, node: Mine) -> None:
        """Start these slaves of this machine's cluster again."""
        for each in node:
            if self.shell.local is not None:
                self.cluster.awaited = f"{each} to answer"
                self.shell.local.revive(each)
                self.shell.poutput(f"Started {each}")

    @command()
    def do_REMOVE(self, node: Node) -> None:
        """Let that slave leave: others take what it holds."""
        self.cluster.ask("REMOVE", node)
        try:
            with self.shell.drawing() as console:
                watch.wait_removed(self.cluster, node, console)
        except KeyboardInterrupt:
            self.shell.show(f"{node} goes on leaving: WATCH-RING to look on, KEEP to call it back")
            raise
        self.shell.poutput(f"Removed {node}")

    @command()
    def do_KEEP(self, node: Node) -> None:
        """Call back a slave that is leaving."""
        self.ask(f"{node} is not leaving", "KEEP", node)

    @command()
    def do_QUIT(self) -> bool:
        """End all slaves, cleanly, and leave."""
        try:
            if not self._may_end(self.cluster.running()):
                return False
            self.shell.poutput(f"Ended {' '.join(self.cluster.quit())}")
        except DistrodbError as error:
            self.shell.perror(str(error))
        return True

    def _may_end(self, running: Iterable[str]) -> bool:
        local = self.shell.local
        strange = [node for node in running if not (local and local.is_own(node))]
        if not strange or not self.shell.is_asking:
            return True
        self.shell.reminder.cancel()
        question = f"End {' '.join(running)}? This shell did not start {' '.join(strange)}. [y/N] "
        try:
            return self.shell.read_input(question).strip().lower() in ("y", "yes")
        except EOFError:
            return False


class Ring(_Commands):
    DEFAULT_CATEGORY = "Ring"

    @command(prefix_chars="-")
    def do_RING(self, follow: Follow = False) -> None:
        """Show the ring, the neighbours, and what moves."""
        if follow:
            self.watch()
        else:
            self.shell.show(render.ring_view(self.cluster.status()))

    def watch(self) -> None:
        with self.shell.drawing() as console:
            outcome = watch.watch_ring(self.cluster, console)
        self.shell.show(outcome)

    @command()
    def do_PARTITIONS(self) -> None:
        """Show every partition, its group and leader."""
        self.shell.show(render.partitions_table(self.cluster.status()))

    @command()
    def do_MOVE(self, partition: Partition, node: Node) -> None:
        """Make that slave the partition's owner."""
        self.ask(f"partition {partition} is {node}'s already", "MOVE", partition, node)

    @command()
    def do_REPLICAS(self, number: Copies) -> None:
        """Keep so many copies of each partition: 1, 3 or 5."""
        self.ask(f"each partition is to have {number} already", "REPLICAS", number)

    @command()
    def do_BALANCE(self) -> None:
        """Share the partitions out evenly among the slaves."""
        self.ask("the shares are even", "BALANCE")


def _watch_ring(self: Ring) -> None:
    """Show the ring until it is healed."""
    self.watch()


_watch_ring.__name__ = "do_WATCH-RING"
setattr(Ring, "do_WATCH-RING", command()(_watch_ring))
