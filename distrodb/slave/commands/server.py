"""Commands about the server: COMMAND CONFIG INFO SHUTDOWN."""

import dataclasses
import fnmatch
import os
import resource
import signal
from collections.abc import Sequence

from distrodb import __version__
from distrodb.clock import monotonic
from distrodb.commands.command import Command
from distrodb.resp.reply import Reply, Status, Verbatim, error
from distrodb.slave import topology
from distrodb.slave.clients import DEFERRED, Client
from distrodb.slave.commands.connection import SYNTAX, unknown_subcommand

REDIS_VERSION = "7.4.0"  # the surface that is followed; clients switch features by it
PATTERNS_MAX = 64  # of one CONFIG GET: each is compiled, while everybody else waits
_started_at = monotonic()


def _row(row: Command) -> Reply:
    flags: list[Reply] = [Status(flag.encode()) for flag in sorted(row.flags)]
    categories: list[Reply] = [
        Status(b"@" + category.encode()) for category in sorted(row.categories)
    ]
    return [
        row.name.encode(),
        row.arity,
        flags,
        row.first_key,
        row.last_key,
        row.key_step,
        categories,
        [tip.encode() for tip in row.tips],
        [],
        [],
    ]


def command(client: Client, args: Sequence[bytes]) -> Reply:
    """COMMAND [COUNT | INFO name ... | DOCS [name ...] | LIST | GETKEYS command ...]."""
    table = client.server.table
    if len(args) == 1:
        return [_row(row) for row in table.values()]
    verb, names = args[1].upper(), args[2:]
    if verb == b"COUNT" and not names:
        return len(table)
    if verb == b"LIST" and not names:
        return [row.name.encode() for row in table.values()]
    if verb == b"INFO":
        found = [table.get(name.upper()) for name in names] if names else list(table.values())
        return [None if row is None else _row(row) for row in found]
    if verb == b"DOCS":
        rows = [table.get(name.upper()) for name in names] if names else list(table.values())
        return {
            row.name.encode(): {
                b"summary": row.summary.encode(),
                b"since": row.since.encode(),
                b"group": row.group.encode(),
            }
            for row in rows
            if row is not None
        }
    if verb == b"GETKEYS" and names:
        row = table.get(names[0].upper())
        if row is None or not row.arity_ok(names):
            return error("ERR", "Invalid command specified")
        keys = row.keys_of(names)
        return list(keys) or error("ERR", "The command has no key arguments")
    return unknown_subcommand(args)


def config(client: Client, args: Sequence[bytes]) -> Reply:
    """CONFIG GET pattern ...; values are set in the slave's file, not at run time."""
    if args[1].upper() != b"GET" or not 3 <= len(args) <= 2 + PATTERNS_MAX:
        return unknown_subcommand(args)
    known = {
        "save": "",
        "appendonly": "yes",  # each write is in the journal before its reply
        "appendfsync": "always",
        "databases": "1",
        "maxmemory": "0",
        "cluster-enabled": "yes",
    }
    slave = client.server.core.config
    for section in (slave.raft, slave.healing, slave.limits):
        known |= {name: str(value) for name, value in dataclasses.asdict(section).items()}
    patterns = [pattern.decode(errors="replace").lower() for pattern in args[2:]]
    return {
        name.encode(): value.encode()
        for name, value in known.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    }


def info(client: Client, args: Sequence[bytes]) -> Reply:
    """https://redis.io/docs/latest/commands/info/, as far as its fields mean something here."""
    server, core = client.server, client.server.core
    led = core.led_stores
    keys = sum(store.key_count() for store in core.led_stores)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sections: dict[str, dict[str, object]] = {
        "server": {
            "redis_version": REDIS_VERSION,
            "distrodb_version": __version__,
            "redis_mode": "cluster",
            "process_id": os.getpid(),
            "run_id": topology.wire_id(core.id),
            "tcp_port": topology.address(core, core.id)[1],
            "uptime_in_seconds": int(monotonic() - _started_at),
        },
        "clients": {
            "connected_clients": len(server.clients),
            "maxclients": server.limits.connections_max,
        },
        "memory": {"used_memory_peak": memory, "maxmemory": 0},
        "persistence": {"loading": 0, "aof_enabled": 1},
        "stats": {"total_connections_received": server.connections_received},
        "replication": {
            "role": "master",
            "connected_slaves": len(core.links),
            "snapshot_bytes_sent": core.copied_bytes,  # to members that lag or are new
        },
        "cluster": {
            "cluster_enabled": 1,
            "partitions_led": len(led),
            "partitions_held": len(core.data_groups),
        },
        "keyspace": {"db0": f"keys={keys},expires=0,avg_ttl=0"} if keys else {},
    }
    wanted = {arg.decode(errors="replace").lower() for arg in args[1:]}
    if not wanted or wanted & {"all", "default", "everything"}:
        wanted = set(sections)
    parts = [
        f"# {name.capitalize()}\r\n" + "".join(f"{key}:{value}\r\n" for key, value in rows.items())
        for name, rows in sections.items()
        if name in wanted
    ]
    return Verbatim("\r\n".join(parts).encode())


def shutdown(client: Client, args: Sequence[bytes]) -> object:
    """SHUTDOWN hands leadership over and ends the slave cleanly; SHUTDOWN NOW ends it at once, as
    a crash would.  Neither replies: the connection closes.  Nothing is lost by either."""
    options = {arg.upper() for arg in args[1:]}
    if not options <= {b"NOW", b"SAVE", b"NOSAVE", b"FORCE"}:
        return SYNTAX
    if b"NOW" in options:
        os.kill(os.getpid(), signal.SIGKILL)
    client.server.stop()
    return DEFERRED
