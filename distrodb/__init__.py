"""distrodb: the Redis API, and an acknowledged write is never lost.

The general layout, from what clients see to what the disk sees:

    cli, master/, local     people's side: commands, the shell, a cluster on this machine
    backup/, bench/         what is kept elsewhere and comes back; load, to measure
    slave/                  one process: connections, peer links, the core; process.py wires it
    raft/                   pysyncobj made safe: a group's log, its members, its snapshots
    storage/                the disk: the journal, snapshot files, the directory's lock
    commands/, keyspace/    pure: one row and handler a command; what one partition holds
    ring/, resp/            pure: the cluster map and its healing; the Redis protocol
    config/                 a slave's file
    client/, pytest_plugin  for programs in Python: a mapping, locks, elections; for their tests
    compiled, hot           what each command of a pipeline passes through, in C where it was built
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.7.0"
__all__ = [
    "Election",
    "LeaseLost",
    "LocalCluster",
    "Lock",
    "OutcomeUnknown",
    "__version__",
    "connect",
    "connect_async",
]

if TYPE_CHECKING:
    from distrodb.client.aio import connect_async
    from distrodb.client.locks import Election, Lock
    from distrodb.client.request import LeaseLost, OutcomeUnknown
    from distrodb.client.sync import connect
    from distrodb.local import LocalCluster

_PLACES = {
    "Election": "distrodb.client.locks",
    "LeaseLost": "distrodb.client.request",
    "LocalCluster": "distrodb.local",
    "Lock": "distrodb.client.locks",
    "OutcomeUnknown": "distrodb.client.request",
    "connect": "distrodb.client.sync",
    "connect_async": "distrodb.client.aio",
}


def __getattr__(name: str) -> Any:
    """What programs use is imported when it is asked for: a slave never needs it."""
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'distrodb' has no attribute {name!r}")
