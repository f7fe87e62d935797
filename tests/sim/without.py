"""The cures, each of which can be switched off, to show that the simulator notices.

Test-only: a cure is removed by replacing the piece of code that is it, for one run.  ``CURES`` are
noticed in random runs; those in ``SHOWN_ELSEWHERE`` take too rare a course of events for that, or
guard progress and not safety, and have tests of their own.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from unittest import mock

from distrodb.raft import journal
from distrodb.raft.group import Group
from distrodb.raft.member import FAIL_REASON, Member
from distrodb.slave import birth, hearing
from distrodb.slave.core import Core
from tests.sim.chaos import FAULTS, VIRTUAL_S, Chaos
from tests.sim.healing_chaos import FAULTS as HEALING_FAULTS
from tests.sim.healing_chaos import HealingChaos

Replacement = tuple[Any, str, Any]  # owner, name, new


def _send_ungated(self: Core, name: str, message: list, gate: int) -> None:
    _send(self, name, message, 0)


_send = Core._send


def _entries_undurable(self: Member, index: int, count: Any = None, _: Any = None) -> list:
    return self.journal.between(index, index + (count or len(self.journal)) - 1)


def _on_append_truncating(self: Member, node: Any, term: int, previous: int, *rest: Any) -> None:
    """What pysyncobj does: whatever is behind the previous entry is cut off first."""
    log = self.journal
    if term >= self.term and log.term_at(previous) == rest[0] and log.last_index > previous:
        log.meta.commit_index = min(log.meta.commit_index, previous)
        if previous >= log.first_index:
            log.truncate(previous + 1)
    _on_append(self, node, term, previous, *rest)


_on_append = Member._on_append


def _on_append_commits_all(
    self: Member, node: Any, term: int, previous: int, previous_term: int, commit: int, *rest: Any
) -> None:
    """What pysyncobj does: commit as far as the leader, whatever this message verified."""
    matched = term >= self.term and self.journal.term_at(previous) == previous_term
    _on_append(self, node, term, previous, previous_term, commit, *rest)
    if matched and commit > self.commit_index:
        self._set_commit_index(min(commit, self.journal.last_index))


def _on_ack_of_any_term(self: Member, node: Any, term: int, *rest: Any) -> None:
    if term <= self.term:
        rest = (rest[0], min(rest[1], self.journal.last_index), *rest[2:])
    _on_ack(self, node, max(term, self.term), *rest)


_on_ack = Member._on_ack


def _receive_counting_twice(self: Member, now: float, peer: str, message: list) -> None:
    self._votes = set()
    _receive(self, now, peer, message)


_receive = Member.receive


def _may_stand_at_once(self: Member) -> bool:
    return True


def _is_anybody_alive(self: Member) -> bool:
    return False


def _install_anything(self: Member, now: float, term: int, configuration: Any) -> bool:
    """What pysyncobj does: whatever arrives replaces the state and the whole log."""
    self._at(now)
    self.journal.reset(configuration.index, term, configuration)
    self._use_configuration()
    self._SyncObj__raftLastApplied = configuration.index
    self.journal.meta.commit_index = 0
    self._set_commit_index(configuration.index)
    return True


def _take_any_snapshot(self: Group, *message: Any) -> None:
    with mock.patch.object(Member, "applied_index", property(lambda self: 0)):
        _on_snapshot(self, *message)


_on_snapshot = Group._on_snapshot


def _settled_retryably(self: Group, batch: Any, reason: int) -> None:
    """What pysyncobj suggests: a changed leader is a failure, so the client may try again."""
    _settled(self, batch, FAIL_REASON.DISCARDED)


_settled = Group._settled


def _lose_leadership_retryably(self: Group) -> None:
    if self._batch is not None and not self._batch.round:
        requests, self._batch.requests = self._batch.requests, []
        self._hand_back(self, requests)
    _lose_leadership(self)


_lose_leadership = Group._lose_leadership


def _confirmed_at_once(self: Member) -> int:
    return self._round


def _reads_at_once(self: Member) -> bool:
    return bool(self.is_leader)


def _same_incarnation(self: birth.Memory, store: Any, writes: Any, generator: Any) -> None:
    """A directory is its slave, wiped or not."""
    with mock.patch.object(generator, "getrandbits", lambda bits: 0):
        _memory(self, store, writes, generator)


_memory = birth.Memory.__init__


def _born_by_majority(self: birth.Birth) -> dict[str, str] | None:
    if len(self._seen) <= len(self._nodes) / 2:
        return None
    return {node: self._seen.get(node, "unknown") for node in self._nodes}


def _unseal_anything(key: bytes, value: bytes, what: str) -> bytes:
    return value[4:]


def _keep_configuration(self: Member) -> None:
    """What pysyncobj does after a restart: the members are those that the caller names."""
    before = self._configuration
    _use_configuration(self)
    if before is None and len(self.journal.configurations) > 1:
        self.journal.configurations = self.journal.configurations[:1]
        _use_configuration(self)


_use_configuration = Member._use_configuration


def _reconcile_unguarded(self: Member, *args: Any) -> None:
    with mock.patch.object(Member, "commit_index", property(lambda self: 1 << 60)):
        _reconcile(self, *args)


_reconcile = Member.reconcile


def _may_always_vote(self: journal.Journal) -> bool:
    return True


def _teach_counting_all(self: Member, learners: Sequence[str]) -> None:
    """Also what a learner acknowledged before it forgot its log counts."""
    _teach(self, learners)
    self._counts_from.clear()


_teach = Member._teach


def _always_has_a_copy(self: Member, peer: str) -> bool:
    return True


def _down_by_one_word(
    self: hearing.Hearing, now: float, node: str, ring: Sequence[str], after_s: float
) -> bool:
    others = [observer for observer in ring if observer != node]
    return node != self._me and any(self._is_silent(o, node, now - after_s) for o in others)


def _leave_unasked(self: Member, now: float) -> None:
    """The map's word alone is enough to forget a group."""
    self.left_at = self.journal.configuration.index


