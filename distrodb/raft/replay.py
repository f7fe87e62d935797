"""What a log holds for its state machine, for who reads the directory of a stopped slave.  Pure.

Entries that nobody knew to be committed are among it: their leader may have known, and have
answered clients.  A running member never applies these; it waits for its leader.
"""

from collections.abc import Iterator

from distrodb.errors import VersionError
from distrodb.keyspace.entry import Payload
from distrodb.raft.library import REGULAR
from distrodb.raft.log import MEMBERSHIP, NO_OP, Log


def payloads(log: Log) -> Iterator[Payload]:
    """Those behind the snapshot, in their order.  Raises ``VersionError``."""
    for command, index, _ in log.entries:
        kind = command[:1]
        if index <= log.meta.snapshot_index or kind in (NO_OP, MEMBERSHIP):
            continue
        if kind != REGULAR:
            raise VersionError(
                f"group {log.group}: entry {index} of the log holds a change of kind {kind[0]},"
                " which this version of distrodb does not know; use a newer one"
            )
        yield memoryview(command)[1:]
