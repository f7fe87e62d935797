"""No script ends a slave, reaches it, runs for ever, differs between copies or leaves anything."""

import os
import subprocess
import sys

import pytest

from distrodb.resp.reply import ErrorReply, Reply
from distrodb.scripting import runtime as module
from distrodb.scripting.errors import CompileError
from distrodb.scripting.rewrite import rewrite
from distrodb.scripting.runtime import TOO_MUCH, VALUE, Outcome, Runtime, runtime


class Nothing:
    """A partition without keys: each command answers its words."""

    def __init__(self) -> None:
        self.count = 0

    def call(self, words: object) -> "tuple[int, Reply | bytes, int]":
        self.count += 1
        return VALUE, list(words), 300  # type: ignore[call-overload]

    def may(self, words: object) -> bool:
        return True

    def log(self, level: int, text: bytes) -> None: ...

    def seed(self) -> int:
        return 7


def run(text: str | bytes, *args: bytes) -> Outcome:
    script = text if isinstance(text, bytes) else text.encode()
    try:
        return runtime().script(script, [b"k"], args, Nothing())
    except CompileError as problem:
        return Outcome(None, str(problem).encode(), 0, False)


def value(text: str, *args: bytes) -> Reply:
    outcome = run(text, *args)
    assert outcome.error is None, outcome
    return outcome.reply


# -- what it cannot reach --------------------------------------------------------------------------

GONE = [
    *("os", "io", "debug", "package", "require", "dofile", "loadfile", "module", "print"),
    *("newproxy", "setfenv", "getfenv", "python", "lupa", "_ENV", "arg"),
]


@pytest.mark.parametrize("name", GONE)
def test_what_reaches_the_slave_is_not_there(name: str) -> None:
    outcome = run(f"return {name}")
    assert outcome.error is not None and b"nonexistent global variable" in outcome.error
    for text in (f"return _G['{name}']", f"return rawget(_G, '{name}') and 1 or error('none')"):
        assert run(text).error is not None


WRITES = [
    "x = 1",
    "KEYS = 1",
    "_G.x = 1",
    "_G['x'] = 1",
    "rawset(_G, 'x', 1)",
    "rawset(string, 'x', 1)",
    "setmetatable(_G, {})",
    "setmetatable(string, {})",
    "string.rep = nil",
    "redis.call = nil",
    "redis.x = 1",
    "cjson.encode = nil",
    "math.pi = 3",
    "table.insert(string, 1)",
    "table.sort(string)",
    "table.remove(string)",
    "getmetatable('').__index.x = 1",
    "getmetatable('').__index = nil",
    "for k, v in pairs(_G) do _G[k] = nil end",
    "next, t = 1, 2",
]


@pytest.mark.parametrize("text", WRITES)
def test_nothing_that_others_see_can_be_written(text: str) -> None:
    outcome = run(text)
    assert outcome.error is not None and b"readonly table" in outcome.error, outcome


# Each leaves something if it can; afterwards all must be as it was.
LEAVES = [
    "local _, t = pairs(_G) t.x = 1 t.string = nil return 1",
    "local _, t = pairs(string) t.rep = nil return 1",
    "local _, t = pairs(redis) t.call = nil return 1",
    "local t = getmetatable('') if t then t.__index = nil end return 1",
    "local m = getmetatable(_G) if m then m.__newindex = nil m.__index = nil end return 1",
    "local m = getmetatable(string) if m then m.__index = nil end return 1",
    "cjson.encode_number_precision(1) cjson.encode_sparse_array(true) return 1",
    "redis.setresp(3) return 1",
    "math.randomseed(1) return 1",
    "KEYS[1] = 'changed' ARGV[1] = 'changed' return 1",
    "error({err = 'X'})",
    "coroutine.wrap(function() error('x') end)()",
    "coroutine.create(function() coroutine.yield() end) return 1",
    "coroutine.yield(1)",
    "while true do end",
    "local function f() return 1 + f() end return f()",
    "return ('x'):rep(1e9)",
    "local t = {} for i = 1, 1e9 do t[i] = i end",
]
SEES = """
local names = {}
for k in pairs(_G) do names[#names + 1] = k end
table.sort(names)
local more = {}
for _, name in ipairs({'string', 'table', 'math', 'redis', 'cjson', 'bit', 'struct'}) do
  for k in pairs(_G[name]) do more[#more + 1] = name .. '.' .. k end
end
table.sort(more)
return {table.concat(names, ' '), table.concat(more, ' '), KEYS[1], cjson.encode(3.14159),
  math.random(1000000), ('x'):rep(3), redis.call('A'), tostring({}), #ARGV,
  tostring(pcall(cjson.encode, {[1] = 1, [100] = 1}))}
"""


