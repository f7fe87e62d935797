"""The command ``distrodb``: arguments, signals, exit statuses.

0 all went well · 1 something failed · 2 the arguments or a file are wrong.  What goes wrong is one
line on standard error.
"""

import argparse
import contextlib
import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from distrodb import __version__
from distrodb.backup.arguments import add_to as add_backup_verbs
from distrodb.bench.arguments import add_to as add_bench_arguments
from distrodb.compiled import BUILD
from distrodb.errors import ConfigError, DistrodbError
from distrodb.login import add_to as add_login_arguments
from distrodb.patience import patience

if TYPE_CHECKING:
    from distrodb.local import LocalCluster

NODES_MAX = 64  # processes on one machine


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        return status
    except DistrodbError as error:
        print(f"distrodb: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # of a file that nothing above has an answer for
        where = f"{error.filename}: " if error.filename else ""
        print(f"distrodb: {where}{error.strerror or error}", file=sys.stderr)
        return 1


class _Verb(argparse.ArgumentParser):
    """One that says itself what it does not know: else it is told with the usage of ``distrodb``,
    which has none of its options."""

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            name, _, _ = unknown[0].partition("=")
            likely = get_close_matches(name, self._option_string_actions, 1)
            hint = f" (did you mean {likely[0]}?)" if likely else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return found, unknown


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="distrodb",
        description="A distributed key-value store: the Redis API, and an acknowledged write is"
        " never lost.",
    )
    version = f"distrodb {__version__} ({BUILD})"
    parser.add_argument("--version", action="version", version=version)
    verbs = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Verb)

    local = verbs.add_parser("local", help="run a whole cluster on this machine, with the shell")
    local.add_argument(
        "--nodes", type=int, help="slaves (default 5); more than a cluster has join it"
    )
    local.add_argument("--partitions", type=int, help="partitions (default twice the slaves)")
    local.add_argument("--dir", type=Path, help=f"where conf and data live (default {_home()})")
    local.add_argument("--base-port", type=int, help="client port of node1 (default 55551)")
    local.add_argument("--populate", metavar="FILE", help="fill the cluster with FILE's words")
    local.add_argument("--no-shell", action="store_true", help="stay in the foreground instead")
    add_login_arguments(local)
    local.set_defaults(run=_local)

    slave = verbs.add_parser("slave", help="run one slave")
    slave.add_argument("file", help="its file, e.g. conf/node1.toml")
    slave.set_defaults(run=_slave)

    master = verbs.add_parser("master", help="the shell")
    master.add_argument("--connect", metavar="HOST:PORT", help="any slave's client address")
    master.add_argument(
        "-c", dest="commands", metavar="COMMAND", action="append", default=[], help="run and exit"
    )
    add_login_arguments(master)
    master.set_defaults(run=_master)

    status = verbs.add_parser("status", help="show the cluster map")
    status.add_argument("--connect", metavar="HOST:PORT", help="any slave's client address")
    status.add_argument("--json", action="store_true", help="for programs")
    add_login_arguments(status)
    status.set_defaults(run=_status)

    doctor = verbs.add_parser("doctor", help="say what is wrong with a cluster, worst first")
    doctor.add_argument("--connect", metavar="HOST:PORT", help="any slave's client address")
    doctor.add_argument("--json", action="store_true", help="for programs")
    add_login_arguments(doctor)
    doctor.set_defaults(run=_doctor)

    add_backup_verbs(verbs)

    bench = verbs.add_parser("bench", help="put a running cluster under load, and say what it took")
    add_bench_arguments(bench)
    add_login_arguments(bench)
    bench.set_defaults(run=_bench)

    certs = verbs.add_parser("certs", help="make an authority, and certificates for slaves")
    certs.add_argument("dir", type=Path, help="where they are, and ca.crt and ca.key")
    certs.add_argument("files", nargs="*", metavar="FILE", help="slaves' files: one each for these")
    certs.add_argument(
        "--client", action="append", default=[], metavar="NAME", help="one for a client"
    )
    certs.add_argument(
        "--host", action="append", default=[], help="a further name or address of those slaves"
    )
    certs.add_argument("--days", type=int, default=365, help="until they end (default 365)")
    certs.set_defaults(run=_certs)

    init = verbs.add_parser("init", help="write the files of a cluster on several machines")
    init.add_argument("dir", type=Path, help="a new directory: one folder a slave, and the rest")
    which = "a slave and its machine's address or name, in ring order"
    init.add_argument("--node", action="append", metavar="ID=HOST", help=which)
    init.add_argument("--add", action="append", metavar="ID=HOST", help="one more, which joins")
    init.add_argument("--partitions", type=int, help="(default twice the slaves)")
    init.add_argument("--replicas", type=int, choices=(1, 3, 5), help="copies (default 3)")
    init.add_argument("--tls", action="store_true", default=None, help="for clients and slaves")
    init.add_argument("--http", action="store_true", default=None, help="with page and metrics")
    init.add_argument("--gateway", action="store_true", default=None, help="for plain clients")
    init.add_argument("--data", type=Path, metavar="DIR", help="on slaves: their data in DIR/ID")
    init.add_argument("--base-port", type=int, help="for clients (default 15551); others above")
    init.add_argument("--id", metavar="NAME", help="of the cluster (default: a new one)")
    init.set_defaults(run=_init)

    ready = verbs.add_parser("ready", help="say whether a slave on this machine is ready")
    ready.add_argument("file", help="its file, which must name an http port")
    ready.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="until it is")
    ready.set_defaults(run=_ready)
    return parser


