"""``Lock`` and ``Election``, for programs that wait; what holds of them is said in ``lease``."""

import contextlib
import secrets
from collections.abc import Iterator
from types import TracebackType

import redis

from distrodb.client import lease
from distrodb.client.lease import Claim, Lease
from distrodb.client.link import Link
from distrodb.client.request import LeaseLost
from distrodb.clock import monotonic, sleep


class Lock:
    """``with db.lock("report", ttl_s=10) as lock: store(…, lock.token)``

    At most one has it at a time, as far as clocks go: give ``token`` along to whatever is guarded,
    and let that refuse one that is less than the greatest it has seen.  It is not renewed by
    itself: call ``renew`` well before ``left_s`` ends.  One object is for one thread, and not
    taken twice.
    """

    def __init__(self, link: Link, name: str, ttl_s: float, word: str = ""):
        Claim(name, "-", ttl_s)  # raises ValueError
        self._link, self._name, self._ttl_s, self._word = link, name, ttl_s, word
        self._claim: Claim | None = None
        self._lease: Lease | None = None

    def acquire(self, timeout_s: float | None = None) -> bool:
        """Waits ``timeout_s`` seconds (None: as long as it takes; 0: not at all); whether it is
        ours.  Raises redis-py's errors if the cluster does not answer."""
        if self.is_held:
            raise RuntimeError(f"lock {self._name}: it is held already")
        owner = f"{secrets.token_hex(16)} {self._word}"
        self._claim = Claim(self._name, owner, self._ttl_s)
        self._lease = self._link.run(lease.acquire(self._claim, monotonic, timeout_s))
        return self._lease is not None

    def renew(self) -> None:
        """For its whole time from now.  Raises ``LeaseLost``; after another error it is ours for
        ``left_s``, as before."""
        claim, old = self._mine()
        new = self._link.run(lease.renew(claim, monotonic, old.token))
        if new is None:
            self._lease = None
            raise LeaseLost(f"lock {self._name}: it ended before it was renewed")
        self._lease = new

    def release(self) -> bool:
        """Whether it was ours until now.  If the cluster does not answer it ends with its time."""
        claim, _ = self._mine()
        self._lease = None
        return self._link.run(lease.release(claim))

    def check(self) -> None:
        """Raises ``LeaseLost`` unless it is ours by the clock."""
        if not self.is_held:
            raise LeaseLost(f"lock {self._name}: its time is over")

    @property
    def is_held(self) -> bool:
        """By the clock; nobody is asked."""
        return self.left_s > 0

    @property
    def left_s(self) -> float:
        """Seconds for which it is ours if it is not renewed."""
        return 0.0 if self._lease is None else max(0.0, self._lease.until - monotonic())

    @property
    def token(self) -> int:
        """Greater than that of all who had it before.  Raises ``LeaseLost``."""
        return self._mine()[1].token

    def _mine(self) -> tuple[Claim, Lease]:
        if self._claim is None or self._lease is None:
            raise LeaseLost(f"lock {self._name}: it is not held")
        return self._claim, self._lease

    def __enter__(self) -> "Lock":
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raises ``LeaseLost`` if it had ended before the block did.  A cluster that does not
        answer is no error here: the lock ends with its time."""
        was_held = self.is_held
        if self._lease is not None:
            with contextlib.suppress(redis.RedisError, OSError):
                was_held = self.release() and was_held
        if not was_held and kind is None:
            raise LeaseLost(f"lock {self._name}: its time was over before the block was")


class Election:
    """One leader of several candidates: a lock whose holder others can see.

    ``with db.election("jobs", "host1") as me:`` waits until this one leads; then ``me.renew()`` now
    and then, and ``me.token`` goes along with what it does.
    """

    def __init__(self, link: Link, name: str, ttl_s: float, candidate: str):
        self._link, self._name, self._ttl_s = link, name, ttl_s
        self._lock = Lock(link, name, ttl_s, candidate)

    def campaign(self, timeout_s: float | None = None) -> bool:
        """Waits until it leads, ``timeout_s`` seconds at most; whether it does."""
        return self._lock.acquire(timeout_s)

    def renew(self) -> None:
        """Raises ``LeaseLost``."""
        self._lock.renew()

    def resign(self) -> bool:
        """Another one may lead at once.  Whether it led until now."""
        return self._lock.release()

    @property
    def is_leader(self) -> bool:
        """By the clock; nobody is asked."""
        return self._lock.is_held

    @property
    def left_s(self) -> float:
        """Seconds for which it leads if it does not renew."""
        return self._lock.left_s

    @property
    def token(self) -> int:
        """Greater than that of all leaders before.  Raises ``LeaseLost``."""
        return self._lock.token

    def leader(self) -> str | None:
        """The candidate that leads, as the cluster has it; None if none does."""
        word = self._link.run(lease.holder(Claim(self._name, "-", self._ttl_s)))
        return None if word is None else word.decode().partition(" ")[2]

    def observe(self, every_s: float = 0.5) -> Iterator[str | None]:
        """The leader, and the next whenever it is another one; it is asked for every ``every_s``
        seconds, so who leads for less may be missed.  It never ends."""
        told = False
        last = None
        while True:
            now = self.leader()
            if now != last or not told:
                told, last = True, now
                yield now
            sleep(every_s)

    def __enter__(self) -> "Election":
        self.campaign()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """As that of ``Lock``."""
        self._lock.__exit__(kind, error, trace)
