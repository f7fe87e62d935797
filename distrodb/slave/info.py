"""INFO: the sections and fields that people's tools read, each a number that is real here.  Pure.

What Redis has and we do not (forks, evictions, fragmentation of an allocator, replication backlogs)
is left out, but for a few fields that tools divide by or cannot do without.

Caveats: ``used_memory`` is what the process took when it began and what keys, values and clients
take, about; ``used_memory_rss`` what the process holds.  Hits and
misses are told from the replies to reads of one key, so a hash without the asked field is a miss;
reads of several keys are neither.  Times of commands are those that are timed (timing.py).
"""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from distrodb import __version__
from distrodb.commands.pubsub import CHANNEL, PATTERN, SHARD
from distrodb.config import LimitsConfig
from distrodb.keyspace.counts import keyspace_lines
from distrodb.slave.client_memory import ClientMemory
from distrodb.slave.cluster_replies import Topology, wire_id
from distrodb.slave.core import Core
from distrodb.slave.runtime_settings import RuntimeSettings
from distrodb.slave.session import Session
from distrodb.slave.statistics import Statistics
from distrodb.slave.subscriptions import Subscriptions
from distrodb.slave.timing import Timing

REDIS_VERSION = "7.4.0"  # the surface that is followed; clients switch features by it
PERCENTILES = (50, 99, 99.9)

Fields = Mapping[str, object]


class Process(Protocol):
    """What is known of the process as a whole."""

    @property
    def id(self) -> int: ...

    def wall_us(self) -> int: ...

    def uptime_s(self) -> int: ...

    def memory_bytes(self) -> int: ...

    def memory_peak_bytes(self) -> int: ...

    def memory_of_machine_bytes(self) -> int: ...

    def cpu_s(self) -> tuple[float, float]: ...


class Slave(Protocol):
    """The service, whose clients these are."""

    settings: RuntimeSettings
    statistics: Statistics
    timing: Timing

    @property
    def limits(self) -> LimitsConfig: ...

    @property
    def client_memory(self) -> ClientMemory: ...

    @property
    def subscriptions(self) -> Subscriptions: ...

    @property
    def sessions(self) -> Collection[Session]: ...


def human(size: float) -> str:
    """As Redis writes bytes for people: 894.80K."""
    for unit in "BKMGTP":
        if size < 1024 or unit == "P":
            return f"{int(size)}B" if unit == "B" else f"{size:.2f}{unit}"
        size /= 1024
    raise AssertionError


def _input(session: Session) -> int:
    return session.input.memory


def _output(session: Session) -> int:
    return session.replies.output_bytes


