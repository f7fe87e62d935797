"""The files that a slave is started with: its own, and its certificate.  ``distrodb local`` and
``distrodb init`` both write them here, so a slave of the one can be told as one of the other.

What always holds: they are for their owner alone; a further slave of a cluster has the settings of
one that is there, but for what is its own (id, addresses, directory, certificate).
"""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distrodb import private
from distrodb.config import Address, NodeAddress, SlaveConfig, load, render
from distrodb.errors import ConfigError

if TYPE_CHECKING:  # `cryptography` takes its time, and clusters without TLS do without
    from distrodb.certs import Authority

# From a slave's port for clients to its others.
PEER_PORT_OFFSET = 1000
GATEWAY_PORT_OFFSET = 2000
HTTP_PORT_OFFSET = 3000


@dataclass(frozen=True, slots=True)
class Certificates:
    """Where a new slave's certificate is put, who signs it, and who is trusted."""

    authority: "Authority"
    folder: Path
    ca: Path


def write(
    file: Path,
    row: NodeAddress,
    nodes: Sequence[NodeAddress],
    directory: str,
    certificates: Certificates | None = None,
    **options: Any,
) -> SlaveConfig:
    """A slave's file, and its certificate if it shall have one; what a reader makes of it.

    ``nodes``: the rows that stand in it.  ``directory``: of its data, relative to the file.
    ``options``: as ``section_name``.  Raises ``ConfigError``, ``OSError``.
    """
    if certificates is not None:
        options |= {
            "tls_certificate": _seen_from(file, certificates.folder / f"{row.id}.crt"),
            "tls_key": _seen_from(file, certificates.folder / f"{row.id}.key"),
            "tls_ca": _seen_from(file, certificates.ca),
        }
    private.write(file, render(row.id, directory, nodes, **options).encode())
    config = load(file)
    if certificates is not None:
        from distrodb.certs import DAYS, hosts_of

        authority, folder = certificates.authority, certificates.folder
        authority.sign(row.id, hosts_of(config), DAYS, is_slave=True, folder=folder)
    return config


def row_at(
    node: str, host: str, port: int, *, bind: str | None, has_gateway: bool, has_http: bool
) -> NodeAddress:
    """A slave with all of its ports at one host, in the usual distances.  ``bind``: where it
    listens, if that is elsewhere."""
    listens = bind or host
    return NodeAddress(
        node,
        Address(host, port),
        Address(host, port + PEER_PORT_OFFSET),
        client_bind=Address(bind, port) if bind else None,
        peer_bind=Address(bind, port + PEER_PORT_OFFSET) if bind else None,
        gateway_bind=Address(listens, port + GATEWAY_PORT_OFFSET) if has_gateway else None,
        http_bind=Address(listens, port + HTTP_PORT_OFFSET) if has_http else None,
    )


def shared_options(config: SlaveConfig) -> dict[str, Any]:
    """What a slave that joins has in common with another one, as ``section_name``."""
    sections = {
        "raft": asdict(config.raft),
        "healing": asdict(config.healing),
        "gateway": asdict(config.gateway),
        "limits": asdict(config.limits),
        "clients": asdict(config.clients),
    }
    sections["node"] = {"protected_mode": config.is_protected}
    tls = config.tls
    sections["tls"] = {"clients": tls.clients, "http": tls.http, "peers": tls.peers}
    return {
        "cluster_id": config.cluster_id,
        "cluster_secret": config.secret,
        "cluster_replicas": config.replicas,
        "log_level": config.log_level,
        "log_format": config.log_format,
        **{f"{s}_{n}": v for s, values in sections.items() for n, v in values.items()},
    }


def authority_in(folder: Path, trusted: Path, now_ms: int, what: str) -> "Authority":
    """The one that is there, and that the slaves trust by the file ``trusted``.  ``what``: for
    whom it is wanted.  Raises ``ConfigError``."""
    from distrodb.certs import Authority

    certificate = folder / "ca.crt"
    try:
        if not (folder / "ca.key").exists():
            raise ConfigError(
                f"{folder}: its slaves use TLS, and {what} needs a certificate of its own;"
                " bring the authority's ca.crt and ca.key there, or write its file by hand"
                " (docs/security.md)"
            )
        is_trusted = certificate.read_bytes().strip() in trusted.read_bytes()
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be read ({error.strerror})") from None
    if not is_trusted:
        raise ConfigError(
            f"{certificate}: is not among the authorities of {trusted}, so what it signs for {what}"
            " is not trusted; bring the one that is"
        )
    return Authority(folder, now_ms)


def _seen_from(file: Path, other: Path) -> str:
    return os.path.relpath(other.absolute(), file.parent.absolute())
