"""Every input that once broke a promise is kept and tried again; some new ones with it.

The long runs are by hand: pytest -m soak tests/fuzz, or python -m tests.fuzz.
"""

import os
import random
import subprocess
import sys
from types import SimpleNamespace

import pytest

from distrodb.scripting import runtime as module
from distrodb.scripting.runtime import Runtime
from tests.fuzz import scripts
from tests.fuzz.fuzzing import CORPUS, kept, replay, run, tried
from tests.fuzz.mutation import changed, inputs
from tests.fuzz.targets import TARGETS, Target

INPUTS = 700  # of each target, in every run of the tests
MANY = int(os.environ.get("DISTRODB_FUZZ_INPUTS", "1000000"))


def test_what_was_found_once_is_not_found_again():
    assert {folder.name for folder in CORPUS.iterdir()} <= set(TARGETS)
    found = {
        f"{target.name}/{name}": find.what
        for target in TARGETS.values()
        for name, data in kept(target).items()
        for find in replay(target, [data])
    }
    assert not found


def test_some_new_inputs_break_no_promise():
    found = [
        (target.name, find)
        for target in TARGETS.values()
        for find in run(target, INPUTS // target.share, seed=7)
    ]
    assert not found


def test_what_the_targets_begin_with_is_taken():
    """Else inputs would not get far: most seeds of a target are what its reader takes."""
    for target in TARGETS.values():
        refused = 0
        for data in target.seeds:
            try:
                target.read(data)
            except target.errors:
                refused += 1
        assert 2 * refused <= len(target.seeds), target.name


def _explode(data: bytes) -> object:
    if data == b"memory":
        return bytes(50 << 20)
    if data == b"slow":
        return sum(number for number in range(8_000_000))
    raise {b"documented": ValueError, b"other": KeyError}[data]


_BROKEN = {b"documented": "", b"other": "KeyError", b"memory": "of memory", b"slow": "it took"}


@pytest.mark.parametrize("data, what", _BROKEN.items())
def test_a_broken_promise_is_noticed(data, what, monkeypatch):
    monkeypatch.setattr("tests.fuzz.fuzzing.SECONDS_MAX", 0.1)
    target = Target("t", _explode, [data], (ValueError,))
    said = tried(target, data, is_measured=data != b"slow")
    assert what in said and bool(said) == bool(what)


def test_the_same_seed_makes_the_same_inputs():
    def some(seed: int) -> list[object]:
        generator = random.Random(seed)
        made = inputs([b"abc", b"defg"], [b"word"], generator)
        values = [changed({"a": [1, b"b", "c"]}, generator) for _ in range(50)]
        return [*(next(made) for _ in range(50)), repr(values)]

    assert some(1) == some(1) != some(2)


def test_a_script_that_differs_between_processes_is_noticed(monkeypatch):
    script, text = TARGETS["script"], b"return 1"
    assert tried(script, text, is_measured=False) == ""
    monkeypatch.setattr(scripts, "_twin", lambda: SimpleNamespace(ask=lambda text: b"other"))
    assert "and there b'other'" in tried(script, text, is_measured=False)
    monkeypatch.undo()
    monkeypatch.setattr(module.Runtime, "_may", lambda *words: 1 / 0)
    text = b"return redis.acl_check_cmd('GET', 'x')"
    monkeypatch.setattr(scripts, "_own", Runtime)
    assert "an exception in a script" in tried(script, text, is_measured=False)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", TARGETS)
def test_a_million_inputs_break_no_promise(name):
    words = [sys.executable, "-m", "tests.fuzz", name, "--inputs", str(MANY), "--seed", "1"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
