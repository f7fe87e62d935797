"""The gateway's side: what it has to ask of one partition, in order, until it is answered.  Pure.

Commands wait here, are sent to the partition's leader, and stay until its answer comes.  When the
leader changes, its link breaks, or it says that it does not lead, all of them are sent again, in
their order, to whoever leads then: a new *generation*.  Answers to an older one count for nothing;
a write that ran is answered again with the reply that the partition has kept (keyspace/origins.py).

What always holds:

- a command is answered once, in the order in which the commands came;
- a write runs once at most, and one whose outcome cannot be known is answered UNKNOWN and no other;
- the commands of one connection run in their order.  For writes the log sees to that.  A read that
  is sent again could see a write that came behind it, if that ran before; so a write is not sent
  while reads that its connection sent before it are on their way.  Reads that are sent together
  with a write behind them go through the log, as that write does, and have a place in its order.

A number in the sequence of the origin that was given to a command must be used, since those behind
it wait for it; so a command that is given up is replaced by one that does nothing (SKIP).

When a connection is gone its writes go on, and its reads do not: nobody waits for what they say.
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence, Set

from distrodb.commands.gateway import OPEN, SKIP
from distrodb.errors import InvariantViolation
from distrodb.keyspace.origins import NoReply
from distrodb.raft.interfaces import Request
from distrodb.raft.messages import NUMBER_MAX
from distrodb.resp.reply import Reply, error
from distrodb.slave.forwarding.forwarded import ITEM_BYTES, READ, UNMARKED, Answer

# On their way to one leader at a time.
WINDOW_COMMANDS, WINDOW_BYTES = 4096, 16 << 20
AGAIN_S = 0.025  # until one that did not take commands is asked again: others gossip by then
# Until all is sent again though the link stands; then twice as long.  Far above a commit, since TCP
# loses nothing; but who does not answer may never do.
SILENT_S = 3.0

UNKNOWN = error(
    "UNKNOWN",
    "no leader has answered while this write was under way: it may or may not have happened;"
    " read before you write again",
)
FORGOTTEN = error("UNKNOWN", "this write has happened, and the reply to it is lost")
FORGOTTEN_READ = error("TRYAGAIN", "the reply to this read is lost; ask again")


class Item:
    """One command."""

    __slots__ = (
        "args",
        "is_logged",
        "is_void",
        "number",
        "place",
        "request",
        "sender",
        "sequence",
        "size",
        "tries",
        "until",
    )

    def __init__(
        self,
        place: int,
        args: Sequence[bytes],
        is_logged: bool,
        until: float = math.inf,
        request: Request | None = None,
        sender: object | None = None,
    ):
        self.place, self.args = place, args
        self.is_logged = is_logged  # it goes through the log
        self.until = until  # seconds: when it is given up
        self.request, self.sender = request, sender
        self.size = ITEM_BYTES if request is None else request.size
        self.number = 0  # among those of its generation
        self.sequence = READ  # its number in the origin, once it has one
        self.tries = 0  # to run it, that may have done so as far as is known
        self.is_void = False  # nobody waits for it, nor for its number: it is not sent again

    @property
    def keeps_place(self) -> bool:
        """Those behind it wait for its number."""
        return self.sequence > 0

    def empty(self) -> int:
        """Let it do nothing, for nobody; how many bytes less it takes."""
        freed = self.size - ITEM_BYTES
        self.place, self.args, self.size = -1, SKIP, ITEM_BYTES
        self.request, self.until = None, math.inf
        return freed


class Queue:
    def __init__(self, partition: int):
        self.partition = partition
        self._sent: deque[Item] = deque()  # to the target, in this generation
        self._sent_bytes = 0
        # Reads among those that have no place in the order of the log, by their connections.
        self._reads: dict[object, int] = {}
        self._waiting: deque[Item] = deque()  # behind those
        self.bytes = 0  # of all
        self.target: str | None = None  # where this generation goes; None: it is over
        self.generation = self._chunk = self._number = 0
        self._over: dict[int, Item] = {}  # by number: sent in this generation, which is over
        self._origin = 0  # none
        self._opening: Item | None = None  # what asks for one
        self._sequence = self._settled = 0  # that was given last; up to which all are answered
        self._avoided = ""  # who did not take commands
        self._avoided_until = -math.inf  # seconds
        self._silent_s = SILENT_S
        self._silent_at = math.inf  # seconds: when to send all again though nothing happened
        self.has_given_up = False  # commands, since there was no leader for so long
        self.answered_again = False  # what may have run long before, through the log

    def __len__(self) -> int:
        return len(self._sent) + len(self._waiting)

    def add(self, until: float, request: Request, sender: object | None) -> None:
        self.bytes += request.size
        self._waiting.append(
            Item(request.place, request.args, request.is_write, until, request, sender)
        )

    def next_due(self, now: float) -> float:
        """Seconds: when to ``look``, and to begin a new generation, though nothing happens."""
        due = self._silent_at if self._sent else math.inf
        if self.target is None and self._avoided_until > now:
            due = min(due, self._avoided_until)
        for items in (self._sent, self._waiting):
            for item in items:
                if item.until < math.inf:
                    return min(due, item.until)
        return due

    # -- out ---------------------------------------------------------------------------------

    def may_begin(self, now: float, leader: str) -> bool:
        return leader != self._avoided or now >= self._avoided_until

    def begin(self, leader: str) -> None:
        """A new generation, to this leader."""
        self.generation, self._chunk, self._number = self.generation + 1, 0, 0
        self._over = {}
        self.target = leader

    def take(self, now: float) -> tuple[list[int], list[Item]] | None:
        """What is to be sent now: the head of a chunk (forwarded.py), and its commands."""
        items = self._next()
        if not items:
            return None
        if not self._sent:
            self._silent_at = now + self._silent_s
        for item in items:
            self._number += 1
            item.number = self._number
            item.tries += 1
            if item.sequence == READ and item.sender is not None:
                self._reads[item.sender] = self._reads.get(item.sender, 0) + 1
        self._sent += items
        head = [self.partition, self.generation, self._chunk, self._origin, self._settled + 1]
        self._chunk += 1
        return head, items

    def _next(self) -> list[Item]:
        """The first of those that wait, as far as they may be sent now."""
        items: list[Item] = []
        waiting, sent = self._waiting, self._sent
        while waiting and len(sent) + len(items) < WINDOW_COMMANDS:
            item = waiting[0]
            if self._sent_bytes + item.size > WINDOW_BYTES and (sent or items):
                break
            if item.is_logged and item.sender in self._reads:
                break  # else those could see what it does, if they are sent again
            self._sent_bytes += item.size
            items.append(waiting.popleft())
        _put_reads_before_writes_into_the_log(items)
        for place, item in enumerate(items):
            if item.is_logged and item.sequence == READ:
                if not self._origin:
                    self._wait_for_origin(items, place)
                    break
                self._sequence += 1
                item.sequence = self._sequence
        return items

    def _wait_for_origin(self, items: list[Item], place: int) -> None:
        """What is from there on needs one."""
        self._sent_bytes -= sum(item.size for item in items[place:])
        self._waiting.extendleft(reversed(items[place:]))
        del items[place:]
        if self._opening is None:
            self._opening = Item(-1, OPEN, is_logged=True)
            self._opening.sequence = UNMARKED
            self._sent_bytes += self._opening.size
            self.bytes += self._opening.size
            items.append(self._opening)

    # -- in ----------------------------------------------------------------------------------

    def answered(self, now: float, generation: int, answers: Iterable[Answer]) -> None:
        """By the target of that generation."""
        if generation != self.generation:
            return
        for number, why, reply in answers:
            first = self._sent[0].number if self._sent else math.inf
            if self.target is not None and number > first:
                self.end(now)  # an answer was lost, which TCP does not do
            if self.target is None:
                self._tried_in_vain(number, why)
            elif number == first:
                self._answered(now, why, reply)

    def _answered(self, now: float, why: int, reply: Reply) -> None:
        """The first one."""
        item = self._sent[0]
        if why == 0 or why == NoReply.FORGOTTEN.value:
            self._sent.popleft()
            self._forget(item, was_sent=True)
            if item.tries > 1 and item.sequence > 0:
                self.answered_again = True
            if item is self._opening:
                # Another number would be refused by the next leader, with the link, for ever.
                self._opening = None
                self._origin = reply if type(reply) is int and 0 < reply < NUMBER_MAX else 0
            elif item.request is not None:
                if why:
                    reply = FORGOTTEN if item.request.is_write else FORGOTTEN_READ
                item.request.resolve(reply)
            self._silent_s, self._silent_at = SILENT_S, now + SILENT_S
            self._avoided, self.has_given_up = "", False
        elif why == NoReply.UNKNOWN_ORIGIN.value:
            self._lose_origin(now)
        else:
            self._avoided, self._avoided_until = self.target or "", now + AGAIN_S
            self.end(now)
            self._tried_in_vain(item.number, why)

    def _tried_in_vain(self, number: int, why: int) -> None:
        """An answer of a generation that is over: it may say that a command did not run."""
        if why in (NoReply.NOT_DONE.value, NoReply.OUT_OF_ORDER.value) and number in self._over:
            self._over.pop(number).tries -= 1

    def _forget(self, item: Item, was_sent: bool) -> None:
        self.bytes -= item.size
        if was_sent:
            self._sent_bytes -= item.size
            self._is_read(item)
        if item.sequence > 0:
            self._settled = item.sequence

    def _is_read(self, item: Item) -> None:
        """It is answered, or given up, if it is a read."""
        if item.sequence == READ and item.sender is not None:
            left = self._reads.pop(item.sender) - 1
            if left:
                self._reads[item.sender] = left

    def end(self, now: float) -> None:
        """This generation is over: all of it is to be sent again."""
        sent = self._sent
        self._over = {item.number: item for item in sent}
        self._reads = {}
        for item in reversed(sent):
            if item.is_void:
                self.bytes -= item.size
            else:
                self._waiting.appendleft(item)
        sent.clear()
        self._sent_bytes = 0
        self.target, self._silent_at = None, math.inf

    def _lose_origin(self, now: float) -> None:
        """The partition does not know it any more, so nothing of it runs from here on in the log.
        What was tried before may have run while it was known."""
        for item in self._sent:
            item.tries -= 1
        self.end(now)
        self._over = {}
        kept: deque[Item] = deque()
        for item in self._waiting:
            if item.sequence > 0:
                request, item.sequence = item.request, READ
                if request is None or (request.is_write and item.tries):
                    self._forget(item, was_sent=False)
                    if request is not None:
                        request.resolve(UNKNOWN)
                    continue
            kept.append(item)
        self._waiting = kept
        self._origin = self._sequence = self._settled = 0

    # -- who asked ---------------------------------------------------------------------------

    def lose(self, senders: Set[object]) -> None:
        """These connections are gone: drop what they wanted to read."""
        for items in (self._sent, self._waiting):
            for item in items:
                if _is_read_of(item, senders):
                    self._empty(item, items is self._sent)
                    item.is_void = not item.keeps_place
        self.bytes -= ITEM_BYTES * sum(item.is_void for item in self._waiting)
        self._waiting = deque(item for item in self._waiting if not item.is_void)

    def _empty(self, item: Item, was_sent: bool) -> None:
        freed = item.empty()
        self.bytes -= freed
        if was_sent:
            self._sent_bytes -= freed

    # -- time --------------------------------------------------------------------------------

    def look(self, now: float, no_leader: Reply) -> None:
        """Send again what nobody has answered, and give up what has waited for too long."""
        if self._sent and now >= self._silent_at:
            self._silent_s *= 2
            self.end(now)
        for items in (self._sent, self._waiting):
            due = [item for item in items if item.until <= now]
            if due:
                self.has_given_up = self.has_given_up or self.target is None
                given_up = {id(item) for item in due if not item.keeps_place}
                for item in due:
                    self._give_up(item, items is self._sent, no_leader)
                if given_up:
                    kept = [item for item in items if id(item) not in given_up]
                    items.clear()
                    items += kept

    def _give_up(self, item: Item, was_sent: bool, no_leader: Reply) -> None:
        request, item.request, item.until = item.request, None, math.inf
        if item.keeps_place:
            self._empty(item, was_sent)
        else:
            self._forget(item, was_sent)
        if request is None:
            raise InvariantViolation("a command is given up twice")
        request.resolve(UNKNOWN if request.is_write and item.tries else no_leader)


def _is_read_of(item: Item, senders: Set[object]) -> bool:
    return item.sender in senders and item.request is not None and not item.request.is_write


def _put_reads_before_writes_into_the_log(items: Sequence[Item]) -> None:
    """Of each connection, so that they keep their order if they are sent again."""
    writers: set[object] = set()
    for item in reversed(items):
        if item.is_logged:
            writers.add(item.sender)
        elif item.sender is not None and item.sender in writers:
            item.is_logged = True