@pytest.mark.parametrize("text", LEAVES)
def test_no_script_leaves_anything_to_the_next_one(text: str) -> None:
    before = value(SEES)
    run(text, b"x")
    assert value(SEES) == before
    module.recycle()
    assert value(SEES) == before, "a new runtime is another one"


@pytest.mark.parametrize(
    "text",
    [
        "return loadstring(string.dump(function() return 1 end))()",
        "return loadstring('\\27Lua')()",
        "return load(function() return '\\27LuaQ' end)()",
        "local f = loadstring('return __distrodb_concat') return f()",
        "return __distrodb_concat",
        "local __distrodb_concat = '' return 'a' .. 'b'",
        "local t = {} t.__mode = 'k' return 1",
        "return setmetatable({}, {__mode = 'k'})",
        "return setmetatable({}, {['__mo' .. 'de'] = 'k'})",
        "local t = setmetatable({}, {}) getmetatable(t)['__mode'] = 'k' return 1",
        "local t = setmetatable({}, {}) rawset(getmetatable(t), '__mode', 'k') return 1",
        'return setmetatable({}, cjson.decode(\'{"__mode":"k"}\'))',
        "return setmetatable({}, cmsgpack.unpack(cmsgpack.pack(cjson.decode('{\"__gc\":1}'))))",
        "local t = {} t[{}] = 1 return 1",
        "local t = {[print] = 1} return 1",
        "local t = {} t[function() end] = 1 return 1",
        "local t = {[{}] = 1} return 1",
        "local t = {} rawset(t, {}, 1) return 1",
        "local t = {} t[coroutine.create(function() end)] = 1 return 1",
        "local t = {} t[cjson.null] = 1 return 1",
    ],
)
def test_what_would_escape_or_differ_is_an_error(text: str) -> None:
    assert run(text).error is not None


def test_no_address_is_told() -> None:
    text = (
        "return {tostring({}), tostring({}), tostring(redis.call), tostring(coroutine.running())}"
    )
    told = value(text)
    assert told == [b"table: 0x00000001", b"table: 0x00000002", b"function: 0x00000003", b"nil"]
    assert value("return tostring(cjson.null)") == b"userdata: (nil)"
    for text in ("error({})", "error(redis.call)", "error(coroutine.create(function() end))"):
        error = run(text).error
        assert error is not None and (b"0x0000" in error or b"0x" not in error)
    assert value("return collectgarbage('count')") == value("return gcinfo()") == 64


def test_nothing_of_python_gets_to_a_script() -> None:
    found = value("""
    local seen = {}
    local function look(v, depth)
      local t = type(v)
      seen[t] = true
      if t == 'userdata' and v ~= cjson.null then error('an object') end
      if t == 'table' and depth < 5 then for k, each in pairs(v) do look(each, depth + 1) end end
      local m = getmetatable(v)
      if type(m) == 'table' and depth < 5 then look(m, depth + 1) end
    end
    look(_G, 1)
    look({redis.call('A', 'B'), redis.pcall('C'), cmsgpack.unpack(cmsgpack.pack({1, {2}}))}, 1)
    look({struct.unpack('i', 'abcd'), bit.band(1, 1), pcall(struct.unpack, 'z')}, 1)
    local names = {}
    for k in pairs(seen) do names[#names + 1] = k end
    table.sort(names)
    return names
    """)
    assert found == [b"boolean", b"function", b"number", b"string", b"table", b"userdata"]


