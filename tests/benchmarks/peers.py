"""Ours beside one Redis and beside etcd, in one run, the systems alternating round by round.

    python -m tests.benchmarks.peers                       five rounds, some ten minutes
    python -m tests.benchmarks.peers --rounds 1 --scale 0.1   a try, for the program itself
    python -m tests.benchmarks.peers --etcd                etcd too (a minute more a round)
    python -m tests.benchmarks.peers --plot docs/peers.svg

``redis-benchmark -t set,get -c 50 -d 64 -r 100000`` with pipelines of 1, 16 and 100: three slaves
with what ``distrodb local --nodes 3`` has (``--cluster``), and three whose reads trust clocks;
gateways of a cluster with one partition, the leader's and another slave's; and one Redis that syncs
each write.  One system is driven at a time; Redis and etcd stand still (SIGSTOP) meanwhile, ours
idles.  A share is that of Redis in the same round.  Ours against etcd: 1,000 clients, values of
1 KiB, a write at a time each.

Caveat: redis-benchmark ends at a tick of 250 ms, so loads of less than some seconds are rounded by
much: ``--scale`` is for trying out only.
"""

import argparse
import contextlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median

from distrodb import LocalCluster
from tests.benchmarks.loads import Figure, gateway_of, pids_of, port_of, redis_benchmark
from tests.benchmarks.servers import Etcd, Redis, Server, closing
from tests.benchmarks.tables import shares, spread, table

# Some seconds each at the rates that plain Redis has.
REQUESTS = {1: 60_000, 16: 500_000, 100: 1_500_000}
KINDS = ("set", "get")
REDIS = "Redis, one server"
OURS = "distrodb, 3 slaves, 6 partitions"
LEASE = 'the same with `reads = "lease"`'
LEADER = "the leader's gateway, 1 partition"
OTHER = "another slave's gateway, 1 partition"

Cell = tuple[str, int]  # the kind of command, the pipeline
CELLS: list[Cell] = [(kind, pipeline) for pipeline in REQUESTS for kind in KINDS]
Figures = dict[str, dict[Cell, list[Figure]]]


@contextlib.contextmanager
def awake(server: Server):
    server.resume()
    try:
        yield
    finally:
        server.pause()


def rounds_of(count: int, scale: float, is_brief: bool) -> Figures:
    figures: Figures = defaultdict(lambda: defaultdict(list))
    with contextlib.ExitStack() as stack:
        peer = stack.enter_context(closing(Redis()))
        peer.pause()
        runs: dict[str, Callable[..., Figure]] = {}
        for name, reads in ((OURS, "quorum"), (LEASE, "lease"))[: 1 if is_brief else 2]:
            ours = stack.enter_context(LocalCluster(nodes=3, raft_reads=reads))
            ours.wait_healed()
            runs[name] = lambda *a, c=ours: redis_benchmark(
                a[0], port_of(c), pids_of(c), *a[1:], "--cluster"
            )
        if not is_brief:
            one = stack.enter_context(LocalCluster(nodes=3, partitions=1))
            one.wait_healed()
            status = one.status()
            assert status is not None
            leader = status["partitions"][0]["leader"]
            other = next(node for node in one.running() if node != leader)
            for name, node in ((LEADER, leader), (OTHER, other)):
                port = gateway_of(one, node)
                runs[name] = lambda *a, p=port: redis_benchmark(a[0], p, pids_of(one), *a[1:])
        for number in range(count):
            for kind, pipeline in CELLS:
                asked = (kind, pipeline, max(1000, int(REQUESTS[pipeline] * scale)))
                cell = (kind, pipeline)
                with awake(peer):
                    figures[REDIS][cell].append(
                        redis_benchmark(kind, peer.port, peer.pids, *asked[1:])
                    )
                for name, run in runs.items():
                    figures[name][cell].append(run(*asked))
            print(f"round {number + 1} of {count} is done", flush=True)
    return figures


