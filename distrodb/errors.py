"""What can go wrong, as one tree.  ``str(error)`` is the one line that a user sees.

    DistrodbError
    ├── ConfigError           a file in conf/ or an option is wrong; the same input fails again
    ├── StorageError          the disk: full, unwritable, in use; may pass when it is mended
    │   └── CorruptionError   a stored record cannot be trusted; it is never served
    ├── VersionError          a log or a file is a newer distrodb's; an upgrade mends it
    ├── PeerError             a peer said something wrong; its link is closed, nothing else
    ├── UnavailableError      no slave, or no majority, answers now; trying later may help
    └── InvariantViolation    our own bug; the slave stops rather than go on with it

Deterministic are ConfigError, CorruptionError, VersionError and InvariantViolation; a client's bad
command is none of these: it is answered with an error reply (reply.py).
"""


class DistrodbError(Exception):
    """Base of all; ``exit_status`` is the process' own when it ends by this error."""

    exit_status = 1


class ConfigError(DistrodbError):
    """Deterministic.  Names the file, the key and the remedy."""

    exit_status = 2


class StorageError(DistrodbError):
    """Not deterministic: the disk may be full now and not later."""


class CorruptionError(StorageError):
    """Deterministic: a record on disk does not match its checksum, or records are missing."""


class VersionError(DistrodbError):
    """Deterministic: what only a newer version knows, in the log or in a file.  To skip it would
    let replicas differ, so the slave stops; whoever raises it says what it is, of an entry
    raft/library.py where.
    """


class PeerError(DistrodbError):
    """Not deterministic.  Raised while a peer's bytes are read; closes the link."""


class UnavailableError(DistrodbError):
    """Not deterministic.  Raised on the client's side: the shell, LocalCluster."""


class InvariantViolation(DistrodbError):
    """Deterministic: something that always holds does not."""


def invariant(condition: object, message: str) -> None:
    """Raise ``InvariantViolation`` unless ``condition``: an ``assert`` that ``-O`` keeps."""
    if not condition:
        raise InvariantViolation(f"invariant violated: {message}")