# -- it ends ---------------------------------------------------------------------------------------

LOCALS = ", ".join(f"a{number}" for number in range(59))
ENDLESS = [
    "while true do end",
    "repeat until false",
    "for i = 1, math.huge do end",
    "while true do pcall(function() while true do end end) end",
    "local function f() return pcall(f) or f() end while true do f() end",
    "while true do xpcall(function() while true do end end, function() while true do end end) end",
    "xpcall(function() error('x') end, function(e) while true do end end)",
    "coroutine.wrap(function() while true do end end)()",
    "while true do coroutine.wrap(function() while true do end end)() end",
    "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    "while true do local f = coroutine.wrap(function() for i = 1, 90 do end end) f() end",
    "local f = coroutine.wrap(function() while true do coroutine.yield() end end) "
    "while true do f() end",
    "local s = 'x' while true do s = s .. s end",
    "local s = 'x' while true do s = s:rep(2) end",
    "return ('x'):rep(1e10)",
    "return ('x'):rep(1e300)",
    "local t = {} for i = 1, 100 do t[i] = ('x'):rep(1e6) .. i end return table.concat(t, 'y')",
    "local t = {} for i = 1, 1e9 do t[i] = {} end",
    "local t = {} while true do t[#t + 1] = #t end",
    "local t = {} while true do table.insert(t, 1, 1) end",
    "local t = {} for i = 1, 1e5 do t[i] = i end while true do table.remove(t, 1) end",
    "local t = {} for i = 1, 3e5 do t[i] = i % 7 end table.sort(t) table.sort(t) table.sort(t)",
    "local t = {3, 2, 1} while true do table.sort(t, function(a, b) return true end) end",
    "local function f(...) return f(1, ...) end f()",
    "local function f(n, ...) return f(n, n, n, n, n, n, n, n, ...) end f(1)",
    "local function f(...) local a = {...} return f(unpack(a)) end f(1, 2, 3)",
    "local t = {} for i = 1, 7000 do t[i] = i end while true do local a = {unpack(t)} end",
    "local t = {} for i = 1, 7000 do t[i] = 65 end while true do string.char(unpack(t)) end",
    "local function g(...) while true do local a = select('#', ...) end end "
    "local t = {} for i = 1, 7000 do t[i] = 1 end g(unpack(t))",
    "local function f() return 1 + f() end return f()",
    "local function f() return {f()} end return f()",
    "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k] end "
    "return t.x",
    "local t = {} setmetatable(t, {__index = t, __newindex = t}) while true do t.x = nil end",
    "local t = setmetatable({}, {__tostring = function(s) return tostring(s) end}) "
    "return tostring(t)",
    "local s = ('a'):rep(30) while true do s:find(('a?'):rep(30) .. ('a'):rep(30)) end",
    "return (('a'):rep(30)):find(('a*'):rep(30) .. 'b')",
    "return (('a'):rep(100000)):find('.-b')",
    "return (('a'):rep(100000)):find('.*.*.*b')",
    "return (('a'):rep(100000)):match('(.-)(.-)(.-)b')",
    "return (('('):rep(100000)):find('%b()')",
    "return (('a'):rep(100000)):gsub('a', ('b'):rep(10000))",
    "return (('a'):rep(100000)):gsub('(a+)', ('%1'):rep(1000))",
    "return (('a'):rep(1000)):gsub('', function() return ('x'):rep(1e6) end)",
    "local s = ('ab'):rep(1e5) while true do s:find('aa', 1, true) end",
    "local s = ('a'):rep(1e6) while true do s:find(('a'):rep(5e5) .. 'b', 1, true) end",
    "return ('x'):find(('a?'):rep(1e5))",
    "return ('x'):find(('('):rep(1e5))",
    "while true do ('x'):find('[' .. ('a'):rep(100) .. ']') end",
    "local a, b = ('a'):rep(1e6) .. 'x', ('a'):rep(1e6) .. 'y' while a < b do end",
    "local a = ('1'):rep(1e5) while a + 1 > 0 do end",
    "local a = (' '):rep(1e5) .. '1' while a + 1 > 0 do end",
    "while true do string.format('%s%s%s', ('x'):rep(1e5), ('x'):rep(1e5), ('x'):rep(1e5)) end",
    "while true do string.format('%99d', 1) end",
    "while true do tostring(1) end",
    "while true do loadstring('return 1')() end",
    "while true do loadstring(('x = 1 '):rep(1000)) end",
    "load(function() return 'x = 1 ' end)",
    "local t = {} for i = 1, 1e5 do t['k' .. i] = i end while true do next(t) end",
    "local t = {} for i = 1, 5e4 do t['k' .. i] = i end for k in pairs(t) do t[k] = nil end "
    "while true do next(t) end",
    "local t = {} while true do for k in pairs(t) do end end",
    "local t = {} for i = 1, 1e5 do t[i] = i end while true do cjson.encode(t) end",
    "while true do cjson.decode('[' .. ('1,'):rep(1000) .. '1]') end",
    "local t = {} t[1] = t return cjson.encode(t)",
    "return cjson.decode(('['):rep(1e6))",
    "local t = {} t.t = t while true do cmsgpack.pack(t) end",
    "local t = {} for i = 1, 1e5 do t[i] = i end while true do cmsgpack.pack(t) end",
    "local t, s = {}, ('x'):rep(1e6) for i = 1, 1e4 do t[i] = s end return #cmsgpack.pack(t)",
    "local t = {} for i = 1, 16 do t = {t, t, t, t, t, t} end return #cmsgpack.pack(t)",
    "local t = {} for i = 1, 16 do t = {t, t, t, t, t, t} end return #cjson.encode(t)",
    "while true do cmsgpack.unpack('\\221\\255\\255\\255\\255') end",
    "while true do cmsgpack.pack(('x'):rep(1e6)) end",
    "while true do struct.pack(('b'):rep(1000), 1) end",
    "while true do struct.pack('s', ('x'):rep(1e6)) end",
    "while true do bit.band(1, 2) end",
    "while true do redis.sha1hex(('x'):rep(1e6)) end",
    "while true do redis.call('A') end",
    "while true do redis.pcall('A', ('x'):rep(1e6)) end",
    "while true do pcall(redis.call) end",
    "while true do redis.log(redis.LOG_WARNING, 'x') end",
    "local t = {} for i = 1, 1e6 do t[i] = i end return t",
    "local t = {} for i = 1, 1e5 do t = {t} end return t",
    "local t = {} t[1] = t return t",
    "while true do error() end",
    "while true do pcall(error, {}) end",
    "while true do math.random() end",
    "while true do math.max(1, 2) end",
    "return string.byte(('x'):rep(1e6), 1, -1)",
    "while true do string.reverse(('x'):rep(1e5)) end",
    "while true do string.upper(('\\255'):rep(1e5)) end",
    f"local t = {{}} for i = 1, 1e7 do t[i] = {{{'nil,' * 200}}} end",
    f"local t = {{}} for i = 1, 1e7 do local {LOCALS} t[i] = function() return {LOCALS} end end",
]