def shown(figures: Figures) -> str:
    head = ["", *(f"{kind.upper()} P={pipeline}" for kind, pipeline in CELLS)]
    rows: list[list[str]] = []
    for name, cells in figures.items():
        rates = {cell: [f.a_second for f in cells[cell]] for cell in CELLS}
        rows.append([f"{name}: commands a second", *(spread(rates[cell]) for cell in CELLS)])
        if name != REDIS:
            shared = (shares_of(figures, name, cell) for cell in CELLS)
            rows.append(["share of Redis", *(f"**{spread(s, '{:.2f}')}**" for s in shared)])
        cpu = (spread([f.cpu_us for f in cells[cell]], "{:.1f}") for cell in CELLS)
        rows.append(["µs of CPU a command", *cpu])
    return table(head, rows)


def shares_of(figures: Figures, name: str, cell: Cell) -> list[float]:
    ours, theirs = figures[name][cell], figures[REDIS][cell]
    return shares([f.a_second for f in ours], [f.a_second for f in theirs])


def plot(figures: Figures, file: Path) -> None:
    """A bar for each share, with its least and most."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    names = [name for name in figures if name != REDIS]
    figure, axes = pyplot.subplots(figsize=(9, 4), layout="constrained")
    for number, name in enumerate(names):
        all_shares = [shares_of(figures, name, cell) for cell in CELLS]
        middle = [median(s) for s in all_shares]
        ends = [
            [m - min(s) for m, s in zip(middle, all_shares, strict=True)],
            [max(s) - m for m, s in zip(middle, all_shares, strict=True)],
        ]
        at = [cell + (number - (len(names) - 1) / 2) * 0.8 / len(names) for cell in range(6)]
        axes.bar(at, middle, 0.75 / len(names), yerr=ends, capsize=2, label=name)
    axes.axhline(1.0, color="grey", lw=0.8)
    axes.set_xticks(range(len(CELLS)), [f"{kind.upper()} P={p}" for kind, p in CELLS])
    axes.set_ylabel("share of one Redis,\nappendfsync always")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


def beside_etcd(count: int, scale: float, load: str) -> str:
    theirs, ours = list[float](), list[float]()
    requests = max(5000, int(200_000 * scale))
    with closing(Etcd()) as peer, LocalCluster(nodes=3) as cluster:
        assert isinstance(peer, Etcd)
        peer.pause()
        cluster.wait_healed()
        for number in range(count):
            with awake(peer):
                theirs.append(peer.perf(load))
            more = ("-c", "1000", "-d", "1024", "--cluster")
            figure = redis_benchmark("set", port_of(cluster), pids_of(cluster), 1, requests, *more)
            ours.append(figure.a_second)
            print(f"round {number + 1} of {count} beside etcd is done", flush=True)
    rows = [
        ["etcd, 3 members", spread(theirs)],
        ["distrodb, 3 slaves", spread(ours)],
        ["times etcd", f"**{spread(shares(ours, theirs), '{:.1f}')}**"],
    ]
    return table([f"writes of 1 KiB a second (etcdctl check perf --load={load})", ""], rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual requests")
    parser.add_argument("--brief", action="store_true", help="neither leases nor gateways")
    parser.add_argument("--etcd", action="store_true", help="beside etcd, too")
    parser.add_argument("--etcd-only", action="store_true")
    parser.add_argument("--etcd-load", default="xl", choices=["s", "m", "l", "xl"])
    parser.add_argument("--plot", type=Path, help="FILE.png or .svg: the shares")
    arguments = parser.parse_args()
    if not arguments.etcd_only:
        figures = rounds_of(arguments.rounds, arguments.scale, arguments.brief)
        print(shown(figures), flush=True)
        if arguments.plot:
            plot(figures, arguments.plot)
    if arguments.etcd or arguments.etcd_only:
        print(beside_etcd(arguments.rounds, arguments.scale, arguments.etcd_load), flush=True)


if __name__ == "__main__":
    main()
