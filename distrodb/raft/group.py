"""One Raft group on one slave: its member, its state machine, its clients' commands, its snapshots.

This file only brings them together: proposals.py has the commands, snapshots.py the snapshots,
member.py Raft itself.  What the group wants done is in the slave's outbox after each call.
"""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from distrodb.keyspace.entry import Payload
from distrodb.raft import messages as m
from distrodb.raft.interfaces import (
    Copying,
    GroupOptions,
    Machine,
    Request,
    SnapshotDone,
    SnapshotWrite,
)
from distrodb.raft.log import Log
from distrodb.raft.member import COMMIT_TOLD_S, Member
from distrodb.raft.outbox import Outbox
from distrodb.raft.proposals import Proposals
from distrodb.raft.pulse import Pulse
from distrodb.raft.snapshot_transfer import Budget
from distrodb.raft.snapshots import Snapshots
from distrodb.raft.state import MemberState

HAND_OVER_S = 0.5  # a leader takes no commands for so long at most while it hands over
SNAPSHOT_TIMEOUTS = 4  # election timeouts without progress; then a snapshot is sent anew
HAND_OVER_AGAIN_S = 5.0  # after one that came to nothing: clients have waited for it
POLL_S = 0.025  # between two looks at what time alone moves: snapshots on their way, a hand-over


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all groups of a slave share."""

    options: GroupOptions
    outbox: Outbox
    budget: Budget  # of the bytes of snapshots that the slave sends
    pulse: Pulse | None = None  # None: each group sends its own heartbeats


class Group:
    def __init__(
        self,
        now: float,
        name: str,
        log: Log,
        machine: Machine,
        restore: Callable[[Iterable[bytes]], Machine],
        generator: random.Random,
        surroundings: Surroundings,
    ):
        """``name``: that of the member which this slave is; ``restore`` decodes a snapshot."""
        options, outbox = surroundings.options, surroundings.outbox
        self.id, self.log, self.machine = log.group, log, machine
        self._options, self._outbox = options, outbox
        state = MemberState(now, log.group, name, log, outbox, generator, surroundings.pulse)
        self._state = state
        self.member = Member(state, options.heartbeat_s, options.election_timeout_s, self._apply)
        self._proposals = Proposals(log.group, options, log, outbox.counts)
        self.submit, self.submit_burst = self._proposals.submit, self._proposals.submit_burst
        self.submit_marked = self._proposals.submit_marked
        patience_s = options.election_timeout_s * SNAPSHOT_TIMEOUTS
        self._snapshots = Snapshots(
            self.member, log, options, outbox, surroundings.budget, restore, patience_s
        )
        self._led_in: int | None = None  # the term in which this member leads, as far as is noted
        self._hand_over_until = 0.0
        self._hand_over_to: Sequence[str] = ()
        self._hand_over_is_urgent = False
        self._hand_over_next_at = 0.0
        self._hand_over_again_at = 0.0
        self._poll_at = math.inf  # seconds
        self.awaits_journal = False  # its next batch writes, and starts when the journal is free

    # -- clients -----------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        return self._proposals.is_busy

    @property
    def is_idle(self) -> bool:
        return not (self._proposals.is_busy or self._proposals.has_waiting)

    @property
    def awaits_answers(self) -> bool:
        """Of the slaves that were asked whom they follow: reads are under way."""
        return self._proposals.awaits_answers

    @property
    def is_waiting(self) -> bool:
        """Commands wait, and a batch could be started."""
        return self._proposals.has_waiting and self._is_free

    @property
    def _is_free(self) -> bool:
        return not (self._proposals.is_busy or self._hand_over_to) and self.member.is_ready

    def pump(self, now: float, time_ms: int, may_write: bool) -> None:
        """Start the next batch if none is under way; one that writes only if it ``may_write``,
        else the group ``awaits_journal``.  ``time_ms``: the slave's (steady_time.py)."""
        proposals = self._proposals
        self.awaits_journal = False
        if (proposals.has_waiting or now >= proposals.look_at) and self._is_free:
            if now < self._hand_over_until:
                return
            if may_write or proposals.has_reads_alone:
                proposals.pump(now, time_ms, may_write, self.member, self.machine)
            else:
                self.awaits_journal = True

    def _apply(self, index: int, payload: Payload) -> None:
        if self._proposals.apply(self._state.now, index, payload, self.machine):
            self.member.tell_commit_within(COMMIT_TOLD_S)

    # -- handing over ------------------------------------------------------------------------

    def hand_over(self, now: float, to: Sequence[str], is_urgent: bool = False) -> bool:
        """Let the first of these who has the whole log lead (thesis 3.10), if one is near it: True.
        Meanwhile commands wait; if it comes to nothing within ``HAND_OVER_S`` this member goes on
        leading, and does not try again before ``HAND_OVER_AGAIN_S``, however often it is asked.

        It waits for the batch that is under way, unless it ``is_urgent``: then the next leader
        commits that batch, which it has in its log."""
        if not self.member.is_leader or self._hand_over_to or now < self._hand_over_again_at:
            return False
        if not any(self.member.is_near(peer) for peer in to):
            return False
        self._hand_over_until, self._hand_over_to = now + HAND_OVER_S, to
        self._hand_over_is_urgent = is_urgent
        self._poll_at = now
        self._hand_over_next_at = now
        self._go_on_handing_over(now)
        return True

    def _go_on_handing_over(self, now: float) -> None:
        if now >= self._hand_over_until:
            self._hand_over_to = ()
            self._hand_over_again_at = now + HAND_OVER_AGAIN_S
        elif self.is_busy and not self._hand_over_is_urgent:
            return
        elif now >= self._hand_over_next_at:
            if self.member.transfer_leadership(now, self._hand_over_to):
                self._hand_over_next_at = now + self._options.heartbeat_s

    # -- Raft --------------------------------------------------------------------------------

    @property
    def next_due(self) -> float:
        """Seconds: when ``tick`` is to be called next though nothing else happens."""
        due = min(self.member.next_due, self._proposals.next_due, self._poll_at)
        is_awaited = self._is_free and not self.awaits_journal
        return min(due, self._proposals.look_at) if is_awaited else due

    def tick(self, now: float) -> None:
        self.member.tick(now)
        self._note_changes(now)
        if overwritten := self._proposals.take_overwritten():
            self._outbox.overwritten.append((self.id, overwritten))
        self._proposals.give_up(now)
        self._proposals.answer_confirmed_reads(now, self.member, self.machine)
        if self._hand_over_to:
            self._go_on_handing_over(now)
        moves = self._snapshots.tick(now, self.machine) or self._hand_over_to
        self._poll_at = now + POLL_S if moves else math.inf

    def receive(self, now: float, peer: str, message: m.Message) -> None:
        kind = message[1]
        if kind == m.SNAPSHOT:
            self._snapshots.on_snapshot(now, peer, *message[2:])
        elif kind == m.SNAPSHOT_ACK:
            self._snapshots.on_ack(now, peer, *message[2:])
        else:
            self.member.receive(now, peer, message)
        self._note_changes(now)

    def link_up(self, now: float, peer: str) -> None:
        self.member.link_up(now, peer)

    def link_down(self, now: float, peer: str, delay_s: float) -> None:
        self._snapshots.link_lost(peer)
        self.member.link_down(now, peer, delay_s)
        self._note_changes(now)

    def _note_changes(self, now: float) -> None:
        """The member may have lost the lead, or follow another leader."""
        if self.id not in self._outbox.changed:
            return
        leads_in = self.member.leads_in
        if self._led_in is not None and leads_in != self._led_in:
            self._hand_back(self._proposals.lose_leadership(now))
            self._outbox.lead("leads_lost", self.id, self._why_lost(self._led_in))
            self._hand_over_until, self._hand_over_to, self._hand_over_again_at = 0.0, (), 0.0
            self._outbox.counts.leads_lost += 1
        if leads_in is not None and leads_in != self._led_in:
            self._proposals.gain_leadership(now)
            self._outbox.counts.leads_won += 1
            self._outbox.lead("leads_won", self.id, self.member.stood_because)
        if leads_in != self._led_in:
            self.machine.watched.begin(leads_in or 0)
        self._led_in = leads_in
        self._snapshots.role_changed()

    def _why_lost(self, led_in: int) -> str:
        follows = self.member.follows
        if self._hand_over_to:
            return "handed over"
        if follows is not None:
            return f"{follows[0].partition('/')[0]} leads now"
        return "another slave stands for it" if self.member.term > led_in else "heard no majority"

    def _hand_back(self, requests: Sequence[Request]) -> None:
        if requests:
            self._outbox.handed_back.append((self.id, requests))

    def close(self, now: float) -> None:
        """This slave is no member any more, and the group is dropped: answer whoever waits."""
        self._hand_back(self._proposals.lose_leadership(now))
        self._proposals.give_up(math.inf)

    # -- snapshots ---------------------------------------------------------------------------

    def asked_for(self, written: SnapshotWrite) -> bool:
        """This group asked for it, not one of the same number that is closed since."""
        return self._snapshots.asked_for(written)

    def snapshot_written(self, now: float, done: SnapshotDone) -> None:
        """It is durable (file and directory)."""
        restored = self._snapshots.written(now, done)
        if restored is not None:
            self.machine = restored
            restored.watched.begin(self._led_in or 0)
        self._note_changes(now)

    def copying(self) -> list[Copying]:
        """The snapshots that are on their way from this leader."""
        return self._snapshots.copying()
