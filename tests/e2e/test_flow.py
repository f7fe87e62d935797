"""A connection that asks for more than fits: bounded memory, and nothing out of order."""

import socket
import threading

import pytest
import redis

from distrodb import LocalCluster

MIB = 1 << 20


@pytest.fixture(scope="module")
def slave():
    with LocalCluster(nodes=1, partitions=1) as cluster, cluster.connection("node1") as slave:
        slave.set("big", b"x" * MIB)
        yield slave


def raw(slave: redis.Redis):
    pool = slave.connection_pool.connection_kwargs
    return socket.create_connection((pool["host"], pool["port"]), timeout=30)


def read_replies(connection, count: int) -> list[bytes]:
    """The first lines of so many replies; the contents are passed over."""
    file = connection.makefile("rb")
    lines = []
    for _ in range(count):
        line = file.readline()
        lines.append(line.rstrip())
        if line.startswith(b"$"):
            assert len(file.read(int(line[1:]) + 2)) == int(line[1:]) + 2
    return lines


def test_a_pipeline_that_is_read_gets_every_value_or_an_error_in_its_place(slave):
    with raw(slave) as connection:
        connection.sendall(b"GET big\r\n" * 200 + b"PING\r\n")
        lines = read_replies(connection, 201)
    assert lines[-1] == b"+PONG" and lines[0] == b"$%d" % MIB
    errors = [line for line in lines[:-1] if line.startswith(b"-")]
    assert all(b"output_bytes_max" in line for line in errors)
    assert lines[:60] == [b"$%d" % MIB] * 60


def test_one_reply_above_the_limit_is_an_error(slave):
    with pytest.raises(redis.ResponseError, match="output_bytes_max"):
        slave.mget(["big"] * 100)
    assert len(slave.mget(["big"] * 50)) == 50


def test_a_long_pipeline_of_writes_is_answered_in_order(slave):
    slave.delete("n")
    with raw(slave) as connection:
        sender = threading.Thread(target=connection.sendall, args=(b"INCR n\r\n" * 20000,))
        sender.start()
        lines = read_replies(connection, 20000)
        sender.join()
    assert lines == [b":%d" % number for number in range(1, 20001)]
