"""Chance in the tests: the gate repeats, a soak finds.

In a plain run hypothesis derives its examples from each test's own text, the same every time.
``--hypothesis-profile=soak`` gives fresh ones, and ten times as many where a test does not say how
many.  Fault tests and the simulator take fixed seeds, and fresh ones in tests marked ``soak``.
"""

from hypothesis import settings

settings.register_profile("gate", derandomize=True)
settings.register_profile("soak", derandomize=False, max_examples=1000)


def pytest_configure(config):
    if not config.getoption("hypothesis_profile", None):
        settings.load_profile("gate")
