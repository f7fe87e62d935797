"""Slaves in network namespaces of their own, joined by a switch that can cut, lose and delay.

The switch is a process (this module, run) that forwards Ethernet frames between TAP devices: one
in the namespace of each slave, one on this machine for the clients.  So the slaves' kernels run
their real TCP, with timeouts and retransmissions, over a bad network, and nothing is needed of the
kernel but namespaces and TAP: no netem, no iptables.

``Network`` is the tests' side: ``cut``, ``cut_one_way``, ``reset``, ``spoil``, ``heal``; ``unplug``
and ``plug``; ``renumber``.  With names a slave is called ``node1.machines``, which means what the
hosts file of the network says, in a mount namespace of each slave.
"""

import contextlib
import ctypes
import fcntl
import heapq
import itertools
import json
import os
import random
import select
import shlex
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from distrodb import LocalCluster
from distrodb.config import Address, NodeAddress, load, render

CLIENT = "client"  # the switch's port for everything outside the slaves' namespaces
CLIENT_PORT, PEER_PORT, GATEWAY_PORT = 7001, 8001, 9001
FRAME_BYTES_MAX = 65536 + 64  # of a TAP device, far above its MTU
HELD_FRAMES_MAX = 20000  # delayed; beyond, they are lost, as in a switch
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_PR_SET_PDEATHSIG = 1


