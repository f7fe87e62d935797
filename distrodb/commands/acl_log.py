"""ACL LOG: what this slave has refused of late for lack of rights, and failed logins.  As in Redis,
the same within a minute is one entry, and only the newest few are compared.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

from distrodb.resp.reply import Reply

TOPLEVEL, MULTI = "toplevel", "multi"  # where it was refused
LENGTH_MAX = 10_000  # entries, whatever acllog-max-len says
OBJECT_BYTES_MAX = 512  # kept of what was refused, and of the name of a user: both may be long
_SAME_S = 60.0
_COMPARED = 10


@dataclass(slots=True)
class Refused:
    about: str  # of acl_guard.py
    context: str
    what: bytes
    user: bytes
    client: bytes  # as CLIENT INFO tells of it
    at_s: float
    count: int = 1

    def is_like(self, other: "Refused") -> bool:
        ours = self.about, self.context, self.what, self.user
        is_same = ours == (other.about, other.context, other.what, other.user)
        return is_same and abs(self.at_s - other.at_s) <= _SAME_S


class AclLog:
    def __init__(self) -> None:
        self._entries: deque[Refused] = deque()  # the newest first
        self.counts: Counter[str] = Counter()  # of all that was ever noted, by what it was about

    def __len__(self) -> int:
        return len(self._entries)

    def note(self, refused: Refused, length_max: int) -> None:
        self.counts[refused.about] += 1
        refused.what = refused.what[:OBJECT_BYTES_MAX]
        refused.user = refused.user[:OBJECT_BYTES_MAX]  # any words may stand in an AUTH
        for known in list(self._entries)[:_COMPARED]:
            if known.is_like(refused):
                refused.count = known.count + 1
                self._entries.remove(known)
                break
        self._entries.appendleft(refused)
        while len(self._entries) > min(length_max, LENGTH_MAX):
            self._entries.pop()

    def clear(self) -> None:
        self._entries.clear()

    def newest(self, count: int, now_s: float) -> Sequence[Reply]:
        return [
            {
                b"count": each.count,
                b"reason": each.about.encode(),
                b"context": each.context.encode(),
                b"object": each.what,
                b"username": each.user,
                b"age-seconds": round(now_s - each.at_s, 3),
                b"client-info": each.client,
            }
            for each in list(self._entries)[: max(0, count)]
        ]