@pytest.mark.parametrize("text", ENDLESS)
def test_every_script_ends(text: str) -> None:
    outcome = run(text)
    assert (
        outcome.is_over
        or outcome.error is not None
        or isinstance(outcome.reply, (list, ErrorReply))
    )
    assert runtime().memory_used < 1 << 29, "memory that its work does not account for"


@pytest.mark.parametrize(
    "text",
    [
        "pcall(function() while true do end end) return 'gone on'",
        "xpcall(function() while true do end end, function() end) return 'gone on'",
        "coroutine.resume(coroutine.create(function() while true do end end)) return 'gone on'",
        "pcall(string.rep, 'x', 1e12) return 'gone on'",
        "pcall(function() local s = 'x' while true do s = s .. s end end) return 'gone on'",
        "pcall(pcall, pcall, pcall, function() while true do end end) return 'gone on'",
        "local ok, e = pcall(cjson.decode, '[' .. ('1,'):rep(2e6) .. '1]') return 'gone on'",
        "table.sort({2, 1}, function() while true do end end) return 'gone on'",
        "('x'):gsub('x', function() while true do end end) return 'gone on'",
        "setmetatable({}, {__index = function() while true do end end}).x() return 'gone on'",
    ],
)
def test_no_script_goes_on_behind_its_limit(text: str) -> None:
    outcome = run(text)
    assert outcome.is_over and outcome.error == TOO_MUCH


