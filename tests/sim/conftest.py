"""Says at the end which seeds the simulator ran and what they covered."""

from tests.sim import covered


def pytest_terminal_summary(terminalreporter):
    for line in covered.lines():
        terminalreporter.write_line(line)
