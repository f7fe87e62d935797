"""What all clients hold is counted, and bounded by closing the largest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.slave import client_server
from distrodb.slave.client_memory import NOTED_BYTES, SLACK, ClientMemory
from distrodb.slave.client_server import WRITE_BYTES
from distrodb.slave.logging_limit import RateLimit
from distrodb.slave.machine_memory import memory_bytes
from tests.support.resp import pack
from tests.unit.session_world import World
from tests.unit.test_client_server import Server

BOUND = 1 << 20

notes = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 100)), max_size=30)


@given(notes, st.sets(st.integers(0, 5)), st.integers(1, 300))
def test_the_largest_go_until_the_rest_fits(
    noted: list[tuple[int, int]], spared: set[int], bound: int
) -> None:
    memory, sizes = ClientMemory(), dict(noted)
    for client, size in noted:
        memory.note(client, size)
    assert memory.total == sum(sizes.values())
    gone = memory.beyond(bound, spared)
    if 2 * sum(sizes.get(client, 0) for client in spared) > bound:
        spared = set()  # they hold too much to be spared
    left = memory.total - sum(size for _, size in gone)
    if gone:
        assert left + gone[-1][1] > bound, "one too many"
        stay = sizes.keys() - spared - {client for client, _ in gone}
        assert gone[-1][1] >= max([sizes[client] for client in stay], default=0)
    assert left <= bound or {client for client, _ in gone} == sizes.keys() - spared
    for client, _ in gone:
        memory.forget(client)
    assert memory.total == left


def test_all_are_counted_again_only_when_enough_was_noted() -> None:
    memory = ClientMemory()
    memory.count([(1, 1600), (2, 1)])
    assert not memory.may_exceed(0) and not memory.may_exceed(1400)
    memory.note(2, 1600 // SLACK)
    assert not memory.may_exceed(1600)  # a count has just said that it is hardly less
    memory.note(2, 1600 // SLACK + 2)
    assert memory.may_exceed(1600)


def turn(server: Server) -> None:
    for _ in range(50):
        if server.has_work:
            server.write_replies()
    server.write_replies()


def half_command(size: int) -> bytes:
    return pack(b"SET", b"a", b"v" * size)[:-3]


def held_by(server: Server) -> int:
    return sum(connection.memory for connection in server._connections.values())


def test_half_commands_add_up_and_the_largest_is_closed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_server.log, "_limit", RateLimit())
    server = Server(maxmemory_clients=BOUND)
    pairs = [server.connect() for _ in range(4)]
    sizes = [BOUND // 3, BOUND // 2, BOUND // 10, BOUND // 10]
    for (connection, _), size in zip(pairs, sizes, strict=True):
        data = half_command(size)
        for begin in range(0, len(data), 60000):  # as it comes from a socket
            connection.data_received(data[begin : begin + 60000])
        turn(server)
    assert [transport.is_closing() for _, transport in pairs] == [False, True, False, False]
    assert held_by(server) <= BOUND
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("a client at 1.2.3.4:5 is closed, the one that holds the most (52")
    assert line.endswith(f"and maxmemory_clients is {BOUND}")


def test_small_ones_are_counted_at_the_next_look() -> None:
    server = Server(maxmemory_clients=BOUND)
    pairs = [server.connect() for _ in range(200)]
    for connection, _ in pairs:
        connection.data_received(half_command(NOTED_BYTES // 2))
    turn(server)
    assert held_by(server) > BOUND
    server.look(1.0)
    assert held_by(server) <= BOUND
    assert any(transport.is_closing() for _, transport in pairs)
    assert not all(transport.is_closing() for _, transport in pairs)


def test_output_that_is_not_taken_counts_also_what_the_socket_has_not_sent() -> None:
    server = Server(maxmemory_clients=3 * WRITE_BYTES)
    pairs = [server.connect() for _ in range(3)]
    for connection, transport in pairs:
        transport.takes = False
        connection.data_received(pack(b"ECHO", b"v" * 60000) * 18)
        turn(server)
    assert all(transport.unsent > WRITE_BYTES for _, transport in pairs[:2])
    assert [transport.is_closing() for _, transport in pairs].count(True) == 1
    assert held_by(server) <= 3 * WRITE_BYTES


def test_who_has_given_back_what_it_held_is_not_closed_for_it() -> None:
    server = Server(maxmemory_clients=BOUND)
    for _ in range(20):
        connection, transport = server.connect()
        data = half_command(BOUND // 2)
        connection.data_received(data[:60000])
        for begin in range(60000, len(data), 60000):
            connection.data_received(data[begin : begin + 60000])
        connection.data_received(pack(b"SET", b"a", b"v" * (BOUND // 2))[-3:])
        turn(server)
        server.service._core.queues[0].clear()  # type: ignore[attr-defined]
        connection.session.replies.calls.clear()
        connection.session.replies.input_bytes = 0
        assert not transport.is_closing()


def test_who_is_spared_stays_as_long_as_it_holds_no_more_than_half() -> None:
    server = Server(maxmemory_clients=BOUND)
    (one, spared), (two, other), (_, small) = (server.connect() for _ in range(3))
    one.session.is_spared = True
    one.session.kept_bytes = two.session.kept_bytes = BOUND // 2
    two.session.kept_bytes += 1000
    server.look(1.0)
    assert not spared.is_closing() and other.is_closing()
    one.session.kept_bytes = 2 * BOUND
    server.look(2.0)
    assert spared.is_closing() and not small.is_closing()


def test_without_a_bound_nobody_is_closed() -> None:
    server = Server(maxmemory_clients=0)
    connection, transport = server.connect()
    connection.session.kept_bytes = 1 << 40
    server.look(1.0)
    assert not transport.is_closing()


def test_commands_that_wait_are_counted_while_they_do() -> None:
    world = World(input_pending_max=2)
    args = [pack(b"SET", b"a", b"v" * 1000)] * 5
    world.session.receive(b"".join(args))
    assert 5000 < world.session.memory < 5000 + 5 * 700
    world.finish()
    assert world.session.memory == 0


def test_arguments_of_a_byte_count_for_what_they_take() -> None:
    world = World()
    world.session.receive(b"*10000\r\n" + b"$1\r\nx\r\n" * 9999)
    world.finish()
    assert world.session.memory > 9999 * 40


def test_what_a_subscriber_keeps_and_is_to_be_told_counts() -> None:
    world = World()
    world.ask(pack(b"SUBSCRIBE", b"c" * 1000))
    before = world.session.memory
    assert 1000 < before < 2000
    for _ in range(10):
        world.session.push_now(b"+" * 5000)
    assert 50_000 < world.session.memory - before < 53_000
    world.take()
    assert world.session.memory == before
    world.ask(pack(b"UNSUBSCRIBE"))
    assert world.session.memory == 0


def test_what_a_transaction_has_queued_and_watches_counts() -> None:
    world = World()
    world.ask(pack(b"WATCH", b"a"))
    assert world.session.memory > 100
    world.ask(pack(b"MULTI") + pack(b"SET", b"a", b"v" * 1000) * 10)
    assert 10_000 < world.session.memory < 14_000
    world.ask(pack(b"DISCARD"))
    assert world.session.memory == 0


def test_a_container_s_memory_is_that_of_its_control_groups(tmp_path) -> None:
    own = tmp_path / "own"
    machine = memory_bytes(tmp_path, own)
    assert machine > 1 << 20
    own.write_text("0::/a/b\n")
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "memory.max").write_text("max\n")
    assert memory_bytes(tmp_path, own) == machine
    (tmp_path / "a" / "memory.max").write_text("1048576\n")
    assert memory_bytes(tmp_path, own) == 1 << 20
    own.write_text("3:cpu,memory:/x\n")  # version 1
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("2097152")
    assert memory_bytes(tmp_path, own) == 1 << 21
