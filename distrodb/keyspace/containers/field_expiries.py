"""When the fields of one hash expire, soonest first.

The order is total (time, then field), so that replicas that remove some of them remove the same
ones.
"""

import math
from collections.abc import Mapping
from itertools import islice
from typing import Any, cast

from sortedcontainers import SortedList

from distrodb.keyspace.containers.sorted_copy import copy_of

EXPIRY_BYTES = 240  # what the expiry of a field costs beside the field, roughly


class FieldExpiries:
    __slots__ = ("_entries", "_sorted")

    def __init__(self, of: "FieldExpiries | None" = None):
        """Those of another one, or none."""
        # Milliseconds since the epoch, and the field; the same entries in both.
        self._entries: dict[bytes, tuple[int, bytes]] = {} if of is None else dict(of._entries)
        self._sorted: Any = SortedList() if of is None else copy_of(of._sorted)

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, field: bytes) -> int | None:
        entry = self._entries.get(field)
        return None if entry is None else entry[0]

    def set(self, field: bytes, at_ms: int) -> None:
        self.forget(field)
        entry = self._entries[field] = (at_ms, field)
        self._sorted.add(entry)

    def forget(self, field: bytes) -> bool:
        """True if there was one."""
        entry = self._entries.pop(field, None)
        if entry is None:
            return False
        self._sorted.remove(entry)
        return True

    @property
    def soonest_ms(self) -> float:
        """Infinite when nothing expires."""
        return self._sorted[0][0] if self._sorted else math.inf

    def due(self, now_ms: int, count_max: int) -> list[bytes]:
        """So many of those whose time has come by then, the soonest."""
        count = min(self.count_due(now_ms), count_max)
        return [field for _, field in islice(self._sorted, count)]

    def count_due(self, now_ms: int) -> int:
        return cast(int, self._sorted.bisect_left((now_ms + 1,)))

    def latest_due_ms(self, now_ms: int) -> int | None:
        """The last moment until then at which a field expired; None if none has."""
        count = self.count_due(now_ms)
        return self._sorted[count - 1][0] if count else None

    def times(self) -> Mapping[bytes, int]:
        return {field: at_ms for at_ms, field in self._sorted}
