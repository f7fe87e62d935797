"""`Cluster` against slaves of a few lines: what it says when they fail, word for word."""

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import hiredis
import pytest
from redis.crc import key_slot

from distrodb.clock import monotonic
from distrodb.config import Address
from distrodb.errors import DistrodbError, UnavailableError
from distrodb.master import client
from distrodb.master.client import Cluster, parse_address

COMMANDS = [[name, -2, ["write"], 1, 1, 1] for name in ("get", "set", "del")]
Behaviour = Callable[["FakeSlave", list[bytes]], Any]


class Close(Exception):
    """The slave closes the connection in place of a reply."""


class Raw(bytes):
    """Already encoded."""


CLUSTERDOWN = Raw(b"-CLUSTERDOWN partition 0 has no leader\r\n")


def encode(value: Any) -> bytes:
    if isinstance(value, Raw):
        return value
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(map(encode, value))
    data = value.encode() if isinstance(value, str) else value
    return b"$%d\r\n%s\r\n" % (len(data), data)


class FakeSlave(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, id: str, slaves: dict[str, "FakeSlave"]) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.id = id
        self.slaves = slaves
        self.data: dict[bytes, bytes] = {}
        self.behaviour: Behaviour | None = None
        self.controller: str | None = "node1"  # as this slave has it
        self.leader = "node1"  # as node1 has it
        self.asked: list[bytes] = []
        self.asking: Behaviour | None = None
        self.sockets: set[Any] = set()
        self.port: int = self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def end(self) -> None:
        self.shutdown()
        self.server_close()
        for each in list(self.sockets):
            each.close()

    def answer(self, command: list[bytes]) -> Any:
        name = command[0].upper()
        if self.behaviour is not None and name in (b"GET", b"SET", b"DEL", b"READONLY"):
            return self.behaviour(self, command)
        match name:
            case b"HELLO":
                return Raw(b"%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n")
            case b"PING":
                return Raw(b"+PONG\r\n")
            case b"CLIENT":
                return Raw(b"-ERR unknown subcommand\r\n")
            case b"COMMAND":
                return COMMANDS
            case b"CLUSTER":
                return [[0, 16383, ["127.0.0.1", self.slaves["node1"].port, "node1"]]]
            case b"DISTRODB" if command[1] == b"STATUS":
                return json.dumps({**status_of(self.slaves), "controller": self.controller})
            case b"DISTRODB":
                self.asked.append(b" ".join(command[1:]))
                return self.asking(self, command) if self.asking else Raw(b"+OK\r\n")
            case b"GET":
                return self.data.get(command[1])
            case b"SET":
                self.data[command[1]] = command[2]
                return Raw(b"+OK\r\n")
            case b"DEL":
                return int(self.data.pop(command[1], None) is not None)
            case b"SCAN":
                pattern = command[command.index(b"MATCH") + 1]
                wanted = pattern.removesuffix(b"*").replace(b"\\", b"")
                return [b"0", [key for key in self.data if key.startswith(wanted)]]
            case b"SHUTDOWN":
                self.data[b"how"] = b" ".join(command)
                threading.Thread(target=self.end).start()
                raise Close
        return Raw(b"-ERR unknown command\r\n")


class Connection(socketserver.BaseRequestHandler):
    server: FakeSlave

    def handle(self) -> None:
        self.server.sockets.add(self.request)
        reader = hiredis.Reader()
        try:
            while data := self.request.recv(65536):
                reader.feed(data)
                while (command := reader.gets()) is not False:
                    self.request.sendall(encode(self.server.answer(command)))
        except (Close, OSError):
            pass


def status_of(slaves: dict[str, FakeSlave]) -> dict[str, Any]:
    return {
        "epoch": 1,
        "ring": list(slaves),
        "nodes": {
            slave.id: {"status": "up", "client": f"127.0.0.1:{slave.port}", "peer": "127.0.0.1:1"}
            for slave in slaves.values()
        },
        "partitions": [
            {
                "id": 0,
                "slots": [0, 16383],
                "owner": "node1",
                "group": list(slaves),
                "leader": slaves["node1"].leader,
                "term": 1,
            }
        ],
    }


