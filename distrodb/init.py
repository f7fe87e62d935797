"""``distrodb init``: the files of a cluster on several machines, one folder for each of them.

    DIR/node1/slave.toml             its file, and with TLS node1.crt, node1.key and ca.crt
    DIR/client/password, ca.crt      what who connects needs
    DIR/authority/ca.crt, ca.key     signs the certificates of slaves, also of those that join later

What always holds: paths in a folder are relative to it, so it works wherever it is copied, as a
whole; nothing that is there is overwritten, and what fails leaves nothing behind (a folder is made
under another name first); the password stands in one file, the slaves have its SHA-256.

Caveat: DIR has the cluster's secret and the authority's key.  Keep it where no slave is.
"""

import argparse
import hashlib
import re
import secrets
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from distrodb import private, slave_files
from distrodb.certs import Authority, check_name
from distrodb.clock import wall_ms
from distrodb.config import NodeAddress, SlaveConfig, load
from distrodb.config.address import PORT_MAX, Address, parse
from distrodb.errors import ConfigError

# Below those that Linux gives to outgoing connections, one of which might take a slave's port while
# it is down.
BASE_PORT = 15551
FILE = "slave.toml"
_AUTHORITY, _CLIENT = "authority", "client"
_EVERYWHERE = "0.0.0.0"
PASSWORD_BYTES = 24  # random ones: as the secret, more than anybody guesses
SECRET_BYTES = 16
ID_BYTES = 4  # random ones: a slave of another cluster of ours is told that it is of another one


def run(options: argparse.Namespace) -> int:
    """Raises ``ConfigError``, ``OSError``."""
    if options.data is not None and not options.data.is_absolute():
        raise ConfigError(f"--data {options.data}: is not absolute; it is a place on the slaves")
    if options.add:
        return _add(options)
    if not options.node:
        raise ConfigError("init: name the slaves: --node node1=HOST --node node2=HOST …")
    base = BASE_PORT if options.base_port is None else options.base_port
    taken: dict[str, int] = {}
    served = bool(options.gateway), bool(options.http)
    rows = [_row(text, "--node", base, taken, *served) for text in options.node]
    _check_together(rows)
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    shared: dict[str, Any] = {
        "cluster_id": options.id or f"distrodb-{secrets.token_hex(ID_BYTES)}",
        "cluster_secret": secrets.token_hex(SECRET_BYTES),
        "cluster_partitions": options.partitions or 0,
        "cluster_replicas": options.replicas or 3,
        "clients_requirepass": "#" + hashlib.sha256(password.encode()).hexdigest(),
    }
    if options.tls:
        shared |= {"tls_clients": "on", "tls_peers": True}
    target: Path = options.dir
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target}: is there, and not empty; name a new directory, or use --add")
    with _made_whole(target) as half:
        authority = Authority(half / _AUTHORITY, wall_ms()) if options.tls else None
        configs = [_folder(half, row, rows, options.data, authority, **shared) for row in rows]
        client = half / _CLIENT
        client.mkdir(mode=private.DIRECTORY)
        private.write(client / "password", f"{password}\n".encode())
        if authority is not None:
            shutil.copy(half / _AUTHORITY / "ca.crt", client)
    _tell(target, configs, is_new=True)
    return 0


def _add(options: argparse.Namespace) -> int:
    """Folders for slaves that join the cluster of ``DIR``."""
    for name in ("node", "partitions", "replicas", "tls", "http", "gateway", "base_port", "id"):
        if getattr(options, name) is not None:
            raise ConfigError(
                f"--{name.replace('_', '-')}: --add takes it from the cluster that is there;"
                " leave it out"
            )
    target: Path = options.dir
    there = [load(file) for file in sorted(target.glob(f"*/{FILE}"))]
    if not there:
        raise ConfigError(f"{target}: has no */{FILE}; name the directory that init has made")
    first, taken = there[0], dict[str, int]()
    data = options.data
    if data is None and first.directory.name == first.id:  # as --data has made it
        data = first.directory.parent
    base = min(config.me.client.port for config in there)
    for config in there:
        host = config.me.client.host
        taken[host] = max(taken.get(host, 0), config.me.client.port - base + 1)
    is_served = first.me.gateway_bind is not None, first.me.http_bind is not None
    rows = [_row(text, "--add", base, taken, *is_served) for text in options.add]
    known = {config.id for config in there}
    for row in rows:
        if row.id in known or (target / row.id).exists():
            raise ConfigError(f"--add {row.id}: {target / row.id} is there; give it another id")
    _check_together([*(config.me for config in there), *rows])
    shared = slave_files.shared_options(first)
    shared["node_join"] = [str(config.me.peer) for config in there]
    authority = None
    if first.tls.is_on:
        who = " and ".join(row.id for row in rows)
        folder = target / _AUTHORITY
        authority = slave_files.authority_in(folder, first.tls.ca, wall_ms(), who)
    configs = []
    for row in rows:
        with _made_whole(target / row.id) as half:
            _folder(half.parent, row, [row], data, authority, name=half.name, **shared)
        configs.append(load(target / row.id / FILE))
    _tell(target, configs, is_new=False)
    return 0


class _made_whole:  # noqa: N801
    """``with`` it: a directory beside ``target``, which takes its place if all went well."""

    def __init__(self, target: Path):
        self._target = target

    def __enter__(self) -> Path:
        parent = self._target.absolute().parent
        parent.mkdir(parents=True, exist_ok=True)
        self._half = Path(tempfile.mkdtemp(prefix=f".{self._target.name}.", dir=parent))
        return self._half

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            try:
                self._half.rename(self._target)  # over an empty directory, or none
                return
            except OSError:
                shutil.rmtree(self._half)
                raise
        shutil.rmtree(self._half, ignore_errors=True)


