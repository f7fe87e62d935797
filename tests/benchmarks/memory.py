"""What keys take: the memory of a slave and of Redis with the same keys.

    python -m tests.benchmarks.memory                  a million keys with values of 64 bytes
    python -m tests.benchmarks.memory --keys 20000     a try

Both are filled by ``distrodb bench --fill``; each slave holds all keys (three slaves and copies).
What counts is the resident memory that came on top of what the process had when it was empty, at
the end and so without what a fork or a snapshot takes for a moment.
"""

import argparse
from statistics import median

from distrodb import LocalCluster
from tests.benchmarks.loads import at, faultless, pids_of
from tests.benchmarks.servers import Redis, closing, resident_bytes
from tests.benchmarks.tables import table

# A fill alone: the load behind it is as short as may be, and its GETs change nothing.
FILL = ("--fill", "-P", "100", "-n", "1", "--gets", "100", "-c", "20")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--size", default="64")
    given = parser.parse_args()
    words = [*FILL, "--keys", str(given.keys), "--size", given.size]
    with closing(Redis()) as peer:
        (pid,) = peer.pids
        empty = resident_bytes(pid)
        assert isinstance(peer, Redis)
        faultless("--port", str(peer.port), *words)
        theirs = (resident_bytes(pid) - empty) / given.keys
    with LocalCluster(nodes=3) as cluster:
        cluster.wait_healed()
        before = {pid: resident_bytes(pid) for pid in pids_of(cluster)}
        report = faultless(*at(cluster), *words)
        ours = median((resident_bytes(p) - b) / given.keys for p, b in before.items())
    assert report["misses"] == 0, "it is not filled"
    rows = [
        ["Redis", f"{theirs:.0f}"],
        ["a slave (median of three)", f"{ours:.0f}"],
        ["times Redis", f"**{ours / theirs:.2f}**"],
    ]
    print(table([f"bytes a key, {given.keys:,} keys, values of {given.size} bytes", ""], rows))


if __name__ == "__main__":
    main()
