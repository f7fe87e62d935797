"""Locks: something is one's own for a time, with a number that only grows.

Pure; the clock is given.  What holds, whoever leads, dies, hangs or answers late:

- To take a lock is one transaction, ``INCR`` of the counter and ``SET … NX PX`` of the lock, so one
  entry of a log: **each holder's token is greater than those of all before it.**  An attempt that
  fails uses a number up.
- A holder counts its time from *before* it asked, and ``BELIEVED`` of it only: the slaves' time may
  gain a tenth (docs/design.md), so it stops believing before they do.
- It is known by a random word.  If the answer is lost, the lock is asked for by that word; an
  attempt that comes into effect late holds the lock for nobody, and no longer than its time.  Then
  the token is the counter as it is at the moment of the question, in one transaction with it:
  greater than that of all holders before, and less than any later one's.
- Only the holder renews or releases it (``SET … IFEQ``, ``DELEX … IFEQ``).

Caveat: a process that hangs between a look at its clock and what it does then believes too long;
no lock can mend that.  What is guarded has to refuse a token that is less than one it has seen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from distrodb.client.request import OutcomeUnknown, Pause, Request, Steps

BELIEVED = 0.9  # of its time; see above
POLL_S = 0.05  # between two looks at a lock that another one has
TTL_S_MIN = 0.01

Clock: TypeAlias = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Lease:
    token: int
    until: float  # of the clock that was given: it is believed in before that


@dataclass(frozen=True, slots=True)
class Claim:
    """Who wants what, for how long."""

    name: str
    owner: str
    ttl_s: float

    def __post_init__(self) -> None:
        if not self.name or self.name.startswith("}"):
            raise ValueError(f"a lock's name is not empty and begins with no '}}': {self.name!r}")
        if not TTL_S_MIN <= self.ttl_s < 1e9:
            raise ValueError(f"ttl_s is {self.ttl_s}; use {TTL_S_MIN} s or more")

    @property
    def key(self) -> str:
        return f"{{{self.name}}}:lock"

    @property
    def counter(self) -> str:
        return f"{{{self.name}}}:token"

    @property
    def ttl_ms(self) -> int:
        return int(self.ttl_s * 1000)

    def until(self, asked: float) -> float:
        return asked + self.ttl_s * BELIEVED


def try_acquire(claim: Claim, clock: Clock) -> Steps[Lease | None]:
    """None: another one has it."""
    (found,) = yield _look(claim)
    if found == claim.owner.encode():  # an attempt whose answer was lost
        return (yield from renew(claim, clock))
    if found is not None:
        return None  # without a write
    asked = clock()
    try:
        token, done = yield _take(claim)
    except OutcomeUnknown:
        return (yield from renew(claim, clock))
    return Lease(int(token), claim.until(asked)) if done is not None else None


def acquire(claim: Claim, clock: Clock, timeout_s: float | None) -> Steps[Lease | None]:
    """None: for ``timeout_s`` another one had it."""
    begun = clock()
    while True:
        lease = yield from try_acquire(claim, clock)
        if lease is not None:
            return lease
        if timeout_s is not None and clock() - begun >= timeout_s:
            return None
        yield Pause(POLL_S)


def renew(claim: Claim, clock: Clock, token: int | None = None) -> Steps[Lease | None]:
    """From now on for its whole time.  None: it is another one's, or nobody's."""
    asked = clock()
    done, counter = yield Request(
        (
            ("SET", claim.key, claim.owner, "IFEQ", claim.owner, "PX", claim.ttl_ms),
            ("GET", claim.counter),
        ),
        claim.key,
        is_repeatable=True,
        is_atomic=True,
    )
    if done is None:
        return None
    return Lease(int(counter) if token is None else token, claim.until(asked))


def release(claim: Claim) -> Steps[bool]:
    """Whether it was ours until now."""
    command = ("DELEX", claim.key, "IFEQ", claim.owner)
    try:
        (count,) = yield Request((command,), claim.key)
        return bool(count)
    except OutcomeUnknown:
        yield Request((command,), claim.key, is_repeatable=True)
        return True


def holder(claim: Claim) -> Steps[bytes | None]:
    """Its word."""
    (found,) = yield _look(claim)
    return found if found is None else bytes(found)


def _take(claim: Claim) -> Request:
    return Request(
        (
            ("INCR", claim.counter),
            ("SET", claim.key, claim.owner, "NX", "PX", claim.ttl_ms),
        ),
        claim.key,
        is_atomic=True,
    )


def _look(claim: Claim) -> Request:
    return Request((("GET", claim.key),), claim.key, is_repeatable=True)
