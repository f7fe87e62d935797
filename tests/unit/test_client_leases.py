"""What a holder of a lock believes, step by step: the answers are given here."""

from collections.abc import Iterable

import pytest

from distrodb.client import lease
from distrodb.client.lease import Claim, Lease
from distrodb.client.request import OutcomeUnknown, Pause, Request

CLAIM = Claim("jobs", "me", 10.0)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def run(steps, answers: Iterable[object], clock: Clock, takes_s: float = 1.0):
    """Each answer takes its time.  Returns the result and the names of what was asked."""
    names, answers = [], iter(answers)
    try:
        asked = next(steps)
        while True:
            names.append("pause" if isinstance(asked, Pause) else asked.commands[0][0])
            clock.now += asked.seconds if isinstance(asked, Pause) else takes_s
            answer = None if isinstance(asked, Pause) else next(answers)
            asked = steps.throw(answer) if isinstance(answer, Exception) else steps.send(answer)
    except StopIteration as done:
        return done.value, names


def test_time_counts_from_before_the_question():
    found, names = run(lease.try_acquire(CLAIM, clock := Clock()), [[None], [7, b"OK"]], clock)
    # It looked for a second; the lock was asked for at 101 and answered at 102.
    assert found == Lease(7, 101 + 10 * lease.BELIEVED) and names == ["GET", "INCR"]


def test_a_lock_that_is_taken_is_not_written_to():
    assert run(lease.try_acquire(CLAIM, Clock()), [[b"other"]], Clock()) == (None, ["GET"])


def test_who_loses_the_race_has_no_lock():
    assert run(lease.try_acquire(CLAIM, Clock()), [[None], [8, None]], Clock())[0] is None


def test_a_lost_answer_is_asked_for_and_its_time_is_that_of_the_question():
    answers = [[None], OutcomeUnknown(), [b"OK", b"9"]]
    found, names = run(lease.try_acquire(CLAIM, clock := Clock()), answers, clock)
    assert found == Lease(9, 102 + 10 * lease.BELIEVED) and names == ["GET", "INCR", "SET"]


def test_a_lost_answer_of_what_did_not_happen_is_no_lock():
    answers = [[None], OutcomeUnknown(), [None, b"9"]]
    assert run(lease.try_acquire(CLAIM, Clock()), answers, Clock())[0] is None


def test_an_attempt_that_takes_effect_late_is_found():
    answers = [[None], OutcomeUnknown(), [None, None], [b"me"], [b"OK", b"3"]]
    found, names = run(lease.acquire(CLAIM, clock := Clock(), None), answers, clock)
    assert found and found.token == 3 and names == ["GET", "INCR", "SET", "pause", "GET", "SET"]


def test_waiting_ends():
    answers = [[b"other"]] * 20
    found, names = run(lease.acquire(CLAIM, clock := Clock(), 5.0), answers, clock)
    assert found is None and names.count("GET") == 5


def test_renewing_keeps_the_token():
    assert run(lease.renew(CLAIM, Clock(), 4), [[b"OK", b"77"]], Clock())[0] == Lease(
        4, 100 + 10 * lease.BELIEVED
    )
    assert run(lease.renew(CLAIM, Clock(), 4), [[None, b"77"]], Clock())[0] is None


def test_only_the_holder_releases():
    request = next(lease.release(CLAIM))
    assert isinstance(request, Request)
    assert request.commands == (("DELEX", "{jobs}:lock", "IFEQ", "me"),)
    assert run(lease.release(CLAIM), [[0]], Clock())[0] is False
    assert run(lease.release(CLAIM), [OutcomeUnknown(), [0]], Clock())[0] is True


@pytest.mark.parametrize(("name", "ttl_s"), [("", 1), ("}x", 1), ("a", 0), ("a", float("nan"))])
def test_a_claim_is_looked_at(name, ttl_s):
    with pytest.raises(ValueError, match="lock's name|ttl_s"):
        Claim(name, "me", ttl_s)
