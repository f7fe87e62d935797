"""By what the HTTP port of a slave knows ``distrodb ready`` of its own machine: a random word in
the slave's directory, a new one with each start, that only its own user (and root) can read.

It opens nothing but why the slave is not ready.  Where it cannot be written or read nobody is told
that without a login, and all else is as it is.
"""

import contextlib
import secrets
from pathlib import Path

from distrodb import private

FILE, BYTES = "ready.token", 16
SCHEME = "Distrodb"  # of the header ``Authorization``


def renewed(directory: Path) -> str:
    """Empty: it cannot be written."""
    token = secrets.token_hex(BYTES)
    try:
        private.write(directory / FILE, token.encode())
    except OSError:
        return ""
    return token


def read(directory: Path) -> str:
    """Empty: there is none, or it is not for us."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        with open(directory / FILE, "rb") as opened:
            token = opened.read(2 * BYTES).decode("ascii")
        return token if token.isalnum() else ""
    return ""
