"""Scripts and functions, with real slaves: a leader that dies in the middle costs no script, and
through a gateway each call is done once; a slave that is new has all of them."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from distrodb import LocalCluster
from tests.e2e.test_blocking import gateway_of, leader_of

ADD = "return redis.call('INCRBY', KEYS[1], ARGV[1])"
LIBRARY = """#!lua name=counting
redis.register_function('add', function(keys, args)
  redis.call('RPUSH', keys[2], args[1])
  return redis.call('INCRBY', keys[1], args[1])
end)"""
BEFORE, AFTER = 100, 300  # calls that are answered until a leader dies, and in all


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(nodes=4, partitions=3) as cluster:
        cluster.wait_healed()
        yield cluster


class Caller(threading.Thread):
    """Calls again and again, each when the one before is answered."""

    def __init__(self, call: Callable[[], Any]):
        super().__init__(daemon=True)
        self._call = call
        self.answered, self.problem = 0, ""
        self.start()

    def run(self) -> None:
        try:
            while self.answered < AFTER:
                self._call()
                self.answered += 1
        except redis.RedisError as problem:
            self.problem = f"{type(problem).__name__}: {problem}"

    def finished(self) -> int:
        self.join(60.0)
        assert not self.is_alive() and not self.problem, self.problem
        return self.answered


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_through_the_death_of_a_leader_no_script_is_forgotten_and_each_call_is_done_once(cluster):
    key = "{k}count"
    leader = leader_of(cluster, key.encode())
    at = next(node for node in cluster.nodes if node != leader)
    sha = gateway_of(cluster, at).script_load(ADD)
    assert gateway_of(cluster, at).function_load(LIBRARY) == b"counting"
    of_script, of_function = gateway_of(cluster, at), gateway_of(cluster, at)
    callers = [
        Caller(lambda: of_script.evalsha(sha, 1, key, 1)),
        Caller(lambda: of_function.fcall("add", 2, "{k}f", "{k}calls", 1)),
    ]
    cluster.wait_until(lambda: min(each.answered for each in callers) >= BEFORE, "they call")
    cluster.kill(leader)
    assert [each.finished() for each in callers] == [AFTER, AFTER]
    with gateway_of(cluster, at) as client:
        assert client.get(key) == client.get("{k}f") == b"%d" % AFTER
        assert client.llen("{k}calls") == AFTER, "a function was done by half, or twice"
    # Whoever takes the place of the one that is gone has its scripts before it is asked.
    cluster.start(leader)
    cluster.wait_healed()
    for node in cluster.nodes:
        with gateway_of(cluster, node) as client:
            for number in range(20):
                name = f"{{{node}{number}}}"
                assert client.evalsha(sha, 1, name, 1) == 1
                assert client.fcall("add", 2, name, f"{name}calls", 1) == 2