def _folder(
    half: Path,
    row: NodeAddress,
    rows: Sequence[NodeAddress],
    data: Path | None,
    authority: Authority | None,
    name: str = "",
    **shared: Any,
) -> SlaveConfig:
    """What one machine gets."""
    folder = half / (name or row.id)
    folder.mkdir(mode=private.DIRECTORY, exist_ok=True)
    certificates = None
    if authority is not None:
        shutil.copy(authority.directory / "ca.crt", folder)
        certificates = slave_files.Certificates(authority, folder, folder / "ca.crt")
    directory = "data" if data is None else str(data / row.id)
    return slave_files.write(folder / FILE, row, rows, directory, certificates, **shared)


def _row(
    text: str, option: str, base: int, taken: dict[str, int], has_gateway: bool, has_http: bool
) -> NodeAddress:
    """``node1=10.0.0.1``.  ``taken``: slaves by host, each of which has the next ports there."""
    node, equals, host = text.partition("=")
    if not equals:
        raise ConfigError(f"{option} {text!r:.80}: write it as ID=HOST, node1=10.0.0.1 say")
    if node in (_AUTHORITY, _CLIENT):
        raise ConfigError(f"{option} {node}: its folder would be another one's; use another id")
    check_name(node, option)
    port = base + taken.get(host, 0)
    highest = port + slave_files.HTTP_PORT_OFFSET
    if port < 1 or highest > PORT_MAX:
        most = PORT_MAX - slave_files.HTTP_PORT_OFFSET
        raise ConfigError(f"--base-port {base}: ports from {port} to {highest}; use 1 to {most}")
    taken[host] = taken.get(host, 0) + 1
    try:
        at = parse(f"{host}:{port}")
    except ValueError as error:
        raise ConfigError(
            f"{option} {text!r:.80}: {host!r:.80} is no host ({error}); name the address or name of"
            " its machine, without a port"
        ) from None
    if ":" in at.host and at.is_named:
        raise ConfigError(f"{option} {text!r:.80}: name a host without a port; see --base-port")
    if at.is_named and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", at.host):  # also for ssh
        raise ConfigError(f"{option} {text!r:.80}: {host!r:.80} is no name of a machine")
    if at.is_named and not at.host.strip("0123456789."):
        raise ConfigError(f"{option} {text!r:.80}: {host!r:.80} is no address of IPv4")
    if at.is_wildcard:
        raise ConfigError(f"{option} {text!r:.80}: others cannot be sent there; name its machine")
    # On its own machine a name is often that of the loopback address (/etc/hosts).
    bind = _EVERYWHERE if at.is_named and not at.is_loopback else None
    return slave_files.row_at(
        node, at.host, port, bind=bind, has_gateway=has_gateway, has_http=has_http
    )


def _check_together(rows: Iterable[NodeAddress]) -> None:
    seen: dict[str, Address] = {}
    for row in rows:
        if row.id in seen:
            raise ConfigError(f"two slaves have the id {row.id}; rename one of them")
        seen[row.id] = row.client
    if len({at.is_loopback for at in seen.values()}) > 1:
        own = next(node for node, at in seen.items() if at.is_loopback)
        raise ConfigError(
            f"{own}={seen[own].host}: only its own machine can go there, and others are elsewhere;"
            " name an address that all of them reach"
        )


def _sharing(configs: Iterable[SlaveConfig]) -> dict[str, list[str]]:
    """The machines, but for one's own, that are to have more than one slave."""
    found: dict[str, list[str]] = {}
    for config in configs:
        if not config.me.client.is_loopback:
            found.setdefault(config.me.client.host, []).append(config.id)
    return {host: there for host, there in found.items() if len(there) > 1}


def _tell(target: Path, configs: Sequence[SlaveConfig], is_new: bool) -> None:
    """What was made, and what is next: each a command that works as it stands."""
    first = configs[0]
    folders = {config.id: shlex.quote(str(target / config.id)) for config in configs}
    client = target / _CLIENT
    for config in configs:
        me = config.me
        more = f" gateway {me.gateway}" if me.gateway else ""
        more += f" page {config.http_url}/" if me.http else ""
        print(f"slave {config.id} {target / config.id} clients {me.client} peers {me.peer}{more}")
    if is_new:
        print(f"password {client / 'password'}, of the user default")
        if first.tls.is_on:
            print(f"authority {target / _AUTHORITY}; keep it away from the slaves")
    for host, there in _sharing(configs).items():
        print(f"caution: {' '.join(there)} are on one machine, {host}: they may be lost together")
    print("next: bring each slave its folder, and start it there (by systemd: docs/quickstart.md)")
    for config in configs:
        host = config.me.client.host
        if config.me.client.is_loopback:
            print(f"  distrodb slave {folders[config.id]}/{FILE}")
        else:
            print(f"  scp -rp {folders[config.id]} {f'[{host}]' if ':' in host else host}:")
            print(f"  ssh {host} distrodb slave {config.id}/{FILE}")
    print("then ask for the status")
    words = ["--connect", str(first.me.client), "--password-file", str(client / "password")]
    words += ["--ca", str(client / "ca.crt")] if first.tls.clients != "off" else []
    print(f"  distrodb status {shlex.join(words)}", flush=True)
