"""No peer and no client can fill a log."""

import logging

from hypothesis import given
from hypothesis import strategies as st

from distrodb.slave import logging_limit
from distrodb.slave.logging_limit import EVERY_S, KEYS_MAX, LINES_A_KIND, LINES_AT_ONCE, RateLimit


def test_a_line_that_repeats_is_left_out_and_counted():
    limit = RateLimit()
    assert [limit.ask(0.0, "closed", "a") for _ in range(300)] == [0] * LINES_AT_ONCE + [None] * (
        300 - LINES_AT_ONCE
    )
    assert limit.ask(0.0, "closed", "b") == limit.ask(0.0, "opened", "a") == 0
    assert limit.ask(EVERY_S + 0.1, "closed", "a") == 300 - LINES_AT_ONCE
    assert limit.ask(EVERY_S + 0.2, "closed", "a") is None


def test_many_peers_have_a_bound_together():
    limit = RateLimit()
    lines = [limit.ask(n / 1000, "closed", f"stranger{n}") for n in range(10_000)]
    assert len([line for line in lines if line is not None]) <= LINES_A_KIND + 10
    assert limit.ask(10.0, "opened", "stranger1") == 0


@given(st.lists(st.tuples(st.floats(0, 5), st.sampled_from("abc")), max_size=200))
def test_each_line_is_said_or_counted(events):
    limit, now, said, counted = RateLimit(), 0.0, 0, 0
    for pause, who in events:
        now += pause
        left_out = limit.ask(now, "kind", who)
        if left_out is not None:
            said, counted = said + 1, counted + left_out
    waiting = sum(bucket.left_out for bucket in limit._buckets.values())
    assert said + counted + waiting == len(events)
    assert said <= LINES_A_KIND + now * LINES_A_KIND / (LINES_AT_ONCE * EVERY_S) + 1


def test_what_is_remembered_is_bounded():
    limit = RateLimit()
    for n in range(3 * KEYS_MAX):
        limit.ask(float(n), f"kind{n}", "a")
    assert len(limit._buckets) <= KEYS_MAX


def test_those_that_were_quiet_longest_are_forgotten_first():
    limit, busy = RateLimit(), []
    for n in range(KEYS_MAX):
        limit.ask(0.0, f"kind{n}", "a")
        busy.append(limit.ask(0.0, "kind", "busy"))
    assert len(busy) - busy.count(None) == LINES_AT_ONCE
    assert ("kind0", "a") not in limit._buckets


def test_quiet_hours_are_not_saved_up():
    limit = RateLimit()
    limit.ask(0.0, "closed", "a")
    lines = [limit.ask(36_000.0, "closed", "a") for _ in range(300)]
    assert lines.count(None) == 300 - LINES_AT_ONCE


def test_a_line_that_is_not_written_anyway_counts_for_nothing(caplog):
    log = logging_limit.LimitedLog("distrodb.test")
    caplog.set_level(logging.WARNING, "distrodb.test")
    for _ in range(100):
        log.say("client_ended", "a", client="a", reason="x")
    caplog.set_level(logging.DEBUG, "distrodb.test")
    log.say("client_ended", "a", client="a", reason="x")
    assert [record.getMessage() for record in caplog.records] == ["a client at a closed: x"]


def test_a_line_s_kind_is_its_event_and_whom_it_is_about_counts_apart(caplog):
    log = logging_limit.LimitedLog("distrodb.test")
    for number in range(100):
        for who in "ab":
            log.say("link_silent", who, peer=who)
            log.say("link_refused", who, peer=who, problem=number)
    assert len(caplog.records) == 4 * LINES_AT_ONCE


def test_a_log_says_how_many_lines_were_left_out(caplog, monkeypatch):
    now = 0.0
    monkeypatch.setattr(logging_limit, "monotonic", lambda: now)
    log = logging_limit.LimitedLog("distrodb.test")
    for _ in range(20):
        log.say("link_silent", "a", peer="a")
    now = EVERY_S + 1
    log.say("link_silent", "a", peer="a")
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["link with a closed: silent"] * LINES_AT_ONCE + [
        f"link with a closed: silent ({20 - LINES_AT_ONCE} more such lines were left out)"
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