class Cure(NamedTuple):
    """What replaces it, the most seeds that it may take to notice, with which faults, and in which
    kind of runs."""

    replacements: list[Replacement]
    seeds_max: int
    faults: Mapping[str, int] = FAULTS
    kind: type[Chaos] = Chaos


CURES = {
    "messages wait for the fsync": Cure([(Core, "_send", _send_ungated)], 3),
    "a leader counts its own fsync": Cure(
        [(Member, "_SyncObj__getEntries", _entries_undurable)], 3
    ),
    "matching entries stay": Cure([(Member, "_on_append", _on_append_truncating)], 10),
    "commit what was verified": Cure([(Member, "_on_append", _on_append_commits_all)], 60),
    "read rounds": Cure(
        [(Member, "confirmed_round", _confirmed_at_once)], 10, {"isolation": 1, "heal": 1}
    ),
    "a leader reads after its first commit": Cure(
        [(Member, "is_ready", property(_reads_at_once))], 100
    ),
    "an overtaken write is unknown": Cure(
        [
            (Group, "_settled", _settled_retryably),
            (Group, "_lose_leadership", _lose_leadership_retryably),
        ],
        10,
    ),
    "incarnations": Cure(
        [(birth.Memory, "__init__", _same_incarnation)],
        20,
        {"lost directory behind a cut": 1, "heal": 1},
    ),
    "checksums": Cure(
        [(journal, "unseal", _unseal_anything), (birth, "unseal", _unseal_anything)], 10
    ),
    "the configuration is in the log": Cure(
        [(Member, "_use_configuration", _keep_configuration)], 10
    ),
    "who may be needed forgets nothing": Cure(
        [(Member, "ask_to_leave", _leave_unasked)], 10, HEALING_FAULTS, HealingChaos
    ),
    "a live member stays while another lacks a copy": Cure(
        [(Member, "_has_copy", _always_has_a_copy)], 10, HEALING_FAULTS, HealingChaos
    ),
}
# Name: what replaces it, and the test that notices.
SHOWN_ELSEWHERE: dict[str, tuple[list[Replacement], str]] = {
    "acks carry a term": (
        [(Member, "_on_ack", _on_ack_of_any_term)],
        "tests/library: takes five members and an ack that two elections overtake",
    ),
    "a vote counts once": (
        [(Member, "receive", _receive_counting_twice)],
        "tests/library: takes five members, a repeated vote and an election that is split",
    ),
    "older snapshots are refused": (
        [(Member, "install", _install_anything), (Group, "_on_snapshot", _take_any_snapshot)],
        "tests/library: takes a transfer that is overtaken whole by a later one",
    ),
    "pre-votes": ([(Member, "_may_stand", _may_stand_at_once)], "guards progress"),
    "stickiness": ([(Member, "_leader_is_alive", _is_anybody_alive)], "guards progress"),
    "a birth on which all agree": (
        [(birth.Birth, "agreed", _born_by_majority)],
        "test_two_wiped_slaves_elect_nobody_without_the_third",
    ),
    "who has forgotten stands aside": (
        [(journal.Journal, "may_vote", property(_may_always_vote))],
        "test_who_is_in_again_with_an_empty_log_elects_nobody_by_an_old_configuration",
    ),
    "who is in again counts from then on": (
        [(Member, "_teach", _teach_counting_all)],
        "tests/library",
    ),
    "a majority of the ring takes one for dead": (
        [(hearing.Hearing, "is_down", _down_by_one_word)],
        "test_a_slave_that_one_other_cannot_reach_is_not_taken_for_dead",
    ),
    "one change at a time": ([(Member, "reconcile", _reconcile_unguarded)], "tests/library"),
}


@contextlib.contextmanager
def without(cure: str) -> Iterator[None]:
    rows = CURES[cure].replacements if cure in CURES else SHOWN_ELSEWHERE[cure][0]
    with contextlib.ExitStack() as stack:
        for owner, name, new in rows:
            stack.enter_context(mock.patch.object(owner, name, new))
        yield


def seeds_until_noticed(
    cure: str, seeds: Iterable[int], run: Callable[[int], object] | None = None
) -> tuple[int, str]:
    """How many seeds it took, and what was noticed; (0, "") when nothing was."""
    kind, faults = (CURES[cure].kind, CURES[cure].faults) if cure in CURES else (Chaos, FAULTS)
    run = run or (lambda seed: kind(seed, faults).run(VIRTUAL_S))
    with without(cure):
        for count, seed in enumerate(seeds, 1):
            try:
                run(seed)
            except Exception as problem:
                return count, f"{type(problem).__name__}: {(str(problem).splitlines() or [''])[0]}"
    return 0, ""
