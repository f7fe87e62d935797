"""A slave's configuration, typed: one class a section.  Defaults are those of options.py.  Pure."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distrodb.config.address import Address
from distrodb.config.options import OPTIONS

_DEFAULTS: dict[str, Any] = {option.key: option.default for option in OPTIONS}


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """A row of [[cluster.nodes]]: where clients and slaves find a slave, as the cluster map says
    it; and where it listens, if that is elsewhere."""

    id: str
    client: Address
    peer: Address
    client_bind: Address | None = None
    peer_bind: Address | None = None
    gateway_bind: Address | None = None  # None: it has no gateway
    http_bind: Address | None = None  # None: it serves no HTTP
    gateway_told: Address | None = None  # where clients find it, if the row says so
    http_told: Address | None = None

    @property
    def listens(self) -> dict[str, Address]:
        """Where it must listen, by the name in its row; without ``http`` it does its work too."""
        listens = {"client": self.client_bind or self.client, "peer": self.peer_bind or self.peer}
        return listens if self.gateway_bind is None else {**listens, "gateway": self.gateway_bind}

    @property
    def gateway(self) -> Address | None:
        """Where clients find its gateway."""
        return self.gateway_told or self._found(self.gateway_bind)

    @property
    def http(self) -> Address | None:
        """Where people, and what watches the cluster, find its HTTP port."""
        return self.http_told or self._found(self.http_bind)

    def _found(self, bind: Address | None) -> Address | None:
        return Address(self.client.host, bind.port) if bind and bind.is_wildcard else bind


@dataclass(frozen=True, slots=True)
class RaftConfig:
    heartbeat_ms: int = _DEFAULTS["raft.heartbeat_ms"]
    election_timeout_ms: int = _DEFAULTS["raft.election_timeout_ms"]
    unknown_after_ms: int = _DEFAULTS["raft.unknown_after_ms"]
    election_wait_ms: int = _DEFAULTS["raft.election_wait_ms"]
    snapshot_log_bytes: int = _DEFAULTS["raft.snapshot_log_bytes"]
    dead_after_s: float = _DEFAULTS["raft.dead_after_s"]
    reads: str = _DEFAULTS["raft.reads"]


@dataclass(frozen=True, slots=True)
class HealingConfig:
    moves_at_once: int = _DEFAULTS["healing.moves_at_once"]
    copy_bytes_per_s: int = _DEFAULTS["healing.copy_bytes_per_s"]


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    wait_ms: int = _DEFAULTS["gateway.wait_ms"]


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    key_bytes_max: int = _DEFAULTS["limits.key_bytes_max"]
    value_bytes_max: int = _DEFAULTS["limits.value_bytes_max"]
    databases: int = _DEFAULTS["limits.databases"]
    inline_bytes_max: int = _DEFAULTS["limits.inline_bytes_max"]
    arguments_max: int = _DEFAULTS["limits.arguments_max"]
    command_bytes_max: int = _DEFAULTS["limits.command_bytes_max"]
    output_bytes_max: int = _DEFAULTS["limits.output_bytes_max"]
    subscription_bytes_max: int = _DEFAULTS["limits.subscription_bytes_max"]
    maxmemory: int = _DEFAULTS["limits.maxmemory"]
    maxmemory_clients: int = _DEFAULTS["limits.maxmemory_clients"]
    input_pending_max: int = _DEFAULTS["limits.input_pending_max"]
    connections_max: int = _DEFAULTS["limits.connections_max"]
    tcp_keepalive_s: int = _DEFAULTS["limits.tcp_keepalive_s"]
    timeout_s: int = _DEFAULTS["limits.timeout_s"]
    half_command_s: int = _DEFAULTS["limits.half_command_s"]
    partition_queue_max: int = _DEFAULTS["limits.partition_queue_max"]
    partition_queue_bytes_max: int = _DEFAULTS["limits.partition_queue_bytes_max"]
    batch_bytes_max: int = _DEFAULTS["limits.batch_bytes_max"]
    transaction_ms_max: int = _DEFAULTS["limits.transaction_ms_max"]


@dataclass(frozen=True, slots=True)
class ClientsConfig:
    requirepass: str = field(default=_DEFAULTS["clients.requirepass"], repr=False)
    notify_keyspace_events: str = _DEFAULTS["clients.notify_keyspace_events"]
    tracking_table_max_keys: int = _DEFAULTS["clients.tracking_table_max_keys"]


@dataclass(frozen=True, slots=True)
class TlsConfig:
    certificate: Path = Path()
    key: Path = Path()
    ca: Path = Path()
    clients: str = _DEFAULTS["tls.clients"]
    users: str = _DEFAULTS["tls.users"]
    http: str = _DEFAULTS["tls.http"]
    peers: bool = _DEFAULTS["tls.peers"]

    @property
    def of_http(self) -> str:
        """off, on or certificate."""
        return self.clients if self.http == "clients" else self.http

    @property
    def is_on(self) -> bool:
        """For anybody."""
        return self.peers or self.clients != "off" or self.of_http != "off"


@dataclass(frozen=True, slots=True)
class SlaveConfig:
    file: Path
    id: str
    directory: Path
    cluster_id: str
    secret: str = field(repr=False)
    partitions: int  # that a new cluster has
    replicas: int
    nodes: tuple[NodeAddress, ...]
    raft: RaftConfig
    limits: LimitsConfig
    log_level: str
    log_format: str = _DEFAULTS["log.format"]
    join: tuple[Address, ...] = ()
    healing: HealingConfig = HealingConfig()
    clients: ClientsConfig = ClientsConfig()
    gateway: GatewayConfig = GatewayConfig()
    tls: TlsConfig = TlsConfig()
    partitions_wanted: int = 0  # what the file says; 0: any number
    is_protected: bool = True  # it asks who others are, where others than this machine reach it
    is_born: bool = False  # its cluster: an empty directory is not to begin another one

    @property
    def me(self) -> NodeAddress:
        """This slave's own row."""
        return next(node for node in self.nodes if node.id == self.id)

    @property
    def http_url(self) -> str | None:
        """Where its page is, without a path."""
        scheme = "http" if self.tls.of_http == "off" else "https"
        return None if self.me.http is None else f"{scheme}://{self.me.http}"
