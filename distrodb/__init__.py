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
    compiled, hot           what each command of a pipeline passes through, in C where it was built
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.5.0"
__all__ = ["LocalCluster", "__version__"]

if TYPE_CHECKING:
    from distrodb.local import LocalCluster


def __getattr__(name: str) -> Any:
    """``LocalCluster`` is imported when it is asked for: a slave never needs it."""
    if name == "LocalCluster":
        from distrodb.local import LocalCluster

        return LocalCluster
    raise AttributeError(f"module 'distrodb' has no attribute {name!r}")