@pytest.fixture
def slaves(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, FakeSlave]]:
    monkeypatch.setattr(client, "RETRY_S_MAX", 0.5)
    monkeypatch.setattr(client, "RETRY_PAUSE_S", 0.01)
    monkeypatch.setattr(client, "REPLY_S_MAX", 0.5)
    found: dict[str, FakeSlave] = {}
    for id in ("node1", "node2", "node3"):
        found[id] = FakeSlave(id, found)
    yield found
    for slave in found.values():
        slave.end()


@pytest.fixture
def cluster(slaves: dict[str, FakeSlave]) -> Cluster:
    return Cluster(f"127.0.0.1:{slaves['node1'].port}")


def test_an_unborn_cluster_is_said_after_a_moment(
    cluster: Cluster, slaves: dict[str, FakeSlave], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after all retries, and not as a partition whose members are down."""
    monkeypatch.setattr(client, "BIRTH_S_MAX", 0.3)
    monkeypatch.setattr(client, "RETRY_S_MAX", 60)
    refusal = b"-CLUSTERDOWN this slave is empty and has not met all: waiting for node3\r\n"
    slaves["node1"].behaviour = always(Raw(refusal))
    slaves["node1"].controller = None
    slaves["node3"].end()
    status = {**status_of(slaves), "epoch": 0}
    status["nodes"]["node3"]["status"] = "suspect"
    monkeypatch.setattr(cluster, "status", lambda: status)
    began = monotonic()
    for call in (
        lambda: cluster.get(b"k"),
        lambda: cluster.set(b"k", b"v"),
        lambda: cluster.set_many([(b"k", b"v")]),
        lambda: cluster.ask("BALANCE"),
    ):
        with pytest.raises(UnavailableError, match="not born yet: .*; start node3$"):
            call()
    assert monotonic() - began < client.RETRY_S_MAX
    assert cluster.awaited.startswith("a cluster: the cluster is not born yet")


def test_what_a_call_waits_for_is_known(cluster: Cluster, slaves: dict[str, FakeSlave]) -> None:
    slaves["node1"].behaviour = always(CLUSTERDOWN)
    slaves["node3"].end()
    with pytest.raises(UnavailableError):
        cluster.get(b"k")
    assert cluster.awaited == (
        "a leader of partition 0; of its group node1, node2, node3 these are down: node3"
    )


def test_where_one_is_connected(cluster: Cluster, slaves: dict[str, FakeSlave]) -> None:
    assert cluster.connected is None
    cluster.get(b"k")
    cluster.status()
    assert cluster.connected == f"127.0.0.1:{slaves['node1'].port}"
    cluster.kill("node1")
    assert cluster.connected == f"127.0.0.1:{slaves['node2'].port}"
    cluster.quit()
    with pytest.raises(UnavailableError):
        cluster.status()
    assert cluster.connected is None


def always(reply: Any) -> Behaviour:
    return lambda slave, command: reply


def breaks(slave: FakeSlave, command: list[bytes]) -> Any:
    raise Close


def lose_majority(slaves: dict[str, FakeSlave]) -> None:
    """Two of three end; what is left answers as a slave without a leader does."""
    for id in ("node2", "node3"):
        slaves[id].end()
    slaves["node1"].behaviour = always(CLUSTERDOWN)


def test_get_set_del(cluster: Cluster) -> None:
    assert cluster.get(b"k") == (None, None)
    cluster.set(b"k", b"\xff v")
    assert cluster.get(b"k") == (b"\xff v", None)
    assert cluster.delete(b"k") is True
    assert cluster.delete(b"k") is False


def test_set_many_and_keys(cluster: Cluster) -> None:
    cluster.set_many([(b"a*%d" % n, b"v") for n in range(20)] + [(b"b", b"w")])
    assert cluster.get(b"b") == (b"w", None)
    assert len(cluster.keys(b"a*", 5)) == 5
    assert cluster.keys(b"b", 5) == [b"b"]


def test_tab_waits_for_no_slave_that_hangs(
    cluster: Cluster, slaves: dict[str, FakeSlave], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a leader's error hide the keys of the others."""
    monkeypatch.setattr(client, "SCAN_S_MAX", 4.0)
    monkeypatch.setattr(client, "REPLY_S_MAX", 60.0)
    row = status_of(slaves)["partitions"][0]
    status = {**status_of(slaves), "partitions": [{**row, "leader": id} for id in slaves]}
    monkeypatch.setattr(cluster, "status", lambda: status)
    ended = threading.Event()
    waited = []

    def hang(command: list[bytes]) -> Any:
        if command[0] == b"SCAN":
            waited.append(ended.wait(30))
        raise Close

    slaves["node1"].answer = hang  # type: ignore[method-assign]
    slaves["node2"].answer = lambda _: CLUSTERDOWN  # type: ignore[method-assign]
    slaves["node3"].data[b"key"] = b"value"
    try:
        assert cluster.keys(b"k", 5) == [b"key"]
        assert not waited
    finally:
        ended.set()


def test_where(cluster: Cluster) -> None:
    slot, partition = cluster.where(b"k")
    assert (slot, partition["id"]) == (key_slot(b"k"), 0)


def test_a_write_without_a_majority(cluster: Cluster, slaves: dict[str, FakeSlave]) -> None:
    lose_majority(slaves)
    with pytest.raises(UnavailableError) as caught:
        cluster.set(b"k", b"v")
    assert str(caught.value) == (
        "partition 0 has no majority: of its group node1, node2, node3 these are down:"
        " node2, node3; nothing was written; bring slaves back"
    )
    with pytest.raises(UnavailableError, match="nothing was deleted"):
        cluster.delete(b"k")
    with pytest.raises(UnavailableError, match="some keys were not written"):
        cluster.set_many([(b"k", b"v")])


def test_a_get_without_a_majority_is_stale(cluster: Cluster, slaves: dict[str, FakeSlave]) -> None:
    lose_majority(slaves)

    def copy(slave: FakeSlave, command: list[bytes]) -> Any:
        if command[0] == b"READONLY":
            slave.behaviour = always(b"old")
            return Raw(b"+OK\r\n")
        return CLUSTERDOWN

    slaves["node1"].behaviour = copy
    expected = (b"old", "partition 0 has no majority, answered by node1")
    assert cluster.get(b"k") == expected


def test_a_get_that_no_copy_answers(cluster: Cluster, slaves: dict[str, FakeSlave]) -> None:
    lose_majority(slaves)
    with pytest.raises(UnavailableError, match="no surviving copy answers"):
        cluster.get(b"k")


def test_an_election_is_waited_for(cluster: Cluster, slaves: dict[str, FakeSlave]) -> None:
    def elected_at_the_second_try(slave: FakeSlave, command: list[bytes]) -> Any:
        slave.behaviour = None
        return CLUSTERDOWN

    slaves["node1"].behaviour = elected_at_the_second_try
    cluster.set(b"k", b"v")
    assert slaves["node1"].data == {b"k": b"v"}


def two_leaders(slaves: dict[str, FakeSlave]) -> dict[str, Any]:
    """node1 leads the lower half of the slots, node2 the upper."""
    status = status_of(slaves)
    (row,) = status["partitions"]
    status["partitions"] = [
        {**row, "slots": [0, 8191]},
        {**row, "id": 1, "slots": [8192, 16383], "leader": "node2"},
    ]
    return status


def test_each_key_goes_to_its_leader(
    cluster: Cluster, slaves: dict[str, FakeSlave], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "status", lambda: two_leaders(slaves))
    pairs = {b"%d" % n: b"v" for n in range(50)}
    cluster.set_many(pairs.items())
    halves = slaves["node1"].data, slaves["node2"].data
    assert {**halves[0], **halves[1]} == pairs
    assert all((key_slot(key) < 8192) == (key in halves[0]) for key in pairs)
    assert {cluster.get(key) for key in pairs} == {(b"v", None)}


def test_what_was_acknowledged_is_not_sent_again(
    cluster: Cluster, slaves: dict[str, FakeSlave], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else may have written it meanwhile."""
    monkeypatch.setattr(cluster, "status", lambda: two_leaders(slaves))

    def not_yet(slave: FakeSlave, command: list[bytes]) -> Any:
        slaves["node1"].data = dict.fromkeys(slaves["node1"].data, b"another's")
        slave.behaviour = None
        return CLUSTERDOWN

    slaves["node2"].behaviour = not_yet
    keys = sorted((b"%d" % n for n in range(50)), key=key_slot)  # node1's are sent before
    cluster.set_many([(key, b"v") for key in keys])
    assert set(slaves["node1"].data.values()) == {b"another's"}
    assert set(slaves["node2"].data.values()) == {b"v"}


def test_a_leader_that_moved_is_found(cluster: Cluster, slaves: dict[str, FakeSlave]) -> None:
    cluster.status()

    def moved(slave: FakeSlave, command: list[bytes]) -> Any:
        slave.leader = "node2"
        return Raw(b"-MOVED 0 127.0.0.1:%d\r\n" % slaves["node2"].port)

    slaves["node1"].behaviour = moved
    cluster.set(b"k", b"v")
    assert slaves["node2"].data == {b"k": b"v"}


def test_a_link_that_broke_between_two_commands_leaves_nothing_unknown(
    cluster: Cluster, slaves: dict[str, FakeSlave]
) -> None:
    cluster.get(b"k")
    for each in list(slaves["node1"].sockets):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
    lose_majority(slaves)
    with pytest.raises(UnavailableError, match="nothing was written"):
        cluster.set(b"k", b"v")


def test_no_leader_with_all_alive(cluster: Cluster, slaves: dict[str, FakeSlave]) -> None:
    slaves["node1"].behaviour = always(CLUSTERDOWN)
    with pytest.raises(UnavailableError) as caught:
        cluster.set(b"k", b"v")
    assert str(caught.value) == (
        "partition 0 has no leader: of its group node1, node2, node3 these are down: none;"
        " nothing was written; try again"
    )


def test_a_link_that_breaks_leaves_a_write_unknown(
    cluster: Cluster, slaves: dict[str, FakeSlave]
) -> None:
    lose_majority(slaves)
    slaves["node1"].behaviour = breaks
    with pytest.raises(UnavailableError, match="the outcome is unknown"):
        cluster.set(b"k", b"v")


def test_a_refusal_after_a_broken_link_leaves_it_unknown(
    cluster: Cluster, slaves: dict[str, FakeSlave]
) -> None:
    def breaks_once(slave: FakeSlave, command: list[bytes]) -> Any:
        lose_majority(slaves)
        raise Close

    slaves["node1"].behaviour = breaks_once
    with pytest.raises(UnavailableError, match="the outcome is unknown"):
        cluster.set(b"k", b"v")


def test_unknown_is_not_tried_again(cluster: Cluster, slaves: dict[str, FakeSlave]) -> None:
    tries: list[list[bytes]] = []

    def unknown(slave: FakeSlave, command: list[bytes]) -> Any:
        tries.append(command)
        return Raw(b"-UNKNOWN leader changed\r\n")

    slaves["node1"].behaviour = unknown
    with pytest.raises(UnavailableError) as caught:
        cluster.set(b"k", b"v")
    assert str(caught.value) == "the outcome is unknown: leader changed; GET the key to find out"
    assert len(tries) == 1


def test_what_may_run_twice_is_sent_until_its_outcome_is_known(
    cluster: Cluster, slaves: dict[str, FakeSlave]
) -> None:
    answers = [Raw(b"-UNKNOWN leader changed\r\n"), CLUSTERDOWN, Raw(b"+OK\r\n")]
    sent: list[bytes] = []

    def answered(slave: FakeSlave, command: list[bytes]) -> Any:
        sent.append(command[1])
        return answers.pop(0) if command[1] == b"a" else Raw(b"+OK\r\n")

    slaves["node1"].behaviour = answered
    commands = [(b"SET", b"a", b"1"), (b"SET", b"b", b"2")]
    assert cluster.run_again_and_again(commands) == [b"OK", b"OK"]
    assert sent == [b"a", b"b", b"a", b"a"] and not answers


def test_a_partition_s_leader_is_asked_wherever_it_goes(
    cluster: Cluster, slaves: dict[str, FakeSlave]
) -> None:
    cluster.status()

    def moved(slave: FakeSlave, command: list[bytes]) -> Any:
        slave.leader = "node2"
        return Raw(b"-MOVED 0 127.0.0.1:%d\r\n" % slaves["node2"].port)

    slaves["node1"].asking = moved
    reply, address = cluster.ask_leader(0, "DISTRODB", "BACKUP", "BEGIN", 0)
    assert (reply, address.port) == (b"OK", slaves["node2"].port)
    assert slaves["node2"].asked == [b"BACKUP BEGIN 0"]
    lose_majority(slaves)
    with pytest.raises(UnavailableError, match="^partition 0 has no majority: of its group"):
        cluster.ask_leader(0, "DISTRODB", "BACKUP", "BEGIN", 0)


def test_a_refusal_is_passed_on(cluster: Cluster, slaves: dict[str, FakeSlave]) -> None:
    slaves["node1"].behaviour = always(Raw(b"-ERR value exceeds value_bytes_max 5\r\n"))
    for write in (lambda: cluster.set(b"k", b"v"), lambda: cluster.set_many([(b"k", b"v")])):
        with pytest.raises(DistrodbError) as caught:
            write()
        assert str(caught.value) == "refused: value exceeds value_bytes_max 5"


def test_no_slave_at_all(cluster: Cluster, slaves: dict[str, FakeSlave]) -> None:
    for slave in slaves.values():
        slave.end()
    for call in (lambda: cluster.get(b"k"), cluster.status, lambda: cluster.set(b"k", b"v")):
        with pytest.raises(UnavailableError, match="^no slave is reachable at"):
            call()
    assert cluster.keys(b"", 5) == []  # for Tab: nothing, and no error


def test_a_redis_that_is_no_slave(cluster: Cluster, slaves: dict[str, FakeSlave]) -> None:
    answer = FakeSlave.answer
    slave = slaves["node1"]
    slave.answer = lambda command: (  # type: ignore[method-assign]
        Raw(b"-ERR unknown command\r\n") if command[0] == b"DISTRODB" else answer(slave, command)
    )
    with pytest.raises(DistrodbError, match="is not a distrodb slave"):
        cluster.quit()
    assert b"how" not in slave.data


def test_other_slaves_are_found_through_the_map(
    cluster: Cluster, slaves: dict[str, FakeSlave]
) -> None:
    cluster.status()
    slaves["node1"].end()
    assert cluster.status()["epoch"] == 1
    assert cluster.answering(cluster.status()) == {"node2", "node3"}


def test_kill(cluster: Cluster, slaves: dict[str, FakeSlave]) -> None:
    cluster.kill("node2")
    assert slaves["node2"].data[b"how"] == b"SHUTDOWN NOW"
    with pytest.raises(UnavailableError, match="^node2 is not running: nothing answers at"):
        cluster.kill("node2")
    with pytest.raises(DistrodbError, match="^unknown node nodeX; the nodes are node1, node2"):
        cluster.kill("nodeX")


def test_quit_ends_those_that_run(cluster: Cluster, slaves: dict[str, FakeSlave]) -> None:
    cluster.kill("node2")
    assert cluster.quit() == ["node1", "node3"]
    assert slaves["node3"].data[b"how"] == b"SHUTDOWN"
    with pytest.raises(UnavailableError):
        cluster.status()


def test_quit_says_what_did_not_end(
    cluster: Cluster, slaves: dict[str, FakeSlave], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "SHUTDOWN_S_MAX", 0.3)
    monkeypatch.setattr(slaves["node2"], "answer", lambda command: Raw(b"-ERR no\r\n"))
    with pytest.raises(UnavailableError, match=r"did not end within 0.3 s: node2 \(127.0.0.1:"):
        cluster.quit()


def test_the_controller_is_asked(cluster: Cluster, slaves: dict[str, FakeSlave]) -> None:
    slaves["node1"].controller = "node2"
    cluster.ask("REMOVE", "node3")
    assert cluster.ask("MOVE", "4", "node1")
    assert cluster.ask("BALANCE")
    assert slaves["node2"].asked == [b"REMOVE node3", b"MOVE 4 node1", b"BALANCE"]
    assert slaves["node1"].asked == []


def test_another_controller_is_found(cluster: Cluster, slaves: dict[str, FakeSlave]) -> None:
    def not_any_more(slave: FakeSlave, command: list[bytes]) -> Any:
        slave.controller = "node3"
        return Raw(b"-NOTCONTROLLER node3 leads the cluster map\r\n")

    slaves["node1"].asking = not_any_more
    assert cluster.ask("BALANCE")
    assert slaves["node3"].asked == [b"BALANCE"]


def test_a_controller_that_is_busy_is_asked_again(
    cluster: Cluster, slaves: dict[str, FakeSlave]
) -> None:
    def busy_first(slave: FakeSlave, command: list[bytes]) -> Any:
        slave.asking = always(Raw(b"+OK\r\n"))
        return Raw(b"-TRYAGAIN another change of the cluster map is under way\r\n")

    slaves["node1"].asking = busy_first
    assert cluster.ask("BALANCE")
    assert len(slaves["node1"].asked) == 2


@pytest.mark.parametrize("controller", [None, "node1", "node9"])
def test_without_a_controller_it_gives_up(
    cluster: Cluster, slaves: dict[str, FakeSlave], controller: str | None
) -> None:
    slaves["node1"].controller = controller
    slaves["node1"].asking = always(Raw(b"-NOTCONTROLLER nobody leads the cluster map\r\n"))
    with pytest.raises(UnavailableError, match="^nobody leads the cluster map: too few"):
        cluster.ask("REMOVE", "node2")


def test_who_is_missing_from_the_map_s_group_is_named(
    cluster: Cluster, slaves: dict[str, FakeSlave], monkeypatch: pytest.MonkeyPatch
) -> None:
    status = {**status_of(slaves), "controller": None, "map_group": list(slaves)}
    for node in ("node2", "node3"):
        status["nodes"][node]["status"] = "suspect"
    monkeypatch.setattr(cluster, "status", lambda: status)
    with pytest.raises(UnavailableError, match="of its slaves live: start node2 node3; try again"):
        cluster.ask("BALANCE")
    assert cluster.awaited == "the cluster map's leader: start node2 node3"


def test_a_ring_that_does_not_change(cluster: Cluster, slaves: dict[str, FakeSlave]) -> None:
    slaves["node1"].asking = always(Raw(b"-ERR the map did not change\r\n"))
    assert not cluster.ask("BALANCE")
    assert not cluster.ask("MOVE", "0", "node1")


def test_a_try_that_broke_may_have_changed_the_ring(
    cluster: Cluster, slaves: dict[str, FakeSlave]
) -> None:
    def breaks_first(slave: FakeSlave, command: list[bytes]) -> Any:
        slave.asking = always(Raw(b"-ERR the map did not change\r\n"))
        raise Close

    slaves["node1"].asking = breaks_first
    assert cluster.ask("BALANCE")


def test_a_controller_s_no_is_passed_on(cluster: Cluster, slaves: dict[str, FakeSlave]) -> None:
    slaves["node1"].asking = always(Raw(b"-ERR node2 cannot leave: 2 slaves would stay up\r\n"))
    with pytest.raises(DistrodbError, match="^node2 cannot leave: 2 slaves would stay up$"):
        cluster.ask("REMOVE", "node2")
    assert len(slaves["node1"].asked) == 1


def test_a_controller_that_does_not_answer(cluster: Cluster, slaves: dict[str, FakeSlave]) -> None:
    slaves["node1"].controller = "node2"
    slaves["node2"].end()
    with pytest.raises(UnavailableError, match="^node2 does not answer: .*; try again$"):
        cluster.ask("BALANCE")


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:55551", ("127.0.0.1", 55551)), ("[::1]:7", ("::1", 7)), ("db:80", ("db", 80))],
)
def test_parse_address(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == Address(*address)


@pytest.mark.parametrize("text", ["", "host", ":5", "host:", "host:x", "host:0", "host:65536"])
def test_parse_address_refuses(text: str) -> None:
    with pytest.raises(DistrodbError, match="give HOST:PORT"):
        parse_address(text)
