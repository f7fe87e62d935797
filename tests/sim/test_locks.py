"""Nobody holds a lock together with another one, and tokens grow; without one of the cures that see
to it this is noticed."""

from unittest import mock

import pytest

from distrodb.client import lease
from distrodb.client.lease import Claim, Lease
from distrodb.client.request import Request
from tests.sim.locks import World
from tests.support.leases import Held, wrong

VIRTUAL_S = 300.0


def judged(seed: int) -> list[str]:
    held = World(seed).run(VIRTUAL_S)
    assert len(held) > 100
    return wrong(one_each(held))


def one_each(held: list[Held]) -> list[Held]:
    """A lease that was renewed is one, from its first moment to its last."""
    leases: dict[tuple[str, int], Held] = {}
    for each in held:
        known = leases.setdefault((each.who, each.token), each)
        leases[each.who, each.token] = known._replace(until=max(known.until, each.until))
    return list(leases.values())


# Any would do; each is a tenth of a second.
@pytest.mark.parametrize("seed", range(20))
def test_one_at_a_time_and_tokens_grow(seed):
    assert judged(seed) == []


def from_now(self, asked):
    """Time from after the answer: a holder believes for longer than the table does."""
    return World.current.now + self.ttl_s * lease.BELIEVED


def release_any(claim):
    """Whose lock it is by now is not asked."""
    yield Request((("DEL", claim.key),), claim.key, is_repeatable=True)
    return True


def renew_any(claim, clock, token=None):
    asked = clock()
    _, counter = yield Request(
        (("SET", claim.key, claim.owner, "PX", claim.ttl_ms), ("GET", claim.counter)),
        claim.key,
        is_repeatable=True,
        is_atomic=True,
    )
    return Lease(int(counter) if token is None else token, claim.until(asked))


def take_any(claim):
    """Also what another one has."""
    return Request(
        (("INCR", claim.counter), ("SET", claim.key, claim.owner, "PX", claim.ttl_ms)), claim.key
    )


# Each contender counts by itself.
counter_of_one = property(lambda self: f"{self.key}:{self.owner}")


CURES = {
    "time counts from before the question": (Claim, "until", from_now),
    "a tenth of the time is not believed in": (lease, "BELIEVED", 1.0),
    "only the holder releases": (lease, "release", release_any),
    "only the holder renews": (lease, "renew", renew_any),
    "only what is free is taken": (lease, "_take", take_any),
    "all holders count with one counter": (Claim, "counter", counter_of_one),
}


@pytest.mark.parametrize("cure", CURES)
def test_a_removed_cure_is_noticed(cure):
    with mock.patch.object(*CURES[cure]):
        assert any(judged(seed) for seed in range(10))
