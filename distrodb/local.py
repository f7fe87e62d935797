"""A whole cluster on this machine: what ``distrodb local`` and the fault tests run.

One process a slave, each from its own file in ``DIR/conf/``, with its data and its log in
``DIR/nodeN/``.  Files that are there are kept, so a cluster is found again at the next start; also
those of slaves that were removed from it, which end at once with status 0 when they are started.
The slaves are in sessions of their own: Ctrl-C in a terminal does not reach them.
"""

import contextlib
import ctypes
import itertools
import json
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.retry import Retry

from distrodb import private, slave_files
from distrodb.clock import monotonic, sleep, wall_ms
from distrodb.config import Address, NodeAddress, SlaveConfig, load, problem
from distrodb.errors import ConfigError, UnavailableError
from distrodb.login import NOBODY, Login
from distrodb.ports import PERHAPS_A_SLAVE, held, holder, is_free, obstacle
from distrodb.slave_files import GATEWAY_PORT_OFFSET, HTTP_PORT_OFFSET, PEER_PORT_OFFSET

_FREE_PORT_MIN = 10000
READY_S_MAX = 30.0
HEALED_S_MAX = 120.0  # far above what the copies of a test take
STOP_S_MAX = 30.0  # far above what handing over takes
POLL_S = 0.02
_STEPS_MAX = 50  # ports that are tried above the last slave's; then any that is free
_PR_SET_PDEATHSIG = 1
# How a slave ends that was told to; the last when SIGTERM came before it could listen for it.
_AS_TOLD = (0, -signal.SIGKILL, -signal.SIGTERM)


Ports = tuple[int, int, int, int]  # of a slave: for clients, for peers, for its gateway, for HTTP


