"""The gate's benchmark: it warns, and never fails, when our share of Redis has fallen by a third.

What fails here is the program itself.  The record is by ``tests.benchmarks.share --record``.
"""

import json
import shutil
import warnings

import pytest

from tests.benchmarks import share


class ShareHasFallen(UserWarning):
    """Shown in the summary of the run."""


def warn(now: share.Shares, record: dict) -> None:
    for line in share.fallen(now, record["shares"]):
        warnings.warn(f"{line} on {record['taken']}", ShareHasFallen, stacklevel=2)


def record() -> dict:
    kept: dict = json.loads(share.FILE.read_text())
    return kept


@pytest.mark.skipif(not shutil.which("redis-server"), reason="redis-server is not installed")
def test_our_share_of_redis_is_what_it_was():
    now = share.measured(record()["shares"])
    assert set(now) == set(record()["shares"]) and all(each > 0 for each in now.values())
    warn(now, record())


def test_what_is_well_is_not_measured_again():
    kept = {"a": 0.3, "b": 0.3}
    loads = {"a": ("1",), "b": ("2",), "new": ("3",)}
    assert share.wanted(loads, {"a": [], "b": []}, kept) == loads
    found = {"a": [0.21], "b": [0.19], "new": [0.1]}
    assert share.wanted(loads, found, kept) == {"b": ("2",)}
    assert share.wanted(loads, {**found, "b": [0.19, 0.25]}, kept) == {}
    assert share.wanted(loads, found, None) == loads


def test_a_share_that_fell_by_a_third_is_a_warning_that_names_it():
    kept = {"taken": "2026-11-27", "shares": {"SET P=1": 0.3, "GET P=1": 0.3}}
    with pytest.warns(ShareHasFallen) as told:
        warn({"SET P=1": 0.19, "GET P=1": 0.21}, kept)
    (one,) = told
    assert str(one.message) == "SET P=1: 0.19 of Redis' rate, it was 0.30 on 2026-11-27"


def test_what_is_as_it_was_or_better_is_none():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn({"SET P=1": 0.25}, {"taken": "", "shares": {"SET P=1": 0.3}})
        warn({"SET P=1": 0.9}, {"taken": "", "shares": {"SET P=1": 0.3}})
