"""Our share of Redis in a few seconds, against the one that was recorded.

    python -m tests.benchmarks.share             measures it
    python -m tests.benchmarks.share --record    and keeps it, with the day, in share.json

A few short rounds on a machine that does other things say little: it is to notice that a third
is gone, not more.  The ratio is that of rates in the same round, so that the machine's own speed
does not count.  The gate goes on to a next round only while something seems to have fallen: what
one round shows to be well a second one need not show again.
"""

import argparse
import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from distrodb import LocalCluster
from tests.benchmarks.loads import at, faultless
from tests.benchmarks.servers import Redis, closing

FILE = Path(__file__).with_name("share.json")
ROUNDS = 3
SECONDS = "0.4"
# One at a time and in pipelines: what is slow in each is something else.
LOADS = {
    "SET P=1": ("--gets", "0", "-P", "1"),
    "GET P=1": ("--gets", "100", "-P", "1"),
    "SET P=16": ("--gets", "0", "-P", "16"),
    "GET P=16": ("--gets", "100", "-P", "16"),
}
FALLEN = 2 / 3

Shares = dict[str, float]


def measured(recorded: Shares | None = None) -> Shares:
    """The median of all rounds; where it is ``recorded`` what is well after fewer is not measured
    again."""
    found: dict[str, list[float]] = {name: [] for name in LOADS}
    with closing(Redis()) as peer, LocalCluster(nodes=3) as cluster:
        assert isinstance(peer, Redis)
        cluster.wait_healed()
        for _ in range(ROUNDS):
            for name, words in wanted(LOADS, found, recorded).items():
                load = ["--seconds", SECONDS, *words]
                theirs = faultless("--port", str(peer.port), *load)["a_second"]
                found[name].append(faultless(*at(cluster), *load)["a_second"] / theirs)
    return {name: median(shares) for name, shares in found.items()}


def wanted(
    loads: Mapping[str, Sequence[str]],
    found: Mapping[str, Sequence[float]],
    recorded: Shares | None,
) -> Mapping[str, Sequence[str]]:
    """The loads of the next round."""
    if recorded is None:
        return loads
    now = {name: median(shares) for name, shares in found.items() if shares}
    bad = {name for name in now if name in recorded and now[name] < recorded[name] * FALLEN}
    return {name: words for name, words in loads.items() if name not in now or name in bad}


def fallen(now: Shares, recorded: Shares) -> list[str]:
    """A line for each load whose share is less than two thirds of what it was."""
    return [
        f"{name}: {now[name]:.2f} of Redis' rate, it was {share:.2f}"
        for name, share in recorded.items()
        if name in now and now[name] < share * FALLEN
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--record", action="store_true")
    given = parser.parse_args()
    now = {name: round(share, 3) for name, share in measured().items()}
    day = datetime.date.today().isoformat()
    print(json.dumps(now))
    if given.record:
        FILE.write_text(json.dumps({"taken": day, "shares": now}, indent=2) + "\n")


if __name__ == "__main__":
    main()
