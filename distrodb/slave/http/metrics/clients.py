"""Of clients and their commands."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric

from distrodb.commands.acl_guard import AUTH, CHANNEL, COMMAND, KEY
from distrodb.commands.powers import Powers
from distrodb.slave.http.metrics.sources import Sources, counter, gauge, histogram, table


def collect(sources: Sources) -> Iterator[Metric]:
    service = sources.service
    statistics, rows = service.statistics, service.timing.rows

    def family_of(command: str) -> str:
        row = rows.get(command)
        return "unknown" if row is None else row.group

    yield table(
        CounterMetricFamily(
            "distrodb_commands",
            "Commands that began here, sent by clients of this slave and its gateway.",
            labels=["command", "family"],
        ),
        [((name, family_of(name)), count) for name, count in statistics.calls.items()],
    )
    yield counter(
        "distrodb_commands_rejected_total",
        "Commands with a wrong number of words.",
        statistics.rejected,
        "command",
    )
    yield counter(
        "distrodb_commands_failed_total",
        "Commands that were answered with an error.",
        statistics.failed,
        "command",
    )
    yield counter(
        "distrodb_errors_total", "Errors that were answered, by code.", statistics.errors, "code"
    )
    times: dict[str, Powers] = {}
    for name, of_command in service.times.items():
        times.setdefault(family_of(name), Powers()).add_all(of_command)
    yield histogram(
        "distrodb_command_seconds",
        "How long commands executed that are timed: all that the slave itself answers, and those on"
        " data that Redis does not call fast; on every copy.",
        times,
        "family",
    )
    yield gauge("distrodb_clients", "Connections of clients now.", service.session_count)
    yield gauge(
        "distrodb_clients_max",
        "[limits] connections_max, as it is on this machine.",
        service.limits.connections_max,
    )
    yield counter("distrodb_client_connections_total", "That came.", statistics.connections)
    yield counter(
        "distrodb_client_connections_refused_total",
        "Beyond connections_max.",
        statistics.refused,
    )
    yield counter(
        "distrodb_client_evictions_total",
        "Clients that were closed: memory (maxmemory_clients, the largest first), silence"
        " (timeout_s, half_command_s).",
        {"memory": statistics.evicted, "silence": statistics.overdue},
        "cause",
    )
    yield counter(
        "distrodb_client_bytes_total",
        "That clients sent (in) and were sent (out).",
        {"in": statistics.input_bytes, "out": statistics.output_bytes},
        "direction",
    )
    yield counter(
        "distrodb_access_denied_total",
        "Failed logins (auth), of clients and of the HTTP port, and what users had no right to: a"
        " command, a key, a channel; each that ACL LOG was told of.",
        {about: service.access.log.counts[about] for about in (AUTH, COMMAND, KEY, CHANNEL)},
        "reason",
    )
    yield gauge(
        "distrodb_client_subscribers",
        "Clients that have subscribed to something.",
        sum(session.is_subscribed for session in service.sessions),
    )
