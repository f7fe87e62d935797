"""Programs that a Python client runs while leaders are killed:

    python -m tests.clients.workers KIND PREFIX HOST:PORT …

Each counts a register up, reads it back, and increments a counter, one after another, until its
standard input ends; then it says as JSON what it has done, and every error that reached it, which
means: that the client's own retries did not cover.  It says so too for each line that it is given,
with the command that is under way and since when.  Settings are those of docs/clients.md.
"""

import asyncio
import collections
import json
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable

import redis
import redis.asyncio
from redis.asyncio.cluster import RedisCluster as AsyncCluster
from redis.backoff import ExponentialBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.retry import Retry

Ask = Callable[..., object]
AskLater = Callable[..., Awaitable[object]]


class Book:
    """What was done, and what went wrong."""

    def __init__(self, prefix: str):
        self.register, self.counter = f"{prefix}register", f"{prefix}counter"
        self.tried = self.acknowledged = self.counted = self.went_back = 0
        self.errors: collections.Counter[str] = collections.Counter()
        self.under_way, self._since = "", time.monotonic()
        self.is_over = threading.Event()
        self._steps = self._run()
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        for _ in sys.stdin:
            self.show()
        self.is_over.set()

    def next_command(self, answer: object) -> tuple[str, ...] | None:
        """None: it is over.  ``answer``: to the one before; None for none."""
        try:
            command: tuple[str, ...] = self._steps.send(answer)
        except StopIteration:
            return None
        self.under_way, self._since = " ".join(command), time.monotonic()
        return command

    def _run(self):
        while not self.is_over.is_set():
            self.tried += 1
            if (yield "SET", self.register, str(self.tried)) is not None:
                self.acknowledged = self.tried
            value = yield "GET", self.register
            if value is not None and int(value) < self.acknowledged:
                self.went_back += 1
            if (yield "INCR", self.counter) is not None:
                self.counted += 1

    def failed(self, error: object) -> None:
        self.errors[f"{type(error).__name__}: {error}"[:200]] += 1

    def show(self) -> None:
        told = {name: value for name, value in vars(self).items() if type(value) in (int, str)}
        told["since_s"] = round(time.monotonic() - self._since, 1)
        print(json.dumps({**told, "errors": dict(self.errors)}), flush=True)


def run(book: Book, ask: Ask) -> None:
    answer = None
    while command := book.next_command(answer):
        try:
            answer = ask(*command)
        except Exception as error:
            answer = None
            book.failed(error)


async def run_later(book: Book, ask: AskLater) -> None:
    answer = None
    while command := book.next_command(answer):
        try:
            answer = await ask(*command)
        except Exception as error:
            answer = None
            book.failed(error)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def _retry() -> Retry:
    return Retry(ExponentialBackoff(cap=1, base=0.05), 10)


def redis_py_cluster(book: Book, addresses: list[str]) -> None:
    nodes = [ClusterNode(*_split(address)) for address in addresses]
    run(book, RedisCluster(startup_nodes=nodes, retry=_retry()).execute_command)


def redis_py_gateway(book: Book, addresses: list[str]) -> None:
    host, port = _split(addresses[0])
    run(book, redis.Redis(host, port).execute_command)


async def redis_py_cluster_asyncio(book: Book, addresses: list[str]) -> None:
    host, port = _split(addresses[0])
    client = AsyncCluster(host=host, port=port, retry=_retry())
    await run_later(book, client.execute_command)
    await client.aclose()


async def redis_py_gateway_asyncio(book: Book, addresses: list[str]) -> None:
    host, port = _split(addresses[0])
    client = redis.asyncio.Redis(host=host, port=port)
    await run_later(book, client.execute_command)
    await client.aclose()


async def glide_cluster(book: Book, addresses: list[str]) -> None:
    from glide import GlideClusterClient, GlideClusterClientConfiguration, NodeAddress

    nodes = [NodeAddress(*_split(address)) for address in addresses]
    client = await GlideClusterClient.create(
        GlideClusterClientConfiguration(nodes, request_timeout=10_000)
    )
    await run_later(book, lambda *words: client.custom_command(list(words)))
    await client.close()


async def glide_gateway(book: Book, addresses: list[str]) -> None:
    from glide import GlideClient, GlideClientConfiguration, NodeAddress

    client = await GlideClient.create(
        GlideClientConfiguration([NodeAddress(*_split(addresses[0]))], request_timeout=10_000)
    )
    await run_later(book, lambda *words: client.custom_command(list(words)))
    await client.close()


def redis_cli_cluster(book: Book, addresses: list[str]) -> None:
    """A process a command, as in a script: one that stays keeps to the slave that it was sent to
    last, and asks that one for ever when it is dead."""
    host, port = _split(addresses[0])

    def ask(*words: str) -> str:
        command = ["redis-cli", "-c", "-e", "-h", host, "-p", str(port), *words]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return done.stdout.strip()

    run(book, ask)


def redis_cli_gateway(book: Book, addresses: list[str]) -> None:
    """One redis-cli that is typed into."""
    host, port = _split(addresses[0])
    process = subprocess.Popen(
        ["redis-cli", "-h", host, "-p", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
    )
    assert process.stdin and process.stdout

    def ask(*words: str) -> str:
        process.stdin.write(" ".join(words) + "\n")
        line = process.stdout.readline().strip()
        if not line or " " in line:
            raise RuntimeError(line)
        return line

    run(book, ask)
    process.stdin.close()
    process.wait(10)


KINDS = {
    "redis-py-cluster": redis_py_cluster,
    "redis-py-gateway": redis_py_gateway,
    "redis-py-cluster-asyncio": redis_py_cluster_asyncio,
    "redis-py-gateway-asyncio": redis_py_gateway_asyncio,
    "glide-cluster": glide_cluster,
    "glide-gateway": glide_gateway,
    "redis-cli-cluster": redis_cli_cluster,
    "redis-cli-gateway": redis_cli_gateway,
}


def main() -> None:
    kind, prefix, *addresses = sys.argv[1:]
    book = Book(prefix)
    work = KINDS[kind](book, addresses)
    if asyncio.iscoroutine(work):
        asyncio.run(work)
    book.show()


if __name__ == "__main__":
    main()
