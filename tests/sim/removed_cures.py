"""The cures, each of which can be switched off, to show that the simulator notices.

Test-only: a cure is removed by replacing the piece of code that is it, for one run.  ``CURES`` are
noticed in random runs; those in ``SHOWN_ELSEWHERE`` take too rare a course of events for that, or
guard progress and not safety, and have tests of their own.
"""

import contextlib
import itertools
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from unittest import mock

from distrodb.keyspace.chance import Chance
from distrodb.keyspace.containers.hash import Hash
from distrodb.keyspace.containers.list import List
from distrodb.keyspace.containers.set import Set
from distrodb.keyspace.containers.sorted_set import SortedSet
from distrodb.keyspace.scripts import Scripts
from distrodb.keyspace.store import Store
from distrodb.keyspace.undo import Undo
from distrodb.keyspace.watched import Watched
from distrodb.raft import log as raft_log
from distrodb.raft.elections import Elections
from distrodb.raft.library import Fate
from distrodb.raft.member import Member
from distrodb.raft.membership import Membership
from distrodb.raft.progress import Progress
from distrodb.raft.proposals import Proposals
from distrodb.raft.replication import Replication
from distrodb.raft.snapshots import Snapshots
from distrodb.raft.state import MemberState
from distrodb.raft.write_set import WriteSet
from distrodb.slave import birth, blocking, open_groups
from distrodb.slave import own_records as slave_records
from distrodb.slave.blocking import Blocking
from distrodb.slave.failure_detector import FailureDetector
from distrodb.slave.gateway_tracking import GatewayTracking
from distrodb.slave.heartbeats import Heartbeats
from distrodb.slave.outgoing import Outgoing
from distrodb.slave.tracking import Tracking
from distrodb.storage import records
from distrodb.storage.records import Operation
from tests.sim.chaos import FAULTS, VIRTUAL_S, Chaos
from tests.sim.containers import ContainerChaos
from tests.sim.healing_chaos import FAULTS as HEALING_FAULTS
from tests.sim.healing_chaos import HealingChaos
from tests.sim.large_values import LargeChaos
from tests.sim.replicas_chaos import FAULTS as REPLICAS_FAULTS
from tests.sim.replicas_chaos import ReplicasChaos
from tests.sim.transactions import TransactionChaos

Replacement = tuple[Any, str, Any]  # owner, name, new


def _send_ungated(self: Outgoing, name: str, message: list, gate: int) -> None:
    _send(self, name, message, 0)


_send = Outgoing.send


def _may_count_any(self: Member, index: int) -> bool:
    return True


def _take_truncating(self: Replication, previous: int, *rest: Any) -> tuple:
    """What pysyncobj does: whatever is behind the previous entry is cut off first."""
    log = self._state.log
    if log.term_at(previous) == rest[0] and log.last_index > previous:
        log.meta.commit_index = min(log.meta.commit_index, previous)
        if previous >= log.first_index:
            log.truncate(previous + 1)
    return _take(self, previous, *rest)


def _take_committing_all(
    self: Replication, previous: int, previous_term: int, commit: int, entries: list
) -> tuple:
    """What pysyncobj does: commit as far as the leader, whatever this message verified."""
    matched = self._state.log.term_at(previous) == previous_term
    taken = _take(self, previous, previous_term, commit, entries)
    library = self._state.library
    if matched and commit > library.commit_index:
        library.commit_index = min(commit, self._state.log.last_index)
    return taken


_take = Replication.take


def _on_ack_of_any_term(self: Replication, peer: str, term: int, *rest: Any) -> None:
    state = self._state
    if term <= state.term:
        rest = (rest[0], min(rest[1], state.log.last_index), *rest[2:])
    _on_ack(self, peer, max(term, state.term), *rest)


_on_ack = Replication.on_ack


def _heard_whatever_is_answered(self: Progress, now: float, round_: int, matched: int) -> None:
    """Who refuses an append has heard what it said of the commit index."""
    _answered(self, now, round_, matched or self.following)


_answered = Progress.answered


def _on_vote_counting_twice(self: Elections, peer: str, term: int) -> None:
    self._votes = set()
    _on_vote(self, peer, term)


_on_vote = Elections.on_vote


def _may_stand_at_once(self: Elections) -> bool:
    return True


def _hears_nobody(self: Elections) -> bool:
    return False


