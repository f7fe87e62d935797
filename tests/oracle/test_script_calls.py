"""Each command on keys from within a script, beside a real Redis: the reply is made Lua's and back.

What scripts make of replies depends on their kinds, in both protocols of the script; so each family
of commands runs through ``redis.pcall``.
"""

import random

import pytest
from hypothesis import settings

from distrodb.commands.table import COMMANDS, DISPATCHED
from tests.oracle.compare import Words, by_chance, first_difference
from tests.oracle.families import FAMILIES, Family
from tests.oracle.frames import Frame
from tests.oracle.ours import PureServer
from tests.oracle.redis_server import RedisServer

SIZE = 15  # commands of one sequence
SEQUENCES = 8  # a family, in the gate
CALL = b"redis.setresp(%d) return redis.pcall(unpack(ARGV))"
# Of the connection or the server: ours run in no script, nor in Redis what could end it.
WITHOUT = {"connection", "server", "metadata", "databases", "cluster"}
NEWER = {b"ZRANK", b"ZREVRANK"}  # than that Redis, with WITHSCORE


class InScripts:
    """A server whose commands all run through redis.pcall, those that scripts may run."""

    def __init__(self, server: object, protocol: int):
        self._server, self._text = server, CALL % protocol

    def ask_all(self, commands: list[Words]) -> list[Frame]:
        asked = [self._wrapped(words) for words in commands]
        found: list[Frame] = self._server.ask_all(asked)  # type: ignore[attr-defined]
        return found

    def _wrapped(self, words: Words) -> Words:
        row = COMMANDS.get(words[0].upper()) if words else None
        is_direct = row is None or "noscript" in row.flags or not row.arity_ok(words)
        is_direct |= len(words) > 3 and words[0].upper() in NEWER
        return words if is_direct else [b"EVAL", self._text, b"0", *words]


@pytest.mark.parametrize(
    "family", [each for each in FAMILIES if each.name not in WITHOUT], ids=lambda each: each.name
)
def test_a_script_gets_what_redis_gives_it(family: Family, single: RedisServer) -> None:
    theirs, ours = single.connect(), PureServer(is_cluster=False)
    chance = random.Random(7)
    is_gate = settings.get_current_profile_name() == "gate"
    for _ in range(SEQUENCES if is_gate else 20 * SEQUENCES):
        protocol = chance.choice([2, 3])
        found = first_difference(
            InScripts(theirs, protocol),
            InScripts(ours, protocol),
            chance.choice([2, 3]),
            by_chance(family, DISPATCHED, SIZE, chance),
            DISPATCHED,
            family.keys,
        )
        assert found is None, f"setresp({protocol}) {found.story()}"
    theirs.close()
