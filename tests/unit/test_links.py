"""Links over real sockets, and over transports that do their worst."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest
import uvloop

from distrodb.config import Address, NodeAddress
from distrodb.errors import PeerError
from distrodb.raft import messages as m
from distrodb.ring.clustermap import first_map
from distrodb.slave.change_feed import changes_from_plain
from distrodb.slave.links import dial as dial_module
from distrodb.slave.links import links as links_module
from distrodb.slave.links.conversation import Conversation, Frame, Met
from distrodb.slave.links.dial import connect
from distrodb.slave.links.dialling import OwnFile
from distrodb.slave.links.framing import ANSWERS, CHANGES, FORWARDS, MESSAGES, PUBLISHED, Incoming
from distrodb.slave.links.introduction import Introduction
from distrodb.slave.links.link import WAITING_BYTES_MAX, Link
from distrodb.slave.links.links import Links
from distrodb.slave.links.lookups import Lookups
from distrodb.slave.links.strangers import AN_ADDRESS_MAX
from distrodb.slave.logging_limit import LINES_AT_ONCE, RateLimit

LOOPS = (uvloop.new_event_loop, asyncio.new_event_loop)


def run(main, loop_factory=uvloop.new_event_loop):
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.get_loop().set_exception_handler(unexpected := Unexpected())
        runner.run(main)
    assert not unexpected, unexpected


class Unexpected(list):
    """What the loop tells of; in a slave it would be an internal error."""

    def __call__(self, loop, context):
        self.append(context)


def introduction(me: str) -> Introduction:
    return Introduction("c", 3, "", "s", f"{me}/1", f"{me}:1", f"{me}:2")


class Slave:
    """All links of one slave, and what they tell."""

    def __init__(self, id_: str, port: int):
        self.me = NodeAddress(id_, Address("127.0.0.1", 1), Address("127.0.0.1", port))
        self.up, self.frames = [], []
        ours = Introduction("c", 3, "", "s", f"{id_}/1", str(self.me.client), str(self.me.peer))
        self.links = Links(
            lambda: ours,
            OwnFile(self.me),
            lambda *_: None,
            silent_after_s=3.0,
            on_up=lambda peer, *_: self.up.append(peer),
            on_down=lambda peer: self.up.remove(peer),
            on_frame=lambda peer, content: self.frames.append((peer, content)),
        )


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in held]


async def until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def two() -> tuple[Slave, Slave]:
    a, b = (Slave(id_, port) for id_, port in zip("ab", free_ports(2), strict=True))
    rows = [(s.me.id, str(s.me.client), str(s.me.peer)) for s in (a, b)]
    cluster_map = first_map(rows, 3, 3, dict.fromkeys("ab", "1"))
    a.links.follow(cluster_map)
    b.links.follow(cluster_map)
    return a, b


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_two_slaves_link_and_large_frames_let_small_ones_pass(loop_factory):
    async def main():
        a, b = two()
        await a.links.start()
        await until(lambda: a.up == ["b"] and b.up == ["a"])
        large = [1, m.APPEND, 1, 1, 1, 1, 1, [[1, b"x" * 30_000_000]]]
        a.links.send("b", [large], None)
        a.links.send("b", [[2, m.VOTE, 1]], {"epoch": 1})
        await until(lambda: len(b.frames) == 3)
        assert b.frames[0] == ("a", [MESSAGES, [[2, m.VOTE, 1]]])
        assert b.frames[2] == ("a", [MESSAGES, [large]])
        a.links.close()
        await until(lambda: not b.up)
        b.links.close()
        assert not a.up

    run(main(), loop_factory)


def test_idle_strangers_keep_a_slave_neither_from_dialling_nor_from_being_dialled():
    """300 of them at each: more than may be strangers at a time."""

    async def main():
        a, b = two()
        await a.links.start()
        await b.links.start()
        idle = []
        for slave in (a, b):
            for _ in range(300):
                idle.append(await asyncio.open_connection("127.0.0.1", slave.me.peer.port))
        await until(lambda: a.up == ["b"] and b.up == ["a"])
        for slave in (a, b):
            assert AN_ADDRESS_MAX - 2 <= len(slave.links._strangers) <= AN_ADDRESS_MAX
            assert not slave.links._dialled
        a.links.close()
        b.links.close()
        for _, writer in idle:
            writer.close()

    run(main())


def deaf_port(stack: contextlib.ExitStack) -> int:
    """Where a dial is not answered: its queue is full."""
    deaf = stack.enter_context(socket.socket())
    deaf.bind(("127.0.0.1", 0))
    deaf.listen(0)
    port = deaf.getsockname()[1]
    for _ in range(4):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            waiting.connect(("127.0.0.1", port))
    return port


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_a_dial_that_takes_too_long_leaves_nothing(loop_factory):
    async def main():
        with contextlib.ExitStack() as stack:
            port = deaf_port(stack)
            opened = []
            original, socket.socket.__init__ = socket.socket.__init__, None
            socket.socket.__init__ = lambda self, *args, **kw: (
                original(self, *args, **kw),
                opened.append(self),
            )[0]
            try:
                with pytest.raises(OSError):
                    await connect("127.0.0.1", port, 0.1, Lookups())
            finally:
                socket.socket.__init__ = original
            assert opened and all(each.fileno() == -1 for each in opened)

    run(main(), loop_factory)


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_a_slave_that_stalls_while_it_dials_keeps_no_dead_link(loop_factory, monkeypatch):
    """The time limit is over in the same turn of the loop in which the connection stands."""
    monkeypatch.setattr(dial_module, "DIAL_S_MAX", 0.02)
    monkeypatch.setattr(links_module, "RETRY_S", 0.001)

    async def main():
        a, b = two()
        await a.links.start()
        for stall_s in (0.0, 0.01, 0.02, 0.021, 0.03, 0.05) * 5:
            for link in [*a.links._links.values()]:
                link.close()
            await asyncio.sleep(0.001)
            time.sleep(stall_s)
            await asyncio.sleep(0.001)
            time.sleep(stall_s)
        await until(lambda: a.up == ["b"] and b.up == ["a"])
        await until(lambda: not a.links._strangers and not b.links._dialled)
        a.links.close()
        b.links.close()

    run(main(), loop_factory)


class Gone:
    """uvloop's transport when its handle is gone: it does not say that it is closing."""

    def is_closing(self):
        return False

    def __getattr__(self, name):
        def call(*args, **kw):
            raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; closed")

        return call


