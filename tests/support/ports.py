"""Each worker has ports of its own for its clusters.

While one test's slave is down its port looks free, and another worker's next cluster would take it.
Tests that name a port take one from 20000 on (``free_base_port`` in tests/e2e/test_commands.py).
"""

import os
from unittest import mock

from distrodb import local

ANY = range(10000, 20000)


def share() -> range:
    """This worker's part; all of them without workers."""
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    size = len(ANY) // count
    return ANY[number * size : (number + 1) * size]


def use_share() -> None:
    """For the rest of this process ``LocalCluster`` takes its ports from this worker's part."""
    part = share()
    mock.patch.object(local, "_FREE_PORT_MIN", part.start).start()
    mock.patch.object(local, "_first_ephemeral_port", lambda: part.stop).start()
