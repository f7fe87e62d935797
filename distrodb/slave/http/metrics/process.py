"""Of the process: memory by its cause, the processor, the loop, the disk."""

from collections.abc import Iterator

from prometheus_client.core import InfoMetricFamily
from prometheus_client.metrics_core import Metric

from distrodb import __version__
from distrodb.slave.http.metrics.sources import Sources, counter, gauge, histogram
from distrodb.slave.http.readiness import reasons_against

TRACKED_KEY_BYTES = 400  # about, as [clients] tracking_table_max_keys says


def collect(sources: Sources) -> Iterator[Metric]:
    core, service = sources.core, sources.service
    view, process, limits = core.view, service.process, service.limits
    info = {
        "version": __version__,
        "cluster": core.config.cluster_id,
        "node": core.id,
        "incarnation": core.incarnation,
    }
    yield InfoMetricFamily("distrodb", "This slave.", value=info)
    yield counter(
        "process_cpu_seconds_total",
        "Processor time, the system's for it too.",
        sum(process.cpu_s()),
    )
    yield gauge("process_resident_memory_bytes", "What the process holds.", process.memory_bytes())
    yield gauge(
        "process_start_time_seconds",
        "When it began, in seconds since 1970.",
        sources.began_s,
    )
    tracked = core.tracking.key_count + core.gateway_tracking.key_count
    yield gauge(
        "distrodb_memory_bytes",
        "What the slave's parts hold, about: data (keys and values, led or as copies), clients"
        " (inputs and outputs), log (entries since the last snapshot), tracking (keys that clients"
        " cache).",
        {
            "data": view.data_bytes,
            "clients": service.client_memory.total,
            "log": sum(group.log.bytes for group in core.groups.values()),
            "tracking": TRACKED_KEY_BYTES * tracked,
        },
        "cause",
    )
    yield gauge(
        "distrodb_memory_limit_bytes",
        "[limits] maxmemory (of data) and maxmemory_clients; 0: none.",
        {"data": limits.maxmemory, "clients": limits.maxmemory_clients},
        "cause",
    )
    yield histogram(
        "distrodb_event_loop_delay_seconds",
        "By how much the loop was late, looked at four times a second.",
        {"": service.timing.late_us},
    )
    yield histogram(
        "distrodb_disk_sync_seconds",
        "How long a commit of the journal took (write and fsync).",
        {"": service.timing.sync_us},
    )
    yield gauge(
        "distrodb_disk_slow",
        "1: the disk is so slow that the slave hands on what it leads.",
        view.has_slow_disk(core.id),
    )
    condition = view.condition_of(core.id)
    yield gauge(
        "distrodb_disk_bytes",
        "Of the file system where the slave's directory is: free (for it), total; looked at each"
        " ten seconds; 0: not known.",
        {
            "free": condition.disk_free if condition else 0,
            "total": condition.disk_total if condition else 0,
        },
        "what",
    )
    yield gauge(
        "distrodb_tls_certificate_expires_seconds",
        "When the slave's certificate ends, in seconds since 1970; 0: it has none.",
        condition.certificate_ends_s if condition else 0,
    )
    yield gauge(
        "distrodb_clock_skew_seconds",
        "How far the clocks of others are from this one's, the farthest, as far as is known.",
        max(map(abs, core.clocks.skews_ms().values()), default=0) / 1000,
    )
    yield gauge(
        "distrodb_ready",
        "1: clients may be sent here (as /readyz, but for a slave that ends).",
        not reasons_against(view, is_ending=False),
    )
