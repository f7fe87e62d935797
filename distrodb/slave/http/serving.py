"""The HTTP port of one slave, put together."""

import json
from collections.abc import Callable, Iterator

from distrodb.slave.client_server import ClientServer
from distrodb.slave.core import Core
from distrodb.slave.http.conversation import JSON
from distrodb.slave.http.document import Document
from distrodb.slave.http.live import Live
from distrodb.slave.http.lookup import Lookups
from distrodb.slave.http.server import HttpServer, page_files
from distrodb.slave.http.site import Site
from distrodb.slave.http.visitors import Visitors
from distrodb.slave.self_report import SelfReport
from distrodb.slave.tls import Tls, present

METRICS = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus' text format


def http_of(
    core: Core,
    clients: ClientServer,
    report: SelfReport,
    tls: Tls,
    is_ending: Callable[[], bool],
    token: str = "",
) -> HttpServer | None:
    """None if its row names none.  ``token``: ready_token.py's."""
    config, service = core.config, clients.service
    address = config.me.http_bind
    if address is None:
        return None

    def load_metrics() -> Callable[[], Iterator[bytes]]:
        """Only once it is asked for: it takes a quarter of a second, and some megabytes."""
        from distrodb.slave.http.metrics.registry import Metrics
        from distrodb.slave.http.metrics.sources import Sources

        began_s = service.process.wall_us() // 1_000_000 - service.process.uptime_s()
        return Metrics(Sources(core, service, began_s)).text

    process = service.process
    documents = {
        "/metrics": Document(None, METRICS, load=load_metrics),
        "/doctor": Document(lambda: iter([json.dumps(service.doctor()).encode() + b"\n"]), JSON),
        "/live": Document(Live(core, service, report.recent, report.happenings).pieces, JSON),
    }
    is_protected = config.is_protected and config.tls.of_http != "certificate"
    visitors = Visitors(service.access, process.now, is_protected, token)
    lookups = Lookups(core, service, visitors, clients.schedule)
    site = Site(core.view, service, is_ending, visitors, lookups, page_files(), documents)
    context = None if tls.http is None else lambda: present(tls.http)
    return HttpServer(address, site.answer, context)