def _install_anything(self: Member, now: float, term: int, configuration: Any) -> bool:
    """What pysyncobj does: whatever arrives replaces the state and the whole log."""
    state = self._at(now)
    state.log.reset(configuration.index, term, configuration)
    self._membership.use_configuration()
    state.log.meta.commit_index = 0
    state.library._SyncObj__raftCommitIndex = configuration.index
    state.library.install(configuration.index)
    return True


def _take_any_snapshot(self: Snapshots, *message: Any) -> None:
    with mock.patch.object(Member, "applied_index", property(lambda self: 0)):
        _on_snapshot(self, *message)


_on_snapshot = Snapshots.on_snapshot


def _settled_retryably(self: Proposals, position: tuple[int, int], fate: Fate) -> None:
    """What pysyncobj suggests: a changed leader is a failure, so the client may try again."""
    _settled(self, position, Fate.OVERWRITTEN)


_settled = Proposals._settled


def _lose_leadership_retryably(self: Proposals, now: float) -> list:
    requests = [request for batch in self._proposed.values() for request in batch.requests]
    for batch in self._proposed.values():
        batch.requests = []
    return requests + _lose_leadership(self, now)


_lose_leadership = Proposals.lose_leadership


def _confirmed_at_once(self: Member) -> int:
    return self.round


def _confirmed_by_any_answer(self: Heartbeats, voter: str, group: int, term: int) -> int:
    """Also by one that left before the question came."""
    return math.inf if _confirmed(self, voter, group, term) else 0  # type: ignore[return-value]


_confirmed = Heartbeats.confirmed


def _confirmed_by_whom_it_follows(self: Heartbeats, voter: str, group: int, term: int) -> int:
    """Who answers is there; whom it follows by now is not asked."""
    peer = self._peers.get(voter)
    return 0 if peer is None else peer.echo


def _reads_at_once(self: MemberState) -> bool:
    return bool(self.is_leader)


def _same_incarnation(self: slave_records.Records, store: Any, writes: Any, generator: Any) -> None:
    """A directory is its slave, wiped or not."""
    with mock.patch.object(generator, "getrandbits", lambda bits: 0):
        _records(self, store, writes, generator)


_records = slave_records.Records.__init__


def _born_by_majority(self: birth.Birth) -> dict[str, str] | None:
    if len(self._seen) <= len(self._nodes) / 2:
        return None
    return {node: self._seen.get(node, "unknown") for node in self._nodes}


def _unseal_anything(key: bytes, value: bytes, what: str) -> bytes:
    return value[4:]


def _keep_configuration(self: Membership) -> None:
    """What pysyncobj does after a restart: the members are those that the caller names."""
    before, log = self._configuration, self._state.log
    _use_configuration(self)
    if before is None and len(log.configurations) > 1:
        log.configurations = log.configurations[:1]
        _use_configuration(self)


_use_configuration = Membership.use_configuration


def _is_always_settled(self: Membership) -> bool:
    return True


def _may_always_vote(self: raft_log.Log) -> bool:
    return True


def _teach_counting_all(self: Membership, learners: Sequence[str]) -> None:
    """Also what a learner acknowledged before it forgot its log counts."""
    _teach(self, learners)
    for progress in self._state.followers.values():
        progress.counts_from = 0


_teach = Membership._teach


def _cuts_nothing(self: WriteSet, group: int) -> bool:
    """What was forgotten is taken for gone with the first of the write sets that delete it."""
    return False


def _deletes_nothing(*_: object) -> bool:
    """Nor does a start look for what a crash has left of it."""
    return False


def _add_overtaking(
    self: WriteSet, operation: Operation, group: int | None = None, begins: bool = False
) -> int:
    if group not in self._apart or (begins and self._goes_apart(operation.size)):
        return _add(self, operation, group, begins)
    self._groups.add(group)
    self._operations.append(operation)
    return self.sequence


def _is_handed_out(self: WriteSet, sequence: int) -> bool:
    """What is apart counts as written with the commit that came next."""
    return _is_on_disk(self, sequence) or sequence in self._unwritten


_add, _is_on_disk = WriteSet.add, WriteSet.is_on_disk


def _always_has_a_copy(self: Membership, peer: str) -> bool:
    return True