class Told:
    def __init__(self):
        self.told = []

    def __getattr__(self, name):
        return lambda *args: self.told.append(name)


def link_of(owner, peer="b") -> Link:
    return Link(owner, Conversation(introduction("a"), peer, b"1" * 16), peer is not None)


@pytest.mark.parametrize(
    "what",
    [
        lambda link: link.connection_made(Gone()),
        lambda link: link.send([[1, m.VOTE, 1]], None),
        lambda link: link.close(),
        lambda link: link.resume_writing(),
        lambda link: link.data_received(b"\xff" * 100),
    ],
)
def test_a_transport_that_is_gone_is_a_lost_link_and_is_told_once(what):
    async def main():
        owner = Told()
        link = link_of(owner)
        link._transport = Gone()
        what(link)
        link.connection_lost(None)
        link.close()
        link.send([[1, m.VOTE, 1]], None)
        link.data_received(b"x")
        assert owner.told.count("ended") == 1 and link.over.done()

    run(main())


def test_a_link_that_does_not_keep_up_is_closed(monkeypatch):
    monkeypatch.setattr("distrodb.slave.links.link.OUTGOING_BYTES_MAX", 1 << 20)

    async def main():
        owner = Told()
        link = link_of(owner)
        link.pause_writing()
        for _ in range(20):
            link.send([[1, m.APPEND, 1, 1, 1, 1, 1, [[1, bytes(100_000)]]]], None)
        assert owner.told == ["complain", "ended"]

    run(main())


@pytest.mark.parametrize("kind", [PUBLISHED, FORWARDS, ANSWERS])
def test_what_clients_make_slaves_send_does_not_cost_them_their_link(kind, monkeypatch):
    """A client of a gateway may ask for one large value a thousand times at once."""
    monkeypatch.setattr("distrodb.slave.links.link.OUTGOING_BYTES_MAX", 1 << 20)
    monkeypatch.setitem(WAITING_BYTES_MAX, kind, 1 << 19)

    async def main():
        owner = Told()
        link = link_of(owner)
        link.pause_writing()
        for _ in range(20):
            clients = kind, [[0, b"channel", bytes(100_000)]], 100_000
            link.send([[1, m.VOTE, 1]], None, [clients])
        assert set(owner.told) == {"dropped"} and not link.over.done()
        assert link._conversation.outgoing.bytes < 1 << 20

    run(main())


