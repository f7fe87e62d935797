"""Commands on whole partitions (DBSIZE, FLUSHALL, SCAN): shared out over those that are led here,
as the command's row says (``combine``), and the replies gathered into one.

What always holds: none passes over a partition that this slave holds and nobody leads, for that
would be a FLUSHALL that did not flush, a DBSIZE that did not count.  It waits for an election as
commands on keys do, and is answered CLUSTERDOWN if there is no leader in time.

A partition may get another leader while it is asked.  Then its part was not done, and the command
begins anew with the partitions that are led here now; so a FLUSHALL may flush a partition twice
before it is answered, and nobody was told in between that it had been flushed.
"""

from collections.abc import Callable, Sequence

from distrodb.commands.combine import Led
from distrodb.commands.command import Command
from distrodb.keyspace.place_number import place_of, slot_at
from distrodb.resp.reply import ErrorReply, Reply
from distrodb.slave.core import Core
from distrodb.slave.gathering import Gathering, worst

TRIES_MAX = 3  # leads that move more often while one command runs are reported to the client


class Part:
    """One partition's share of a command; the core's ``Request``."""

    __slots__ = ("args", "is_write", "place", "resolve", "size", "slot")

    def __init__(
        self, args: Sequence[bytes], is_write: bool, place: int, resolve: Callable[[Reply], None]
    ):
        self.args = args
        self.slot, self.place = slot_at(place), place
        self.is_write = is_write
        self.size = 32 + sum(map(len, args))
        self.resolve = resolve


class OnPartitions:
    """One such command, until it is answered."""

    def __init__(
        self,
        core: Core,
        row: Command,
        args: Sequence[bytes],
        database: int,
        resolve: Callable[[Reply], None],
    ):
        self._core, self._row, self._args = core, row, args
        self._database, self._resolve = database, resolve
        self._tries = 0
        self._led: list[Led] = []
        self._done: list[Reply] = []  # by partitions that were asked before it began anew

    def begin(self) -> None:
        core, routing, combine = self._core, self._core.routing, self._row.combine
        assert combine is not None, self._row.name
        if leaderless := routing.leaderless():
            if not core.wait_for_leaders(sum(map(len, self._args)), self.begin):
                self._fail([routing.no_leader(leaderless[0])])
            return
        self._tries += 1
        self._led = [Led(p.id, p.first, p.last) for p in core.map.partitions if routing.leads(p.id)]
        parts = combine.parts(self._args, self._led)
        if not parts:
            self._resolve(combine.whole(self._args, self._led, []))
            return
        gathering = Gathering(len(parts), self._finish)
        place = place_of(self._database, -1)
        for number, (partition, words) in enumerate(parts):
            core.submit(Part(words, self._row.is_write, place, gathering.taker(number)), partition)

    def _finish(self, replies: Sequence[Reply]) -> None:
        codes = {reply.code for reply in replies if isinstance(reply, ErrorReply)}
        combine = self._row.combine
        assert combine is not None, self._row.name
        if not codes:
            self._resolve(combine.whole(self._args, self._led, replies))
        elif codes == {"MOVED"} and self._tries < TRIES_MAX:
            self._done += [reply for reply in replies if not isinstance(reply, ErrorReply)]
            self.begin()
        else:
            self._fail(replies)

    def _fail(self, replies: Sequence[Reply]) -> None:
        self._resolve(worst([*self._done, *replies], self._row.is_write))