def _down_by_one_word(
    self: FailureDetector,
    now: float,
    node: str,
    ring: Sequence[str],
    after_s: float,
) -> bool:
    others = [observer for observer in ring if observer != node]
    return node != self._me and any(self._is_silent(o, node, now - after_s) for o in others)


def _clone_nothing(self: object, generation: int) -> object:
    """A snapshot's copy shares what is written to afterwards."""
    return self


_numbers = itertools.count()


def _number_of_its_own(self: Chance) -> int:
    """Each replica chooses for itself."""
    return zlib.crc32(b"%d" % next(_numbers))


def _undo_nothing(self: Undo) -> None:
    """What a script has done before its limit ended it stays."""
    self._steps.clear()


def _listen_to_nothing(self: Blocking, line: object) -> None:
    """Whoever has found nothing is not asked again."""


def _rows_of_no_scripts(self: Scripts) -> list:
    """A snapshot has no scripts and no libraries."""
    return []


def _holds_anyway(self: Watched, conditions: Any, now_ms: int) -> bool:
    """A transaction runs whatever has become of the keys that it watched."""
    return True


def _read_unsettled(self: Store, place: int, args: Sequence[bytes], now_ms: int) -> Any:
    """What has expired by the leader's clock alone is gone, for as long as that leader lasts."""
    return self.execute(place, args, now_ms)


def _run_again(self: Store, mark: Any, place: int, args: Any, now_ms: int) -> Any:
    return self.execute(place, args, now_ms)


def _leave_unasked(self: Membership) -> None:
    """The map's word alone is enough to forget a group."""
    self.removed_at = self._state.log.configuration.index


class Cure(NamedTuple):
    """What replaces it, the most seeds that it may take to notice, with which faults, and in which
    kind of runs."""

    replacements: list[Replacement]
    seeds_max: int
    faults: Mapping[str, int] = FAULTS
    kind: type[Chaos] = Chaos