def test_changes_for_a_slave_that_does_not_keep_up_are_told_in_short(monkeypatch):
    monkeypatch.setitem(WAITING_BYTES_MAX, CHANGES, 1 << 19)
    incoming = Incoming()
    incoming.is_trusted = True

    async def main():
        owner = Told()
        link = link_of(owner)
        link.pause_writing()
        link._conversation.outgoing.take(1 << 16)  # the opening
        for number in range(20):
            content = [7, False, [number], [[1, b"%d" % number * 50_000]]]
            link.send([], None, [(CHANGES, content, 50_000)])
        assert not owner.told
        told = []
        while pieces := link._conversation.outgoing.take(1 << 16):
            told += [frame[1] for frame in incoming.feed(b"".join(pieces)) if frame[0] == CHANGES]
        changes = [changes_from_plain(content[1:]) for content in told]
        assert [list(each.lost) for each in changes] == [[number] for number in range(20)]
        assert not changes[0].has_more and [len(key) for _, key in changes[0].keys] == [50_000]
        assert changes[-1].has_more and not changes[-1].keys

    run(main())


def test_the_loop_does_not_tell_of_a_link_that_ends_and_it_is_forgotten_all_the_same():
    async def main():
        a, _ = two()
        link = a.links._link(None)
        link.connection_made(Gone())
        assert not a.links._strangers
        a.links.tick()
        a.links.close()

    run(main())


def test_who_is_driven_out_is_closed_and_it_is_no_dial_of_ours(caplog, monkeypatch):
    """Our dials wait among strangers of the same address, as all of one host have it."""

    async def main():
        a, _ = two()
        dial = a.links._link("b")
        a.links.admit(dial, "1.2.3.4")
        monkeypatch.setattr(links_module.log, "_limit", RateLimit())
        strangers = [a.links._link(None) for _ in range(AN_ADDRESS_MAX + 30)]
        for link in strangers:
            a.links.admit(link, "1.2.3.4")
        assert [link.over.done() for link in strangers] == [True] * 30 + [False] * AN_ADDRESS_MAX
        assert len(caplog.records) == LINES_AT_ONCE
        assert not dial.over.done() and len(a.links._strangers) == AN_ADDRESS_MAX
        a.links.close()
        assert dial.over.done() and all(link.over.done() for link in strangers)

    run(main())


@pytest.mark.parametrize("peer", [None, "b"])
def test_who_does_not_introduce_itself_is_closed_after_some_seconds(peer):
    """Whoever it is that dialled, and though bytes trickle in."""

    async def main():
        a, _ = two()
        link = a.links._link(peer)
        a.links.admit(link, "1.2.3.4")
        a.links.tick()
        assert not link.over.done()
        link.heard_at -= a.links._silent_after_s + 0.1
        link.data_received(b"\0")
        a.links.tick()
        assert link.over.done() and not a.links._strangers and not a.links._dialled
        a.links.close()

    run(main())


def test_strangers_that_are_silent_fill_no_log(caplog, monkeypatch):
    async def main():
        a, _ = two()
        monkeypatch.setattr(links_module.log, "_limit", RateLimit())
        for _ in range(300):
            link = a.links._link(None)
            a.links.admit(link, "1.2.3.4")
            link.heard_at -= 10
            a.links.tick()
        silent = [r for r in caplog.records if "silent" in r.getMessage()]
        assert len(silent) == LINES_AT_ONCE and not a.links._strangers
        a.links.close()

    run(main())


def test_a_complaint_is_not_repeated_until_it_is_another_one(caplog):
    links = Slave("b", 1).links
    for problem in ("x", "x", "y\nforged", "x", "y\nforged"):
        links.complain("a", PeerError(problem))
    assert [record.getMessage() for record in caplog.records] == [
        "link with a closed: x",
        "link with a closed: y?forged",
    ]


# -- the conversation, without a socket -----------------------------------------------------------


def talk(dialler: Conversation, acceptor: Conversation) -> list:
    events = []
    while True:
        said = b"".join(dialler.outgoing.take(1 << 20))
        answered = b"".join(acceptor.outgoing.take(1 << 20))
        if not said and not answered:
            return events
        events += [("acceptor", event) for event in acceptor.receive(said)]
        events += [("dialler", event) for event in dialler.receive(answered)]


def test_a_conversation_opens_then_carries_frames():
    dialler = Conversation(introduction("a"), "b", b"1" * 16)
    acceptor = Conversation(introduction("b"), None, b"2" * 16)
    assert talk(dialler, acceptor) == [
        ("acceptor", Met("a", "1", ("a:1", "a:2"))),
        ("dialler", Met("b", "1")),
    ]
    dialler.outgoing.put_messages([[1, m.VOTE, 1]])
    assert talk(dialler, acceptor) == [("acceptor", Frame([MESSAGES, [[1, m.VOTE, 1]]]))]


