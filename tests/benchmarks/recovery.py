"""How soon a slave with many keys serves again after ``kill -9``.

    python -m tests.benchmarks.recovery                  a million keys, three kills
    python -m tests.benchmarks.recovery --keys 20000 --writes 2000   a try

The keys come in pipelines; then clients that write one at a time leave logs of small entries behind
the snapshots, as in ordinary use.  One slave of three is killed and started at once, again and
again: until it answers a GET (with a value, or where to go), and until it leads its partitions.
"""

import argparse
import contextlib
import time

import redis

from distrodb import LocalCluster
from tests.benchmarks.loads import at, faultless
from tests.benchmarks.memory import FILL
from tests.benchmarks.tables import spread, table

NODE = "node2"
SECONDS_MAX = 120.0


def seconds_until(what) -> float:
    began = time.monotonic()
    while time.monotonic() < began + SECONDS_MAX:
        with contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
            if what():
                return time.monotonic() - began
        time.sleep(0.01)
    raise RuntimeError(f"{NODE} does not come back")


def serves(client: redis.Redis) -> bool:
    try:
        client.get("key")
    except redis.ResponseError as error:
        return str(error).startswith("MOVED")
    return True


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--writes", type=int, default=300_000, help="one at a time, 50 clients")
    parser.add_argument("--kills", type=int, default=3)
    given = parser.parse_args()
    keys = ("--keys", str(given.keys), "--size", "64")
    with LocalCluster(nodes=3) as cluster:
        cluster.wait_healed()
        faultless(*at(cluster), *FILL, *keys)
        faultless(*at(cluster), "--gets", "0", "-n", str(given.writes), "-c", "50", *keys)
        address = cluster.configs[NODE].me.client
        client = redis.Redis(address.host, address.port, socket_timeout=1.0)
        led = [p["id"] for p in (cluster.status() or {})["partitions"] if p["owner"] == NODE]
        answers, leads = list[float](), list[float]()
        for _ in range(given.kills):
            cluster.kill(NODE)
            began = time.monotonic()
            cluster.start(NODE)
            seconds_until(lambda: serves(client))
            answers.append(time.monotonic() - began)
            seconds_until(lambda: leads_all(cluster, led))
            leads.append(time.monotonic() - began)
            cluster.wait_healed()
    rows = [["it answers", spread(answers, "{:.2f}")], ["it leads again", spread(leads, "{:.2f}")]]
    what = f"{given.keys:,} keys, {given.writes:,} single writes; seconds from kill and start until"
    print(table([what, ""], rows))


def leads_all(cluster: LocalCluster, partitions: list[int]) -> bool:
    status = cluster.status()
    if status is None:
        return False
    return all(status["partitions"][number]["leader"] == NODE for number in partitions)


if __name__ == "__main__":
    main()
