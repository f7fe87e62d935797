"""Several clients at once, here and there: what one does, and all that any of them gets then.

Each step is one command of one client, and the next begins when it is done and all it caused has
been sent, so that what reaches whom, and in which order, is no matter of chance.  How a client of
redis-server knows that: once the server answers another connection, all that came before is done,
since it handles what is readable in one turn of its loop; and once it answers a second time what
the first turn had to send is sent.
"""

from typing import Protocol

from tests.oracle.compare import COUNTED, Difference, Words, expires_soon, note
from tests.oracle.differences import is_equal, meant
from tests.oracle.frames import Frame, pack, read_frames
from tests.oracle.ours import PureServer
from tests.oracle.redis_server import RedisServer

Step = tuple[int, Words]  # the number of the client, and its command


class Clients(Protocol):
    def ask(self, step: Step) -> list[list[Frame]]:
        """What each of them got by it."""


class TheirClients:
    def __init__(self, server: RedisServer, count: int):
        self._clients = [server.connect() for _ in range(count)]
        self._other = server.connect()

    def ask(self, step: Step) -> list[list[Frame]]:
        number, words = step
        self._clients[number].send(words)
        for _ in range(2):
            self._other.ask(b"PING")
        return [client.received() for client in self._clients]

    def close(self) -> None:
        for connection in (*self._clients, self._other):
            connection.close()


class OurClients:
    def __init__(self, count: int, is_cluster: bool = True):
        self._server = PureServer(is_cluster)
        self._sessions = [self._server.connect() for _ in range(count)]

    def ask(self, step: Step) -> list[list[Frame]]:
        number, words = step
        self._sessions[number].receive(pack(words))
        reply = self._server.finish_one(self._sessions[number])
        self._server.tracking.tell()  # at the end of a turn
        received = [self._server.finish_one(session) for session in self._sessions]
        received[number] = reply + received[number]
        server = self._server
        while (server.blocking or server.gateway_blocking) and (
            server.feed.has_gathered
            or server.tracking.has_pending
            or server.gateway_tracking.has_pending
        ):  # those who wait are asked again
            server.tell_clients()
            for place, session in enumerate(self._sessions):
                received[place] += self._server.finish_one(session)
        return [*map(read_frames, received)]


def first_difference(
    theirs: Clients, ours: Clients, protocols: list[int], steps: list[Step]
) -> Difference | None:
    count = len(protocols)
    for number, protocol in enumerate(protocols):
        for words in ([b"RESET"], [b"FLUSHALL"], [b"HELLO", b"%d" % protocol]):
            for clients in (theirs, ours):
                clients.ask((number, words))
    steps = [step for step in steps if not expires_soon(step[1])]
    for at, step in enumerate(steps):
        their, our = theirs.ask(step), ours.ask(step)
        for client in range(count):
            words = step[1] if client == step[0] else [b""]
            note(words)
            if _same(words, their[client], our[client]):
                continue
            known = None
            if len(their[client]) == len(our[client]) == 1:
                known = meant(words, their[client][0], our[client][0])
            if known is None:
                return Difference(steps[: at + 1], client, their[client], our[client])
            COUNTED["meant"] += 1
            if known.parts_ways:
                return None
    return None


def _same(words: Words, theirs: list[Frame], ours: list[Frame]) -> bool:
    theirs, ours = (list(map(_with_keys_in_order, frames)) for frames in (theirs, ours))
    if theirs == ours:
        return True
    if len(theirs) != 1 or len(ours) != 1:
        if words[0].upper() in (b"UNSUBSCRIBE", b"PUNSUBSCRIBE", b"SUNSUBSCRIBE"):
            return len(words) == 1 and _in_order(theirs) == _in_order(ours)
        # Of several patterns the order is chance; and where prefixes overlap one message is enough.
        return {*map(repr, theirs)} == {*map(repr, ours)}
    return is_equal(words, theirs[0], ours[0])


def _with_keys_in_order(frame: Frame) -> Frame:
    """Several keys that one message tells of are in no order."""
    kind, content = frame
    if kind != b">" or content[0][1] != b"invalidate" or content[1][1] is None:
        return frame
    return kind, [content[0], (content[1][0], sorted(content[1][1]))]


def _in_order(frames: list[Frame]) -> list[set[str]]:
    """All subscriptions end in no order, but their count goes down one by one."""
    return [{repr(frame[1][place]) for frame in frames} for place in range(3)]