# -- faults of Lua 5.1 itself ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begins", "name"),
    [
        ("local function f(a, b, c, d, ...) return a end return f()", "user_script:1"),
        ("local t = {}\nfunction t:f(a, b, c, ...) end", "user_script:2"),
        ("error(select(2, loadstring('local function f(a, b, c, d, ...) end', '@x')), 0)", "x:1"),
    ],
)
def test_a_function_that_would_write_behind_its_stack_is_refused(begins: str, name: str) -> None:
    """CVE-2014-5461: with dots, more parameters than arguments, and a stack that is just full."""
    outcome = run(begins)
    why = f"{name}: a function with '...' has 3 other parameters at most"
    assert outcome.error is not None and outcome.error.removeprefix(b"ERR ") == why.encode()


def test_one_with_few_parameters_works_wherever_the_stack_ends() -> None:
    text = """
    local adds = {}
    adds.__add = function(a, b) return setmetatable({}, adds) end
    local function f(a, b, c, ...)
        local x = setmetatable({}, adds)
        x = x + x
        return a == nil and select("#", ...) == 0
    end
    local function deep(n) if n == 0 then return f() end return deep(n - 1) and f() end
    local function wide(n) return unpack({}, 1, n) end
    for n = 1, 300 do if not deep(n % 150) then return n end wide(n) end
    return f() and not f(1)"""
    assert value(text) == 1


@pytest.mark.parametrize("bounds", ["2^31, 2", "-2^31, 2", "1, 2^31", "1/0, 1", "-2^53, 2^53"])
def test_no_bounds_of_unpack_are_reckoned_as_what_they_are_not(bounds: str) -> None:
    outcome = run(f"return {{unpack({{1, 2}}, {bounds})}}")
    refused = b"ERR user_script:1: too many results to unpack"
    assert outcome.reply == [] or outcome.error == refused


def test_a_script_that_gets_no_memory_has_done_more_than_it_may(monkeypatch) -> None:
    monkeypatch.setattr(module, "MEMORY_MAX", 16 << 20)
    text = "local t = {} for i = 1, 1e6 do t[i] = {i} end"
    outcome = Runtime().script(text.encode(), [], [], Nothing())
    assert (outcome.error, outcome.is_over) == (TOO_MUCH, True)


def test_instructions_that_do_much_count_as_more_in_the_whole_text() -> None:
    loop = "local t for i = 1, 1e6 do t = {%s} end return 1"
    assert value(loop % "1") == 1
    assert run(loop % ("nil, " * 50)).is_over
    assert value(loop % "2") == 1, "the text before counts"


# -- the same everywhere ---------------------------------------------------------------------------

