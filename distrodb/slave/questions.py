"""What one slave asks all others of their clients, for a gateway that speaks for all of them: how
many have received a message, who listens to what.  Pure.

An answer is awaited from each slave that was linked when it was asked, for a bounded time; one that
does not answer, or whose link breaks, counts as one with no clients.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

from distrodb.slave.links.framing import PUBLISHED
from distrodb.slave.outgoing import Outgoing

ANSWER_S = 1.0  # that an answer is waited for
ANSWER = 2  # the first field of an answer; of what is asked see pubsub.py

Answers = list[Any]


class _Open:
    def __init__(self, peers: Iterable[str], own: Any, done: Callable[[Answers], None]):
        self.missing, self.answers, self.done = set(peers), [own], done
        self.given_up_at = 0.0


class Questions:
    def __init__(self, outgoing: Outgoing, peers: Iterable[str]):
        """``peers``: the slaves that are linked at the moment."""
        self._outgoing, self._peers = outgoing, peers
        self._open: dict[int, _Open] = {}  # in the order in which they are given up
        self._asked = 0
        # Seconds: when ``give_up`` is to be called; not after the oldest is to be given up.
        self.next_due = math.inf

    def ask(
        self,
        now: float,
        words: tuple[Any, ...],
        size: int,
        own: Any,
        done: Callable[[Answers], None],
        peer: str | None = None,
    ) -> None:
        """``words``: the kind of the question, and what it needs; the number goes in between.
        ``own``: this slave's answer; ``peer``: the only one that is asked."""
        asked = _Open([each for each in self._peers if peer in (None, each)], own, done)
        if not asked.missing:
            done(asked.answers)
            return
        self._asked += 1
        asked.given_up_at = now + ANSWER_S
        self._open[self._asked] = asked
        self.next_due = min(self.next_due, asked.given_up_at)
        question = (words[0], self._asked, *words[1:])
        for peer in asked.missing:
            self._outgoing.send_parcel(peer, (PUBLISHED, [question], size))

    def answer(self, peer: str, number: int, answer: Any, size: int) -> None:
        """To a peer's question."""
        self._outgoing.send_parcel(peer, (PUBLISHED, [(ANSWER, number, answer)], size))

    def answered(self, peer: str, number: int, answer: Any) -> None:
        asked = self._open.get(number)
        if asked is not None and peer in asked.missing:
            asked.answers.append(answer)
            self._is_out(number, asked, peer)

    def link_down(self, peer: str) -> None:
        for number, asked in list(self._open.items()):
            self._is_out(number, asked, peer)

    def _is_out(self, number: int, asked: _Open, peer: str) -> None:
        asked.missing.discard(peer)
        if not asked.missing:
            self._close(number, asked)

    def give_up(self, now: float) -> None:
        """Those whose time has passed, if ``next_due`` has."""
        while self._open and now >= self.next_due:
            number, asked = next(iter(self._open.items()))
            self.next_due = asked.given_up_at
            if now >= self.next_due:
                self._close(number, asked)

    def _close(self, number: int, asked: _Open) -> None:
        del self._open[number]
        if not self._open:
            self.next_due = math.inf
        asked.done(asked.answers)
