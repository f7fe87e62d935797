"""The paths of the HTTP port, and what each of them says, and to whom.  Pure: no socket, no clock.

``/healthz`` and ``/readyz`` are for everybody, since probes have no password; why a slave is not
ready is told only to who has logged in, and to ``distrodb ready`` (ready_token.py).  All else is
for users (visitors.py), each path for who may run the command that tells the same; the page's own
files tell nothing, and are for any user.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from distrodb.slave.http.conversation import JSON, TEXT, Answer, Asked, Later
from distrodb.slave.http.document import Document
from distrodb.slave.http.lookup import Lookups
from distrodb.slave.http.origins import Origins
from distrodb.slave.http.readiness import reasons_against
from distrodb.slave.http.visitors import LOG_IN, Visitor, Visitors
from distrodb.slave.service import Service
from distrodb.slave.view import View

ROWS_A_SLICE = 256  # of partitions: about a millisecond
READY = b"ready\n"
STATUS = (b"DISTRODB", b"STATUS")
# The commands that tell the same as these paths.
TELL: dict[str, tuple[bytes, ...]] = {"/cluster": STATUS, "/live": STATUS, "/key": STATUS}
TELL |= {"/doctor": (b"DISTRODB", b"DOCTOR"), "/metrics": (b"INFO",)}


class Site:
    def __init__(
        self,
        view: View,
        service: Service,
        is_ending: Callable[[], bool],
        visitors: Visitors,
        lookups: Lookups,
        page: Mapping[str, Answer],
        documents: Mapping[str, Document],
    ):
        """``page``: files, by their paths; so are ``documents``, beside those made here."""
        self._view, self._service, self._is_ending = view, service, is_ending
        self._visitors, self._lookups, self._page = visitors, lookups, page

        def readiness(shows_why: bool) -> Document:
            said = partial(self._ready, shows_why)
            return Document(said, TEXT, lambda body: 200 if body == READY else 503)

        self._documents = {
            "/readyz": readiness(shows_why=True),
            "/cluster": Document(self._cluster, JSON),
            **documents,
        }
        self._readiness = readiness(shows_why=False)
        me = view.config.me
        self._origins = Origins([me.client, me.peer, me.http, *me.listens.values()])

    @property
    def paths(self) -> list[str]:
        return sorted(["/healthz", "/key", "/user", *self._page, *self._documents])

    def answer(self, asked: Asked) -> Answer | Document | Later:
        """What is answered, or what is to be made or waited for first."""
        path = asked.path
        objection = self._origins.objection(asked, is_followed=path != "/key")
        if objection is not None:
            return objection
        if path == "/healthz":
            return Answer(200, b"ok\n")
        if path == "/readyz" and self._visitors.is_of_the_house(asked):
            return self._documents["/readyz"]
        visitor = self._visitors.who(asked)
        if isinstance(visitor, Answer):
            return self._readiness if path == "/readyz" else visitor
        forbidden = self._forbidden(visitor, path)
        if forbidden:
            return self._denied(visitor, forbidden)
        if path == "/key":
            return self._key(visitor, asked.query)
        if path == "/user":
            told = {"user": visitor.name.decode(errors="backslashreplace")}
            return Answer(200, json.dumps(told).encode() + b"\n", JSON)
        found = self._documents.get(path) or self._page.get(path)
        if found is None:
            return Answer(404, f"there are {' '.join(self.paths)}\n".encode())
        return found

    def _forbidden(self, visitor: Visitor, path: str) -> str:
        words = TELL.get(path)
        why = "" if words is None else self._visitors.objection(visitor, words)
        right = b"|".join(words or ()).decode().lower()
        return f"{why} (it takes +{right})" if why else ""

    def _denied(self, visitor: Visitor, why: str) -> Answer:
        """Who has not logged in may do so as somebody else."""
        body = f"{why}\n".encode()
        return Answer(403, body) if visitor.has_logged_in else replace(LOG_IN, body=body)

    # -- what is said ------------------------------------------------------------------------

    def _ready(self, shows_why: bool) -> Iterator[bytes]:
        reasons = reasons_against(self._view, self._is_ending())
        why = "".join(f"{reason}\n" for reason in reasons) if shows_why else "not ready\n"
        yield why.encode() if reasons else READY

    def _cluster(self) -> Iterator[bytes]:
        """DISTRODB STATUS; the rows of many partitions a slice at a time."""
        status: dict[str, Any] = dict(self._service.status())
        rows = status.pop("partitions")
        yield json.dumps(status).encode()[:-1] + b', "partitions": ['
        for first in range(0, len(rows), ROWS_A_SLICE):
            text = json.dumps(rows[first : first + ROWS_A_SLICE])[1:-1]
            yield (f", {text}" if first else text).encode()
        yield b"]}\n"

    def _key(self, visitor: Visitor, query: str) -> Answer | Later:
        """A key's bytes are percent-encoded."""
        try:
            fields = parse_qsl(query, True, errors="surrogateescape", max_num_fields=4)
            name = dict(fields)["name"].encode(errors="surrogateescape")
        except (KeyError, ValueError):
            return Answer(400, b"ask for /key?name=KEY, its bytes percent-encoded\n")
        return self._lookups.look_up(visitor, name)
