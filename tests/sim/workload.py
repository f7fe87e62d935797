"""Clients of a simulation: they contend for a few keys and record what they saw.

A client has one command under way at a time and never sends one again.  What surely did not happen
(MOVED, CLUSTERDOWN, TRYAGAIN) is not recorded; UNKNOWN, or a slave that died with the command, is
recorded as of unknown outcome.  tests/support/history.py decides whether a single Redis could have
answered like that: then nothing acknowledged was lost, and no read was stale.
"""

from collections.abc import Callable

from distrodb.resp.reply import OK, ErrorReply, Reply
from tests.sim.simulation import Simulation
from tests.support.history import Operation

PATIENCE_S = 15.0  # a command without an answer for so long went to a slave that is gone
LOOK_S = 0.5  # between two looks at a connection that may be broken
RETRYABLE = ("MOVED", "CLUSTERDOWN", "TRYAGAIN")


class Client:
    uses_gateway = False

    def __init__(
        self,
        simulation: Simulation,
        number: int,
        history: list[Operation],
        keys: int = 3,
        pause_s_max: float = 0.15,  # between two commands
    ):
        self._simulation, self._number = simulation, number
        self._history, self._keys, self._pause_s_max = history, keys, pause_s_max
        self._reads_only = number == 0
        self._slave: str | None = None  # the one that answered last: it is asked again
        self._count = 0
        self.answered = self.refused = self.unknown = 0
        self.is_stopped = False
        self.is_waiting = False
        self._pause()

    def _pause(self) -> None:
        self.is_waiting = False
        delay_s = self._simulation.random.uniform(0.001, self._pause_s_max)
        self._simulation.at(delay_s, self._next)

    def _command(self) -> tuple[str, ...]:
        """Registers, counters, compare-and-set (SET NX and DEL), pairs of keys in one slot (written
        together, one copied to the other, one deleted), hashes, and keys that expire (sessions, and
        hashes too)."""
        choose, self._count = self._simulation.random, self._count + 1
        key, unique = choose.randrange(self._keys), f"{self._number}.{self._count}"
        field, other = choose.sample(["a", "b", "c", "d"], 2)
        lasts_ms = choose.choice(["20", "300", "2000"])
        pair = [f"{{pair{key}}}a", f"{{pair{key}}}b"]
        source, target = choose.sample(pair, 2)
        reads = [
            ("GET", f"register{key}"),
            ("GET", f"counter{key}"),
            ("GET", f"lock{key}"),
            ("MGET", *pair),
            ("TOUCH", *pair),
            ("STRLEN", f"list{key}"),
            ("HGETALL", f"hash{key}"),
            ("GET", f"session{key}"),
            ("PTTL", f"session{key}"),
            ("PEXPIRETIME", f"session{key}"),
        ]
        if self._reads_only:
            return choose.choice(reads)
        return choose.choice(
            [
                *reads,
                ("GET", f"register{key}"),
                ("SET", f"register{key}", unique),
                ("SET", f"register{key}", unique),
                ("INCR", f"counter{key}"),
                ("SET", f"lock{key}", unique, "NX"),
                ("DEL", f"lock{key}"),
                ("MSET", pair[0], unique, pair[1], unique),
                ("COPY", source, target),
                ("COPY", source, target, "REPLACE"),
                ("UNLINK", source),
                ("APPEND", f"list{key}", f"{unique} "),
                ("HSET", f"hash{key}", field, unique, other, unique),
                ("HSET", f"hash{key}", field, unique),
                ("HDEL", f"hash{key}", field),
                ("HGET", f"hash{key}", field),
                ("HLEN", f"hash{key}"),
                ("PEXPIRE", f"hash{key}", lasts_ms),
                ("SET", f"session{key}", unique),
                ("SET", f"session{key}", unique, "NX"),
                ("SET", f"session{key}", unique, "PX", lasts_ms),
                ("SET", f"session{key}", unique, "KEEPTTL"),
                ("GETEX", f"session{key}", "PX", lasts_ms),
                ("GETEX", f"session{key}", "PERSIST"),
                ("PEXPIRE", f"session{key}", lasts_ms),
                ("PERSIST", f"session{key}"),
            ]
        )

    @staticmethod
    def reading(key: str) -> tuple[str, ...] | None:
        """All that the key holds, asked for in the end; None where that cannot be read."""
        if key.startswith("board"):
            return ("ZRANGE", key, "0", "-1")
        return ("HGETALL" if key.startswith("hash") else "GET", key)

    def _choose_slave(self, key: str) -> str | None:
        """The one that answered last, be it an old leader; else the newest leader, or one of those
        that take themselves for it; now and then anybody."""
        simulation, choose = self._simulation, self._simulation.random
        leaders = [node for _, node in sorted(simulation.leaders(key))]
        # A write that waits at an old leader holds up the reads behind it, so few go there.
        if self._slave in leaders and choose.random() < (0.9 if self._reads_only else 0.2):
            return self._slave
        if leaders and choose.random() < 0.95:
            return leaders[-1] if choose.random() < 0.9 else choose.choice(leaders)
        up = [node for node in simulation.slaves if simulation.is_up(node)]
        return choose.choice(up) if up else None

    def _next(self) -> None:
        simulation = self._simulation
        if self.is_stopped:
            return
        command = self._command()
        node = self._choose_slave(command[1])
        if node is None:
            return self._pause()
        called = simulation.now
        self.is_waiting = True
        answers: list[Reply] = []

        def done(reply: Reply) -> None:
            if not answers:
                answers.append(reply)
                self._slave = None if isinstance(reply, ErrorReply) else node
                self._record(command, called, reply)
                self._pause()

        def lost() -> None:
            if not answers:
                answers.append(None)
                self._record_unknown(command, called)
                self._pause()

        simulation.submit(node, *command, done=done, is_to_gateway=self.uses_gateway)
        self._wait(node, lost)

    def _wait(self, node: str, lost: Callable[[], None]) -> None:
        """Call ``lost`` when there will be no answer any more."""
        self._simulation.at(PATIENCE_S, lost)

    def _record(self, command: tuple[str, ...], called: float, reply: Reply) -> None:
        if not isinstance(reply, ErrorReply):
            self.answered += 1
            reply = "OK" if reply == OK else reply
            now = self._simulation.now
            self._history.append(Operation(self._number, called, now, command, reply))
        elif reply.code in RETRYABLE:
            self.refused += 1
        else:
            assert reply.code == "UNKNOWN", reply
            self._record_unknown(command, called)

    def _record_unknown(self, command: tuple[str, ...], called: float) -> None:
        self.unknown += 1
        self._history.append(Operation(self._number, called, None, command))


