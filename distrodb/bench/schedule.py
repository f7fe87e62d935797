"""When what is due, and when to stop.  Pure: all times are arguments.

With a rate the moment at which a pipeline is due depends on its number only, never on how fast
replies come: whoever answers late is asked all the same, and the wait in the queue counts (no
coordinated omission).  Without one a pipeline is due as soon as a client is free.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    began: float
    pipeline: int  # commands that go together
    rate: float | None = None  # commands a second
    seconds: float | None = None
    requests: int | None = None  # commands in all; the last pipeline is not cut

    @property
    def ends(self) -> float:
        """After it nothing more is due."""
        return float("inf") if self.seconds is None else self.began + self.seconds

    @property
    def total(self) -> float:
        """How many pipelines there are at most."""
        limits = [float("inf")]
        if self.requests is not None:
            limits.append(-(-self.requests // self.pipeline))
        if self.rate is not None and self.seconds is not None:
            limits.append(int(self.rate * self.seconds / self.pipeline))
        return min(limits)

    def due_at(self, number: int) -> float:
        """Of the pipeline with this number, from 0 on; needs a rate."""
        assert self.rate is not None
        return self.began + number * self.pipeline / self.rate

    def due(self, now: float) -> float:
        """How many pipelines are due up to now, those begun long ago too."""
        if self.rate is None:
            return self.total if now < self.ends else 0
        if now < self.began:
            return 0
        # With a rounding of binary fractions one may come a turn later, none is left out.
        passed = int((min(now, self.ends) - self.began) * self.rate / self.pipeline)
        return min(self.total, passed + 1)

    def is_over(self, issued: int, now: float) -> bool:
        """Nothing more will become due."""
        return issued >= self.total or (now >= self.ends and issued >= self.due(now))
