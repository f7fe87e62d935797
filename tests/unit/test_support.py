"""What the tests themselves rely on."""

import ast
from pathlib import Path

import pytest

from distrodb.local import _ports
from tests.support.ports import ANY, share
from tests.support.request import Asked

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_workers_share_no_port(monkeypatch, count):
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", str(count))
    taken: set[int] = set()
    for number in range(count):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", f"gw{number}")
        assert not taken & set(share()) and set(share()) <= set(ANY) and len(share()) >= 1000
        taken |= set(share())


def test_a_cluster_takes_its_ports_from_this_workers_share():
    assert all(port in share() for pair in _ports(20, None) for port in pair)


def test_a_request_that_is_answered_twice_fails():
    asked = Asked(b"GET", b"k")
    assert not asked.is_write and not asked.is_answered
    asked.resolve(None)
    with pytest.raises(AssertionError, match="answered twice"):
        asked.resolve(b"v")


def test_there_is_one_stand_in_for_a_request():
    resolvers = {
        str(path.relative_to(TESTS))
        for path in TESTS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name == "resolve"
    }
    assert resolvers == {"support/request.py"}