CURES = {
    "messages wait for the fsync": Cure([(Outgoing, "send", _send_ungated)], 3),
    "a leader counts its own fsync": Cure([(Member, "may_count", _may_count_any)], 3),
    "matching entries stay": Cure([(Replication, "take", _take_truncating)], 10),
    "commit what was verified": Cure([(Replication, "take", _take_committing_all)], 60),
    "who refuses has heard nothing": Cure(
        [(Progress, "answered", _heard_whatever_is_answered)], 10
    ),
    "read rounds": Cure(
        [(Member, "confirmed_round", _confirmed_at_once)], 10, {"isolation": 1, "heal": 1}
    ),
    "an overtaken write is unknown": Cure(
        [
            (Proposals, "_settled", _settled_retryably),
            (Proposals, "lose_leadership", _lose_leadership_retryably),
        ],
        10,
    ),
    "incarnations": Cure(
        [(slave_records.Records, "__init__", _same_incarnation)],
        20,
        {"lost directory behind a cut": 1, "heal": 1},
    ),
    "checksums": Cure(
        [(records, "unseal", _unseal_anything), (slave_records, "unseal", _unseal_anything)], 10
    ),
    "the configuration is in the log": Cure(
        [(Membership, "use_configuration", _keep_configuration)], 10
    ),
    "chance is in the entry": Cure(
        [(Chance, "number_for_all", _number_of_its_own)], 4, FAULTS, ContainerChaos
    ),
    "of a script that is ended nothing is left": Cure(
        [(Undo, "undo", _undo_nothing)], 4, FAULTS, ContainerChaos
    ),
    "a watched key that was touched stops its transaction": Cure(
        [(Watched, "holds", _holds_anyway)], 6, FAULTS, TransactionChaos
    ),
    "what is behind a large value waits for it": Cure(
        [(WriteSet, "add", _add_overtaking)], 6, FAULTS, LargeChaos
    ),
    "a large value is on the disk when messages speak of it": Cure(
        [(WriteSet, "is_on_disk", _is_handed_out)], 6, FAULTS, LargeChaos
    ),
    "who may be needed forgets nothing": Cure(
        [(Membership, "ask_to_leave", _leave_unasked)], 10, HEALING_FAULTS, HealingChaos
    ),
    "a live member stays while another lacks a copy": Cure(
        [(Membership, "_has_copy", _always_has_a_copy)], 10, HEALING_FAULTS, HealingChaos
    ),
    "with fewer copies, too, a live member stays while another lacks one": Cure(
        [(Membership, "_has_copy", _always_has_a_copy)], 10, REPLICAS_FAULTS, ReplicasChaos
    ),
}
# Name: what replaces it, and the test that notices.
SHOWN_ELSEWHERE: dict[str, tuple[list[Replacement], str]] = {
    **{
        f"{kind.__name__}: containers are copied on write": (
            [(kind, "clone", _clone_nothing)],
            "test_a_member_that_gets_a_snapshot_meanwhile_agrees",
        )
        for kind in (Hash, List, Set, SortedSet)
    },
    "scripts are in snapshots": (
        [(Scripts, "rows", _rows_of_no_scripts)],
        "test_a_member_that_gets_a_snapshot_meanwhile_agrees",
    ),
    "when one has taken something others are asked": (
        [(blocking, "AFTER_ONE", 0)],
        "guards speed: what one takes is a change of the key, of which the next in line is told",
    ),
    "who waits at a gateway is told of changes by then": (
        [(GatewayTracking, "wait_for", Tracking.wait_for)],
        "tests/unit/test_gateway_tracking.py: takes a link that brings what was sent later first,"
        " as TCP never does",
    ),
    "who waits is told of the next change": (
        [(Blocking, "_listen", _listen_to_nothing)],
        "test_the_same_with_consumers_of_every_kind_at_once",
    ),
    "a retry is told from a first try": (
        [(Store, "execute_once", _run_again)],
        "test_a_counter_is_exact_and_nobody_sees_an_error: takes a leader that goes between a"
        " commit and its answer, and clients that count",
    ),
    "a log is gone before it is begun again": (
        [
            (WriteSet, "is_cutting", _cuts_nothing),
            (open_groups, "delete_forgotten", _deletes_nothing),
        ],
        "tests/library/test_deleting.py: takes a crash between the write sets that delete it, and a"
        " map that wants it again",
    ),
    "what is read as expired is in the log": (
        [(Store, "read", _read_unsettled)],
        "test_a_key_that_was_seen_expired_never_comes_back",
    ),
    "a leader reads after its first commit": (
        [(MemberState, "is_ready", property(_reads_at_once))],
        "tests/library/test_reads.py: takes a new leader whose first entry is acknowledged late; a"
        " follower says that it follows when that entry has come, mostly with the acknowledgement",
    ),
    "a question comes before its answer": (
        [(Heartbeats, "confirmed", _confirmed_by_any_answer)],
        "tests/library/test_reads.py: takes a leader that reaches nobody for less time than"
        " an election takes",
    ),
    "an answer speaks of the term": (
        [(Heartbeats, "confirmed", _confirmed_by_whom_it_follows)],
        "tests/library/test_reads.py: takes a follower that is back though its leader's"
        " appends are lost",
    ),
    "acks carry a term": (
        [(Replication, "on_ack", _on_ack_of_any_term)],
        "tests/library: takes five members and an ack that two elections overtake",
    ),
    "a vote counts once": (
        [(Elections, "on_vote", _on_vote_counting_twice)],
        "tests/library: takes five members, a repeated vote and an election that is split",
    ),
    "older snapshots are refused": (
        [(Member, "install", _install_anything), (Snapshots, "on_snapshot", _take_any_snapshot)],
        "tests/library: takes a transfer that is overtaken whole by a later one",
    ),
    "pre-votes": ([(Elections, "_may_stand", _may_stand_at_once)], "guards progress"),
    "stickiness": ([(Elections, "hears_leader", _hears_nobody)], "guards progress"),
    "a birth on which all agree": (
        [(birth.Birth, "agreed", _born_by_majority)],
        "test_two_wiped_slaves_elect_nobody_without_the_third",
    ),
    "who has forgotten stands aside": (
        [(raft_log.Log, "may_vote", property(_may_always_vote))],
        "test_who_is_in_again_with_an_empty_log_elects_nobody_by_an_old_configuration",
    ),
    "who is in again counts from then on": (
        [(Membership, "_teach", _teach_counting_all)],
        "tests/library",
    ),
    "a majority of the ring takes one for dead": (
        [(FailureDetector, "is_down", _down_by_one_word)],
        "test_a_slave_that_one_other_cannot_reach_is_not_taken_for_dead",
    ),
    "one change at a time": (
        [(Membership, "is_settled", property(_is_always_settled))],
        "tests/library",
    ),
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