def _home() -> Path:
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "distrodb" / "local"


@contextlib.contextmanager
def _importing() -> Iterator[None]:
    """What a command needs is imported when it is asked for, and stays, so it is not looked through
    for garbage meanwhile, nor afterwards: that took a tenth of the shell's start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _log_in(options: argparse.Namespace) -> None:
    from distrodb.master.connections import log_in

    log_in(options)


def _certs(options: argparse.Namespace) -> int:
    with _importing():
        from distrodb import certs
        from distrodb.clock import wall_ms
        from distrodb.config import load

    if not 1 <= options.days <= certs.DAYS_MAX:
        raise ConfigError(f"--days {options.days}: use 1 to {certs.DAYS_MAX}")
    if not options.files and not options.client:
        raise ConfigError("certs: name slaves' files, or --client NAME")
    clients = [certs.check_name(name) for name in options.client]
    slaves = [load(file) for file in options.files]
    authority = certs.Authority(options.dir, wall_ms())
    if authority.is_new:
        print(f"authority {options.dir / 'ca.crt'}; keep ca.key away from the slaves")
    for config in slaves:
        hosts = list(dict.fromkeys([*certs.hosts_of(config), *options.host]))
        certificate, _ = authority.sign(config.id, hosts, options.days, is_slave=True)
        print(f"slave {config.id} {certificate} for {' '.join(hosts)}")
    for name in clients:
        certificate, _ = authority.sign(name, [], options.days, is_slave=False)
        print(f"client {name} {certificate}")
    return 0


def _init(options: argparse.Namespace) -> int:
    with _importing():
        from distrodb.init import run

    if options.partitions is not None and not 1 <= options.partitions <= 16384:
        raise ConfigError(f"--partitions {options.partitions}: use 1 to 16384")
    return run(options)


def _ready(options: argparse.Namespace) -> int:
    with _importing():
        from distrodb.config import load
        from distrodb.ready import run

    return run(load(options.file), options.wait)


def _slave(options: argparse.Namespace) -> int:
    with _importing():
        from distrodb.config import load
        from distrodb.slave.process import run

    return run(load(options.file))


def _master(options: argparse.Namespace) -> int:
    with _importing():
        from distrodb.master.shell import run

    _log_in(options)
    return run(options.connect, options.commands)


def _status(options: argparse.Namespace) -> int:
    with _importing():
        from distrodb.master import healing_status, render
        from distrodb.master.client import Cluster

    _log_in(options)
    with patience(lambda: "a slave that answers"):
        status = Cluster(options.connect).status()
    if options.json:
        print(json.dumps(status, indent=2))
        return 0
    from rich.console import Console

    console = Console()
    asked = status.get("asked", {"not_yet_in": []})
    why = healing_status.unborn(status)
    if why and asked.get("waits_to_join"):  # the map that it has is its own, and no cluster's
        print(why)
        return 0
    controller = f", controller {status['controller']}" if status.get("controller") else ""
    console.print(f"epoch {status['epoch']}, ring {' '.join(status['ring'])}{controller}")
    is_file = not console.is_terminal  # which is as wide as it must be
    console.print(render.nodes_table(status), soft_wrap=is_file)
    console.print(render.partitions_table(status), soft_wrap=is_file)
    console.print(healing_status.changes(status), highlight=False, soft_wrap=True)
    for line in render.moves(healing_status.Healing(status)):
        console.print(line)
    if not why and asked["not_yet_in"]:
        groups = ", ".join(map(str, asked["not_yet_in"]))
        console.print(f"{asked['node']} is being taken in; it does not count yet in: {groups}")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    """1 when something is wrong; notes are nothing that is."""
    with _importing():
        from distrodb.master import doctor, render
        from distrodb.master.client import Cluster

    _log_in(options)
    with patience(lambda: "the slaves' answers"):
        found = doctor.examine(Cluster(options.connect))
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        from rich.console import Console

        console = Console()
        console.print(render.findings(found), soft_wrap=not console.is_terminal)
    return int(doctor.is_ill(found))


def _bench(options: argparse.Namespace) -> int:
    from distrodb.bench.run import run

    _log_in(options)
    return run(options)


def _local(options: argparse.Namespace) -> int:
    with _importing():
        from distrodb.local import LocalCluster
        from distrodb.login import given
        from distrodb.master.connections import log_in_as

    directory = options.dir or _home()
    login = given(options)
    if options.nodes is not None and not 1 <= options.nodes <= NODES_MAX:
        raise ConfigError(f"--nodes {options.nodes}: use 1 to {NODES_MAX}")
    if options.partitions is not None and not 1 <= options.partitions <= 16384:
        raise ConfigError(f"--partitions {options.partitions}: use 1 to 16384")
    if options.populate is not None and not _is_readable(Path(options.populate)):
        raise ConfigError(f"--populate {options.populate}: cannot be read; name a text file")
    with_shell = not options.no_shell
    interrupts = _Interrupts()
    with patience(lambda: "the slaves' ports"):
        cluster = LocalCluster(
            options.nodes or 5,
            partitions=options.partitions or 0,
            directory=directory,
            base_port=55551 if options.base_port is None else options.base_port,
            detached=with_shell,
            idle=interrupts.pause,
        )
    cluster.log_in_as(login)
    log_in_as(cluster.login)
    _check_same(options, cluster, directory)
    leave_running = False
    try:
        found = cluster.take_up()
        with patience(lambda: "the slaves to start"):
            for node in cluster.nodes:
                if node not in found:
                    cluster.start(node)
        for node in cluster.nodes:
            _print_slave(cluster, node, " (runs)" if node in found else "")
        with patience(lambda: "every partition to have a leader"):
            cluster.wait_ready()
        reported = set(cluster.ended())  # those that were removed
        for node in sorted(reported):
            print(f"slave {node} ended: {cluster.last_words(node)}", flush=True)
        _grow(cluster, options.nodes)
        partitions = len((cluster.status() or {"partitions": []})["partitions"])
        running = cluster.running()
        plural = "" if partitions == 1 else "s"
        if len(cluster.nodes) == 2:
            print("two copies of each key: it waits while one slave is down; use three", flush=True)
        print(f"ready: {len(running)} slaves, {partitions} partition{plural}", flush=True)
        connect = cluster.addresses[running[0]]
        if options.populate is not None:
            with interrupts.raised():
                _populate(connect, options.populate)
        if not with_shell:
            return _watch(cluster, reported, interrupts)
        with _importing():
            from distrodb.master.shell import run

        with interrupts.raised():
            status = run(connect, [], cluster)
        leave_running = cluster.status() is not None
        if leave_running:
            print(f"The slaves run on. To reach them: {_typed()} master --connect {connect}")
        return status
    finally:
        if not leave_running:
            cluster.close()


def _is_readable(file: Path) -> bool:
    return file.is_file() and os.access(file, os.R_OK)


def _typed() -> str:
    """How this was called, to be typed again: it may be on no path."""
    program = sys.argv[0]
    return program if Path(program).name == "distrodb" else f"{sys.executable} -m distrodb"


class _Interrupts:
    """Ctrl-C and SIGTERM, which end what is under way, slaves included.

    They are noted, and raised in a ``pause``: in the midst of anything else an exception may be
    swallowed (in a destructor, as one in 60 was), leave a slave behind, or hold ``Popen``'s lock.
    """

    def __init__(self) -> None:
        self._noted = False
        self._set(self._note)

    def _note(self, *_: object) -> None:
        self._noted = True

    @staticmethod
    def _raise(*_: object) -> None:
        raise KeyboardInterrupt

    @staticmethod
    def _set(handler: Callable[..., None]) -> None:
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, handler)

    def pause(self, seconds: float) -> None:
        from distrodb.clock import sleep

        sleep(seconds)
        if self._noted:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def raised(self) -> Iterator[None]:
        """Here they are raised where they fall: no slave is started or polled."""
        self.pause(0.0)
        try:
            self._set(self._raise)
            yield
        finally:
            self._set(self._note)


def _print_slave(cluster: "LocalCluster", node: str, remark: str = "") -> None:
    gateway, http = cluster.gateway_address(node), cluster.http_url(node)
    print(
        f"slave {node} pid {cluster.pids[node]} clients {cluster.addresses[node]}"
        f" peers {cluster.peer_address(node)}{f' gateway {gateway}' if gateway else ''}"
        f"{f' page {http}/' if http else ''}{remark}",
        flush=True,
    )


def _grow(cluster: "LocalCluster", wanted: int | None) -> None:
    """More slaves than there are join."""
    there = len(cluster.running())
    if wanted is None or wanted == there:
        return
    if wanted < there:
        raise ConfigError(
            f"{cluster.directory}: holds a cluster of {there} slaves, not {wanted};"
            " REMOVE some in the shell, or use another --dir"
        )
    for _ in range(wanted - there):
        _print_slave(cluster, cluster.add())
    with patience(lambda: "all to be let in"):
        cluster.wait_joined()


def _populate(connect: str, path: str) -> None:
    from rich.console import Console

    from distrodb.master.client import Cluster
    from distrodb.master.populate import populate, word_pairs

    with patience(lambda: f"the words of {path}"):
        pairs = word_pairs(path)
    populate(Cluster(connect), pairs, Console())


def _check_same(options: argparse.Namespace, cluster: "LocalCluster", directory: Path) -> None:
    """A directory keeps the shape it was made with; how many slaves there are may change."""
    first = cluster.configs[cluster.nodes[0]]
    asked = {"--base-port": (options.base_port, first.nodes[0].client.port)}
    if not first.join:  # which knows nothing of the number
        asked["--partitions"] = (options.partitions, first.partitions)
    for name, (wanted, made_with) in asked.items():
        if wanted is not None and wanted != made_with:
            raise ConfigError(
                f"{directory}: holds a cluster made with {name} {made_with}, not {wanted};"
                " use another --dir, or remove this one with its data"
            )


def _watch(cluster: "LocalCluster", reported: set[str], interrupts: _Interrupts) -> int:
    """Stay until SIGINT or SIGTERM; report a slave that ends, do not restart it."""
    try:
        while len(reported) < len(cluster.nodes):
            for node, status in cluster.ended().items():
                if node not in reported:
                    reported.add(node)
                    how = f"by signal {-status}" if status < 0 else f"with status {status}"
                    print(f"slave {node} ended {how}", flush=True)
            interrupts.pause(0.1)
    except KeyboardInterrupt:
        return 0
    return 1
