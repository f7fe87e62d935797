"""What a client's program tells of itself: without it a failure of test_kills.py says nothing."""

import socket
import time

import pytest

from tests.clients.clients import Client, need_node

BEGUN_S_MAX = 60.0  # far above what a program takes to start


@pytest.mark.parametrize("kind", ["redis-py-gateway", "ioredis-gateway"])
def test_one_that_waits_says_for_what(kind):
    need_node()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        client = Client(kind, [f"{host}:{port}"])
        try:
            until = time.monotonic() + BEGUN_S_MAX
            while f"set {kind}:register 1" not in (words := client.last_words().lower()):
                assert time.monotonic() < until, words
        finally:
            client.kill()


def test_one_that_has_failed_says_why():
    client = Client("nobody", [])
    try:
        with pytest.raises(AssertionError, match="(?s)nobody: has ended with status 1 .*KeyError"):
            client.finish()
    finally:
        client.kill()
