"""Clients of a simulation that use transactions, alone and with watched keys.

Each works on a connection of its own, as every client of a simulation does.  Accounts are moved
between two keys of a slot; a register is watched, read, and written if nobody else did meanwhile.
tests/support/history.py judges a transaction as one operation.
"""

from collections.abc import Callable, Sequence
from functools import partial

from distrodb.resp.reply import OK, ErrorReply, Reply
from tests.sim.chaos import Chaos
from tests.sim.connection import Connection
from tests.sim.simulation import Simulation
from tests.sim.workload import PATIENCE_S, Client, GatewayClient
from tests.support.history import keys_of, queued, transaction

Command = tuple[str, ...]
THOUGHT_S_MAX = 0.1  # between what is read of a watched key and the EXEC


class TransactingClient(Client):
    aborted = 0  # EXECs that were answered with null
    ran = 0

    def _command(self) -> Command:
        choose, self._count = self._simulation.random, self._count + 1
        tag, unique = f"{{t{choose.randrange(self._keys)}}}", f"{self._number}.{self._count}"
        reads: list[Command] = [("MGET", f"{tag}a", f"{tag}b"), ("GET", f"{tag}x")]
        if self._reads_only:
            return choose.choice(reads)
        amount = str(choose.randrange(1, 5))
        return choose.choice(
            [
                *reads,
                transaction([("DECRBY", f"{tag}a", amount), ("INCRBY", f"{tag}b", amount)]),
                transaction([("GET", f"{tag}a"), ("MGET", f"{tag}b", f"{tag}x")]),
                ("SET", f"{tag}x", unique),
                ("WATCHED", f"{tag}x", unique),
                ("WATCHED", f"{tag}x", unique),
            ]
        )

    def _next(self) -> None:
        if self.is_stopped:
            return
        command = self._command()
        node = self._choose_slave(keys_of(command)[0])
        if node is None:
            return self._pause()
        self.is_waiting = True
        _Talk(self, self._simulation, node, command)

    def after_watching(self, key: str, unique: str) -> list[Command]:
        """What becomes of a key that nobody else has changed meanwhile."""
        return [("GET", key), ("SET", key, unique)]

    # -- what a talk tells ---------------------------------------------------------------------

    def ended(self, node: str, is_well: bool) -> None:
        self._slave = node if is_well else None
        self._pause()


class _Talk:
    """One command or transaction, on a connection of its own."""

    def __init__(
        self, client: TransactingClient, simulation: Simulation, node: str, command: Command
    ):
        self._client, self._simulation, self._node = client, simulation, node
        self._slave = simulation.slaves[node]
        self._core = self._slave.core
        chance, is_to_gateway = simulation.random_for_clients, client.uses_gateway
        self._connection = Connection(self._slave, chance, is_to_gateway)
        if command[0] == "WATCHED":
            _, key, unique = command
            read = client.reading(key)
            assert read is not None
            done = partial(self._watched, read, unique)
            self._ask([("WATCH", key), read], read, done)
        elif command[0] == "EXEC":
            self._execute(command)
        else:
            self._ask([command], command, lambda replies: self._settle(command, replies[0]))

    def _execute(self, operation: Command) -> None:
        done = partial(self._executed, operation)
        self._ask([("MULTI",), *queued(operation), ("EXEC",)], operation, done)

    def _ask(
        self, commands: Sequence[Command], operation: Command, done: Callable[[list[Reply]], None]
    ) -> None:
        """In one write; a connection that is gone, or a slave, never answers."""
        self._called = self._simulation.now
        replies: list[Reply] = []
        is_given_up: list[bool] = []

        def answered(number: int, reply: Reply) -> None:
            replies.append(reply)
            if len(replies) == len(commands) and not is_given_up:
                done(replies)

        def give_up() -> None:
            if len(replies) < len(commands):
                is_given_up.append(True)
                self._client._record_unknown(operation, self._called)
                self._client.ended(self._node, False)

        def send() -> None:
            if self._slave.core is self._core:
                words = [[arg.encode() for arg in command] for command in commands]
                self._connection.ask_all(words, answered)

        if self._slave.is_paused:
            self._slave.later(0.0, send)
        else:
            send()
        self._simulation.at(PATIENCE_S, give_up)

    def _settle(self, operation: Command, reply: Reply) -> None:
        self._client._record(operation, self._called, reply)
        self._client.ended(self._node, not isinstance(reply, ErrorReply))

    def _watched(self, read: Command, unique: str, replies: list[Reply]) -> None:
        key, (watched, value) = read[1], replies
        if watched != OK or isinstance(value, ErrorReply):
            return self._settle(read, value if watched == OK else watched)
        self._client._record(read, self._called, value)
        found = value if isinstance(value, list) else [] if value is None else [value]
        condition = (key, *(each.decode() for each in found))
        operation = transaction(self._client.after_watching(key, unique), [condition])
        delay_s = self._simulation.random.uniform(0.0, THOUGHT_S_MAX)
        self._simulation.at(delay_s, partial(self._execute, operation))

    def _executed(self, operation: Command, replies: list[Reply]) -> None:
        client, reply = self._client, replies[-1]
        if isinstance(reply, ErrorReply) and reply.code == "EXECABORT":
            reply = next(each for each in replies if isinstance(each, ErrorReply))  # MOVED
        if reply is None:
            client.aborted += 1
            client.ended(self._node, True)
            return
        if isinstance(reply, list):
            client.ran += 1
            reply = ["OK" if each == OK else each for each in reply]
        self._settle(operation, reply)


class TransactingGatewayClient(TransactingClient, GatewayClient):
    """The same through the gateway of one slave."""


class TransactionChaos(Chaos):
    CLIENT, GATEWAY_CLIENT = TransactingClient, TransactingGatewayClient
