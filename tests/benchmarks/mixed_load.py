"""A load of everything that could leave something behind, in turns that are counted and not timed.

A turn is a few hundred commands: strings, counters and hashes of a bounded keyspace in pipelines;
new keys that expire; transactions that end well, are discarded, or are left in the middle;
connections that come, and go politely, by a reset, or in the middle of a command; subscriptions
to names that were never used before; clients that cache; a large value now and then.  So what a
slave keeps of any of these for longer than it should grows with the number of turns.

What a turn does is decided by its seed and number alone.  The keyspace does not grow, but for
keys that expire within two seconds.
"""

import contextlib
import random
import socket
import struct
from collections import Counter
from collections.abc import Callable

import redis

from distrodb import LocalCluster

KEYS, COUNTERS, HASHES, FIELDS = 20_000, 500, 200, 50
PIPELINE = 100
VALUE_BYTES = 64
LARGE_BYTES = 4 << 20
LARGE_EVERY = 25  # turns
EXPIRES_MS = (50, 2_000)
TIMEOUT_S = 20.0
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close by a reset


class MixedLoad:
    """One client's turns, one after another.  Errors are counted by their text, and the rest of the
    turn is left out."""

    def __init__(self, cluster: LocalCluster, number: int):
        self._cluster, self._number = cluster, number
        self._random = random.Random(number)
        self._turn = 0
        self._client = cluster.client(socket_timeout=TIMEOUT_S)
        self.commands = 0
        self.errors: Counter[str] = Counter()

    def turn(self) -> None:
        self._turn += 1
        parts: list[Callable[[], None]] = [
            self._pipelines,
            self._expiring,
            self._transactions,
            self._comers,
            self._messages,
            self._caching,
        ]
        if self._turn % LARGE_EVERY == 0:
            parts.append(self._large)
        for part in parts:
            try:
                part()
            except (redis.RedisError, OSError) as problem:
                self.errors[f"{part.__name__[1:]}: {type(problem).__name__}: {problem}"[:200]] += 1

    def close(self) -> None:
        self._client.close()

    # -- parts of a turn ---------------------------------------------------------------------

    def _pipelines(self) -> None:
        chance = self._random
        for _ in range(2):
            with self._client.pipeline(transaction=False) as pipeline:
                for _ in range(PIPELINE):
                    key, kind = f"key:{chance.randrange(KEYS)}", chance.randrange(10)
                    if kind < 4:
                        pipeline.set(key, chance.randbytes(VALUE_BYTES))
                    elif kind < 7:
                        pipeline.get(key)
                    elif kind == 7:
                        pipeline.incr(f"counter:{chance.randrange(COUNTERS)}")
                    elif kind == 8:
                        name, field = chance.randrange(HASHES), chance.randrange(FIELDS)
                        pipeline.hset(f"hash:{name}", f"field:{field}", chance.randbytes(16))
                    else:
                        pipeline.delete(key)
                pipeline.execute()
            self.commands += PIPELINE

    def _expiring(self) -> None:
        with self._client.pipeline(transaction=False) as pipeline:
            for number in range(PIPELINE // 2):
                name = f"passing:{self._number}:{self._turn}:{number}"
                pipeline.set(name, b"x" * VALUE_BYTES, px=self._random.randint(*EXPIRES_MS))
            pipeline.execute()
        self.commands += PIPELINE // 2

    def _transactions(self) -> None:
        """At a gateway; the last one is left alone by a client that goes."""
        tag = f"{{transaction:{self._random.randrange(COUNTERS)}}}"
        with self._gateway() as client, client.pipeline() as pipeline:
            pipeline.watch(f"{tag}a")
            pipeline.multi()
            with contextlib.suppress(redis.WatchError):  # another one was there first
                pipeline.incr(f"{tag}a").incr(f"{tag}b").execute()
            client.execute_command("GET", f"{tag}a")
        with self._gateway(single_connection_client=True) as client:
            client.execute_command("MULTI")
            client.execute_command("INCR", f"{tag}a")
            client.execute_command("DISCARD")
            client.execute_command("WATCH", f"{tag}a", f"{tag}never there")
            client.execute_command("MULTI")
            client.execute_command("INCR", f"{tag}a")
        self.commands += 13

    def _comers(self) -> None:
        for node in self._cluster.running():
            host, port = self._cluster.addresses[node].rsplit(":", 1)
            with redis.Redis(host, int(port), socket_timeout=TIMEOUT_S) as client:
                client.client_setname(f"comer-{self._number}-{self._turn}")
                client.ping()
            self.commands += 2
            for address in (self._cluster.addresses[node], self._cluster.gateway_address(node)):
                assert address is not None
                host, port = address.rsplit(":", 1)
                with socket.create_connection((host, int(port)), TIMEOUT_S) as raw:
                    raw.sendall(b"PING\r\n*3\r\n$3\r\nSET\r\n$9\r\nhalf")
                    raw.recv(64)
                    if self._turn % 2:
                        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                self.commands += 1

    def _messages(self) -> None:
        name = f"channel:{self._number}:{self._turn}"
        with self._gateway() as listener, self._gateway() as speaker, listener.pubsub() as heard:
            heard.subscribe(name, f"{name}:other")
            heard.psubscribe(f"{name}:*")
            for _ in range(3):
                heard.get_message(timeout=TIMEOUT_S)
            speaker.publish(name, b"x" * VALUE_BYTES)
            heard.get_message(timeout=TIMEOUT_S)
            heard.unsubscribe(name)
        self.commands += 5  # the connection goes with what it is subscribed to still

    def _caching(self) -> None:
        keys = [f"key:{self._random.randrange(KEYS)}" for _ in range(8)]
        with self._gateway(protocol=3, single_connection_client=True) as client:
            client.execute_command("CLIENT", "TRACKING", "ON")
            for key in keys:
                client.get(key)
        self.commands += 1 + len(keys)

    def _large(self) -> None:
        key = f"large:{self._number}"
        self._client.set(key, self._random.randbytes(LARGE_BYTES))
        self._client.get(key)
        self._client.delete(key)
        self.commands += 3

    def _gateway(self, **options: object) -> redis.Redis:
        running = self._cluster.running()
        address = self._cluster.gateway_address(running[self._random.randrange(len(running))])
        assert address is not None
        host, port = address.rsplit(":", 1)
        made: redis.Redis = redis.Redis(host, int(port), socket_timeout=TIMEOUT_S, **options)
        return made