class _Found:
    """A slave's process that another one has started: what of ``Popen`` is needed here."""

    def __init__(self, pid: int):
        self.pid = pid
        self.returncode: int | None = None
        self._fd = os.pidfd_open(pid)  # it stays this process's when the number is used again

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._fd], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self.returncode = 0  # its status is its parent's to know
            os.close(self._fd)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            signal.pidfd_send_signal(self._fd, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _find(file: Path) -> _Found | None:
    """The process of the slave that was started with this file, if it runs."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (
                (entry / "cmdline").read_bytes().split(b"\0")[:-1] if entry.name.isdigit() else []
            )
            if b"slave" in words[:-1]:
                named = Path(os.readlink(entry / "cwd"), os.fsdecode(words[-1]))
                if named.resolve() == file.resolve():
                    return _Found(int(entry.name))
    return None


class LocalCluster:
    """``with LocalCluster(nodes=3) as cluster: cluster.client().set("a", "1")``

    Without ``directory`` the data lives in a temporary one that goes with the cluster; without
    ``base_port`` free ports are taken.  ``options`` are those of config/, as ``section_name``
    (``raft_election_timeout_ms=500``).  ``idle`` is called between two looks at the slaves, with
    seconds, and may raise.  Raises ``ConfigError``, ``UnavailableError``.
    """

    def __init__(
        self,
        nodes: int = 5,
        *,
        partitions: int = 0,
        replicas: int = 3,
        directory: str | Path | None = None,
        base_port: int | None = None,
        detached: bool = False,
        idle: Callable[[float], None] = sleep,
        **options: Any,
    ):
        if nodes < 1:
            raise ConfigError(f"{nodes} slaves make no cluster; use 1 or more")
        self._temporary = None
        if directory is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="distrodb-")
            directory = self._temporary.name
        self.directory = Path(directory)
        self._detached = detached  # the slaves outlive this process
        self._idle = idle
        self._login = NOBODY
        self._processes: dict[str, subprocess.Popen[bytes] | _Found] = {}
        self._paused: set[str] = set()
        if not self._files():
            ports = _ports(nodes, base_port)
            _check_to_be_had(ports, idle)  # before a file fixes them for this directory
            self._write_files(
                {f"node{n}": pair for n, pair in enumerate(ports, 1)},
                cluster_partitions=partitions,
                cluster_replicas=replicas,
                **options,
            )
        self.configs: dict[str, SlaveConfig] = {}
        for file in self._files():
            config = load(file)
            self.configs[config.id] = config
        self._ring = self._order()

    # -- the whole ---------------------------------------------------------------------------

    def __enter__(self) -> "LocalCluster":
        try:
            self.start_all()
            self.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _order(self) -> list[str]:
        """Those that the cluster is born with, in ring order; then those that joined, as they did.

        Raises ``ConfigError`` when a file is missing and no slave was started yet: such a cluster
        would never be born.  Afterwards the file of a slave that was removed may be deleted.
        """
        joined = sorted((id_ for id_, c in self.configs.items() if c.join), key=_number)
        rows = [c.nodes for c in self.configs.values() if not c.join]
        born = list(dict.fromkeys(node.id for nodes in rows for node in nodes))
        there = [id_ for id_ in born if id_ in self.configs]
        was_started = any((c.directory / "journal").exists() for c in self.configs.values())
        if there != born and not was_started:
            raise ConfigError(
                f"{self.directory}/conf: not one file for each slave; mend or remove it"
            )
        return there + joined

    def start_all(self) -> None:
        for node in self._ring:
            self.start(node)

    def take_up(self) -> list[str]:
        """Those of this directory that run already; they are left running by ``close``."""
        for node, config in self.configs.items():
            found = None if is_free(config.me.listens["client"]) else _find(config.file)
            if found is not None:
                self._processes[node] = found
        return [node for node in self._ring if node in self._processes]

    def is_own(self, node: str) -> bool:
        """Whether this object has started it."""
        return isinstance(self._processes.get(node), subprocess.Popen)

    def revive(self, node: str) -> None:
        """Start a slave that has ended, and wait until it answers."""
        if node not in self.configs:
            raise ConfigError(f"unknown node {node}; the nodes are {', '.join(self._ring)}")
        process = self._processes.get(node)
        if process is not None and process.poll() is None:
            raise ConfigError(f"{node} runs already, its pid is {process.pid}")
        self.start(node)
        self.wait_until(lambda: self._has_come(node), f"{node} answers")

    def _has_come(self, node: str) -> bool:
        if self._processes[node].poll() is not None:
            raise UnavailableError(f"{node} ended: {self.last_words(node)}")
        return self.status(node) is not None

    def add(self) -> str:
        """Start one slave more, which joins; its id.  It is let in and given its share meanwhile:
        ``wait_healed`` waits for that.  It takes the next ports that are free: the kernel may
        have given some to outgoing connections.  Raises ``ConfigError`` when there are none."""
        first = self.configs[self._ring[0]]
        # One that was removed has left its directory, and the id belongs to what is in there.
        homes = [path.name for path in self.directory.glob("node*")]
        node = f"node{max(map(_number, [*self._ring, *homes])) + 1}"
        last = max(config.me.client.port for config in self.configs.values())
        is_in_a_row = first.me.peer.port == first.me.client.port + PEER_PORT_OFFSET
        certificates = _certificates(first, node)
        end = min(last + _STEPS_MAX, 65535 - HTTP_PORT_OFFSET) if is_in_a_row else 0
        tried = (_ports(1, base) for base in range(last + 1, end))
        ports = next(filter(_are_to_be_had, tried), None) or _ports(1, None)
        peers = [str(config.me.peer) for config in self.configs.values()]
        options = {**slave_files.shared_options(first), "node_join": peers}
        self._write_files({node: ports[0]}, certificates, **options)
        self.configs[node] = load(self.directory / "conf" / f"{node}.toml")
        self._ring.append(node)
        self.start(node)
        return node

    def close(self) -> None:
        """End all slaves that this object has started and are still there, politely at first."""
        for node in list(self._paused):
            self.resume(node)
        own = [process for node, process in self._processes.items() if self.is_own(node)]
        for process in own:
            if process.poll() is None:
                process.terminate()
        until = monotonic() + 10
        for process in own:
            try:
                process.wait(max(0.1, until - monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._temporary is not None:
            self._temporary.cleanup()

    def wait_ready(self, timeout_s: float = READY_S_MAX) -> None:
        """Until every slave that runs knows one and the same leader for each partition."""
        self.wait_until(self._is_ready, "every partition has a leader", timeout_s)

    def wait_joined(self, timeout_s: float = READY_S_MAX) -> None:
        """Until every slave that runs has been let in; the ring gives it its share meanwhile."""
        self.wait_until(self._is_joined, "every slave is let in", timeout_s)

    def _is_joined(self) -> bool:
        return all(s is not None and s["epoch"] > 0 for s in self._statuses().values())

    def wait_healed(self, timeout_s: float = HEALED_S_MAX) -> None:
        """Until every slave that runs is in the ring and sees nothing to heal, and each partition
        is led by its owner."""
        self.wait_until(self._is_healed, "the ring is whole", timeout_s)

    def _is_healed(self) -> bool:
        statuses = self._statuses()
        return bool(statuses) and all(
            status is not None
            and status["healing"]["is_done"]
            and sorted(status["ring"]) == sorted(statuses)
            and all(row["leader"] == row["owner"] for row in status["partitions"])
            for status in statuses.values()
        )

    def _statuses(self) -> dict[str, dict[str, Any] | None]:
        """What each slave that runs says.  Raises ``UnavailableError`` when one has failed."""
        for node in self.running():
            self._check_alive(node)
        return {node: self.status(node) for node in self.running()}

    def wait_until(
        self, condition: Callable[[], bool], what: str, timeout_s: float = READY_S_MAX
    ) -> None:
        """Raises ``UnavailableError`` when ``condition`` does not come true in time."""
        until = monotonic() + timeout_s
        while not condition():
            if monotonic() > until:
                raise UnavailableError(f"after {timeout_s:g} s it is still not so that {what}")
            self._idle(POLL_S)

    def _is_ready(self) -> bool:
        statuses = self._statuses().values()
        leaders = [[row["leader"] for row in s["partitions"]] for s in statuses if s is not None]
        return (
            0 < len(leaders) == len(statuses)
            and None not in leaders[0]
            and all(each == leaders[0] for each in leaders)
        )

    # -- one slave ---------------------------------------------------------------------------

    def start(self, node: str) -> None:
        """Start a slave (again).  Raises ``ConfigError`` when its port is in use.

        Unless detached it dies with the *thread* that started it, as Linux has it: call this from
        one that lasts.
        """
        self._check_ports(node)
        home = self.directory / node
        home.mkdir(mode=private.DIRECTORY, parents=True, exist_ok=True)
        # The child's from here on.
        log = open(home / "slave.log", "ab", opener=private.opener)  # noqa: SIM115
        with log:
            self._processes[node] = subprocess.Popen(
                self._command(node),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=None if self._detached else die_with_parent,
            )

    def _command(self, node: str) -> list[str]:
        """How a slave is started.  The fault tests put each into a network of its own."""
        return [sys.executable, "-m", "distrodb", "slave", str(self.configs[node].file)]

    def kill(self, node: str) -> None:
        """SIGKILL: the slave is gone at once, as in a crash."""
        process = self._processes[node]
        process.kill()
        process.wait()
        self._paused.discard(node)

    def stop(self, node: str) -> int:
        """SIGTERM: it hands leadership over and ends.  Returns its exit status."""
        process = self._processes[node]
        process.terminate()
        if node in self._paused:
            self.resume(node)  # or it would not hear of it
        try:
            return process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            raise UnavailableError(
                f"slave {node} has not ended {STOP_S_MAX:g} s after SIGTERM"
            ) from None

    def pause(self, node: str) -> None:
        """SIGSTOP: the slave hangs, its connections stay open."""
        self._processes[node].send_signal(signal.SIGSTOP)
        self._paused.add(node)

    def resume(self, node: str) -> None:
        """SIGCONT."""
        self._processes[node].send_signal(signal.SIGCONT)
        self._paused.discard(node)

    def running(self) -> list[str]:
        """The slaves that were started, have not ended as far as we know, and are not paused."""
        return [
            node
            for node in self._ring
            if node in self._processes
            and node not in self._paused
            and self._processes[node].returncode not in _AS_TOLD
        ]

    def ended(self) -> dict[str, int]:
        """The slaves that have ended, with their exit status."""
        return {
            node: status
            for node, process in self._processes.items()
            if (status := process.poll()) is not None
        }

    def _check_alive(self, node: str) -> None:
        status = self._processes[node].poll()
        if status is not None and status not in _AS_TOLD:
            raise UnavailableError(
                f"slave {node} ended with status {status}: {self.last_words(node)}"
            )

    def last_words(self, node: str) -> str:
        """The last line of a slave's log."""
        lines = (self.directory / node / "slave.log").read_text(errors="replace").splitlines()
        return lines[-1].removeprefix("distrodb: ") if lines else "(its log is empty)"

    # -- who asks ----------------------------------------------------------------------------

    def log_in_as(self, login: Login) -> None:
        self._login = login

    @property
    def login(self) -> Login:
        """How its slaves are asked: as the one that was given, and else by their own files."""
        config = self.configs[self._ring[0]]
        login, tls, password = self._login, config.tls, config.clients.requirepass
        if login.password is None and password and not password.startswith("#"):
            login = replace(login, password=password)
        if tls.clients != "off" and not login.has_tls:
            own: tuple[str | None, str | None] = (None, None)
            if tls.clients == "certificate":
                own = str(tls.certificate), str(tls.key)
            ca = str(tls.ca) if tls.ca != Path() else None
            login = replace(login, has_tls=True, ca=ca, certificate=own[0], key=own[1])
        return login

    # -- what it looks like ------------------------------------------------------------------

    @property
    def nodes(self) -> list[str]:
        """The ids of all slaves that have a file, in ring order."""
        return list(self._ring)

    @property
    def addresses(self) -> dict[str, str]:
        """Id to client address."""
        return {node: str(self._address(node)) for node in self._ring}

    @property
    def pids(self) -> dict[str, int]:
        return {node: process.pid for node, process in self._processes.items()}

    def gateway_address(self, node: str) -> str | None:
        """None for one whose file names none."""
        gateway = self.configs[node].me.gateway
        return None if gateway is None else str(gateway)

    def http_address(self, node: str) -> str | None:
        """None for one whose file names none."""
        http = self.configs[node].me.http
        return None if http is None else str(http)

    def http_url(self, node: str) -> str | None:
        """The same with its scheme."""
        return self.configs[node].http_url

    def peer_address(self, node: str) -> str:
        return str(self.configs[node].me.peer)

    def status(self, node: str | None = None) -> dict[str, Any] | None:
        """The cluster map as ``node`` (or any slave that answers) sees it; None if none does."""
        for asked in [node] if node else self.running():
            with contextlib.suppress(redis.RedisError, OSError), self.connection(asked) as slave:
                status: dict[str, Any] = json.loads(slave.execute_command("DISTRODB STATUS"))
                return status
        return None

    @contextlib.contextmanager
    def connection(self, node: str) -> Iterator[redis.Redis]:
        """A plain connection to one slave."""
        address = self._address(node)
        client = redis.Redis(
            address.host,
            address.port,
            socket_timeout=2.0,
            socket_connect_timeout=2.0,
            retry=Retry(NoBackoff(), 0),
            **self.login.options,
        )
        try:
            yield client
        finally:
            client.close()

    def client(self, **options: Any) -> RedisCluster:
        """A cluster client of redis-py."""
        addresses = [self._address(node) for node in self.running()]
        return RedisCluster(
            startup_nodes=[ClusterNode(a.host, a.port) for a in addresses],
            **{"socket_timeout": 5.0, **self.login.options, **options},
        )

    def _check_ports(self, node: str) -> None:
        """The slave would say so too, but until then another one would answer in its place."""
        me = self.configs[node].me
        address = held([*me.listens.values()], self._idle)
        if address is None:
            return
        by, remedy = holder(address.port), "end what uses it"
        if by == PERHAPS_A_SLAVE and address == me.listens["client"]:
            remedy = f"reach it with distrodb master --connect {me.client} (there QUIT ends it)"
        raise problem(
            self.configs[node].file,
            "cluster.nodes." + next(name for name, at in me.listens.items() if at == address),
            f"{address} is in use, {by}",
            f"{remedy}, or use another --dir and --base-port",
        )

    def _address(self, node: str) -> Address:
        return self.configs[node].me.client

    # -- files -------------------------------------------------------------------------------

    def _files(self) -> list[Path]:
        return sorted((self.directory / "conf").glob("node*.toml"))

    def _write_files(
        self,
        ports: dict[str, Ports],
        certificates: slave_files.Certificates | None = None,
        **options: Any,
    ) -> None:
        folder = self.directory / "conf"
        try:
            folder.mkdir(mode=private.DIRECTORY, parents=True, exist_ok=True)
            nodes = [
                NodeAddress(
                    id_,
                    Address("127.0.0.1", client),
                    Address("127.0.0.1", peer),
                    gateway_bind=Address("127.0.0.1", gateway),
                    http_bind=Address("127.0.0.1", http),
                )
                for id_, (client, peer, gateway, http) in ports.items()
            ]
            options = {"cluster_id": "local", "raft_dead_after_s": 3.0, **options}
            for node in nodes:
                file, data = folder / f"{node.id}.toml", f"../{node.id}"
                slave_files.write(file, node, nodes, data, certificates, **options)
        except OSError as error:
            raise ConfigError(
                f"{folder}: cannot be written ({error.strerror}); use --dir"
            ) from None


def _certificates(like: SlaveConfig, node: str) -> slave_files.Certificates | None:
    """For one slave more: signed by the authority of ``like``, whose key lies beside it."""
    if not like.tls.is_on:
        return None
    ca, folder = like.tls.ca, like.tls.certificate.parent
    if ca == Path():
        raise ConfigError(
            f"{like.file}: its slaves use TLS and name no ca, so nobody can sign a certificate for"
            f" {node}; write its file by hand (docs/security.md)"
        )
    authority = slave_files.authority_in(ca.parent, ca, wall_ms(), node)
    return slave_files.Certificates(authority, folder, ca)


def _number(node: str) -> int:
    """Of ``node12``; 0 for another id."""
    digits = node.removeprefix("node")
    return int(digits) if digits.isdecimal() else 0


def _ports(nodes: int, base: int | None) -> list[Ports]:
    if base is not None:
        if not 1 <= base <= 65535 - HTTP_PORT_OFFSET - nodes:
            raise ConfigError(
                f"--base-port {base}: no ports for {nodes} slaves;"
                f" use 1 to {65535 - HTTP_PORT_OFFSET - nodes}"
            )
        return [
            (
                client,
                client + PEER_PORT_OFFSET,
                client + GATEWAY_PORT_OFFSET,
                client + HTTP_PORT_OFFSET,
            )
            for client in range(base, base + nodes)
        ]
    candidates = list(range(_FREE_PORT_MIN, _first_ephemeral_port()))
    random.SystemRandom().shuffle(candidates)  # others may have seeded the common generator
    free = (port for port in candidates if not obstacle(Address("127.0.0.1", port)))
    taken = list(itertools.islice(free, 4 * nodes))
    if len(taken) < 4 * nodes:
        raise ConfigError(f"no {4 * nodes} free ports below {_first_ephemeral_port()}")
    return list(zip(taken[::4], taken[1::4], taken[2::4], taken[3::4], strict=True))


def _first_ephemeral_port() -> int:
    """Above it the kernel gives ports to outgoing connections: while a slave is down, one of
    another process might take its port."""
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
        return max(int(text.split()[0]), 2 * _FREE_PORT_MIN)
    except (OSError, ValueError, IndexError):
        return 32768


def _addresses(ports: list[Ports]) -> list[Address]:
    return [Address("127.0.0.1", port) for of_one in ports for port in of_one]


def _are_to_be_had(ports: list[Ports]) -> bool:
    return not any(map(obstacle, _addresses(ports)))


def _check_to_be_had(ports: list[Ports], idle: Callable[[float], None]) -> None:
    addresses = _addresses(ports)
    if (address := held(addresses, idle)) is not None:
        raise ConfigError(
            f"{address} is in use, {holder(address.port)};"
            " end what uses it, or use another --base-port"
        )
    for address in addresses:
        if error := obstacle(address):  # mostly a port below 1024, which are root's
            raise ConfigError(
                f"a slave cannot listen at {address} ({error.strerror or error});"
                " use another --base-port, from 1024 on"
            )


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
