"""The HTTP port of one slave, put together."""

from collections.abc import Callable, Iterator

from distrodb.slave.core import Core
from distrodb.slave.http.server import HttpServer, page_files
from distrodb.slave.http.site import Site
from distrodb.slave.service import Service


def http_of(core: Core, service: Service, is_ending: Callable[[], bool]) -> HttpServer | None:
    """None if its row names none."""
    address = core.config.me.http_bind
    if address is None:
        return None

    def load_metrics() -> Callable[[], Iterator[bytes]]:
        """Only once it is asked for: it takes a quarter of a second, and some megabytes."""
        from distrodb.slave.http.metrics.registry import Metrics
        from distrodb.slave.http.metrics.sources import Sources

        began_s = service.process.wall_us() // 1_000_000 - service.process.uptime_s()
        return Metrics(Sources(core, service, began_s)).text

    site = Site(core.view, service, is_ending, page_files(), load_metrics)
    return HttpServer(address, site.answer)
