"""Clients of a simulation that use all kinds of values at once, scripts and commands that wait.

Lists (pairs in one slot, between which elements move), sets (three, of which some are made of
others), hashes whose fields expire, sorted sets; consumers that wait for one key or the first of
several; scripts that compare and set, that move an element, that fail half way, that are ended by
their limit, and that ask for chance; a library that is replaced and called; transactions over
lists, hashes and a register, which watch a register or a list.

A script is never unknown (NOSCRIPT) to whoever has run it there, or, through a gateway, loaded it.
tests/support/history.py judges all else.
"""

from collections.abc import Callable

from distrodb.keyspace.scripts import sha_of
from distrodb.resp.reply import ErrorReply, Reply
from tests.sim.chaos import FAULTS as CHAOS_FAULTS
from tests.sim.chaos import WRITE_BYTES, Chaos
from tests.sim.healing_chaos import HealingChaos
from tests.sim.large_values import LargeChaos
from tests.sim.moving_chaos import FAULTS as MOVING_FAULTS
from tests.sim.moving_chaos import MovingChaos
from tests.sim.replicas_chaos import FAULTS as REPLICAS_FAULTS
from tests.sim.replicas_chaos import ReplicasChaos
from tests.sim.transactions import Command, TransactingClient
from tests.sim.workload import GatewayClient
from tests.support.containers_model import (
    COMPARE_AND_SET,
    ENDLESS,
    FAILS,
    LIBRARY,
    ROLLS,
    TRANSFER,
)
from tests.support.history import Operation, transaction

FAULTS = {**CHAOS_FAULTS, "slow disk": 1}
SCRIPT_STEPS = 30_000  # some eighty commands: then a script is ended
KNOWN_MAX = 4  # elements that a client remembers, to ask for them
OWN_ERRORS = (b"WRONGTYPE", b"ERR Function not found", b"nothing of it was done")
# Until a slave has the map it does not know that all know these commands.
TOO_EARLY = b"is a command when all slaves"


