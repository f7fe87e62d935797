"""Libraries of functions: on all copies, made anew for each call, restored as Redis dumps them."""

import pytest

from distrodb.commands import functions as family
from distrodb.commands.functions import library_of
from distrodb.keyspace import scripts as kept
from distrodb.keyspace.store import Store
from distrodb.resp.reply import OK, ErrorReply, SetReply, Status
from distrodb.scripting import runtime as module
from tests.oracle.frames import pack
from tests.unit.session_world import World
from tests.unit.test_acl import logged_in
from tests.unit.test_scripts import ask, new_store, restored, text_of

MYLIB = """#!lua name=mylib
local count = 0
redis.register_function('f1', function(keys, args)
  count = count + 1
  redis.call('SET', keys[1], args[1])
  return {keys[1], args[1], count}
end)
redis.register_function{
  function_name = 'f2', callback = function(keys) return redis.call('GET', keys[1]) end,
  flags = {'no-writes'}, description = 'reads'
}
"""
# What Redis 7.0.15 has dumped of it, which is compressed.
LIST = [
    {
        b"library_name": b"mylib",
        b"engine": b"LUA",
        b"functions": [
            {b"name": b"f1", b"description": None, b"flags": SetReply([])},
            {
                b"name": b"f2",
                b"description": b"reads",
                b"flags": SetReply([Status(b"no-writes")]),
            },
        ],
    }
]


def loaded() -> Store:
    store = new_store()
    assert ask(store, "FUNCTION", "LOAD", MYLIB) == b"mylib"
    return store


def lib(name: str, *functions: str) -> str:
    registers = "redis.register_function('%s', function() return 1 end)"
    return "\n".join([f"#!lua name={name}", *(registers % each for each in functions)])


def test_functions_run_and_leave_nothing_in_their_variables() -> None:
    store = loaded()
    for _ in range(2):
        assert ask(store, "FCALL", "f1", "1", "k", "v") == [b"k", b"v", 1]
    assert ask(store, "FCALL_RO", "f2", "1", "k") == ask(store, "FCALL", "f2", "1", "k") == b"v"
    module.recycle()
    assert ask(store, "FCALL", "f1", "1", "k", "v") == [b"k", b"v", 1]


def test_libraries_are_listed_counted_deleted_and_flushed() -> None:
    store = loaded()
    assert ask(store, "FUNCTION", "LIST") == LIST
    assert ask(store, "FUNCTION", "LIST", "LIBRARYNAME", "x*") == []
    with_code = [LIST[0] | {b"library_code": MYLIB.encode()}]
    assert ask(store, "FUNCTION", "LIST", "withcode", "LIBRARYNAME", "MY*") == with_code
    engines = {b"LUA": {b"libraries_count": 1, b"functions_count": 2}}
    assert ask(store, "FUNCTION", "STATS") == {b"running_script": None, b"engines": engines}
    assert ask(store, "FUNCTION", "DELETE", "mylib") == OK and not store.scripts.library_bytes
    assert text_of(ask(store, "FUNCTION", "DELETE", "mylib")) == "ERR Library not found"
    assert text_of(ask(store, "FCALL", "f1", "0")) == "ERR Function not found"
    ask(store, "FUNCTION", "LOAD", MYLIB)
    assert ask(store, "FUNCTION", "FLUSH", "ASYNC") == OK and ask(store, "FUNCTION", "LIST") == []
    ask(store, "FUNCTION", "LOAD", MYLIB)
    assert ask(store, "FLUSHALL") == OK and ask(store, "FUNCTION", "LIST") == LIST
    assert ask(store, "SCRIPT", "FLUSH") == OK and ask(store, "FUNCTION", "LIST") == LIST


def test_a_snapshot_has_them() -> None:
    store = loaded()
    again = restored(store)
    assert again.digest() == store.digest() and ask(again, "FUNCTION", "LIST") == LIST


