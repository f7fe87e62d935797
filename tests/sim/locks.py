"""Locks in virtual time: contenders run distrodb/client/lease.py against a table of keys.

A request reaches the table after a while, and its answer comes after another one, late, or never;
then the contender may be told of the outcome before the request has come into effect.  Contenders
forget to look at their clocks before they renew or release, as programs do.  The table's time runs
a tenth faster than theirs, the most that a leader's does (raft/steady_time.py).
"""

import heapq
import itertools
import random
from collections.abc import Callable, Generator
from typing import Any

from distrodb.client import lease
from distrodb.client.lease import Claim
from distrodb.client.request import OutcomeUnknown, Pause, Request
from tests.support.leases import Held

TTL_S = 1.0
FASTER = 1.1
CONTENDERS = 4
LATE, LOST = 0.15, 0.08  # the share of answers


class Table:
    """The commands that leases use, as Redis has them."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[bytes, float]] = {}

    def run(self, request: Request, now: float) -> list[Any]:
        return [self._one(command, now) for command in request.commands]

    def _get(self, key: str, now: float) -> bytes | None:
        value, until = self._values.get(key, (None, 0.0))
        return value if now < until else None

    def _one(self, command: tuple, now: float) -> Any:
        name, key, *rest = command
        found = self._get(key, now)
        match [name, *rest]:
            case ["GET"]:
                return found
            case ["INCR"]:
                value = int(found or 0) + 1
                self._values[key] = (b"%d" % value, float("inf"))
                return value
            case ["SET", value, *conditions, "PX", ms]:
                if "NX" in conditions and found is not None:
                    return None
                if "IFEQ" in conditions and found != conditions[1].encode():
                    return None
                self._values[key] = (value.encode(), now + ms / 1000)
                return b"OK"
            case ["DELEX", "IFEQ", value]:
                if found != value.encode():
                    return 0
                del self._values[key]
                return 1
            case ["DEL"]:
                return int(self._values.pop(key, None) is not None)
        raise AssertionError(command)


class World:
    current: "World"  # the last that was made

    def __init__(self, seed: int):
        self._random = random.Random(seed)
        self._table, self.now = Table(), 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.held: list[Held] = []
        World.current = self

    def run(self, virtual_s: float) -> list[Held]:
        for number in range(CONTENDERS):
            self._go_on(self._contender(f"c{number}"), None)
        while self._events and self.now < virtual_s:
            self.now, _, event = heapq.heappop(self._events)
            event()
        return self.held

    def clock(self) -> float:
        return self.now

    def _contender(self, who: str) -> Generator[Request | Pause, Any, None]:
        for turn in itertools.count():
            claim = Claim("x", f"{who}.{turn}", TTL_S)
            held = yield from lease.acquire(claim, self.clock, None)
            assert held is not None
            since = self.now
            while held is not None:
                # It looks at its clock up to now or until its time is over, and no further.
                begun = self.now
                yield Pause(self._random.choice((0.05, 0.3, 0.7, 1.2)))
                if begun < held.until:
                    self.held.append(Held(who, held.token, since, min(held.until, self.now)))
                if self._random.random() < 0.5:
                    break
                held = yield from lease.renew(claim, self.clock, held.token)
                since = self.now
            if held is not None and self._random.random() < 0.8:
                yield from lease.release(claim)
            yield Pause(self._random.random() * 0.2)

    def _go_on(self, steps: Generator[Request | Pause, Any, None], answer: Any) -> None:
        asked = steps.throw(answer) if isinstance(answer, Exception) else steps.send(answer)
        if isinstance(asked, Pause):
            self._later(asked.seconds, lambda: self._go_on(steps, None))
        else:
            self._send(steps, asked)

    def _send(self, steps: Generator[Request | Pause, Any, None], request: Request) -> None:
        chance = self._random
        there = chance.random() * 0.01
        if chance.random() < LOST and not request.is_repeatable:
            takes_effect = chance.choice((0.0, there, chance.random() * 2))
            if chance.random() < 0.7:
                self._later(takes_effect, lambda: self._run(request))
            self._later(0.5, lambda: self._go_on(steps, OutcomeUnknown("lost")))
            return

        def arrive() -> None:
            answer = self._run(request)
            back = chance.random() * (TTL_S * 1.5 if chance.random() < LATE else 0.01)
            self._later(back, lambda: self._go_on(steps, answer))

        self._later(there, arrive)

    def _run(self, request: Request) -> list[Any]:
        return self._table.run(request, self.now * FASTER)

    def _later(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), event))
