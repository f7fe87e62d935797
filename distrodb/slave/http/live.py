"""What the page shows beside the cluster's map: what this slave does now, and what has happened.
Pure.  Its fields are the page's own, and may change.
"""

import json
from collections.abc import Iterator

from distrodb import __version__
from distrodb.slave.core import Core
from distrodb.slave.happenings import Happenings
from distrodb.slave.http.readiness import reasons_against
from distrodb.slave.recent import Recent
from distrodb.slave.service import Service


class Live:
    def __init__(self, core: Core, service: Service, recent: Recent, events: Happenings):
        self._core, self._service, self._recent, self._events = core, service, recent, events

    def pieces(self) -> Iterator[bytes]:
        core, service = self._core, self._service
        view, seconds = core.view, self._recent.seconds()
        commands, came, went = service.statistics.rates()
        told = {
            "node": core.id,
            "cluster": core.config.cluster_id,
            "version": __version__,
            "uptime_s": service.process.uptime_s(),
            "not_ready": reasons_against(view, is_ending=False),
            "commands_per_s": round(commands, 1),
            "in_bytes_per_s": int(came),
            "out_bytes_per_s": int(went),
            "took": {
                kind: {
                    "per_s": round(times.count / seconds, 1),
                    "p50_us": times.percentile(50),
                    "p99_us": times.percentile(99),
                }
                for kind, times in self._recent.took().items()
            },
            "clients": service.session_count,
            "memory": {
                "process": service.process.memory_bytes(),
                "data": view.data_bytes,
                "clients": service.client_memory.total,
                "log": sum(group.log.bytes for group in core.groups.values()),
            },
            "led": len(view.led_stores),
            "held": len(view.partitions),
            "events": [
                {"at_ms": event.at_ms, "kind": event.kind, "text": event.text}
                for event in self._events.newest_first()
            ],
        }
        yield json.dumps(told).encode()
