"""The scripts that a partition remembers, and its libraries of functions: a part of its state.

A script is known by its SHA-1, in hexadecimal digits.  SCRIPT LOAD brings it to all partitions,
EVAL to the one where it runs.  Both are in the log, so all copies know the same scripts, and a
snapshot has them: no failover forgets one.

Bounds: ``EVALUATED_MAX`` scripts that EVAL has brought, as in Redis 7.4 (that which was not used
for the longest time goes); and ``BYTES_MAX`` of all scripts together, beyond which those of EVAL go
first, then those that were loaded, oldest first.  Libraries are bounded by ``LIBRARY_BYTES_MAX``,
and none ever goes by itself.  All of this follows from the entries alone.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

EVALUATED_MAX = 500
BYTES_MAX = 32 << 20
LIBRARY_BYTES_MAX = 32 << 20
SCRIPT, LOADED, LIBRARY = 0, 1, 2  # kinds of rows in snapshots


def sha_of(text: bytes) -> bytes:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()


class Scripts:
    def __init__(self) -> None:
        self._evaluated: dict[bytes, bytes] = {}  # by SHA; the one that was used last is the last
        self._loaded: dict[bytes, bytes] = {}
        self._libraries: dict[bytes, bytes] = {}  # by name
        self.bytes = self.library_bytes = 0

    def __len__(self) -> int:
        return len(self._evaluated) + len(self._loaded) + len(self._libraries)

    # -- scripts -------------------------------------------------------------------------------

    def __contains__(self, sha: bytes) -> bool:
        return sha in self._loaded or sha in self._evaluated

    def text(self, sha: bytes) -> bytes | None:
        """To be read only."""
        return self._loaded.get(sha) or self._evaluated.get(sha)

    def load(self, text: bytes) -> bytes:
        """SCRIPT LOAD; the SHA."""
        sha = sha_of(text)
        if sha not in self._loaded:
            if self._evaluated.pop(sha, None) is None:
                self.bytes += len(text)
            self._loaded[sha] = text
            self._bound()
        return sha

    def evaluate(self, sha: bytes, text: bytes) -> None:
        """A script was asked for by EVAL or EVALSHA."""
        if sha in self._loaded:
            return
        if self._evaluated.pop(sha, None) is None:
            self.bytes += len(text)
        self._evaluated[sha] = text
        self._bound()

    def _bound(self) -> None:
        while len(self._evaluated) > EVALUATED_MAX or (self.bytes > BYTES_MAX and self._evaluated):
            self.bytes -= len(self._evaluated.pop(next(iter(self._evaluated))))
        while self.bytes > BYTES_MAX and len(self._loaded) > 1:
            self.bytes -= len(self._loaded.pop(next(iter(self._loaded))))

    def flush(self) -> None:
        self._evaluated, self._loaded, self.bytes = {}, {}, 0

    # -- libraries -----------------------------------------------------------------------------

    @property
    def libraries(self) -> "dict[bytes, bytes]":
        """Texts by name, in the order in which they came; to be read only."""
        return self._libraries

    def put_library(self, name: bytes, text: bytes) -> None:
        self.delete_library(name)
        self._libraries[name] = text
        self.library_bytes += len(text)

    def delete_library(self, name: bytes) -> bool:
        text = self._libraries.pop(name, None)
        self.library_bytes -= len(text or b"")
        return text is not None

    def flush_libraries(self) -> None:
        self._libraries, self.library_bytes = {}, 0

    # -- snapshots -----------------------------------------------------------------------------

    def rows(self) -> list[tuple[int, bytes, bytes]]:
        """Kind, name and text of each, in their order; what is returned does not change."""
        return [
            *((LOADED, sha, text) for sha, text in self._loaded.items()),
            *((SCRIPT, sha, text) for sha, text in self._evaluated.items()),
            *((LIBRARY, name, text) for name, text in self._libraries.items()),
        ]

    def restore(self, rows: Iterable[tuple[Any, Any, Any]]) -> None:
        """Some from a snapshot.  Raises ``ValueError`` for what are none."""
        kinds = {SCRIPT: self._evaluated, LOADED: self._loaded, LIBRARY: self._libraries}
        for kind, name, text in rows:
            known = kinds.get(kind) if type(kind) is int else None
            if known is None or type(name) is not bytes or type(text) is not bytes or name in known:
                raise ValueError("a snapshot with a script that is none")
            if kind != LIBRARY and name != sha_of(text):
                raise ValueError("a snapshot with a script of another name")
            known[name] = text
            if kind == LIBRARY:
                self.library_bytes += len(text)
            else:
                self.bytes += len(text)

    def canonical(self) -> Iterator[Any]:
        """Equal for equal states, for a digest."""
        return map(list, self.rows())