def test_one_that_is_refused_is_told_why():
    dialler = Conversation(introduction("a"), "x", b"1" * 16)
    acceptor = Conversation(introduction("b"), None, b"2" * 16)
    with pytest.raises(PeerError) as refused:
        talk(dialler, acceptor)
    with pytest.raises(PeerError, match="it refuses: a/1 looked for x and found b/1"):
        list(dialler.receive(acceptor.farewell(refused.value)))
    assert dialler.farewell(refused.value) == b""


def test_nothing_large_is_taken_before_the_introduction_is_complete():
    dialler = Conversation(introduction("a"), "b", b"1" * 16)
    dialler.outgoing.put_messages([[1, m.APPEND, 1, 1, 1, 1, 1, [[1, b"x" * 100_000]]]])
    acceptor = Conversation(introduction("b"), None, b"2" * 16)
    with pytest.raises(PeerError, match="does not speak"):
        list(acceptor.receive(b"".join(dialler.outgoing.take(1 << 20))))


# -- who is at the wrong port ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"-ERR Protocol error: too big mbulk count string\r\n", "this is a client port"),
        (b"-NOAUTH Authentication required.\r\n", "this is a client port"),
        (b"*1\r\n$4\r\nPING\r\n", "a client at a peer port"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it speaks HTTP"),
        (b"GET / HTTP/1.1\r\n", "it speaks HTTP"),
        (bytes.fromhex("16030100c8010000c40303"), "it speaks TLS"),
        (b"\xff" * 20, "a frame of"),
    ],
)
def test_who_speaks_something_else_is_told_by_that(said, words):
    conversation = Conversation(introduction("a"), "", b"1" * 16)
    with pytest.raises(PeerError, match=words):
        for byte in said:  # however it comes
            list(conversation.receive(bytes([byte])))


def test_what_slaves_say_to_each_other_looks_like_nothing_else():
    dialler = Conversation(introduction("a"), "b", b"1" * 16)
    acceptor = Conversation(introduction("b"), None, b"2" * 16)
    assert len(talk(dialler, acceptor)) == 2 and acceptor.broken_off() == ""


@pytest.mark.parametrize(
    ("answer", "words"),
    [(bytes.fromhex("15030300020246"), "it speaks TLS"), (b"", "ends the connection before it sa")],
)
def test_a_joiner_whose_dials_are_ended_without_a_word_says_so(answer, words, caplog, monkeypatch):
    """As at a port with TLS, which sends an alert of seven bytes, or nothing."""
    monkeypatch.setattr(links_module, "REFUSED_RETRY_S", 0.01)

    async def main():
        ends = []

        async def end(reader, writer):
            ends.append(await reader.read(8))
            writer.write(answer)
            writer.close()

        server = await asyncio.start_server(end, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        slave = Slave("b", free_ports(1)[0])
        slave.links._file = OwnFile(slave.me, [Address("127.0.0.1", port)])
        slave.links.follow(first_map([("b", "h:1", "h:2")], 1, 3, None))
        await until(lambda: [r for r in caplog.records if words in r.getMessage()])
        assert len(ends) >= (1 if answer else links_module.WORDLESS_MAX)
        assert f"link with 127.0.0.1:{port} closed: " in caplog.text
        slave.links.close()
        server.close()

    run(main())


class Names:
    """A name server: it answers when it is told to, and hangs until then."""

    def __init__(self):
        self.asked, self.may_answer = [], threading.Event()

    def __call__(self, host, port, type):
        self.asked.append(host)
        if host.startswith("slow") and not self.may_answer.wait(20):
            raise OSError("nobody let it answer")
        if host == "nobody":
            raise socket.gaierror("there is no such name")
        return [(socket.AF_INET, type, 0, "", (f"127.0.0.{len(self.asked)}", port))]


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_names_that_hang_keep_no_other_waiting(loop_factory):
    """More of them than any pool has threads, each asked for again and again as dials are."""

    async def main():
        lookups = Lookups(names := Names())
        for _ in range(3):
            for n in range(40):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.001):
                        await lookups.find(f"slow{n}", 1)
        assert len(names.asked) == 40  # one thread each
        async with asyncio.timeout(20):
            assert (await lookups.find("quick", 1))[0][4] == ("127.0.0.41", 1)
            # It may mean another address by now.
            assert (await lookups.find("quick", 1))[0][4] == ("127.0.0.42", 1)
            with pytest.raises(socket.gaierror):
                await lookups.find("nobody", 1)
            assert await lookups.find("127.0.0.1", 1) and await lookups.find("::1", 1)
            assert len(names.asked) == 43  # an address is no name
            late = asyncio.ensure_future(lookups.find("slow7", 1))
            await asyncio.sleep(0)
            names.may_answer.set()
            assert (await late)[0][4][1] == 1 and len(names.asked) == 43
        await until(lambda: not lookups._under_way)

    run(main(), loop_factory)
