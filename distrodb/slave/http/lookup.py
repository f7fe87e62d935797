"""A key that is looked up: where it is, and what it holds, for who may read it.  Pure.

What it holds is asked of the partition's leader, on the way of the commands that come to a gateway:
so it is what a client would read now, or why it cannot be told.  It is asked in several commands
side by side, so a write in between may show in one and not in the other.

What always holds: nothing is read for a visitor who may not run the command that tells the same;
and what is read is a bounded part of the value, so many a second, and waited for a bounded time.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from distrodb.keyspace.place_number import place_of
from distrodb.resp.reply import ErrorReply, Reply, Status
from distrodb.ring.slots import slot_of
from distrodb.slave.core import Core
from distrodb.slave.http.conversation import JSON, Answer, Give, Later
from distrodb.slave.http.visitors import Visitor, Visitors
from distrodb.slave.on_partitions import Part
from distrodb.slave.rate import Rate
from distrodb.slave.service import Service

SHOWN_BYTES = 1024  # of a value
VALUES_PER_S, VALUES_AT_ONCE = 10, 20
WAIT_S = 3.0  # for the leader; the page waits for five
LAST = str(SHOWN_BYTES - 1).encode()
# What is asked, and the command that tells the same, which the visitor must be allowed.
ASKED: dict[str, tuple[bytes, tuple[bytes, ...], bytes]] = {
    "type": (b"TYPE", (), b"TYPE"),
    "ttl_ms": (b"PTTL", (), b"PTTL"),
    "length": (b"STRLEN", (), b"GET"),
    "text": (b"GETRANGE", (b"0", LAST), b"GET"),
}
NOT_BORN = Answer(503, b"the cluster is not born yet, or this slave waits to be let in\n")


class Lookups:
    def __init__(
        self, core: Core, service: Service, visitors: Visitors, schedule: Callable[[], None]
    ):
        """``schedule``: a turn of the core is due."""
        self._core, self._service, self._visitors = core, service, visitors
        self._schedule = schedule
        self._rate = Rate(service.process.now(), VALUES_PER_S, VALUES_AT_ONCE)

    def look_up(self, visitor: Visitor, key: bytes) -> Answer | Later:
        view, slot = self._core.view, slot_of(key)
        if not view.map.partitions:
            return NOT_BORN
        row = view.map.partitions[view.routing.partition_of_slot[slot]]
        place: dict[str, Any] = {
            "slot": slot,
            "partition": row.id,
            "slots": [row.first, row.last],
            "owner": row.owner,
            "group": list(row.group),
            "leader": view.routing.leader_of(row.id),
        }
        denied = self._visitors.objection(visitor, [b"GET", key])
        if not denied and not self._rate.take(self._service.process.now()):
            denied = "too many keys are looked up; try it again in a second"
        if denied:
            return _answer(place, None, denied)
        return Later(lambda give: self._read(visitor, key, _Reading(place, give)))

    def _read(self, visitor: Visitor, key: bytes, reading: "_Reading") -> None:
        service, partition = self._service, reading.place["partition"]
        place = place_of(0, reading.place["slot"])
        wanted = {
            name: (verb, more)
            for name, (verb, more, like) in ASKED.items()
            if like == b"GET" or not self._visitors.objection(visitor, [like, key])
        }
        reading.left = len(wanted)
        for name, (verb, more) in wanted.items():
            row = service.access.users.table[verb]
            if service.pausing.pause is not None and service.pausing.pause.holds(row):
                reading.give_up("commands are paused (CLIENT PAUSE)")
                return
            service.calls[row.name] += 1
            part = Part([verb, key, *more], False, place, partial(reading.take, name))
            self._core.forward(part, partition)
        service.process.later(WAIT_S, partial(reading.give_up, f"no answer in {WAIT_S:g} seconds"))
        self._schedule()


class _Reading:
    """What a key holds, while it is read."""

    def __init__(self, place: dict[str, Any], give: Give):
        self.place, self.left = place, 0  # commands that are not answered yet
        self._give, self._is_over = give, False
        self._told: dict[str, Reply] = {}

    def take(self, name: str, reply: Reply) -> None:
        self._told[name] = reply
        self.left -= 1
        if not self.left:
            self._end(lambda: _answer(self.place, *_value(self._told)))

    def give_up(self, why: str) -> None:
        self._end(lambda: _answer(self.place, None, why))

    def _end(self, make: Callable[[], Answer]) -> None:
        if not self._is_over:
            self._is_over = True
            self._give(make)


def _answer(place: dict[str, Any], value: dict[str, Any] | None, why: str) -> Answer:
    found = {**place, "value": value, "why": why}
    return Answer(200, json.dumps(found).encode() + b"\n", JSON)


def _value(told: dict[str, Reply]) -> tuple[dict[str, Any] | None, str]:
    """What is shown, or why nothing."""
    problems = [reply.text for reply in told.values() if isinstance(reply, ErrorReply)]
    is_other = any(text.startswith(b"WRONGTYPE") for text in problems)
    if problems and not is_other:
        return None, problems[0].decode(errors="replace")
    kind, ttl_ms = told.get("type"), told.get("ttl_ms")
    text, length = told["text"], told["length"]
    name = kind.text.decode() if isinstance(kind, Status) else None
    is_missing = name == "none" or ttl_ms == -2
    if is_missing:
        return None, "there is no such key"
    value = {"type": name, "ttl_ms": ttl_ms, "length": None, "text": None}
    if is_other:
        return value, "only strings are shown"
    if isinstance(text, bytes) and isinstance(length, int):
        value |= {"length": length, "text": escape(text)}
    return value, ""


def escape(value: bytes) -> str:
    r"""Bytes as text: UTF-8 as it is; ``\xNN`` what is none, and ``\uNNNN`` what cannot be seen."""
    return "".join(map(_escaped, value.decode(errors="surrogateescape")))


def _escaped(letter: str) -> str:
    code = ord(letter)
    if letter == "\\":
        return r"\\"
    if letter.isprintable():
        return letter
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    short = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}.get(letter)
    if short or code < 0x80:
        return short or f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
