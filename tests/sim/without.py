"""The cures, each of which can be switched off, to show that the simulator notices.

Test-only: a cure is removed by replacing the piece of code that is it, for one run.  The rows give
the cure's name, how it is removed, and the greatest number of seeds until the simulator noticed.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from distrodb.raft import journal
from distrodb.raft.engine import FAIL_REASON, Engine
from distrodb.raft.group import Group
from distrodb.raft.journal import Journal
from distrodb.slave import birth
from distrodb.slave.core import Core

Replacement = tuple[Any, str, Any]  # owner, name, new


def _send_ungated(self: Core, name: str, message: list, gate: int) -> None:
    _send(self, name, message, 0)


_send = Core._send


def _entries_undurable(self: Engine, index: int, count: Any = None, _: Any = None) -> list:
    return self.journal.between(index, index + (count or len(self.journal)) - 1)


def _on_append_truncating(self: Engine, node: Any, term: int, previous: int, *rest: Any) -> None:
    """What pysyncobj does: whatever is behind the previous entry is cut off first."""
    log = self.journal
    if term >= self.term and log.term_at(previous) == rest[0] and log.last_index > previous:
        log.meta.commit_index = min(log.meta.commit_index, previous)
        if previous >= log.first_index:
            log.truncate(previous + 1)
    _on_append(self, node, term, previous, *rest)


_on_append = Engine._on_append


def _on_append_commits_all(
    self: Engine, node: Any, term: int, previous: int, previous_term: int, commit: int, *rest: Any
) -> None:
    """What pysyncobj does: commit as far as the leader, whatever this message verified."""
    matched = term >= self.term and self.journal.term_at(previous) == previous_term
    _on_append(self, node, term, previous, previous_term, commit, *rest)
    if matched and commit > self.commit_index:
        self._set_commit_index(min(commit, self.journal.last_index))


def _on_ack_of_any_term(self: Engine, node: Any, term: int, *rest: Any) -> None:
    if term <= self.term:
        rest = (rest[0], min(rest[1], self.journal.last_index), *rest[2:])
    _on_ack(self, node, max(term, self.term), *rest)


_on_ack = Engine._on_ack


def _receive_counting_twice(self: Engine, now: float, peer: str, message: list) -> None:
    self._votes = set()
    _receive(self, now, peer, message)


_receive = Engine.receive


def _may_stand_at_once(self: Engine) -> bool:
    return True


def _is_anybody_alive(self: Engine) -> bool:
    return False


def _install_anything(self: Engine, now: float, term: int, configuration: Any) -> bool:
    """What pysyncobj does: whatever arrives replaces the state and the whole log."""
    self._at(now)
    self.journal.reset(configuration.index, term, configuration)
    self._use_configuration()
    self._SyncObj__raftLastApplied = configuration.index
    self._set_commit_index(configuration.index)
    return True


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


def _confirmed_at_once(self: Engine) -> int:
    return self._round


def _reads_at_once(self: Engine) -> bool:
    return bool(self.is_leader)


def _load_unclamped(self: Journal, store: Any) -> bool:
    meta = journal.load_meta(store, self.group)
    loaded = _load(self, store)
    if meta is not None:
        self.meta.commit_index = meta.commit_index
    return loaded


_load = Journal.load


def _same_incarnation(self: birth.Memory, *args: Any) -> None:
    """A directory is its slave, wiped or not."""
    _memory(self, *args)
    self.incarnation = "0"


_memory = birth.Memory.__init__


def _born_at_once(self: birth.Birth) -> dict[str, str]:
    return dict.fromkeys(self._nodes, "0")


def _born_alone(self: birth.Birth) -> dict[str, str]:
    return {node: self._seen.get(node, "0") for node in self._nodes}


def _unseal_anything(key: bytes, value: bytes, what: str) -> bytes:
    return value[4:]


def _keep_configuration(self: Engine) -> None:
    """What pysyncobj does after a restart: the members are those that the caller names."""
    before = self._configuration
    _use_configuration(self)
    if before is None and len(self.journal.configurations) > 1:
        self.journal.configurations = self.journal.configurations[:1]
        _use_configuration(self)


_use_configuration = Engine._use_configuration


def _has_caught_up_at_once(self: Engine, peer: str) -> bool:
    return peer in self.learners


CURES: dict[str, list[Replacement]] = {
    "messages wait for the fsync": [(Core, "_send", _send_ungated)],
    "a leader counts its own fsync": [(Engine, "_SyncObj__getEntries", _entries_undurable)],
    "matching entries stay": [(Engine, "_on_append", _on_append_truncating)],
    "commit what was verified": [(Engine, "_on_append", _on_append_commits_all)],
    "acks carry a term": [(Engine, "_on_ack", _on_ack_of_any_term)],
    "a vote counts once": [(Engine, "receive", _receive_counting_twice)],
    "read rounds": [(Engine, "confirmed_round", _confirmed_at_once)],
    "a leader reads after its first commit": [(Engine, "is_ready", property(_reads_at_once))],
    "older snapshots are refused": [(Engine, "install", _install_anything)],
    "an overtaken write is unknown": [
        (Group, "_settled", _settled_retryably),
        (Group, "_lose_leadership", _lose_leadership_retryably),
    ],
    "the commit index is clamped": [(Journal, "load", _load_unclamped)],
    "incarnations": [
        (birth.Memory, "__init__", _same_incarnation),
        (birth.Birth, "agreed", _born_at_once),
    ],
    "a birth on which all agree": [(birth.Birth, "agreed", _born_alone)],
    "checksums": [(journal, "unseal", _unseal_anything), (birth, "unseal", _unseal_anything)],
    "the configuration is in the log": [(Engine, "_use_configuration", _keep_configuration)],
    "a learner catches up first": [(Engine, "_has_caught_up", _has_caught_up_at_once)],
    "pre-votes": [(Engine, "_may_stand", _may_stand_at_once)],
    "stickiness": [(Engine, "_leader_is_alive", _is_anybody_alive)],
}


@contextlib.contextmanager
def without(cure: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for owner, name, new in CURES[cure]:
            stack.enter_context(mock.patch.object(owner, name, new))
        yield


def seeds_until_noticed(cure: str, run: Callable[[int], object], seeds: range) -> tuple[int, str]:
    """How many seeds it took, and what was noticed; (0, "") when nothing was."""
    with without(cure):
        for count, seed in enumerate(seeds, 1):
            try:
                run(seed)
            except Exception as problem:
                return count, f"{type(problem).__name__}: {str(problem).splitlines()[0]}"
    return 0, ""
