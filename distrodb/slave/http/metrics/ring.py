"""Of the ring, as this slave sees it."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from distrodb.slave.group_ids import MAP_GROUP
from distrodb.slave.http.metrics.sources import Sources, gauge
from distrodb.slave.status_reply import status_of

STATUSES = ("up", "suspect", "down", "leaving")


def collect(sources: Sources) -> Iterator[Metric]:
    view = sources.core.view
    yield gauge("distrodb_ring_epoch", "Grows with each change of the cluster map.", view.map.epoch)
    yield gauge("distrodb_ring_size", "Slaves in the ring.", len(view.map.ring))
    yield gauge(
        "distrodb_ring_controller",
        "1: this slave leads the cluster map and heals the ring.",
        view.routing.leads(MAP_GROUP),
    )
    statuses = Counter(status_of(view, node) for node in view.map.nodes)
    yield gauge(
        "distrodb_slaves",
        "Slaves that the map knows, by status: up, suspect (not heard here), down, leaving.",
        {status: statuses[status] for status in STATUSES},
        "status",
    )
    yield gauge(
        "distrodb_slaves_linked", "Slaves that this one is linked with.", len(view.peers.links)
    )
    yield gauge("distrodb_partitions", "Of the cluster.", len(view.map.partitions))
    yield gauge("distrodb_partitions_held", "Open here, led or as copies.", len(view.partitions))
    yield gauge(
        "distrodb_partitions_leaderless",
        "That this slave should hold and that nobody leads, as far as it knows.",
        len(view.routing.leaderless()),
    )
    plan = view.healing()
    yield gauge(
        "distrodb_healing_partitions",
        "Not where they should be: moving (copies are on their way), waiting (for their turn),"
        " stuck (a majority of their slaves is down).",
        {
            "moving": len(plan.moving) if plan else 0,
            "waiting": len(plan.waiting) if plan else 0,
            "stuck": len(plan.stuck) if plan else 0,
        },
        "state",
    )
    copies = view.copies()
    yield gauge(
        "distrodb_copy_bytes",
        "Of the copies that are on their way, here and elsewhere.",
        {"done": sum(copy.done for copy in copies), "total": sum(copy.total for copy in copies)},
        "what",
    )
