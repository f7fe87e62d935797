"""LATENCY: what took long on this slave, by kind of event, and how long commands execute.

Events (``KINDS``) are what makes clients wait here.  One is kept if it took at least
``latency-monitor-threshold`` milliseconds; 0 keeps none, as in Redis.  Of each kind a bounded
number is kept, one a second at most.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from distrodb.commands.api import SessionApi
from distrodb.commands.command import container, session_row
from distrodb.commands.error_replies import shown
from distrodb.resp.reply import Reply, Verbatim, error

SAMPLES_MAX = 160  # of one kind, as in Redis
KINDS = {
    "command": "A command executed for long, and kept all others of its slave waiting: SLOWLOG GET"
    " says which.",
    "disk-sync": "A write set took long to reach the disk. Writes wait for that, unless a majority"
    " elsewhere is faster.",
    "event-loop": "The slave was busy with other things, or its machine did not let it run.",
    "no-leader": "A partition that this slave holds had no leader, and its commands waited.",
}


@dataclass(slots=True)
class History:
    worst_ms: int = 0
    samples: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=SAMPLES_MAX))


class Latency:
    """What took long: (seconds since the epoch, milliseconds), by kind of event."""

    def __init__(self) -> None:
        self.events: dict[str, History] = {}

    def note(self, kind: str, at_s: int, took_s: float) -> None:
        """Of one second the longest is kept, as in Redis."""
        took_ms = int(took_s * 1000)
        history = self.events.setdefault(kind, History())
        history.worst_ms = max(history.worst_ms, took_ms)
        samples = history.samples
        if samples and samples[-1][0] == at_s:
            samples[-1] = at_s, max(samples[-1][1], took_ms)
        else:
            samples.append((at_s, took_ms))

    def forget(self, kinds: Sequence[str]) -> int:
        """These, or all; how many there were."""
        found = {kind for kind in kinds or self.events if kind in self.events}
        for kind in found:
            del self.events[kind]
        return len(found)


# -- handlers ----------------------------------------------------------------------------------


def latest(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return [
        [kind.encode(), *history.samples[-1], history.worst_ms]
        for kind, history in session.slave.latency.events.items()
    ]


def history(session: SessionApi, args: Sequence[bytes]) -> Reply:
    found = _history(session, args[2])
    return [] if found is None else [list(sample) for sample in found.samples]


def _history(session: SessionApi, kind: bytes) -> History | None:
    return session.slave.latency.events.get(kind.decode(errors="replace"))


def reset(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return session.slave.latency.forget([kind.decode(errors="replace") for kind in args[2:]])


def doctor(session: SessionApi, args: Sequence[bytes]) -> Reply:
    slave = session.slave
    threshold = slave.settings.show("latency-monitor-threshold")
    if threshold == "0":
        return Verbatim(
            b"Nothing is noted: latency monitoring is off on this slave. CONFIG SET"
            b" latency-monitor-threshold <milliseconds> turns it on.\n"
        )
    if not slave.latency.events:
        return Verbatim(f"Nothing has taken {threshold} ms or longer on this slave.\n".encode())
    lines = [f"What has taken {threshold} ms or longer on this slave:", ""]
    for kind, found in slave.latency.events.items():
        took = [ms for _, ms in found.samples]
        average = sum(took) // len(took)
        lines.append(f"- {kind}: {len(took)} times, {average} ms on average, {found.worst_ms} ms")
        lines[-1] += f" at worst. {KINDS.get(kind, '')}".rstrip()
    return Verbatim("\n".join([*lines, ""]).encode())


COLUMNS, ROWS = 80, 4  # of a graph, as in Redis
_TOPS = "_o#"


def graph(session: SessionApi, args: Sequence[bytes]) -> Reply:
    found = _history(session, args[2])
    kind = args[2].decode(errors="replace")
    if found is None:
        return error("ERR", f"No samples available for event '{shown(args[2])}'")
    samples = list(found.samples)[-COLUMNS:]
    took = [ms for _, ms in samples]
    low, high = min(took), max(took)
    lines = [f"{kind} - high {high} ms, low {low} ms (all time high {found.worst_ms} ms)"]
    lines.append("-" * COLUMNS)
    steps = ROWS * len(_TOPS)
    heights = [min(steps - 1, (ms - low) * steps // max(1, high - low)) for ms in took]
    for row in reversed(range(ROWS)):
        lines.append("".join(_cell(height - row * len(_TOPS)) for height in heights))
    lines.append("")
    now_s = session.slave.process.wall_us() // 1_000_000
    labels = [_age(now_s - at_s) for at_s, _ in samples]
    for line in range(max(map(len, labels))):
        lines.append("".join(label[line : line + 1] or " " for label in labels))
    return Verbatim("\n".join([*lines, ""]).encode())


def _cell(above: int) -> str:
    if above < 0:
        return " "
    return _TOPS[above] if above < len(_TOPS) else "|"


def _age(seconds: int) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{max(0, seconds)}s"


def histogram(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """Of the commands that are timed (slave/timing.py); a name stands for its subcommands too."""
    times = session.slave.times
    names = [name.decode(errors="replace").lower() for name in args[2:]]
    wanted = list(times) if not names else []
    for name in names:
        wanted += [each for each in times if each == name or each.startswith(f"{name}|")]
    told: dict[Reply, Reply] = {}
    for name in wanted:
        buckets: dict[Reply, Reply] = dict(times[name].cumulative())
        told[name.encode()] = {b"calls": times[name].count, b"histogram_usec": buckets}
    return told


_FLAGS = "admin loading noscript stale"
_TIPS = ("request_policy:all_nodes", "response_policy:special", "nondeterministic_output")
_RESET_TIPS = ("request_policy:all_nodes", "response_policy:all_succeeded")

COMMANDS = (
    container(
        "latency",
        "server",
        "A container for latency diagnostics commands.",
        "2.8.13",
        [
            session_row(
                "latency|latest",
                latest,
                2,
                _FLAGS,
                "server",
                "Returns the latest latency samples for all events.",
                "2.8.13",
                tips=_TIPS,
            ),
            session_row(
                "latency|history",
                history,
                3,
                _FLAGS,
                "server",
                "Returns timestamp-latency samples for an event.",
                "2.8.13",
                tips=_TIPS,
            ),
            session_row(
                "latency|reset",
                reset,
                -2,
                _FLAGS,
                "server",
                "Resets the latency data for one or more events.",
                "2.8.13",
                tips=_RESET_TIPS,
            ),
            session_row(
                "latency|doctor",
                doctor,
                2,
                _FLAGS,
                "server",
                "Returns a human-readable latency analysis report.",
                "2.8.13",
                tips=_TIPS,
            ),
            session_row(
                "latency|graph",
                graph,
                3,
                _FLAGS,
                "server",
                "Returns a latency graph for an event.",
                "2.8.13",
                tips=_TIPS,
            ),
            session_row(
                "latency|histogram",
                histogram,
                -2,
                _FLAGS,
                "server",
                "Returns the cumulative distribution of latencies of a subset or all commands.",
                "7.0.0",
                tips=_TIPS,
            ),
        ],
    ),
)