@pytest.mark.parametrize(
    ("policy", "before", "names"),
    [
        ("FLUSH", ("mylib", "f9"), [b"mylib"]),
        ("REPLACE", ("mylib", "f9"), [b"mylib"]),
        ("REPLACE", ("other", "f9"), [b"other", b"mylib"]),
        ("APPEND", ("other", "f9"), [b"other", b"mylib"]),
        ("APPEND", ("mylib", "f9"), "ERR Library 'mylib' already exists"),
        ("REPLACE", ("other", "f1"), "ERR Function f1 already exists"),
        ("FLUSH", ("other", "f1"), [b"mylib"]),
    ],
)
def test_a_dump_is_restored(policy: str, before: tuple[str, str], names: list[bytes] | str) -> None:
    payload = ask(loaded(), "FUNCTION", "DUMP")
    store = new_store()
    ask(store, "FUNCTION", "LOAD", lib(*before))
    digest = store.digest()
    reply = ask(store, "FUNCTION", "RESTORE", payload, policy)  # type: ignore[arg-type]
    if isinstance(names, str):
        assert text_of(reply) == names and store.digest() == digest
    else:
        assert reply == OK and [*store.scripts.libraries] == names


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("RESTORE", "xx"), "DUMP payload version or checksum are wrong"),
        (("RESTORE", "xx", "yy"), "Wrong restore policy given, value should be either FLUSH"),
        (("FLUSH", "zz"), "FUNCTION FLUSH only supports SYNC|ASYNC option"),
        (("LIST", "zz"), "Unknown argument zz"),
        (("LIST", "LIBRARYNAME"), "library name argument was not given"),
        (("LOAD", "return 1"), "Missing library metadata"),
        (("LOAD", "zz", MYLIB), "Unknown option given: zz"),
        (("LOAD", "#!lua\nreturn 1"), "Library name was not given"),
        (("LOAD", "#!foo name=x\nreturn 1"), "Engine 'foo' not found"),
        (("LOAD", "#!lua name=x y=2\nreturn 1"), "Invalid metadata value given: y=2"),
        (("LOAD", "#!lua name=x name=y\n"), "Invalid metadata value, name argument was give"),
        (("LOAD", "#!lua name=x-y\nreturn 1"), "Library names can only contain letters, numbers"),
        (("LOAD", "#!lua name=x\nreturn 1"), "No functions registered"),
        (("LOAD", "#!lua name=x"), "Invalid library metadata"),
        (("LOAD", "#!lua name=x\nsyn tax"), "Error compiling function: user_function:2: '=' ex"),
        (
            ("LOAD", "#!lua name=x\nredis.call('get', 'a')"),
            "Error registering functions: ERR user_function:2: Script attempted to access nonexist",
        ),
        (("LOAD", "#!lua name=x\nwhile true do end"), "Error registering functions: the script do"),
        (("LOAD", lib("x", "g-1")), "Error registering functions: ERR Library names can only cont"),
        (("LOAD", lib("x", "g", "g")), "Error registering functions: ERR Function already exists"),
        (("LOAD", lib("x", "f1")), "Function f1 already exists"),
        (("LOAD", MYLIB), "Library 'mylib' already exists"),
        (
            ("LOAD", "#!lua name=x\nredis.register_function('g')"),
            "Error registering functions: ERR calling redis.register_function with a single",
        ),
        (
            ("LOAD", "#!lua name=x\nredis.register_function{function_name = 'g'}"),
            "Error registering functions: ERR redis.register_function must get a callback argument",
        ),
        (
            ("LOAD", lib("x", "g").replace("'g', ", "{function_name = 'g', callback = ").replace(
                "end)", "end, flags = {'zz'}})")),
            "Error registering functions: ERR unknown flag given",
        ),
    ],
)  # fmt: skip
def test_what_is_refused_changes_nothing(words: tuple[str, ...], why: str) -> None:
    store = loaded()
    before = store.digest()
    assert text_of(ask(store, "FUNCTION", *words)).startswith(f"ERR {why}")
    assert store.digest() == before


def test_replacing_and_the_bound_of_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    store = loaded()
    assert ask(store, "FUNCTION", "LOAD", "REPLACE", lib("mylib", "g")) == b"mylib"
    assert ask(store, "FCALL", "g", "0") == 1
    assert text_of(ask(store, "FCALL", "f1", "0")) == "ERR Function not found"
    monkeypatch.setattr(family, "LIBRARY_BYTES_MAX", 200)
    assert "more than 200 bytes together" in text_of(
        ask(store, "FUNCTION", "LOAD", lib("y", "h" * 99))
    )
    assert kept.LIBRARY_BYTES_MAX > 1 << 20


