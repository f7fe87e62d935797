"""The commands that clients of a slave may use: those of the cluster map's level (ring/levels.py).

While a cluster is upgraded, a command that slaves of the version before do not know is no command
yet.  It becomes one at once when the map's level says that all know it; connections need not be
opened anew.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from distrodb.commands.command import Command
from distrodb.commands.error_replies import not_yet
from distrodb.commands.table import COMMANDS, at_level
from distrodb.resp.reply import ErrorReply
from distrodb.ring.clustermap import ClusterMap
from distrodb.slave.routing import Routing


class Follower(Protocol):
    """A core; see slave/core.py."""

    followed: list[Callable[[ClusterMap], None]]

    @property
    def map(self) -> ClusterMap: ...

    @property
    def routing(self) -> Routing: ...


class Features:
    def __init__(self, rows: Mapping[bytes, Command], core: Follower):
        """``rows``: all that sessions of this version look up."""
        self.rows, self._core = rows, core
        # One object each for good, since sessions keep them.
        self.table: dict[bytes, Command] = {}
        self.commands: dict[bytes, Command] = {}  # that COMMAND tells of
        core.followed.append(self._follow)
        self._follow(core.map)

    def _follow(self, cluster_map: ClusterMap) -> None:
        """Its level never gets lower."""
        if len(self.table) < len(self.rows):
            self.table.update(at_level(self.rows, cluster_map.level))
            self.commands.update(at_level(COMMANDS, cluster_map.level))

    def objection(self, args: Sequence[bytes]) -> ErrorReply | None:
        """Against what will be a command when all slaves are upgraded; None: it is another word."""
        name = args[0].upper()
        if name not in self.rows or name in self.table:
            return None
        if self._core.map.epoch == 0:  # without a map nobody knows, and no command is served yet
            return self._core.routing.no_leader(0)
        return not_yet(args)
