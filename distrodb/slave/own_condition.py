"""How this slave is, as it tells all others with each gossip (condition.py).  Pure."""

import hashlib
import hmac

from distrodb import __version__
from distrodb.config import SlaveConfig
from distrodb.slave.condition import (
    NO_PASSWORD,
    NO_SECRET,
    PEERS_REACHED,
    REACHED,
    SHORT_SECRET,
    UNPROTECTED,
    Condition,
)
from distrodb.slave.core import Core
from distrodb.slave.service import Service
from distrodb.slave.startup import SECRET_CHARACTERS

DIGEST_LENGTH = 8  # hexadecimal digits: enough to see that two differ


def own_condition(
    core: Core, service: Service, disk: tuple[int, int], connections_wanted: int = 0
) -> Condition:
    """``disk``: bytes that are free where the slave's directory is, and all; 0 if unknown.
    ``connections_wanted``: by its file, if the system allowed fewer when it began; else 0."""
    config, limits, tls = core.config, service.limits, service.settings.tls
    return Condition(
        version=__version__,
        certificate_ends_s=int(tls.ends_at) if tls is not None and tls.is_on else 0,
        disk_free=disk[0],
        disk_total=disk[1],
        # With many partitions it takes a while to add up, and matters only with a bound.
        data=core.view.data_bytes if limits.maxmemory else 0,
        data_max=limits.maxmemory,
        clients=service.client_memory.total,
        clients_max=limits.maxmemory_clients,
        connections=service.session_count,
        connections_max=limits.connections_max,
        connections_wanted=connections_wanted,
        flags=_flags(config, core.users.is_open),
        settings=_settings(config, service),
    )


def _flags(config: SlaveConfig, needs_no_password: bool) -> frozenset[str]:
    listens = config.me.listens
    http = config.me.http_bind
    by_certificate = config.tls.clients == "certificate"
    reached = [at for name, at in listens.items() if name != "peer" and not at.is_loopback]
    reached += [http] if http is not None and not http.is_loopback else []
    peers_reached = not listens["peer"].is_loopback
    found = {
        NO_SECRET: not config.secret,
        SHORT_SECRET: 0 < len(config.secret) < SECRET_CHARACTERS,
        NO_PASSWORD: needs_no_password and not by_certificate,
        UNPROTECTED: not config.is_protected,
        REACHED: bool(reached) or peers_reached,
        PEERS_REACHED: peers_reached,
    }
    return frozenset(flag for flag, is_so in found.items() if is_so)


def _settings(config: SlaveConfig, service: Service) -> dict[str, str]:
    """That should be the same in every file.  Of a password that differs no more is told than that
    it does."""
    limits, raft = service.limits, config.raft
    return {
        "limits.databases": str(limits.databases),
        "limits.key_bytes_max": str(limits.key_bytes_max),
        "limits.value_bytes_max": str(limits.value_bytes_max),
        "limits.command_bytes_max": str(limits.command_bytes_max),
        "raft.election_timeout_ms": str(raft.election_timeout_ms),
        "raft.dead_after_s": f"{raft.dead_after_s:g}",
        "raft.reads": raft.reads,
        "clients.requirepass": _digest(config.secret, config.clients.requirepass),
    }


def _digest(secret: str, text: str) -> str:
    if not text:
        return "none"
    if not secret:  # then whoever reaches the peer port is told this
        return "some"
    if not text.startswith("#"):  # the same password may be written in two ways
        text = "#" + hashlib.sha256(text.encode()).hexdigest()
    digest = hmac.new(secret.encode(), text.lower().encode(), hashlib.sha256)
    return f"#{digest.hexdigest()[:DIGEST_LENGTH]}"
