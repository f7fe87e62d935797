"""What a stranger, or a peer that is not what it seems, can do over a socket."""

import pickle
import socket
import struct
import zlib

import msgpack
import pytest

from distrodb.errors import PeerError, VersionError
from distrodb.raft import messages as m
from distrodb.slave.links import framing, introduction
from tests.library import ours, plain

ran: list[str] = []


def ran_by_unpickling(what: str) -> None:
    ran.append(what)


class Hostile:
    """Pickles as a call: whoever unpickles it has made the call."""

    def __init__(self, what: str):
        self._what = what

    def __reduce__(self):
        return ran_by_unpickling, (self._what,)


@pytest.fixture(autouse=True)
def nothing_ran():
    ran.clear()


class Listener:
    """A plain connection that a stranger has opened, without a poll loop around it."""

    def __init__(self):
        near, self.stranger = socket.socketpair()
        near.setblocking(False)
        self.received = []
        self.connection = plain.tcp_connection.TcpConnection(
            self, onMessageReceived=self.received.append, socket=near
        )

    def subscribe(self, descriptor, callback, events):
        self._on_readable = lambda: callback(descriptor, plain.tcp_connection.POLL_EVENT_TYPE.READ)

    def unsubscribe(self, descriptor): ...

    def hears(self, data: bytes) -> None:
        self.stranger.sendall(data)
        self._on_readable()

    @property
    def is_open(self) -> bool:
        return self.connection.state == plain.tcp_connection.CONNECTION_STATE.CONNECTED


@pytest.fixture
def listener():
    listener = Listener()
    yield listener
    listener.connection.disconnect()
    listener.stranger.close()


# Pickle: from the socket, before anybody is asked who he is; from commands; from membership
# entries (test_membership.py).


def test_plain_one_packet_of_a_stranger_runs_his_code(listener):
    data = zlib.compress(pickle.dumps(Hostile("the stranger's"), 2))
    listener.hears(struct.pack("i", len(data)) + data)
    assert ran == ["the stranger's"]


def test_plain_a_command_runs_its_author_s_code():
    cluster = plain.Cluster().lead("a")
    command = b"\x00" + pickle.dumps((0, (Hostile("a command's"),)), 2)
    cluster.hand_over("b", "a", {"type": "apply_command", "command": command})
    cluster.settle()
    assert ran == ["a command's"] * 3


def test_ours_a_stranger_s_pickle_is_no_frame():
    reader = framing.Incoming()
    content = pickle.dumps(Hostile("the stranger's"), 2)
    framed = struct.pack(">II", len(content), zlib.crc32(content)) + content
    with pytest.raises(PeerError):
        for frame in reader.feed(framed):
            side("secret", "a", None).receive(frame)
    assert ran == []


@pytest.mark.parametrize("kind", [b"\x00", b"\x01", b"\x02", b"\x03"])
def test_ours_nothing_in_the_log_is_unpickled(kind):
    cluster = ours.Cluster().lead("a")
    entry = kind + pickle.dumps(Hostile("an entry's"), 2)
    last, term = cluster["b"].last_index, cluster["a"].term
    append = [ours.GROUP, m.APPEND, term, last, term, last + 1, 0, [[term, entry]]]
    try:
        cluster.hand_over("a", "b", append)
    except PeerError:  # a membership entry is checked at the border
        assert kind == b"\x02"
    except VersionError:
        assert kind in (b"\x00", b"\x03")
    except Exception as problem:  # the payload of an entry is the state machine's own
        assert kind == b"\x00", problem
    assert ran == []


# New: no limit to a frame.


def test_plain_a_frame_may_claim_two_gibibytes(listener):
    listener.hears(struct.pack("i", 2**31 - 1))
    for _ in range(20):
        listener.hears(b"x" * 60_000)
    assert listener.is_open and len(listener.connection._TcpConnection__readBuffer) > 1_000_000


def test_plain_a_small_frame_may_unpack_to_a_large_one(listener):
    data = zlib.compress(pickle.dumps("x" * 10_000_000, 2))
    assert len(data) < 20_000
    listener.hears(struct.pack("i", len(data)) + data)
    assert len(listener.received[0]) == 10_000_000