class HashingClient(Client):
    """It asks mostly of hashes, so what is wrong with containers shows sooner."""

    def _command(self) -> tuple[str, ...]:
        for _ in range(4):
            command = super()._command()
            if command[1].startswith("hash"):
                break
        return command


class RankingClient(Client):
    """It asks mostly of sorted sets."""

    def _command(self) -> tuple[str, ...]:
        command = super()._command()
        choose = self._simulation.random
        if choose.random() < 0.2:
            return command
        board = f"board{choose.randrange(self._keys)}"
        member, other = choose.sample(["a", "b", "c", "d"], 2)
        score = str(choose.randrange(4))
        return choose.choice(
            [
                ("ZADD", board, score, member),
                ("ZADD", board, score, member, "1.5", other),
                ("ZINCRBY", board, score, member),
                ("ZREM", board, member),
                ("ZPOPMIN", board),
                ("ZSCORE", board, member),
                ("ZRANK", board, member),
                ("ZRANGE", board, "0", "-1"),
                ("PEXPIRE", board, "300"),
            ]
        )

    def _record(self, command: tuple[str, ...], called: float, reply: Reply) -> None:
        """Until a slave has the map it does not know that all know sorted sets."""
        if isinstance(reply, ErrorReply) and b"is a command when all slaves" in reply.text:
            self.refused += 1
        else:
            super()._record(command, called, reply)


class GatewayClient(Client):
    """It asks one slave, whoever leads, as long as that runs; and hears of no leader."""

    uses_gateway = True

    def _choose_slave(self, key: str) -> str | None:
        simulation, choose = self._simulation, self._simulation.random
        up = [node for node in simulation.slaves if simulation.is_up(node)]
        if self._slave not in up or choose.random() < 0.02:
            self._slave = choose.choice(up) if up else None
        return self._slave

    def _wait(self, node: str, lost: Callable[[], None]) -> None:
        """Its connection breaks."""
        slave = self._simulation.slaves[node]
        life = slave.life

        def look() -> None:
            if slave.life == life:
                self._simulation.at(LOOK_S, look)
            else:
                lost()

        self._simulation.at(LOOK_S, look)
        self._simulation.at(PATIENCE_S, lost)

    def _record(self, command: tuple[str, ...], called: float, reply: Reply) -> None:
        assert not isinstance(reply, ErrorReply) or reply.code != "MOVED", reply
        super()._record(command, called, reply)