class Info:
    def __init__(self, core: Core, slave: Slave, process: Process, topology: Topology):
        self._core, self._slave, self._process = core, slave, process
        self._topology = topology
        # Of memory, by the code: without it an empty slave would seem to waste almost all of its.
        self._startup_bytes = max(0, process.memory_bytes() - core.view.data_bytes)
        # In Redis' order; each is made only if it is asked for.
        self.sections: Mapping[str, Callable[[], Fields]] = {
            "server": self._server,
            "clients": self._clients,
            "memory": self._memory,
            "persistence": self._persistence,
            "stats": self._stats,
            "replication": self._replication,
            "cpu": self._cpu,
            "modules": lambda: {},
            "commandstats": self._commandstats,
            "errorstats": self._errorstats,
            "latencystats": self._latencystats,
            "cluster": self._cluster,
            "keyspace": self._keyspace,
        }

    def _server(self) -> Fields:
        core, process = self._core, self._process
        uptime_s, wall_us = process.uptime_s(), process.wall_us()
        return {
            "redis_version": REDIS_VERSION,
            "distrodb_version": __version__,
            "redis_mode": "cluster",
            "os": "Linux",
            "arch_bits": 64,
            "multiplexing_api": "epoll",
            "process_id": process.id,
            "process_supervised": "no",
            "run_id": wire_id(f"{core.id}/{core.incarnation}/{process.id}"),
            "tcp_port": self._topology.address(core.id).port,
            "server_time_usec": wall_us,
            "uptime_in_seconds": uptime_s,
            "uptime_in_days": uptime_s // 86400,
            "hz": 10,
            "lru_clock": wall_us // 1_000_000 & 0xFFFFFF,
            "config_file": core.config.file,
            "io_threads_active": 0,
            **self._certificate(wall_us),
        }

    def _certificate(self, wall_us: int) -> Fields:
        tls = self._slave.settings.tls
        if tls is None or not tls.is_on:
            return {}
        return {"tls_certificate_expires_in_seconds": int(tls.ends_at - wall_us / 1e6)}

    def _clients(self) -> Fields:
        sessions = self._slave.sessions
        return {
            "connected_clients": len(sessions),
            "cluster_connections": len(self._core.links),
            "maxclients": self._slave.limits.connections_max,
            "client_recent_max_input_buffer": max((s.input.memory for s in sessions), default=0),
            "client_recent_max_output_buffer": max(
                (s.replies.output_bytes for s in sessions), default=0
            ),
            "blocked_clients": sum(session.waiter is not None for session in sessions),
            "tracking_clients": sum(session.tracker is not None for session in sessions),
            "pubsub_clients": sum(session.is_subscribed for session in sessions),
            "clients_in_timeout_table": 0,
        }

    def _memory(self) -> Fields:
        process, data = self._process, self._core.view.data_bytes
        of_clients, limit = self._slave.client_memory.total, self._slave.limits.maxmemory
        held, peak = process.memory_bytes(), process.memory_peak_bytes()
        overhead = self._startup_bytes + of_clients
        machine, used = process.memory_of_machine_bytes(), data + overhead
        return {
            "used_memory": used,
            "used_memory_human": human(used),
            "used_memory_rss": held,
            "used_memory_rss_human": human(held),
            "used_memory_peak": peak,
            "used_memory_peak_human": human(peak),
            "used_memory_peak_perc": f"{100 * held / max(1, peak):.2f}%",
            "used_memory_overhead": overhead,
            "used_memory_startup": self._startup_bytes,
            "used_memory_dataset": data,
            "used_memory_dataset_perc": f"{100 * data / max(1, data + of_clients):.2f}%",
            "total_system_memory": machine,
            "total_system_memory_human": human(machine),
            "maxmemory": limit,
            "maxmemory_human": human(limit),
            "maxmemory_policy": self._slave.timing.settings.show("maxmemory-policy"),
            "mem_fragmentation_ratio": f"{held / max(1, used):.2f}",
            "mem_fragmentation_bytes": held - used,
            "mem_clients_normal": of_clients,
            "mem_allocator": "python",
        }

    def _persistence(self) -> Fields:
        """All that was acknowledged is on disk, at any moment."""
        return {
            "loading": 0,
            "async_loading": 0,
            "rdb_changes_since_last_save": 0,
            "rdb_bgsave_in_progress": 0,
            "rdb_last_save_time": self._process.wall_us() // 1_000_000,
            "rdb_last_bgsave_status": "ok",
            "rdb_last_bgsave_time_sec": -1,
            "rdb_current_bgsave_time_sec": -1,
            "aof_enabled": 1,
            "aof_rewrite_in_progress": 0,
            "aof_rewrite_scheduled": 0,
            "aof_last_rewrite_time_sec": -1,
            "aof_current_rewrite_time_sec": -1,
            "aof_last_bgrewrite_status": "ok",
            "aof_last_write_status": "ok",
            "disk_sync_worst_ms": self._core.view.sync_ms(self._core.id),
        }

    def _stats(self) -> Fields:
        statistics = self._slave.statistics
        commands, came, went = statistics.rates()
        hits, misses = self._lookups()
        subscriptions = self._slave.subscriptions
        trackings = self._core.tracking, self._core.gateway_tracking
        return {
            "total_connections_received": statistics.connections,
            "total_commands_processed": statistics.commands,
            "instantaneous_ops_per_sec": int(commands),
            "total_net_input_bytes": statistics.input_bytes,
            "total_net_output_bytes": statistics.output_bytes,
            "instantaneous_input_kbps": f"{came / 1024:.2f}",
            "instantaneous_output_kbps": f"{went / 1024:.2f}",
            "rejected_connections": statistics.refused,
            "sync_full": 0,
            "sync_partial_ok": 0,
            "sync_partial_err": 0,
            "expired_keys": self._core.view.expired_keys,
            "evicted_keys": 0,
            "evicted_clients": statistics.evicted,
            "keyspace_hits": hits,
            "keyspace_misses": misses,
            "pubsub_channels": sum(1 for _ in subscriptions.active(CHANNEL)),
            "pubsub_patterns": sum(1 for _ in subscriptions.active(PATTERN)),
            "pubsubshard_channels": sum(1 for _ in subscriptions.active(SHARD)),
            "latest_fork_usec": 0,
            "tracking_total_keys": sum(each.key_count for each in trackings),
            "tracking_total_prefixes": sum(each.prefix_count for each in trackings),
            "total_error_replies": sum(statistics.errors.values()),
            "total_reads_processed": statistics.reads,
            "total_writes_processed": statistics.writes,
        }

    def _lookups(self) -> tuple[int, int]:
        """Reads of one key: how many found something, and how many did not."""
        slave, statistics = self._slave, self._slave.statistics
        misses = statistics.misses + sum(s.replies.misses for s in slave.sessions)
        reads = sum(
            count
            for name, count in statistics.calls.items()
            if (row := slave.timing.rows.get(name)) is not None
            and row.has_one_key
            and row.is_on_keys
            and not row.is_write
        )
        return max(0, reads - misses), misses

    def _replication(self) -> Fields:
        core = self._core
        applied = sum(g.member.applied_index for g in core.view.partitions if g.member.is_leader)
        return {
            "role": "master",
            "connected_slaves": len(core.links),
            "master_failover_state": "no-failover",
            "master_replid": wire_id(core.id),
            "master_replid2": "0" * 40,
            "master_repl_offset": applied,  # entries of the partitions that are led here
            "second_repl_offset": -1,
            "repl_backlog_active": 0,
            "repl_backlog_size": 0,
            "repl_backlog_first_byte_offset": 0,
            "repl_backlog_histlen": 0,
            "snapshot_bytes_sent": core.budget.spent,  # to members that lag or are new
        }

    def _cpu(self) -> Fields:
        system_s, user_s = self._process.cpu_s()
        return {
            "used_cpu_sys": f"{system_s:.6f}",
            "used_cpu_user": f"{user_s:.6f}",
            "used_cpu_sys_children": "0.000000",
            "used_cpu_user_children": "0.000000",
        }

    def _commandstats(self) -> Fields:
        statistics, times = self._slave.statistics, self._slave.timing.times
        told = {}
        for name in sorted({*statistics.calls, *statistics.rejected}):
            calls = statistics.calls.get(name, 0)
            timed = times.get(name)
            spent_us = 0 if timed is None else timed.total
            told[f"cmdstat_{name}"] = (
                f"calls={calls},usec={spent_us},usec_per_call={spent_us / max(1, calls):.2f}"
                f",rejected_calls={statistics.rejected[name]}"
                f",failed_calls={statistics.failed[name]}"
            )
        return told

    def _errorstats(self) -> Fields:
        errors = self._slave.statistics.errors
        return {f"errorstat_{code}": f"count={count}" for code, count in sorted(errors.items())}

    def _latencystats(self) -> Fields:
        return {
            f"latency_percentiles_usec_{name}": ",".join(
                f"p{percent:g}={timed.percentile(percent)}" for percent in PERCENTILES
            )
            for name, timed in sorted(self._slave.timing.times.items())
        }

    def _cluster(self) -> Fields:
        view = self._core.view
        return {
            "cluster_enabled": 1,
            "partitions_led": len(view.led_stores),
            "partitions_held": len(view.partitions),
        }

    def _keyspace(self) -> Fields:
        led = self._core.view.led_stores
        return keyspace_lines(store.counts() for store in led)