# How far a script gets is counted, so that a difference in a single instruction is seen.
COUNTED = """
local n = 0
local t, s = {}, ''
local ok = pcall(function()
  while n < 2000 do
    n = n + 1
    t['k' .. n % 97] = (t['k' .. n % 97] or 0) + n
    s = s .. n
    if #s > 500 then s = s:sub(-20):gsub('%d', '%0.') end
    local order = {}
    for k, v in pairs(t) do order[#order + 1] = k end
    s = s .. #order .. order[1]
    table.sort(order)
    local f = coroutine.wrap(function(a) coroutine.yield(a .. tostring({})) end)
    s = s .. f(n)
  end
end)
local order = {}
for k, v in pairs(t) do order[#order + 1] = k .. '=' .. v end
return {n, s, table.concat(order, ','), cjson.encode(t), tostring({}), math.random(1e9)}
"""
FAR = """
redis.call('A')
local n = 0
while true do
  n = n + 1
  local t = {}
  for i = 1, n % 50 do t[i] = 'x' .. i end
  redis.call('B', table.concat(t, ','), cjson.encode(t))
end
"""


def everything() -> str:
    calls = Nothing()
    found = [repr(run(COUNTED)), repr(runtime().script(FAR.encode(), [], [], calls)), calls.count]
    for text in ENDLESS[::20]:
        calls = Nothing()
        found += [repr(runtime().script(text.encode(), [b"k"], [], calls)), calls.count]
    return repr(found)


def test_two_processes_agree_to_the_last_instruction() -> None:
    code = "from tests.unit.test_script_sandbox import everything; print(everything())"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed, locale in (("0", "C"), ("1", "C.UTF-8"))
    }  # fmt: skip
    run(COUNTED)  # and one that has run other scripts before
    run("return 1")
    assert outputs == {everything() + "\n"}


def test_what_ran_before_makes_no_difference() -> None:
    first = everything()
    for text in LEAVES + ENDLESS[:5]:
        run(text)
    assert everything() == first


# -- texts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "return 'a' .. 'b' -- ..",
        "return [[..]] .. [==[ [k] ]==]",
        "--[[ .. ]] return 1 ..2",
        "local t = {['a'] = 1, [2] = 2, ['b'..'c'] = 3} return t['a']..t[2]..t.bc",
        "local function f(...) return ... end return f('x')",
        "return ({...})[1] == nil and 'none'",
        "return '\\'..\\\\' .. \"\\\"..\"",
        "local a = {{1, 2}, {3, 4}} return a[2][1] .. a[a[1][1]][2]",
        "return 'x\\\ny'",
        "return 1\r\n..\r'y'",
    ],
)
def test_a_text_does_what_it_did_before_it_was_rewritten(text: str) -> None:
    plain = Runtime()._lua.execute(text.encode())
    found = value(text)
    assert found == (plain if isinstance(plain, bytes) else int(plain))


def test_lines_stay() -> None:
    text = b"local t = {}\nt['a' .. 'b'] = [[\n\n]] .. 'x'\n\nlocal a = ...\n"
    assert rewrite(text)[0].count(b"\n") == text.count(b"\n")
    assert run("local x = 1\n\nerror('here')").line == 3


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("return 'x", "user_script:1: unfinished string"),
        ('\n\nreturn "x\ny"', "user_script:3: unfinished string"),
        ("return [[x", "user_script:1: unfinished long string near '<eof>'"),
        ("--[[ x", "user_script:1: unfinished long comment near '<eof>'"),
        ("return é", "user_script:1: unexpected symbol"),
        ("local a\x00b", "user_script:1: unexpected symbol"),
    ],
)
def test_a_text_that_would_be_read_in_two_ways_is_refused(text: str, why: str) -> None:
    _, problem = rewrite(text.encode())
    assert problem is not None and str(problem).startswith(why)
    with pytest.raises(CompileError):
        runtime().compile(text.encode())
