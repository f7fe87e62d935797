"""What both vocabularies share: links by hand, and time by hand.  Nothing moves by itself."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any

from distrodb.raft.library import Fate

PERIOD_S = 0.1  # between heartbeats
A_PERIOD_LATER_S = PERIOD_S * 1.01
ROUNDS_MAX = 200  # of ``settle``: a cluster that has not come to rest by then never will


class Outcome:
    """What became of a write: the reason that Raft gave, or None while it is silent."""

    def __init__(self) -> None:
        self.reason: object = None  # pysyncobj's number, or our ``Fate``
        self.result: object = None

    def settled(self, fate: Fate) -> None:
        """Ours."""
        self.reason = fate

    def __call__(self, result: object, reason: int) -> None:
        self.result, self.reason = result, reason

    @property
    def is_ok(self) -> bool:
        return self.reason in (0, Fate.APPLIED)


class Links:
    """Members by one letter each, all linked.  A message lies in ``links[sender, receiver]`` until
    it is delivered; a link that is cut loses what lies in it, as TCP does."""

    def __init__(self) -> None:
        self.members: dict[str, Any] = {}
        self.links: dict[tuple[str, str], deque] = defaultdict(deque)
        self.cuts: set[frozenset[str]] = set()
        self.history: list[tuple[str, str, Any]] = []  # all that was ever sent

    def __getitem__(self, name: str) -> Any:
        return self.members[name]

    # What the two vocabularies do differently.

    def hand_over(self, sender: str, receiver: str, message: Any) -> None:
        raise NotImplementedError

    def report(self, name: str, other: str, up: bool) -> None:
        raise NotImplementedError

    def pass_time(self, seconds: float) -> None:
        raise NotImplementedError

    def tick_one(self, name: str) -> None:
        raise NotImplementedError

    def kind(self, message: Any) -> Any:
        raise NotImplementedError

    def stand(self, name: str) -> None:
        raise NotImplementedError

    # -- links -------------------------------------------------------------------------------

    def sent(self, sender: str, receiver: str, message: Any) -> None:
        self.history.append((sender, receiver, message))
        if frozenset((sender, receiver)) not in self.cuts:
            self.links[sender, receiver].append(message)

    def under_way(self, sender: str, receiver: str, kind: Any = None) -> list:
        link = self.links[sender, receiver]
        return [message for message in link if kind in (None, self.kind(message))]

    def deliver(self, sender: str, receiver: str, count: int = 10_000) -> list:
        """Hand over the oldest messages of one link, and say which."""
        link = self.links[sender, receiver]
        delivered = [link.popleft() for _ in range(min(count, len(link)))]
        for message in delivered:
            self.hand_over(sender, receiver, message)
        return delivered

    def lose(self, sender: str, receiver: str) -> list:
        """Take what is under way on one link out of it."""
        lost = list(self.links[sender, receiver])
        self.links[sender, receiver].clear()
        return lost

    def cut(self, name: str, *others: str) -> None:
        for other in others or list(self.members):
            if other != name and frozenset((name, other)) not in self.cuts:
                self.cuts.add(frozenset((name, other)))
                self.lose(name, other)
                self.lose(other, name)
                self._report_both(name, other, up=False)

    def join(self, name: str, *others: str) -> None:
        for other in others or list(self.members):
            if frozenset((name, other)) in self.cuts:
                self.cuts.remove(frozenset((name, other)))
                self._report_both(name, other, up=True)

    def _report_both(self, name: str, other: str, up: bool) -> None:
        self.report(name, other, up)
        self.report(other, name, up)

    # -- time --------------------------------------------------------------------------------

    def tick(self, *names: str, after_s: float = A_PERIOD_LATER_S) -> None:
        """Let the members tick once, by default when a heartbeat is due."""
        self.pass_time(after_s)
        for name in names:
            self.tick_one(name)

    def settle(self, *names: str, until: Callable[[], bool] = lambda: False) -> None:
        """Deliver and tick among these members (all of them by default) until nothing changes."""
        chosen = names or tuple(self.members)
        quiet = 0
        for _ in range(ROUNDS_MAX):
            before = self._state(chosen)
            self.tick(*chosen)
            for _ in range(2):  # there and back
                for sender in chosen:
                    for receiver in chosen:
                        self.deliver(sender, receiver)
            self.tick(*chosen, after_s=0.0)
            quiet = quiet + 1 if self._state(chosen) == before else 0
            if until() or quiet == 2:
                return
        raise AssertionError("the cluster does not come to rest")

    def run(self, seconds: float, *names: str) -> None:
        """Let time pass, heartbeats included, among these members."""
        for _ in range(round(seconds / PERIOD_S)):
            self.tick(*names)
            for _ in range(2):
                for sender in names:
                    for receiver in names:
                        self.deliver(sender, receiver)

    def _state(self, names: Iterable[str]) -> list:
        members = [self[name] for name in names]
        return [(m.term, m.leads, m.last_index, m.commit_index, m.applied_index) for m in members]

    # -- leaders -----------------------------------------------------------------------------

    def lead(self, name: str) -> Any:
        """The usual beginning: a leader that everybody follows."""
        self.elect(name)
        self.settle()
        return self

    def elect(self, name: str, *voters: str) -> None:
        """Let a member be elected by these (by all); its first append is on its way then."""
        assert not self[name].leads, f"{name} leads already"
        voters = voters or tuple(other for other in self.members if other != name)
        self.stand(name)
        for voter in voters:
            self.deliver(name, voter)
            self.deliver(voter, name)
        assert self[name].leads, f"{name} was not elected"

    def counts_of(self, value: Any) -> list[int]:
        """How often each member's state holds a value."""
        return [self[name].values.count(value) for name in sorted(self.members)]
