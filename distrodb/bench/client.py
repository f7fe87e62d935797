"""One client: it has one pipeline under way, and a connection to each leader that it was sent to.

Invariants:
  - A pipeline that was started ends once, by ``Load.is_free``; until then nothing else is started.
  - Each of its commands is counted once.  What is redirected is sent again and counted when that
    is answered, from the same beginning.  Nothing else is sent again: an error is an error.
"""

from typing import Any, Protocol

import hiredis

from distrodb.bench.books import Books
from distrodb.bench.link import Link
from distrodb.bench.workload import Command, Pipeline, joined
from distrodb.clock import monotonic
from distrodb.config.address import Address

REDIRECTIONS_MAX = 16  # of one pipeline; slaves that send a client in a circle are a fault to see
PAUSE_S = 0.02  # after a pipeline of which nothing was done: who is down is not to be flooded


class Load(Protocol):
    """What a client is part of."""

    books: Books

    def connect(self, client: "Client", address: Address) -> None:
        """Ends in ``Client.connected`` or ``Client.not_connected``."""

    def redirected(self, text: str, link: Link) -> Address | None: ...
    def doubt(self) -> None:
        """The slot map may be old."""

    def is_free(self, client: "Client", pause_s: float) -> None: ...


class Client:
    def __init__(self, load: Load):
        self._load = load
        self._books = load.books
        self._links: dict[Address, Link] = {}
        self._pipeline: Pipeline | None = None
        self._at = 0  # so many of its replies have come
        self._done = 0
        self._began = self._sent_at = 0.0
        self._redirections = 0
        self._again: dict[Address, list[tuple[Command, int]]] = {}

    def add(self, link: Link) -> None:
        """A connection, made before anything is measured."""
        self._links[link.address] = link

    def close(self) -> None:
        """What is under way stays that; its end is no error any more."""
        links, self._links = self._links, {}
        for link in links.values():
            link.close()

    @property
    def under_way(self) -> int:
        """So many commands wait for their replies."""
        if self._pipeline is None:
            return 0
        return len(self._pipeline.commands) - self._at + sum(map(len, self._again.values()))

    def start(self, pipeline: Pipeline, began: float) -> None:
        """``began``: when it was due."""
        self._began, self._done, self._redirections = began, 0, 0
        self._send(pipeline, monotonic())

    def _send(self, pipeline: Pipeline, now: float) -> None:
        self._pipeline, self._at, self._sent_at = pipeline, 0, now
        if pipeline.leader is None:
            self._load.doubt()
            self._give_up("no slave leads the slot")
        elif (link := self._links.get(pipeline.leader)) is not None:
            if not link.send(pipeline):
                self.lost(link, "connection lost")
        else:
            self._load.connect(self, pipeline.leader)

    def connected(self, link: Link) -> None:
        """Late, if the pipeline that it was made for has been given up; then it is not used."""
        is_wanted = self._pipeline is not None and self._pipeline.leader == link.address
        if not is_wanted or link.address in self._links:
            link.close()
            return
        assert self._pipeline is not None
        self._links[link.address] = link
        if not link.send(self._pipeline):
            self.lost(link, "connection lost")

    # -- replies -----------------------------------------------------------------------------------

    def done(self, link: Link, count: int) -> None:
        """So many commands were carried out."""
        pipeline = self._pipeline
        at, end = self._at, self._at + count
        if pipeline is None or pipeline.leader != link.address or end > len(pipeline.commands):
            return self._unasked(link)
        self._at = end
        now = monotonic()
        sets = pipeline.is_set.count(1, at, end)
        self._done += count
        self._books.count(now - self._began, sets, count - sets)
        if end == len(pipeline.commands):
            self._answered(now)
        return None

    def replied(self, link: Link, replies: list[Any]) -> None:
        """The same, where some replies may be errors or nil."""
        pipeline = self._pipeline
        end = self._at + len(replies)
        if pipeline is None or pipeline.leader != link.address or end > len(pipeline.commands):
            return self._unasked(link)
        now = monotonic()
        sets = gets = 0
        for number, reply in enumerate(replies, self._at):
            is_set = pipeline.is_set[number]
            if isinstance(reply, hiredis.ReplyError):
                self._refused(link, str(reply), pipeline.commands[number], is_set)
                continue
            sets, gets = sets + is_set, gets + 1 - is_set
            if reply is None:
                self._books.misses += 1
        self._at = end
        self._done += sets + gets
        if sets or gets:
            self._books.count(now - self._began, sets, gets)
        if end == len(pipeline.commands):
            self._answered(now)
        return None

    def _refused(self, link: Link, text: str, command: Command, is_set: int) -> None:
        word = text.partition(" ")[0]
        if word == "MOVED" and (leader := self._load.redirected(text, link)) is not None:
            if self._redirections < REDIRECTIONS_MAX:
                self._books.redirected += 1
                self._again.setdefault(leader, []).append((command, is_set))
                return
            text = f"MOVED {REDIRECTIONS_MAX} times and more"
        if word in ("MOVED", "CLUSTERDOWN", "TRYAGAIN"):
            self._load.doubt()
        self._books.fail(text)

    def _answered(self, now: float) -> None:
        if not self._again:
            self._pipeline = None
            self._load.is_free(self, 0.0 if self._done else PAUSE_S)
            return
        leader, some = self._again.popitem()
        self._redirections += 1
        commands = tuple(command for command, _ in some)
        is_set = bytes(is_set for _, is_set in some)
        self._send(Pipeline(commands, is_set, leader, joined(commands), -1, b""), now)

    # -- what goes wrong ---------------------------------------------------------------------------

    def _unasked(self, link: Link) -> None:
        self.lost(link, "a reply to nothing that was asked")
        link.close()

    def lost(self, link: Link, text: str) -> None:
        """The connection is gone."""
        if self._links.get(link.address) is not link:
            return  # it was given up before
        del self._links[link.address]
        self.not_connected(link.address, text)

    def not_connected(self, address: Address, text: str) -> None:
        self._load.doubt()
        if address in self._links:
            return  # a later try has succeeded
        if self._pipeline is not None and self._pipeline.leader == address:
            self._give_up(text)

    def look(self, now: float, timeout_s: float) -> None:
        """From time to time: a reply that does not come is an error, too."""
        if self._pipeline is not None and now - self._sent_at > timeout_s:
            assert self._pipeline.leader is not None
            link = self._links.pop(self._pipeline.leader, None)
            self._load.doubt()
            self._give_up(f"no reply within {timeout_s:g} s")
            if link is not None:
                link.close()

    def _give_up(self, text: str) -> None:
        self._books.fail(text, self.under_way)
        self._pipeline = None
        self._again.clear()
        self._load.is_free(self, PAUSE_S)