class ContainerClient(TransactingClient):
    def __init__(self, *args: object, **options: object):
        self._known = ["none"]  # elements that are, or were, in lists
        self._register: dict[str, str] = {}  # what was read last
        # Scripts that need not be sent again: by SHA1 the text, and by SHA1 where they are known.
        self._texts: dict[str, str] = {}
        self._run_at: set[tuple[str, str]] = set()
        super().__init__(*args, **options)  # type: ignore[arg-type]

    # -- what it asks ---------------------------------------------------------------------------

    def _command(self) -> Command:
        choose, self._count = self._simulation.random, self._count + 1
        tag, unique = f"{{c{choose.randrange(self._keys)}}}", f"{self._number}.{self._count}"
        if self._reads_only:
            return choose.choice(self._reads(tag))
        family = choose.choice(self.FAMILIES)
        return choose.choice(family(self, tag, unique))

    def _reads(self, tag: str) -> list[Command]:
        return [
            ("LRANGE", f"{tag}list0", "0", "-1"),
            ("LRANGE", f"{tag}list1", "0", "-1"),
            ("LLEN", f"{tag}list0"),
            ("SMEMBERS", f"{tag}set0"),
            ("SRANDMEMBER", f"{tag}set1"),
            ("HGETALL", f"{tag}hash"),
            ("HPTTL", f"{tag}hash", "FIELDS", "2", "a", "b"),
            ("HRANDFIELD", f"{tag}hash"),
            ("ZRANGE", f"{tag}board0", "0", "-1"),
            ("GET", f"{tag}x"),
        ]

    def _of_lists(self, tag: str, unique: str) -> list[Command]:
        choose = self._simulation.random
        one, other = choose.sample([f"{tag}list0", f"{tag}list1"], 2)
        known, side = choose.choice(self._known), choose.choice(["LEFT", "RIGHT"])
        where = choose.choice(["BEFORE", "AFTER"])
        self._known = [*self._known, unique][-KNOWN_MAX:]
        return [
            *[("RPUSH", one, unique), ("LPUSH", one, unique)] * 3,
            ("RPUSH", one, unique, f"{unique}+"),
            ("LPUSHX", one, unique),
            ("LPOP", one),
            ("RPOP", one, "2"),
            ("LMOVE", one, other, side, "LEFT"),
            ("LMOVE", one, one, "LEFT", "RIGHT"),
            ("RPOPLPUSH", one, other),
            ("LMPOP", "2", one, other, side, "COUNT", "2"),
            ("LREM", one, choose.choice(["0", "1", "-1"]), known),
            ("LINSERT", one, where, known, unique),
            ("LTRIM", one, "0", "4"),
            ("LRANGE", one, "0", "-1"),
            ("LRANGE", one, "0", "-1"),
            ("LINDEX", one, "-1"),
            ("PEXPIRE", one, "300"),
            ("DEL", one),
        ]

    def _of_waiting(self, tag: str, unique: str) -> list[Command]:
        """Consumers of every kind, and somebody who feeds them."""
        choose = self._simulation.random
        one, other = choose.sample([f"{tag}list0", f"{tag}list1"], 2)
        high, low = choose.sample([f"{tag}board0", f"{tag}board1"], 2)
        lasts_s, side = choose.choice(["0.05", "0.5", "2"]), choose.choice(["LEFT", "RIGHT"])
        return [
            ("BLPOP", one, lasts_s),
            ("BLPOP", one, other, lasts_s),
            ("BRPOP", one, other, lasts_s),
            ("BLMOVE", one, other, side, "RIGHT", lasts_s),
            ("BRPOPLPUSH", one, other, lasts_s),
            ("BLMPOP", lasts_s, "2", one, other, side, "COUNT", "2"),
            ("BZPOPMIN", high, lasts_s),
            ("BZPOPMAX", high, low, lasts_s),
            ("BZMPOP", lasts_s, "2", high, low, "MIN"),
            *[("RPUSH", one, unique), ("RPUSH", other, unique, f"{unique}+")] * 3,
            *[("ZADD", high, "1", "a"), ("ZADD", low, "2", "b", "3", "c")] * 2,
        ]

    def _of_sets(self, tag: str, unique: str) -> list[Command]:
        choose = self._simulation.random
        one, other, third = choose.sample([f"{tag}set0", f"{tag}set1", f"{tag}set2"], 3)
        member, another = choose.sample(["a", "b", "c", "d"], 2)
        return [
            *[("SADD", one, member), ("SADD", one, member, another)] * 2,
            ("SREM", one, member),
            ("SPOP", one),
            ("SMOVE", one, other, member),
            ("SMEMBERS", one),
            ("SISMEMBER", one, member),
            ("SCARD", one),
            ("SRANDMEMBER", one),
            ("SINTERSTORE", one, other, third),
            ("SUNIONSTORE", one, other, third),
            ("SDIFFSTORE", one, other, third),
        ]

    def _of_hashes(self, tag: str, unique: str) -> list[Command]:
        choose, hash_ = self._simulation.random, f"{tag}hash"
        field, other = choose.sample(["a", "b", "c"], 2)
        lasts_ms = choose.choice(["20", "300", "2000"])
        return [
            ("HSET", hash_, field, unique),
            ("HSET", hash_, field, unique, other, unique),
            ("HDEL", hash_, field),
            ("HGET", hash_, field),
            ("HGETALL", hash_),
            ("HLEN", hash_),
            ("HRANDFIELD", hash_),
            ("HPEXPIRE", hash_, lasts_ms, "FIELDS", "2", field, other),
            ("HPEXPIRE", hash_, lasts_ms, "FIELDS", "1", field),
            ("HPERSIST", hash_, "FIELDS", "1", field),
            ("HPTTL", hash_, "FIELDS", "2", field, other),
            ("HGETEX", hash_, "PX", lasts_ms, "FIELDS", "1", field),
            ("HGETEX", hash_, "PERSIST", "FIELDS", "1", field),
            ("HSETEX", hash_, "PX", lasts_ms, "FIELDS", "2", field, unique, other, unique),
            ("HSETEX", hash_, "FNX", "PX", lasts_ms, "FIELDS", "1", field, unique),
            ("HSETEX", hash_, "FXX", "KEEPTTL", "FIELDS", "1", field, unique),
            ("HGETDEL", hash_, "FIELDS", "1", field),
            ("PEXPIRE", hash_, "2000"),
        ]

    def _of_scripts(self, tag: str, unique: str) -> list[Command]:
        choose = self._simulation.random
        one, other = choose.sample([f"{tag}list0", f"{tag}list1"], 2)
        register, library = f"{tag}x", f"lib{tag[1:-1]}"
        read = self._register.get(register, "none")
        scripts: list[tuple[str, list[str], list[str]]] = [
            (COMPARE_AND_SET, [register], [read, unique]),
            (COMPARE_AND_SET, [register], [read, unique]),
            (TRANSFER, [one, other], []),
            (FAILS, [one], [unique]),
            (ENDLESS, [one, other], ["never"]),
            (ROLLS, [f"{tag}set0"], []),
        ]
        text, keys, args = choose.choice(scripts)
        text = f"{text}\n-- {self._number}.{self._count // 16}"  # others do not know it
        words = (str(len(keys)), *keys, *args)
        sha = sha_of(text.encode()).decode()
        self._texts[sha] = text
        is_known = (sha, tag) in self._run_at or (sha, "") in self._run_at
        commands: list[Command] = [
            ("EVALSHA", sha, *words) if is_known else ("EVAL", text, *words),
            ("GET", register),
            ("SET", register, unique),
            ("FCALL", library, "1", f"{tag}called", unique),
        ]
        if self.uses_gateway:
            version = LIBRARY.format(name=library, version=unique)
            commands += [("SCRIPT", "LOAD", text), ("FUNCTION", "LOAD", "REPLACE", version)]
        for known, where in sorted(self._run_at)[:3]:  # of some time ago, by another leader maybe
            old = self._texts[known]
            if where in ("", tag) and old.startswith(TRANSFER):
                commands.append(("EVALSHA", known, "2", one, other))
        return commands

    def _of_transactions(self, tag: str, unique: str) -> list[Command]:
        """Of their own keys, and the register: so the judge has few keys to look at together."""
        register, log, notes = f"{tag}x", f"{tag}wlist", f"{tag}whash"
        return [
            transaction([("RPUSH", log, unique), ("HSET", notes, "last", unique)]),
            transaction([("LPOP", log), ("HINCRBY", notes, "popped", "1"), ("LLEN", log)]),
            transaction([("LRANGE", log, "0", "-1"), ("HGETALL", notes)]),
            transaction([("HDEL", notes, "last"), ("LTRIM", log, "0", "3")]),
            ("RPOP", log),
            ("WATCHED", register, unique),
            ("WATCHED", log, unique),
        ]

    FAMILIES: tuple[Callable[["ContainerClient", str, str], list[Command]], ...] = (
        _of_lists,
        _of_waiting,
        _of_waiting,
        _of_sets,
        _of_hashes,
        _of_scripts,
        _of_transactions,
    )

    @staticmethod
    def reading(key: str) -> Command | None:
        if key.startswith("(library)"):
            return None
        kinds = {"list": "LRANGE", "board": "ZRANGE", "set": "SMEMBERS", "hash": "HGETALL"}
        kind = next((read for kind, read in kinds.items() if kind in key), "GET")
        return (kind, key, "0", "-1") if "RANGE" in kind else (kind, key)

    def after_watching(self, key: str, unique: str) -> list[Command]:
        tag = key[: key.index("}") + 1]
        if key.endswith("list"):
            return [("LPOP", key), ("RPUSH", key, unique)]
        return [("GET", key), ("SET", key, unique), ("HSET", f"{tag}whash", "by", unique)]

    # -- what it is told -------------------------------------------------------------------------

    def _record(self, command: Command, called: float, reply: Reply) -> None:
        name = command[0]
        if isinstance(reply, ErrorReply):
            return self._record_error(command, called, reply)
        if name == "SCRIPT":
            assert isinstance(reply, bytes)
            self._run_at.add((reply.decode(), ""))
            self.answered += 1
            return None
        if name in ("EVAL", "EVALSHA"):
            self._has_run(command)
        if name == "LRANGE" and isinstance(reply, list) and reply:
            self._known = [each.decode() for each in reply[:KNOWN_MAX]]  # type: ignore[union-attr]
        if name == "GET" and isinstance(reply, bytes):
            self._register[command[1]] = reply.decode()
        return super()._record(self._as_evaluated(command), called, reply)

    def _record_error(self, command: Command, called: float, reply: ErrorReply) -> None:
        if TOO_EARLY in reply.text:
            self.refused += 1
        elif any(text in reply.text for text in OWN_ERRORS):
            self._has_run(command)
            now, known = self._simulation.now, self._as_evaluated(command)
            problem = Exception(reply.text.decode())
            self._history.append(Operation(self._number, called, now, known, problem))
        else:
            super()._record(command, called, reply)

    def _record_unknown(self, command: Command, called: float) -> None:
        if command[0] == "SCRIPT":
            self.unknown += 1
        else:
            super()._record_unknown(self._as_evaluated(command), called)

    def _has_run(self, command: Command) -> None:
        if command[0] == "EVAL":
            tag = command[3][: command[3].index("}") + 1]
            self._run_at.add((sha_of(command[1].encode()).decode(), tag))

    def _as_evaluated(self, command: Command) -> Command:
        """EVALSHA as the EVAL that it stands for."""
        if command[0] != "EVALSHA":
            return command
        return ("EVAL", self._texts[command[1]], *command[2:])