def why_not() -> str | None:
    """Why there can be no such network here; None if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    name = f"distrodb-probe{os.getpid()}"
    try:
        _run("ip", "netns", "add", name)
        _run("ip", "netns", "del", name)
        _run("nsenter", "--version")
        os.close(_tap(f"ddp{os.getpid() % 1_000_000}"))
    except (OSError, subprocess.CalledProcessError) as problem:
        detail = getattr(problem, "stderr", None) or problem
        return f"no network namespaces or TAP devices here: {str(detail).strip()}"
    return None


class NetworkCluster(LocalCluster):
    """A ``LocalCluster`` whose slaves run in the namespaces of a ``Network``."""

    def __init__(
        self, network: "Network", directory: Path, *, by_names: bool = False, **options: object
    ):
        rows = [
            network.row(node, name_of(node) if by_names else ip)
            for node, ip in network.addresses.items()
        ]
        folder = directory / "conf"
        folder.mkdir(parents=True)
        # Nobody but the test is on this network.
        options = {"cluster_id": "network", "raft_dead_after_s": 3.0, **options}
        options.setdefault("node_protected_mode", False)
        for row in rows:
            text = render(row.id, f"../{row.id}", rows, **options)
            (folder / f"{row.id}.toml").write_text(text)
        self._network = network
        super().__init__(directory=directory)

    def _command(self, node: str) -> list[str]:
        return self._network.inside(node, *super()._command(node))

    def _check_ports(self, node: str) -> None:
        """Nobody else is in that namespace."""

    def read_files(self) -> None:
        """They have been changed."""
        self.configs = {node: load(config.file) for node, config in self.configs.items()}


class Network:
    """The namespaces, the devices and the switch; ``nodes`` are the slaves' ids."""

    def __init__(self, nodes: Iterable[str]):
        self._nodes = list(nodes)
        self._mark = os.getpid() % 1_000_000
        net = f"10.{70 + self._mark % 100}.{self._mark // 100 % 250}"
        self.addresses = {node: f"{net}.{n}" for n, node in enumerate(self._nodes, 1)}
        self._client_address = f"{net}.254"
        self._net, self._next = net, 100  # the next address that nobody has had
        self._cut: set[tuple[str, str]] = set()  # (from, to)
        self._loss = self._delay_s = 0.0
        self.hosts: Path | None = None  # what names mean inside

    def __enter__(self) -> "Network":
        devices = {name: f"dd{self._mark}.{n}" for n, name in enumerate([*self._nodes, CLIENT])}
        self._devices = devices
        self._switch = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.network", json.dumps(devices)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        try:
            self._tell()
            _run("ip", "address", "add", f"{self._client_address}/24", "dev", devices[CLIENT])
            _run("ip", "link", "set", devices[CLIENT], "up")
            for node in self._nodes:
                space = self._space(node)
                _run("ip", "netns", "add", space)
                _run("ip", "link", "set", devices[node], "netns", space)
                for words in (
                    ("address", "add", f"{self.addresses[node]}/24", "dev", devices[node]),
                    ("link", "set", devices[node], "up"),
                    ("link", "set", "lo", "up"),
                ):
                    _run("ip", "-n", space, *words)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in self._nodes:
            with contextlib.suppress(subprocess.CalledProcessError):
                _run("ip", "netns", "del", self._space(node))
        self._switch.kill()  # the devices go with it
        self._switch.wait()

    def inside(self, node: str, *command: str) -> list[str]:
        """The command to run ``command`` in the namespace of a slave, in the same process."""
        if self.hosts is not None:
            bind = f"mount --bind {shlex.quote(str(self.hosts))} /etc/hosts"
            words = ["unshare", "--mount", "--propagation", "private"]
            command = (*words, "sh", "-c", f'{bind} && exec "$@"', "sh", *command)
        return ["nsenter", f"--net=/run/netns/{self._space(node)}", *command]

    # -- addresses ---------------------------------------------------------------------------

    def row(self, node: str, host: str) -> NodeAddress:
        """Of a slave that is called so, and listens where it is."""
        ports = CLIENT_PORT, PEER_PORT
        ip = self.addresses[node]
        binds = [None if host == ip else Address("0.0.0.0", port) for port in ports]
        gateway = Address(ip if host == ip else "0.0.0.0", GATEWAY_PORT)
        return NodeAddress(node, *(Address(host, port) for port in ports), *binds, gateway)

    def renumber(self, node: str) -> None:
        """The machine gets an address that nobody has had; its name means that one."""
        space, device = self._space(node), self._devices[node]
        self.addresses[node] = f"{self._net}.{self._next}"
        self._next += 1
        _run("ip", "-n", space, "address", "flush", "dev", device)
        _run("ip", "-n", space, "address", "add", f"{self.addresses[node]}/24", "dev", device)
        self.write_hosts()

    def write_hosts(self) -> None:
        if self.hosts is not None:  # in place: it is mounted
            rows = [f"{ip} {name_of(node)}\n" for node, ip in self.addresses.items()]
            self.hosts.write_text("".join(["127.0.0.1 localhost\n", *rows]))

    def unplug(self, node: str) -> None:
        """Its kernel sees that the link is gone."""
        _run("ip", "-n", self._space(node), "link", "set", self._devices[node], "down")

    def plug(self, node: str) -> None:
        _run("ip", "-n", self._space(node), "link", "set", self._devices[node], "up")

    # -- what is wrong with it ---------------------------------------------------------------

    def cut(self, one: Iterable[str], other: Iterable[str]) -> None:
        """Nothing passes between these and those, either way."""
        for a, b in itertools.product(list(one), list(other)):
            self._cut |= {(a, b), (b, a)}
        self._tell()

    def cut_one_way(self, source: Iterable[str], target: Iterable[str]) -> None:
        """Nothing that these send reaches those; the other way all is well."""
        self._cut |= set(itertools.product(list(source), list(target)))
        self._tell()

    def reset(self, node: str, other: str) -> None:
        """All connections between the two break where ``node`` is; the other one sees it if nothing
        is cut."""
        _run(*self.inside(node, "ss", "-K", "-t", "dst", self.addresses[other]))

    def spoil(self, loss: float, delay_s: float) -> None:
        """Everywhere: so much of all frames is lost, the others take up to ``delay_s`` (at random,
        so that they overtake each other)."""
        self._loss, self._delay_s = loss, delay_s
        self._tell()

    def heal(self) -> None:
        self._cut.clear()
        self._loss = self._delay_s = 0.0
        self._tell()

    def others(self, node: str) -> list[str]:
        """The slaves but this one."""
        return [other for other in self._nodes if other != node]

    def _tell(self) -> None:
        state = {"cut": sorted(self._cut), "loss": self._loss, "delay_s": self._delay_s}
        self._switch.stdin.write(json.dumps(state) + "\n")
        self._switch.stdin.flush()
        assert self._switch.stdout.readline() == "done\n", "the switch has ended"

    def _space(self, node: str) -> str:
        return f"distrodb{self._mark}-{node}"


