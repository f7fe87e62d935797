"""Log lines that a peer or a client can cause, at a bounded rate.

``RateLimit`` is pure: a few lines of one kind about one peer go through at once, then one each
``EVERY_S``; all peers together have a bound a kind, too, so that one with many addresses fills no
disk either.  ``LimitedLog`` is a logger of events that asks it first, and says how many were left
out.

Caveat: what was left out is told with the next line of its kind about that peer, which may never
come.
"""

import logging
from collections import OrderedDict

from distrodb.clock import monotonic
from distrodb.events import Said, said

LINES_AT_ONCE = 5  # of one kind about one peer
LINES_A_KIND = 50  # of one kind about all peers
EVERY_S = 10.0  # one line more each
KEYS_MAX = 1024  # kinds and peers that are remembered; beyond, the one that was quiet longest goes


class _Bucket:
    __slots__ = ("at", "left", "left_out")

    def __init__(self, now: float, lines: float):
        self.at, self.left, self.left_out = now, lines, 0

    def refill(self, now: float, lines: int) -> None:
        self.left = min(lines, self.left + (now - self.at) * lines / (LINES_AT_ONCE * EVERY_S))
        self.at = now


class RateLimit:
    def __init__(self) -> None:
        self._buckets: OrderedDict[tuple[str, str | None], _Bucket] = OrderedDict()

    def ask(self, now: float, kind: str, who: str) -> int | None:
        """How many lines of this kind about ``who`` were left out before this one; None when this
        one is left out, too."""
        own = self._bucket(now, (kind, who), LINES_AT_ONCE)
        of_all = self._bucket(now, (kind, None), LINES_A_KIND)
        if own.left < 1 or of_all.left < 1:
            own.left_out += 1
            return None
        own.left -= 1
        of_all.left -= 1
        left_out, own.left_out = own.left_out, 0
        return left_out

    def _bucket(self, now: float, key: tuple[str, str | None], lines: int) -> _Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(now, lines)
            if len(self._buckets) > KEYS_MAX:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
            bucket.refill(now, lines)
        return bucket


class LimitedLog:
    """Writes events (events.py)."""

    def __init__(self, name: str):
        self._log, self._limit = logging.getLogger(name), RateLimit()

    def say(self, name: str, who: str = "", /, **fields: object) -> None:
        """``who`` it is about, or who has caused it: each has a rate of its own."""
        self.write(said(name, **fields), who)

    def write(self, happened: Said, who: str = "", trace_of: BaseException | None = None) -> None:
        level = logging.getLevelNamesMapping()[happened.event.level.upper()]
        if not self._log.isEnabledFor(level):
            return
        left_out = self._limit.ask(monotonic(), happened.event.name, who)
        if left_out is not None:
            more = f" ({left_out} more such lines were left out)" if left_out else ""
            text = f"{happened}{more}"
            self._log.log(level, "%s", text, exc_info=trace_of, extra={"said": happened})


def about(happened: Said) -> str:
    """Of which slave or partition, for the rate of what nobody else has caused."""
    return str(happened.fields.get("partition") or happened.fields.get("slave") or "")
