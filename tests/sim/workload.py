"""Clients of a simulation: they contend for a few keys and record what they saw.

A client has one command under way at a time and never sends one again.  What surely did not happen
(MOVED, CLUSTERDOWN, TRYAGAIN) is not recorded; UNKNOWN, or a slave that died with the command, is
recorded as of unknown outcome.  tests/history.py decides whether a single Redis could have answered
like that: then nothing acknowledged was lost, and no read was stale.
"""

from distrodb.reply import OK, ErrorReply, Reply
from tests.history import Operation
from tests.sim.simulation import Simulation

PATIENCE_S = 10.0  # a command without an answer for so long went to a slave that is gone
RETRYABLE = ("MOVED", "CLUSTERDOWN", "TRYAGAIN")


class Client:
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
        """Registers, counters, compare-and-set (SET NX and DEL), several keys of one slot."""
        choose, self._count = self._simulation.random, self._count + 1
        key, unique = choose.randrange(self._keys), f"{self._number}.{self._count}"
        return choose.choice(
            [
                ("GET", f"register{key}"),
                ("GET", f"register{key}"),
                ("SET", f"register{key}", unique),
                ("SET", f"register{key}", unique),
                ("INCR", f"counter{key}"),
                ("GET", f"counter{key}"),
                ("SET", f"lock{key}", unique, "NX"),
                ("DEL", f"lock{key}"),
                ("GET", f"lock{key}"),
                ("MSET", f"{{pair{key}}}a", unique, f"{{pair{key}}}b", unique),
                ("MGET", f"{{pair{key}}}a", f"{{pair{key}}}b"),
                ("APPEND", f"list{key}", f"{unique} "),
                ("STRLEN", f"list{key}"),
            ]
        )

    def _next(self) -> None:
        simulation = self._simulation
        if self.is_stopped:
            return
        command = self._command()
        # Any that takes itself for the leader, old ones too; now and then anybody.
        nodes = [node for _, node in simulation.leaders(command[1])]
        if not nodes or simulation.random.random() < 0.05:
            nodes = [node for node in simulation.slaves if simulation.is_up(node)]
        if not nodes:
            return self._pause()
        node = simulation.random.choice(nodes)
        called = simulation.now
        self.is_waiting = True
        answers: list[Reply] = []

        def done(reply: Reply) -> None:
            if not answers:
                answers.append(reply)
                self._record(command, called, reply)
                self._pause()

        def lost() -> None:
            if not answers:
                answers.append(None)
                self._record_unknown(command, called)
                self._pause()

        simulation.submit(node, *command, done=done)
        simulation.at(PATIENCE_S, lost)

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
