"""The paths of the HTTP port, and what each of them says.  Pure: no socket, no clock.

A request says what it calls the server (``Host``).  One that is neither an IP address nor a name by
which this slave is known is refused: else a web page anywhere could read the answers in the browser
of a person who can reach this port, by a name that is made to mean its address ("DNS rebinding").
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from distrodb.config.address import parse_announced
from distrodb.ring.slots import slot_of
from distrodb.slave.http.conversation import JSON, TEXT, Answer, Asked
from distrodb.slave.http.document import Document
from distrodb.slave.http.readiness import reasons_against
from distrodb.slave.service import Service
from distrodb.slave.view import View

ROWS_A_SLICE = 256  # of partitions: about a millisecond
READY = b"ready\n"


class Site:
    def __init__(
        self,
        view: View,
        service: Service,
        is_ending: Callable[[], bool],
        page: Mapping[str, Answer],
        documents: Mapping[str, Document],
    ):
        """``page``: files, by their paths; so are ``documents``, beside those made here."""
        self._view, self._service, self._is_ending, self._page = view, service, is_ending, page
        self._documents = {
            "/readyz": Document(self._ready, TEXT, lambda body: 200 if body == READY else 503),
            "/cluster": Document(self._cluster, JSON),
            **documents,
        }
        me = view.config.me
        known = me.client, me.peer, me.http, *me.listens.values()
        self._hosts = {"localhost", *(address.host.lower() for address in known if address)}

    @property
    def paths(self) -> list[str]:
        return sorted(["/healthz", "/key", *self._page, *self._documents])

    def answer(self, asked: Asked) -> Answer | Document:
        """What is answered, or what is to be made first."""
        if not self._is_known(asked.host):
            why = f"{asked.host} is not known here: use an IP address, or a name of this slave\n"
            return Answer(421, why.encode())
        if asked.path == "/healthz":
            return Answer(200, b"ok\n")
        if asked.path == "/key":
            return self._key(asked.query)
        found = self._documents.get(asked.path) or self._page.get(asked.path)
        if found is None:
            return Answer(404, f"there are {' '.join(self.paths)}\n".encode())
        return found

    def _is_known(self, host: str) -> bool:
        if not host:
            return True  # HTTP/1.0; browsers send it
        try:
            address = parse_announced(host, 80)
        except ValueError:
            return False
        return not address.is_named or address.host.lower() in self._hosts

    # -- what is said ------------------------------------------------------------------------

    def _ready(self) -> Iterator[bytes]:
        reasons = reasons_against(self._view, self._is_ending())
        yield "".join(f"{reason}\n" for reason in reasons).encode() or READY

    def _cluster(self) -> Iterator[bytes]:
        """DISTRODB STATUS; the rows of many partitions a slice at a time."""
        status: dict[str, Any] = dict(self._service.status())
        rows = status.pop("partitions")
        yield json.dumps(status).encode()[:-1] + b', "partitions": ['
        for first in range(0, len(rows), ROWS_A_SLICE):
            text = json.dumps(rows[first : first + ROWS_A_SLICE])[1:-1]
            yield (f", {text}" if first else text).encode()
        yield b"]}\n"

    def _key(self, query: str) -> Answer:
        """Where a key is; its bytes are percent-encoded."""
        try:
            fields = parse_qsl(query, True, errors="surrogateescape", max_num_fields=4)
            name = dict(fields)["name"].encode(errors="surrogateescape")
        except (KeyError, ValueError):
            return Answer(400, b"ask for /key?name=KEY, its bytes percent-encoded\n")
        view, slot = self._view, slot_of(name)
        row = view.map.partitions[view.routing.partition_of_slot[slot]]
        found = {
            "slot": slot,
            "partition": row.id,
            "slots": [row.first, row.last],
            "owner": row.owner,
            "group": list(row.group),
            "leader": view.routing.leader_of(row.id),
        }
        return Answer(200, json.dumps(found).encode(), JSON)
