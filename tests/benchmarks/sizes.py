"""Values from 64 bytes to 16 MB: MB a second, beside the disk's own rate.

    python -m tests.benchmarks.sizes
    python -m tests.benchmarks.sizes --seconds 1 --sizes 64 4k 1m    a try

Three slaves that share one disk write each value three times at least: the share is that of three
copies in what the disk does with large writes one after another, each synced.  What a small client
of another partition waits meanwhile, ``tests.benchmarks.bystander`` says.
"""

import argparse
import gc
from statistics import median

from distrodb import LocalCluster
from tests.benchmarks.loads import at, bench
from tests.benchmarks.servers import sequential_rate
from tests.benchmarks.tables import table

SIZES = ("64", "1k", "16k", "256k", "1m", "4m", "16000000")  # the last is just below the limit
CLIENTS = 16
MEMORY_KEYS = 64 << 20  # bytes of all keys together at most: values are kept
COPIES = 3


def keys_for(size: int) -> int:
    return max(4, min(10_000, MEMORY_KEYS // size))


def main() -> None:
    from distrodb.bench.options import sizes

    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--sizes", nargs="*", default=SIZES)
    given = parser.parse_args()
    rows, disks = [], []
    for text in given.sizes:
        (size,) = sizes(text)
        gc.collect()
        with LocalCluster(nodes=3) as cluster:
            cluster.wait_healed()
            disks.append(sequential_rate(cluster.directory))
            words = [*at(cluster), "-c", str(CLIENTS), "--size", text, "--timeout", "30"]
            words += ["--keys", str(keys_for(size)), "--seconds", str(given.seconds)]
            writes = bench(*words, "--gets", "0")
            reads = bench(*words, "--gets", "100")
        written = writes["a_second"] * size / 1e6
        share = written * COPIES / (disks[-1] / 1e6)
        took = writes["latency_ms"]["set"]
        rows.append(
            [
                text,
                f"{written:,.1f}",
                f"{share:.2f}",
                f"{took['p50']:.1f} {took['p99']:.1f}",
                f"{reads['a_second'] * size / 1e6:,.1f}",
                f"{writes['failed']} {reads['failed']}",
            ]
        )
        print(f"{text} is done", flush=True)
    print(f"the disk, 16 MB at a time, each synced: {median(disks) / 1e6:,.0f} MB/s (median)\n")
    head = ["bytes", "SET, MB/s", f"{COPIES} copies, of the disk's rate", "SET, ms: p50 p99"]
    print(table([*head, "GET, MB/s", "errors: SET GET"], rows))


if __name__ == "__main__":
    main()
