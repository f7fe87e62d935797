"""Beyond maxmemory what may need memory is refused before it is proposed; nothing else is."""

from types import SimpleNamespace

import pytest

from distrodb.commands.table import DATA_COMMANDS
from distrodb.keyspace.origins import Mark
from distrodb.keyspace.transaction import EXEC, Condition, pack
from distrodb.slave.dispatch import Dispatch
from distrodb.slave.forwarding.forwarded import Answers, Forwarded, Stream
from distrodb.slave.machine_factory import new_store
from distrodb.slave.maxmemory import OOM, OOM_ABORT, refusal
from tests.support.resp import pack as command
from tests.support.resp import read_replies
from tests.unit.session_world import World

SET, GET, DEL = [b"SET", b"a", b"1"], [b"get", b"a"], [b"Del", b"a"]


def test_the_flag_of_the_row_decides() -> None:
    for name, row in DATA_COMMANDS.items():
        if not row.subcommands:
            assert refusal([name.lower()]) == (OOM if "denyoom" in row.flags else None), name
    assert refusal(SET) == OOM and refusal(GET) == refusal(DEL) == refusal([b"NO_SUCH"]) is None


@pytest.mark.parametrize("conditions", [[], [Condition(b"token", 1, b"a")]])
def test_a_transaction_is_refused_for_any_of_its_commands(conditions: list[Condition]) -> None:
    assert refusal([EXEC, *pack([(1, GET), (1, SET)], conditions)]) == OOM_ABORT
    assert refusal([EXEC, *pack([(1, GET), (1, DEL)], conditions)]) is None
    assert refusal([EXEC, *pack([], conditions)]) is None


def test_behind_a_multi_everything_is_refused_and_exec_fails() -> None:
    world = World()
    world.is_full = True
    asked = [(b"MULTI",), (b"GET", b"a"), (b"PING",), (b"EXEC",), (b"MULTI",), (b"DISCARD",)]
    replies = read_replies(world.ask(b"".join(command(*args) for args in asked)))
    assert [str(getattr(reply, "text", reply)) for reply in replies] == [
        "b'OK'",
        str(OOM.text),
        str(OOM.text),
        "b'EXECABORT Transaction discarded because of previous errors.'",
        "b'OK'",
        "b'OK'",
    ]


def test_what_a_gateway_forwards_again_is_refused_only_if_it_has_not_run() -> None:
    """Its number is kept in the log, since others follow it."""
    store, queue = new_store(0, 16383), []
    group = SimpleNamespace(member=SimpleNamespace(is_leader=True), submit_marked=queue.append)
    schedule = SimpleNamespace(touch=lambda partition: None)
    dispatch = Dispatch({1: group}, None, schedule, 1.0)  # type: ignore[arg-type, dict-item]
    origin = store.origins.open()
    answers = Answers(1 << 20)

    def run(sequence: int) -> object:
        mark: Mark = origin, sequence, 0
        request = Forwarded(answers, Stream("n", 1, 1), 0, 0, [b"INCR", b"a"], mark, True)
        dispatch.submit_marked(request, 1)
        return store.execute_once(mark, 0, queue.pop().args, 0)

    assert run(1) == 1
    dispatch.is_full = True
    assert run(1) == 1, "it ran, and is said not to have"
    assert run(2) == OOM
    dispatch.is_full = False
    assert run(2) == OOM and run(3) == 2
