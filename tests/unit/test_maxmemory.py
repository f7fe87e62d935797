"""Beyond maxmemory what may need memory is refused before it is proposed; nothing else is."""

from types import SimpleNamespace

import pytest

from distrodb.commands.scripts import FULL_MEMORY
from distrodb.commands.table import DATA_COMMANDS
from distrodb.keyspace.origins import Mark
from distrodb.keyspace.place_number import place_of
from distrodb.keyspace.transaction import EXEC, Condition, pack
from distrodb.resp.reply import ErrorReply
from distrodb.ring.slots import slot_of
from distrodb.slave.dispatch import Dispatch
from distrodb.slave.forwarding.forwarded import Answers, Forwarded, Stream
from distrodb.slave.machine_factory import new_store
from distrodb.slave.maxmemory import OOM, OOM_ABORT, refusal, where_full
from distrodb.slave.on_partitions import Part
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


EVAL, EVAL_RO = [b"eval", b"return 1", b"0"], [b"EVAL_RO", b"return 1", b"0"]
FULL = [b"EVAL_FULL", b"", *EVAL]


@pytest.mark.parametrize("conditions", [[], [Condition(b"token", 1, b"a")]])
def test_that_there_is_no_room_stands_in_the_entry_of_a_script(conditions: list[Condition]) -> None:
    """Else copies would run it with what each of them holds."""
    assert where_full(EVAL) == FULL and where_full(FULL) == FULL
    assert where_full([b"EVAL_AS", b"~*", *EVAL]) == [b"EVAL_FULL", b"~*", *EVAL]
    for args in (GET, EVAL_RO, [b"EVAL_RO_AS", b"~*", *EVAL_RO], [EXEC, b"NOT"]):
        assert where_full(args) == args
    before, after = [(1, GET), (2, EVAL)], [(1, GET), (2, FULL)]
    assert where_full([EXEC, *pack(before, conditions)]) == [EXEC, *pack(after, conditions)]
    assert where_full([EXEC, *pack([(1, GET)], conditions)]) == [
        EXEC,
        *pack([(1, GET)], conditions),
    ]


def test_a_leader_without_room_lets_scripts_run_that_need_none() -> None:
    store, queue = new_store(0, 16383), []
    group = SimpleNamespace(member=SimpleNamespace(is_leader=True), submit=queue.append)
    schedule = SimpleNamespace(touch=lambda partition: None)
    routing = SimpleNamespace()
    dispatch = Dispatch({1: group}, routing, schedule, 1.0)  # type: ignore[arg-type, dict-item]

    def run(*words: bytes) -> object:
        request = Part(words, True, place_of(0, slot_of(b"a")), lambda reply: None)
        dispatch.submit(0.0, request, 1)
        return store.execute(request.place, queue.pop().args, 0)

    grows = b"redis.call('APPEND', KEYS[1], 'x') return 1"
    assert run(b"EVAL", grows, b"1", b"a") == 1
    dispatch.is_full = True
    reply = run(b"EVAL", grows, b"1", b"a")
    assert isinstance(reply, ErrorReply) and reply.text.startswith(OOM.text)
    assert run(b"EVAL", b"return redis.pcall('APPEND', KEYS[1], 'x').err", b"1", b"a") == OOM.text
    assert run(b"EVAL", b"redis.call('DEL', KEYS[1]) " + grows, b"1", b"a") == 1, "it has begun"
    for flags, expected in [
        (b"", FULL_MEMORY),
        (b" flags=", FULL_MEMORY),
        (b" flags=allow-stale", FULL_MEMORY),
        (b" flags=allow-oom", 1),
    ]:
        assert run(b"EVAL", b"#!lua" + flags + b"\n" + grows, b"1", b"a") == expected, flags
    reads = b"#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])"
    assert run(b"EVAL", reads, b"1", b"a") == b"xx"
    library = b"""#!lua name=l
    local function grow(keys) return redis.call('APPEND', keys[1], 'x') end
    redis.register_function('f', grow)
    redis.register_function{function_name = 'g', callback = grow, flags = {'allow-oom'}}"""
    store.execute(place_of(0, -1), [b"FUNCTION", b"LOAD", library], 0)
    assert run(b"FCALL", b"f", b"1", b"a") == FULL_MEMORY and run(b"FCALL", b"g", b"1", b"a") == 3