class ContainerGatewayClient(ContainerClient, GatewayClient):
    """The same through the gateway of one slave."""


class ContainerChaos(Chaos):
    CLIENT, GATEWAY_CLIENT = ContainerClient, ContainerGatewayClient
    SCRIPT_STEPS = SCRIPT_STEPS
    WRITE_BYTES = [WRITE_BYTES, WRITE_BYTES, *LargeChaos.WRITE_BYTES]

    def __init__(self, seed: int, faults: dict[str, int] = FAULTS):
        super().__init__(seed, faults)


class HealingContainerChaos(HealingChaos):
    CLIENT, GATEWAY_CLIENT = ContainerClient, ContainerGatewayClient
    SCRIPT_STEPS = SCRIPT_STEPS


class MovingContainerChaos(MovingChaos):
    CLIENT, GATEWAY_CLIENT = ContainerClient, ContainerGatewayClient
    SCRIPT_STEPS = SCRIPT_STEPS

    def __init__(self, seed: int):
        super().__init__(seed, MOVING_FAULTS)


class ReplicasContainerChaos(ReplicasChaos):
    CLIENT, GATEWAY_CLIENT = ContainerClient, ContainerGatewayClient
    SCRIPT_STEPS = SCRIPT_STEPS

    def __init__(self, seed: int):
        super().__init__(seed, REPLICAS_FAULTS)


KINDS = (ContainerChaos, HealingContainerChaos, MovingContainerChaos, ReplicasContainerChaos)
