"""What the random runs of this process have covered, added up."""

from collections import Counter
from dataclasses import dataclass, field

from distrodb.clock import monotonic
from tests.sim.chaos import VIRTUAL_S, Report
from tests.sim.kinds import KINDS


@dataclass
class Coverage:
    """Of the seeds of one kind."""

    kind: str = "chaos"  # of KINDS
    seeds: list[int] = field(default_factory=list)
    seconds: float = 0.0  # real ones
    totals: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def run(self, seed: int, virtual_s: float = VIRTUAL_S) -> Report:
        """Raises ``AssertionError``, with the command that replays it."""
        started = monotonic()
        self.seeds.append(seed)
        try:
            report = KINDS[self.kind](seed, virtual_s)
        except Exception as problem:
            problem.add_note(f"replay it with: {self.replay(seed, virtual_s)}")
            raise
        finally:
            self.seconds += monotonic() - started
        self.faults.update(report.faults)
        for name in ("virtual_s", "operations", "unknown", "refused"):
            self.totals[name] += getattr(report, name)
        return report

    def replay(self, seed: int, virtual_s: float) -> str:
        kind = "" if self.kind == "chaos" else f" --kind {self.kind}"
        return f"python -m tests.sim{kind} --seed {seed} --seconds {virtual_s:g}"

    def line(self) -> dict[str, object]:
        hours = self.totals["virtual_s"] / 3600
        return {
            "kind": self.kind,
            "first_seed": self.seeds[0] if self.seeds else None,
            "seeds": len(self.seeds),
            "virtual_hours": round(hours, 2),
            "virtual_hours_a_minute": round(hours / max(self.seconds, 1e-9) * 60, 2),
            "operations": self.totals["operations"],
            "unknown": self.totals["unknown"],
            "refused": self.totals["refused"],
            "faults": dict(sorted(self.faults.items())),
        }


chaos, healing = Coverage(), Coverage("healing")


def lines() -> list[str]:
    named = [("chaos", chaos), ("healing", healing)]
    return [f"simulator, {name}: {one.line()}" for name, one in named if one.seeds]
