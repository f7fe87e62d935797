"""Locks while the slaves that lead them are killed and hang: judged by who believed to hold them.

Some answers reach a contender late, as over a slow network, or are lost; some contenders do not
look at their clocks before they renew or release.
"""

import contextlib
import os
import random
import threading
import time
from collections.abc import Iterable
from unittest import mock

import pytest
import redis

from distrodb import LocalCluster
from distrodb.client import lease
from distrodb.client.lease import Claim
from distrodb.client.link import Link
from distrodb.client.locks import Lock
from distrodb.client.options import where
from distrodb.client.request import LeaseLost, Request
from distrodb.clock import monotonic
from tests.faults.recording import lasting, seeded
from tests.faults.story import leader_of
from tests.sim.test_locks import release_any, renew_any
from tests.support.leases import Held, wrong

TTL_S = 0.6
CONTENDERS = 4
NAME = "x"
FAULTS = 2  # it hangs once, and dies once
SOAK_S = float(os.environ.get("DISTRODB_FAULT_S") or 600)


class UnsteadyLink(Link):
    """Some of what it is answered is late, some is lost."""

    chance: random.Random

    def exchange(self, connection, request: Request):
        was_sent, result = super().exchange(connection, request)
        if request.is_atomic:
            luck = self.chance.random()
            if luck < 0.1:
                time.sleep(self.chance.random() * TTL_S * 1.5)
            elif luck < 0.2:
                return True, redis.ConnectionError("lost by the test")
        return was_sent, result


class Contender(threading.Thread):
    def __init__(self, cluster: LocalCluster, number: int, seed: int):
        super().__init__(daemon=True)
        addresses = list(cluster.addresses.values())
        self._link = UnsteadyLink(where(addresses, None, 1.0), 5.0)
        self._link.chance = self._chance = random.Random(seed * 100 + number)
        self._stop_asked = threading.Event()
        self.held: list[Held] = []

    def run(self) -> None:
        while not self._stop_asked.is_set():
            with contextlib.suppress(redis.RedisError, OSError):
                lock = Lock(self._link, NAME, TTL_S)
                if lock.acquire(1.0):
                    self._hold(lock)
            time.sleep(self._chance.random() * 0.03)
        self._link.close()

    def _hold(self, lock: Lock) -> None:
        is_new = True
        while True:
            since, token = monotonic(), lock.token
            until = since + self._chance.choice((0.02, 0.1, 0.5, 0.9))
            while (now := monotonic()) < until:
                if lock.is_held:  # looked at behind ``now``, so it was held then
                    if is_new:
                        self.held.append(Held(self.name, token, since, now))
                        is_new = False
                    self.held[-1] = self.held[-1]._replace(until=now)
                time.sleep(0.01)
            if self._chance.random() < 0.5:
                break
            lock.renew()
        lock.release()

    def finish(self) -> None:
        self._stop_asked.set()
        self.join(60)
        assert not self.is_alive(), "a lock hangs"


def contend(cluster: LocalCluster, turns: Iterable[int], chance: random.Random) -> list[Held]:
    contenders = [Contender(cluster, n, chance.randrange(1 << 30)) for n in range(CONTENDERS)]

    def held() -> list[Held]:
        return [each for contender in contenders for each in list(contender.held)]

    def goes_on(more: int) -> None:
        goal = len(held()) + more
        cluster.wait_until(lambda: len(held()) >= goal, "the lock is taken again", 60.0)

    for contender in contenders:
        contender.start()
    try:
        goes_on(3)
        for turn in turns:
            victim = leader_of(cluster, Claim(NAME, "-", TTL_S).key)
            if turn % 2:
                cluster.kill(victim)
                goes_on(2)
                cluster.start(victim)
            else:
                cluster.pause(victim)
                goes_on(2)
                cluster.resume(victim)
            goes_on(1)
    finally:
        for contender in contenders:
            contender.finish()
    return held()


def test_one_at_a_time_and_tokens_grow(three):
    found = contend(three, range(FAULTS), seeded())
    assert wrong(found) == []
    assert len({each.who for each in found}) > 1


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_one_at_a_time_for_long(three):
    assert wrong(contend(three, lasting(SOAK_S), seeded(is_soak=True))) == []


def _until_from_now(self: Claim, asked: float) -> float:
    return monotonic() + self.ttl_s


CURES = {
    "time counts from before the question": (Claim, "until", _until_from_now),
    "only the holder releases": (lease, "release", release_any),
    "only the holder renews": (lease, "renew", renew_any),
    "all holders count with one counter": (
        Claim,
        "counter",
        property(lambda self: f"{self.key}:{self.owner}"),
    ),
}


@pytest.mark.soak
@pytest.mark.parametrize("cure", CURES)
def test_a_removed_cure_is_noticed(three, cure):
    """Quickly, and for certain, in tests/sim/test_locks.py; here with real slaves."""
    with mock.patch.object(*CURES[cure]), contextlib.suppress(LeaseLost):
        assert wrong(contend(three, range(20), seeded()))