ERRORS = """#!lua name=errors
redis.register_function('e1', function() error('x') end)
redis.register_function('e2', function() return redis.call('nosuch') end)
redis.register_function('e3', function() return KEYS end)
redis.register_function('e4', function() x = 1 end)
redis.register_function('e5', function() redis.register_function('z', function() end) end)
redis.register_function{function_name = 'e6', flags = {'no-writes'},
  callback = function() return redis.call('SET', 'a', 1) end}
redis.register_function('e7', function() redis.call('SET', 'a', 1) while true do end end)
"""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("e1", "ERR user_function:2: x script: e1, on @user_function:2."),
        ("e2", "ERR Unknown Redis command called from script script: e2, on @user_function:3."),
        (
            "e3",
            "ERR user_function:4: Script attempted to access nonexistent global variable 'KEYS'",
        ),
        ("e4", "ERR user_function:5: Attempt to modify a readonly table script: e4"),
        ("e5", "ERR user_function:6: attempt to call field 'register_function' (a nil value)"),
        ("e6", "ERR Write commands are not allowed from read-only scripts. script: e6"),
        ("e7", "ERR the script does more than it may; nothing of it was done script: e7"),
    ],
)
def test_errors_say_where(name: str, why: str) -> None:
    store = new_store()
    ask(store, "FUNCTION", "LOAD", ERRORS)
    assert text_of(ask(store, "FCALL", name, "0")).startswith(why)
    assert ask(store, "GET", "a") is None


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("FCALL", "nosuch", "0"), "Function not found"),
        (("FCALL", "f1", "x"), "Bad number of keys provided"),
        (("FCALL", "f1", "3", "a"), "Number of keys can't be greater than number of args"),
        (("FCALL", "f1", "-1"), "Number of keys can't be negative"),
        (("FCALL_RO", "f1", "0"), "Can not execute a script with write flag using *_ro command."),
    ],
)
def test_calls_that_make_no_sense(words: tuple[str, ...], why: str) -> None:
    assert text_of(ask(loaded(), *words)) == f"ERR {why}"


def test_what_a_text_registers_is_its_own() -> None:
    assert library_of(MYLIB.encode()) == library_of(MYLIB.encode())
    assert isinstance(library_of(b"x"), ErrorReply)


def test_all_partitions_have_them_and_a_function_has_its_caller_s_rights() -> None:
    world = logged_in(b"~a", b"+fcall", b"+get")
    admin = world.service.open_session(world._woken, "admin:1")
    world.session, client = admin, world.session
    assert world.ask(pack([b"FUNCTION", b"LOAD", MYLIB.encode()])) == b"$5\r\nmylib\r\n"
    assert all(store.scripts.libraries for store in world.stores)
    world.session = client
    reply = world.ask(pack([b"FCALL", b"f1", b"1", b"a", b"x"]))
    assert reply.startswith(b"-ERR The user executing the script can't run this command")
    assert world.ask(pack([b"FCALL", b"f2", b"1", b"a"])) == b"$-1\r\n"
    assert world.ask(pack([b"FCALL", b"f2", b"1", b"b"])).startswith(b"-NOPERM")


def test_scripts_that_are_loaded_are_in_all_partitions() -> None:
    world = World()
    sha = world.ask(pack([b"SCRIPT", b"LOAD", b"return 1"]))[5:45]
    assert all(sha in store.scripts for store in world.stores)
    assert world.ask(pack([b"SCRIPT", b"EXISTS", sha])) == b"*1\r\n:1\r\n"
    world.stores[0].scripts.flush()
    assert world.ask(pack([b"SCRIPT", b"EXISTS", sha])) == b"*1\r\n:0\r\n"
    assert world.ask(b"SCRIPT KILL\r\n").startswith(b"-NOTBUSY")
    assert world.ask(b"FUNCTION KILL\r\n").startswith(b"-NOTBUSY")
