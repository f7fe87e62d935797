"""Chance in the tests, and who runs which of them.

The gate repeats, a soak finds: in a plain run hypothesis derives its examples from each test's own
text, the same every time.  ``--hypothesis-profile=soak`` gives fresh ones, and ten times as many
where a test does not say how many.  Fault tests and the simulator take fixed seeds, and fresh ones
in tests marked ``soak``.

With several workers (``-n 2 --dist loadgroup``) the tests of a file stay together, so that what it
sets up for all of them is set up once; in the folders of ``APART`` each goes by itself, since they
are long and share nothing.
"""

import pytest
from hypothesis import HealthCheck, settings

from tests.sim import coverage
from tests.support import builds
from tests.support.ports import use_share

# How long an example takes says something of the machine only.
SLOW = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("gate", derandomize=True, **SLOW)
settings.register_profile("soak", derandomize=False, max_examples=1000, **SLOW)

APART = {"sim", "scripts", "faults"}
COVERED = pytest.StashKey[list[str]]()  # what the simulator ran in each worker


@pytest.fixture(scope="module", params=builds.BUILDS)
def build(request):
    """Twice: with the compiled part (distrodb/compiled.py), and with what it stands for."""
    with builds.using(request.param):
        yield request.param


def pytest_configure(config):
    config.stash[COVERED] = []
    use_share()
    if not config.getoption("hypothesis_profile", None):
        settings.load_profile("gate")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name not in APART:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["covered"] = coverage.lines()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    lines = getattr(node, "workeroutput", {}).get("covered", [])
    node.config.stash[COVERED] += lines


def pytest_terminal_summary(terminalreporter, config):
    """Says which seeds the simulator ran and what they covered."""
    for line in [*config.stash[COVERED], *coverage.lines()]:
        terminalreporter.write_line(line)
