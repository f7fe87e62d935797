"""What was measured: latencies, errors by their text, throughput over time.  Pure.

Each command is counted once: in a histogram when it was carried out, among the errors when it was
not or nobody knows, in ``in_flight`` when the measuring was broken off before its reply.  So they
add up to what was asked.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from distrodb.bench.histogram import Histogram

TEXTS_MAX = 50  # of errors; those beyond are counted together
_TEXT_CHARS = 120


@dataclass(frozen=True, slots=True)
class Sample:
    """One interval of the run."""

    at_s: float  # its end, since the beginning
    a_second: float
    p50_ms: float
    p99_ms: float
    errors: int


class Books:
    def __init__(self) -> None:
        self.asked = 0
        self.gets, self.sets = Histogram(), Histogram()
        self.misses = 0  # of the GETs: there is no such key
        self.redirected = 0
        self.errors: Counter[str] = Counter()
        self.samples: list[Sample] = []
        self.window_s = 0.0  # so long the load lasted
        self.in_window = 0  # carried out in it
        self.in_flight = 0
        self.is_interrupted = False
        self._interval = Histogram()
        self._sampled_at = 0.0
        self._errors_sampled = 0

    @property
    def done(self) -> int:
        return self.gets.count + self.sets.count

    @property
    def failed(self) -> int:
        return self.errors.total()

    def count(self, seconds: float, sets: int, gets: int) -> None:
        """Carried out, so long after they were sent, or due."""
        if sets:
            self.sets.record(seconds, sets)
        if gets:
            self.gets.record(seconds, gets)
        self._interval.record(seconds, sets + gets)

    def fail(self, text: str, times: int = 1) -> None:
        text = _counted_as(text)
        if text not in self.errors and len(self.errors) >= TEXTS_MAX:
            text = "other errors"
        self.errors[text] += times

    def sample(self, at_s: float) -> Sample:
        """End an interval."""
        took = self._interval
        row = Sample(
            at_s,
            took.count / max(at_s - self._sampled_at, 1e-9),
            took.percentile_s(50) * 1000,
            took.percentile_s(99) * 1000,
            self.failed - self._errors_sampled,
        )
        self.samples.append(row)
        self._interval = Histogram()
        self._sampled_at, self._errors_sampled = at_s, self.failed
        return row

    def last_sample(self, at_s: float, least_s: float) -> None:
        """One that is much shorter than the others would be a peak or a gap that is none."""
        if not self.samples or at_s - self._sampled_at >= least_s:
            self.sample(at_s)

    def close_window(self, at_s: float) -> None:
        """The load ends here; replies that come later count, but not for the rate."""
        self.window_s, self.in_window = at_s, self.done

    def shown(self) -> list[Sample]:
        """The samples of the load itself, without those of its last replies."""
        return [row for row in self.samples if row.at_s <= self.window_s + 0.01] or self.samples

    def all(self) -> Histogram:
        together = Histogram()
        together.add(self.gets)
        together.add(self.sets)
        return together

    @property
    def a_second(self) -> float:
        return self.in_window / self.window_s if self.window_s else 0.0

    def report(self) -> dict[str, Any]:
        """For programs: ``asked`` is ``done``, all ``errors`` and ``in_flight`` together."""
        kinds = {"all": self.all(), "get": self.gets, "set": self.sets}
        return {
            "asked": self.asked,
            "done": self.done,
            "failed": self.failed,
            "in_flight": self.in_flight,
            "seconds": round(self.window_s, 4),
            "a_second": round(self.a_second, 1),
            "misses": self.misses,
            "redirected": self.redirected,
            "interrupted": self.is_interrupted,
            "errors": dict(self.errors.most_common()),
            "latency_ms": {
                name: {"count": kind.count, **kind.summary_ms()}
                for name, kind in kinds.items()
                if kind.count
            },
            "samples": [
                {
                    "at_s": round(row.at_s, 3),
                    "a_second": round(row.a_second, 1),
                    "p50_ms": round(row.p50_ms, 4),
                    "p99_ms": round(row.p99_ms, 4),
                    "errors": row.errors,
                }
                for row in self.samples
            ],
        }


def _counted_as(text: str) -> str:
    """Without what differs from one to the next: the slot and the address of a redirection."""
    words = text.split()
    if words and words[0] in ("MOVED", "ASK"):
        return f"{words[0]} (a cluster: use --cluster)"
    return " ".join(words)[:_TEXT_CHARS] or "an error without a text"
