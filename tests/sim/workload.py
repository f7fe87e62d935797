"""Clients of a simulation: each owns a register and a counter, and knows what it may find there.

A client has one command under way at a time.  What is acknowledged must be there; what is UNKNOWN
(or was under way at a slave that crashed) may be there, at once or later.
"""

from distrodb.reply import OK, ErrorReply, Reply
from tests.sim.simulation import Simulation

PATIENCE_S = 10.0  # a command without an answer for so long went to a slave that is gone


class Client:
    def __init__(self, simulation: Simulation, number: int):
        self._simulation = simulation
        self.register, self.counter = f"register{number}", f"counter{number}"
        self.acknowledged = 0  # number of the last acknowledged write to the register
        self.tried = 0
        self.counted, self.counted_perhaps = 0, 0
        self.operations = self.unknown = 0
        self.is_stopped = False
        self._under_way: object = None
        self._next()

    def _next(self) -> None:
        simulation = self._simulation
        if self.is_stopped:
            return
        choice = simulation.random.random()
        key = self.counter if choice < 0.3 else self.register
        up = [node for node in simulation.slaves if simulation.is_up(node)]
        node = simulation.leader(key)
        if node is None or simulation.random.random() < 0.1:
            node = simulation.random.choice(up) if up else None
        if node is None:
            simulation.at(0.1, self._next)
            return
        token = self._under_way = object()
        if choice < 0.3:
            args, unknown = ("INCR", key), self._counted_perhaps
        elif choice < 0.6:
            self.tried += 1
            args, unknown = ("SET", key, str(self.tried)), self._nothing
        else:
            args, unknown = ("GET", key), self._nothing
        floor = self.acknowledged
        tried = self.tried

        def done(reply: Reply) -> None:
            if self._under_way is token:
                self._under_way = None
                self._answered(args, reply, floor, tried, unknown)
                simulation.at(simulation.random.uniform(0.001, 0.05), self._next)

        def lost() -> None:
            if self._under_way is token:
                self._under_way = None
                self.unknown += 1
                unknown()
                self._next()

        simulation.submit(node, *args, done=done)
        simulation.at(PATIENCE_S, lost)

    def _answered(self, args, reply, floor, tried, unknown) -> None:
        self.operations += 1
        if isinstance(reply, ErrorReply):
            assert reply.code in ("MOVED", "CLUSTERDOWN", "TRYAGAIN", "UNKNOWN"), reply
            if reply.code == "UNKNOWN":
                self.unknown += 1
                unknown()
        elif args[0] == "SET":
            assert reply == OK
            self.acknowledged = tried
        elif args[0] == "INCR":
            self.counted += 1
            self._check_counter(reply)
        else:
            self.check_register(reply, floor, tried)

    def check_register(self, value: Reply, floor: int, tried: int) -> None:
        number = int(value or 0)
        assert floor <= number <= tried, (
            f"seed {self._simulation.seed}: {self.register} is {number},"
            f" acknowledged was {floor}, tried {tried}"
        )

    def _check_counter(self, value: Reply) -> None:
        assert self.counted <= int(value or 0) <= self.counted + self.counted_perhaps, (
            f"seed {self._simulation.seed}: {self.counter} is {value},"
            f" {self.counted} acknowledged, {self.counted_perhaps} unknown"
        )

    def _counted_perhaps(self) -> None:
        self.counted_perhaps += 1

    def _nothing(self) -> None: ...

    def check_at_the_end(self) -> None:
        self.is_stopped = True
        self._simulation.run_until(lambda: self._under_way is None)
        self.check_register(
            self._simulation.ask("GET", self.register), self.acknowledged, self.tried
        )
        self._check_counter(self._simulation.ask("GET", self.counter))
