"""How many copies have what a connection has written: WAIT and WAITAOF.  Pure: the clock and what
is called later are arguments.

A write is answered when a majority has it, so some copies may still lack it.  What each follower
has on its disk is known to its leader (raft/progress.py).  So one who waits asks the leaders of the
partitions that its connection has written to, this slave or others, and asks again until enough
copies have everything, or its time is over.

What always holds:

- a copy counts in a partition if it has every entry there that was committed when its leader was
  asked first: so all writes of the connection that were answered before, and those of others;
- what is told is the number of the partition that has the fewest; a leader's own is no replica;
- it is told once.

Caveats: it is found out within ``PAUSE_MAX_S``, not at once.  A partition without a leader has no
copies as far as is known; it is waited for, for ``ANSWER_S`` where nothing else is waited for.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from distrodb.commands.api import ProcessApi
from distrodb.raft.group import Group
from distrodb.resp.reply import Reply
from distrodb.ring.levels import OF_COPIES
from distrodb.slave.pubsub import COPIES
from distrodb.slave.questions import ANSWER_S, Questions
from distrodb.slave.routing import Routing

PAUSE_MIN_S, PAUSE_MAX_S = 0.002, 0.05  # until it is asked again
ROW_BYTES = 16  # of a partition in a frame


class Count(NamedTuple):
    upto: int  # the index of the last entry that is asked for; 0: that is not known
    copies: int  # beside the leader's
    is_here: bool  # the leader's own disk has them too


class Copies:
    """What a slave knows of them, and what it asks others."""

    def __init__(self, groups: Mapping[int, Group], routing: Routing, questions: Questions):
        self._groups, self._routing, self._questions = groups, routing, questions

    def here(self, partition: int, index: int) -> Count | None:
        """Of one that this slave leads; None: it does not.  0: up to what is committed now."""
        group = self._groups.get(partition)
        if group is None or not group.member.is_ready:
            return None
        index = index or group.member.commit_index
        return Count(index, group.member.copies_with(index), group.log.durable_index >= index)

    @property
    def all_count(self) -> int:
        """Beside the leader's, of the partition that has the fewest."""
        return min((len(each.group) for each in self._routing.maps.map.partitions), default=1) - 1

    @property
    def partitions(self) -> Iterable[int]:
        return [each.id for each in self._routing.maps.map.partitions]

    def answer(self, asked: list[Any]) -> list[list[int]]:
        """To a peer's question, of those partitions that are led here."""
        found = []
        for row in asked:
            if isinstance(row, list) and list(map(type, row)) == [int, int]:
                count = self.here(*row)
                if count is not None:
                    found.append([row[0], *count])
        return found

    def ask(
        self,
        now: float,
        wanted: Mapping[int, int],
        done: Callable[[Collection[int], Mapping[int, Count]], None],
    ) -> None:
        """Of partitions, with the indexes: who leads them; ``done`` is told which these were, and
        what came of it, once for each slave that was asked."""
        by_leader: dict[str | None, list[list[int]]] = {}
        for partition, index in wanted.items():
            leader = self._routing.leader_of(partition)
            by_leader.setdefault(leader, []).append([partition, index])
        for leader, rows in by_leader.items():
            if leader is None or leader == self._routing.maps.me:
                done([partition for partition, _ in rows], {})
            else:
                self._ask_one(now, leader, rows, done)

    def _ask_one(
        self,
        now: float,
        leader: str,
        rows: list[list[int]],
        done: Callable[[Collection[int], Mapping[int, Count]], None],
    ) -> None:
        asked = [partition for partition, _ in rows]
        if self._routing.maps.map.level < OF_COPIES:  # it may not know the question
            done(asked, {each: Count(0, (self.all_count + 1) // 2, True) for each in asked})
            return

        def answered(answers: list[Any]) -> None:
            done(asked, {each[0]: Count(*each[1:]) for each in _counts(answers)})

        size = ROW_BYTES * len(rows)
        self._questions.ask(now, (COPIES, 0, rows), size, [], answered, leader)


def _counts(answers: Iterable[Any]) -> Iterable[list[Any]]:
    rows = (row for answer in answers if isinstance(answer, list) for row in answer)
    return [
        row
        for row in rows
        if isinstance(row, list) and list(map(type, row)) == [int, int, int, bool]
    ]


class CopiesWait:
    """One who waits: to its session as one who waits for keys (blocking.py)."""

    args: Sequence[bytes] = (b"WAIT",)  # what else it says is of no matter to who may ask for it

    def __init__(
        self,
        copies: Copies,
        process: ProcessApi,
        partitions: Iterable[int],
        until: float,
        is_enough: Callable[[bool, int], bool],
        whole: Callable[[bool, int], Reply],
        tell: Callable[[Reply], None],
    ):
        """``until``: seconds; infinite: as long as it takes.  ``is_enough`` is asked, and ``whole``
        makes the reply of, whether the leaders' own disks have everything, and how many copies."""
        self._copies, self._process, self._until = copies, process, until
        self._is_enough, self._whole, self._tell = is_enough, whole, tell
        self._known: dict[int, Count | None] = dict.fromkeys(partitions)
        self._asked: set[int] = set()  # partitions, of whose leaders an answer is to come
        self._begun, self._pause_s = process.now(), PAUSE_MIN_S
        self.is_over = False

    def look(self) -> None:
        """Ask, and again until it is over."""
        if self.is_over:
            return
        away = {}
        for partition, known in self._known.items():
            index = 0 if known is None else known.upto
            count = self._copies.here(partition, index)
            if count is not None:
                self._known[partition] = count
            elif partition not in self._asked:
                away[partition] = index
        self._asked.update(away)
        self._copies.ask(self._process.now(), away, self._answered)
        self._judge()
        if not self.is_over:
            left_s = max(self._until - self._process.now(), PAUSE_MIN_S)
            self._process.later(min(self._pause_s, left_s), self.look)
            self._pause_s = min(2 * self._pause_s, PAUSE_MAX_S)

    def _answered(self, asked: Collection[int], counts: Mapping[int, Count]) -> None:
        self._asked.difference_update(asked)
        self._known.update((each, counts[each]) for each in asked if each in counts)
        self._judge()

    def _judge(self) -> None:
        now, is_known = self._process.now(), None not in self._known.values()
        is_late = now >= self._until and (is_known or now >= self._begun + ANSWER_S)
        if is_late or (is_known and self._is_enough(*self._found())):
            self.unblock(None)

    def _found(self) -> tuple[bool, int]:
        counts = [count for count in self._known.values() if count is not None]
        if not self._known:
            return True, self._copies.all_count
        if len(counts) < len(self._known):
            return False, 0
        return all(count.is_here for count in counts), min(count.copies for count in counts)

    def unblock(self, reply: Reply) -> bool:
        """Wait no longer; None: tell what is known now."""
        if self.is_over:
            return False
        self.is_over = True
        self._tell(self._whole(*self._found()) if reply is None else reply)
        return True