def test_ours_a_stranger_s_frame_is_small_and_a_peer_s_is_limited():
    for is_trusted in (False, True):
        limit = framing.RECORD_BYTES_MAX if is_trusted else framing.HANDSHAKE_BYTES_MAX
        reader = framing.Incoming()
        reader.is_trusted = is_trusted
        with pytest.raises(PeerError, match="a frame of"):
            list(reader.feed(struct.pack(">II", limit + 1, 0)))
    parts = msgpack.packb([framing.FRAME_BYTES_MAX, 1])
    head = struct.pack(">II", framing.PARTS << 28 | len(parts), zlib.crc32(parts, framing.PARTS))
    with pytest.raises(PeerError, match="a frame of"):
        list(reader.feed(head + parts))


# New: anybody is whom he says he is, may read the log, and may administer the cluster.


class Connection:
    """What the library's transport knows of a connection that somebody opened."""

    sendRandKey = recvRandKey = None  # noqa: N815

    def __init__(self):
        self.sent = []
        self.state = plain.tcp_connection.CONNECTION_STATE.CONNECTED
        self.on_message = None

    def setOnMessageReceivedCallback(self, callback):  # noqa: N802
        self.on_message = callback

    def setOnDisconnectedCallback(self, callback): ...  # noqa: N802

    def send(self, message):
        self.sent.append(message)

    def disconnect(self): ...


class Accepting(plain.transport.TCPTransport):
    """The library's TCP transport, its server not bound."""

    def _createServer(self):  # noqa: N802
        self._ready = True

    def accepts(self) -> Connection:
        connection = Connection()
        self._onNewIncomingConnection(connection)
        return connection


@pytest.fixture
def accepting():
    conf = plain.config.SyncObjConf(autoTick=False, dynamicMembershipChange=True)
    nodes = ["host:1", "host:2", "host:3"]
    member = plain.syncobj.SyncObj(
        nodes[0], nodes[1:], conf, nodeClass=plain.AddressedMember, transportClass=Accepting
    )
    return member, member._SyncObj__transport


def test_plain_a_stranger_may_say_that_he_is_a_member(accepting):
    member, transport = accepting
    stranger = transport.accepts()
    stranger.on_message("host:2")
    assert member.isNodeConnected(plain.node.TCPNode("host:2"))
    stranger.on_message({"type": "append_entries", "term": 99, "commit_index": 1, "entries": []})
    assert member.raftCurrentTerm == 99


def test_plain_a_stranger_may_read_the_whole_log(accepting):
    member, transport = accepting
    transport.accepts().on_message("readonly")
    assert len(member.readonlyNodes) == 1


def test_plain_a_stranger_may_administer(accepting):
    member, transport = accepting
    transport.accepts().on_message(["remove", "host:3"])
    queue = member._SyncObj__commandsQueue
    assert b"host:3" in queue.get_nowait()[0]


def side(secret: str, me: str, peer: str | None) -> introduction.Handshake:
    ours = introduction.Introduction("cluster", 3, "layout", secret, me, "host:1", "host:2")
    return introduction.Handshake(ours, peer, me[:1].encode() * 16)


def hands(secret: str):
    """The dialler with this secret meets the acceptor with the right one."""
    dialler, acceptor = side(secret, "b/1", "a"), side("secret", "a/1", None)
    opening = msgpack.unpackb(msgpack.packb(dialler.opening()))
    return dialler, acceptor, acceptor.receive(opening)


def test_ours_a_peer_proves_that_it_knows_the_secret():
    dialler, acceptor, answer = hands("secret")
    while answer is not None:
        answer = acceptor.receive(dialler.receive(answer))
        if not dialler.is_complete:
            answer = dialler.receive(answer) if acceptor.is_complete else answer
    assert acceptor.is_complete and (acceptor.peer, acceptor.incarnation) == ("b", "1")


def test_ours_a_stranger_gets_no_further_than_the_handshake():
    dialler, acceptor, answer = hands("another")
    with pytest.raises(PeerError, match="secret"):
        acceptor.receive(dialler.receive(answer))
    assert not acceptor.is_complete
    with pytest.raises(PeerError):
        side("secret", "a", None).receive("readonly")