def name_of(node: str) -> str:
    return f"{node}.machines"


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True)


# -- the switch's own process --------------------------------------------------------------------


def _tap(name: str) -> int:
    """Make a TAP device, which goes with the descriptor that is returned."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    request = struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI)
    fcntl.ioctl(device, _TUNSETIFF, request)
    return device


class _Switch:
    def __init__(self, devices: dict[str, str]):
        self._ports = {name: _tap(device) for name, device in devices.items()}
        self._names = {port: name for name, port in self._ports.items()}
        self._where: dict[bytes, str] = {}  # which port an Ethernet address is behind
        self._held: list[tuple[float, int, str, bytes]] = []  # due at, order, port, frame
        self._order = itertools.count()
        self._chance = random.Random(0)
        self._cut: set[tuple[str, str]] = set()
        self._loss = self._delay_s = 0.0

    def run(self) -> None:
        poll = select.poll()
        for descriptor in (sys.stdin.fileno(), *self._names):
            poll.register(descriptor, select.POLLIN)
        while True:
            wait_s = max(0.0, self._held[0][0] - time.monotonic()) if self._held else None
            for descriptor, _ in poll.poll(None if wait_s is None else wait_s * 1000):
                if descriptor == sys.stdin.fileno():
                    line = sys.stdin.readline()
                    if not line:
                        return
                    self._obey(json.loads(line))
                else:
                    self._receive(descriptor)
            now = time.monotonic()
            while self._held and self._held[0][0] <= now:
                _, _, name, frame = heapq.heappop(self._held)
                self._send(name, frame)

    def _obey(self, state: dict) -> None:
        self._cut = {(a, b) for a, b in state["cut"]}
        self._loss, self._delay_s = state["loss"], state["delay_s"]
        print("done", flush=True)

    def _receive(self, port: int) -> None:
        try:
            frame = os.read(port, FRAME_BYTES_MAX)
        except OSError:  # the device is down, or another wake-up took the frame
            return
        source = self._names[port]
        self._where[frame[6:12]] = source
        target = self._where.get(frame[:6])
        # An address that nobody had yet, and those that mean all, go everywhere.
        for name in [target] if target else [name for name in self._ports if name != source]:
            if name == source or (source, name) in self._cut:
                continue
            if self._loss and self._chance.random() < self._loss:
                continue
            if not self._delay_s:
                self._send(name, frame)
            elif len(self._held) < HELD_FRAMES_MAX:
                due = time.monotonic() + self._chance.random() * self._delay_s
                heapq.heappush(self._held, (due, next(self._order), name, frame))

    def _send(self, name: str, frame: bytes) -> None:
        with contextlib.suppress(OSError):  # the device is down, or its queue is full: lost
            os.write(self._ports[name], frame)


@contextlib.contextmanager
def network_cluster(
    nodes: int, directory: Path, *, by_names: bool = False, **options: object
) -> Iterator[tuple]:
    """A network and a cluster of that many slaves in it.  ``by_names``: they announce names, which
    the test looks up as they do."""
    with contextlib.ExitStack() as stack:
        network = stack.enter_context(Network(f"node{n}" for n in range(1, nodes + 1)))
        if by_names:
            network.hosts = directory / "hosts"
            network.write_hosts()
            stack.enter_context(_names_here(network))
        cluster = NetworkCluster(network, directory, by_names=by_names, **options)
        stack.enter_context(cluster)
        yield network, cluster
        network.heal()


@contextlib.contextmanager
def _names_here(network: Network) -> Iterator[None]:
    """What the names mean to this process, where no hosts file says it."""
    original = socket.getaddrinfo

    def getaddrinfo(host: object, *rest: object, **more: object) -> list:
        return original(names().get(host, host), *rest, **more)

    def names() -> dict[object, str]:
        return {name_of(node): ip for node, ip in network.addresses.items()}

    socket.getaddrinfo = getaddrinfo
    try:
        yield
    finally:
        socket.getaddrinfo = original


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _Switch(json.loads(sys.argv[1])).run()
