-- What a script sees of Lua.  Everything that a script can reach is made here; it runs once a
-- runtime, before any script, and gives (setup, compile, run) to Python.
--
-- What always holds:
-- * work is counted, the same on every replica: instructions by a hook, bytes that are copied, and
--   what C functions do; beyond the limit the script ends, and nothing that it does can catch that;
-- * what is reached is read-only, so no script leaves anything to the next one;
-- * nothing tells of addresses, of the collector of garbage, of the clock or of chance.
--
-- Caveat: what counts as work decides whether a script ends, so a change here is one of the format
-- of the log: slaves of two versions would differ (ring/levels.py).
local python, WORK_MAX, DEPTH_MAX, PARAMETERS_MAX, PENDING = ...

local type, error, rawpcall, rawnext = type, error, pcall, next
local rawget, rawset, rawequal, select, unpack = rawget, rawset, rawequal, select, unpack
local setmetatable, getmetatable, setfenv = setmetatable, getmetatable, setfenv
local tonumber, tostring, ipairs, pairs, loadstring = tonumber, tostring, ipairs, pairs, loadstring
local floor, min, max, huge = math.floor, math.min, math.max, math.huge
local sub, byte, find, rep, format, char = string.sub, string.byte, string.find, string.rep, string.format, string.char
local gsub, lower, upper, reverse = string.gsub, string.lower, string.upper, string.reverse
local concat = table.concat
local sethook, getinfo = debug.sethook, debug.getinfo
local dump = string.dump
local co_create, co_resume, co_status, co_yield, co_running =
  coroutine.create, coroutine.resume, coroutine.status, coroutine.yield, coroutine.running
local xpcall = xpcall
local NULL = newproxy()

local PERIOD = 1000 -- instructions between two looks
local LONG = 4096 -- bytes; longer strings make every instruction count more
local LONG_NUMBER = 64 -- the same of strings that look like a number
local NUMBER = "^%s*[+-]?[%d%.]*[eE]?[+-]?%d*%s*"
local HEX = "^%s*[+-]?0[xX][%x%.]*[pP]?[+-]?%d*%s*"
local METATABLES = 8 -- one look into a table may look into as many as there are metatables, up to 100
local SOURCES = { ["@user_script"] = true, ["@user_function"] = true }
local INT_MAX = 2^31 - 1
local ALIKE = 64 -- links of a chain that is looked through; where one is longer all counts more
local SMALL = 65536 -- so far a number as a key is one of a list
local LIMIT = "the script does more than it may"

---------------------------------------------------------------------------------------- counting
local COLLECT_BYTES = 32 * 1024 * 1024
local collectgarbage, allocated = collectgarbage, 0
local work, over, running = 0, false, false
local longest, longest_number, weight, period = 0, 0, 1, PERIOD
local of_text = 1 -- the weight of the heaviest text that runs (scripting/bytecode.py)
local alike, numbers_alike = 0, 0 -- see crowd.py
local metatables, metatable_count = {}, 0 -- never walked
local strings, string_count, numbers, number_count, numbers_seen = {}, 0, {}, 0, {} -- not counted yet
local slots = 0 -- entries that tables may have by now

local function stop(why)
  over = over or why or LIMIT
  error(over, 0)
end

local function charge(n)
  work = work + n
  if over or work > WORK_MAX then stop() end
end

local function tick()
  if not running then return end
  work = work + period * weight
  if over or work > WORK_MAX then stop() end
  if getinfo(DEPTH_MAX, "l") then stop("stack overflow") end
end

-- The collector goes on by how often something is allocated, so large strings outrun it.
local function allocate(n)
  allocated = allocated + n
  if allocated > COLLECT_BYTES then
    allocated = 0
    collectgarbage("collect")
  end
end

local function weigh()
  local now = of_text * (1 + floor(longest / LONG) + floor(longest_number / LONG_NUMBER)
    + floor(alike / ALIKE) + floor(min(metatable_count, 100) / METATABLES))
  if now > weight then
    weight = now
    charge(PERIOD)
    period = max(1, floor(PERIOD / weight))
    sethook(tick, "", period)
  end
end

local function crowded(steps, now, of_numbers)
  charge(steps)
  numbers_alike = of_numbers or numbers_alike
  if now > alike then
    alike = now
    weigh()
  end
end

-- One that Lua may have to look for among others (crowd.py).
local function new(s)
  string_count = string_count + 1
  strings[string_count] = s
  if string_count == PENDING then
    string_count = 0
    crowded(python("strings", unpack(strings, 1, PENDING)))
  end
  return s
end

-- A string that is new to the script: an instruction may compare it, or make a number of it.
local function note(s)
  local n = #s
  if n > LONG_NUMBER then
    allocate(n)
    if n > longest then longest = n end
    if n > longest_number then
      charge(n / 64)
      local _, e = find(s, NUMBER)
      local _, of_hex = find(s, HEX)
      e = max(e, of_hex or 0)
      if e > longest_number then longest_number = e end
    end
    weigh()
  end
  return s
end

-- An error that is the script's, wherever in here it is found.
local function fail(text)
  for level = 2, 20 do
    local info = getinfo(level, "Sl")
    if not info then break end
    if info.currentline > 0 and SOURCES[info.source] then
      error(info.short_src .. ":" .. info.currentline .. ": " .. text, 0)
    end
  end
  error(text, 0)
end

local function fresh(s) -- made by a script, of so many bytes
  charge(#s / 8)
  return new(note(s))
end

local function key(k)
  local t = type(k)
  slots = slots + 1
  if t == "string" then
    if k == "__mode" or k == "__gc" then error("'" .. k .. "' cannot be used here", 2) end
  elseif t == "number" then
    if (k > SMALL or k < 0 or k % 1 ~= 0) and k == k and not numbers_seen[k] then
      numbers_seen[k] = true
      number_count = number_count + 1
      numbers[number_count] = k
      if number_count == PENDING then
        number_count = 0
        crowded(python("numbers", unpack(numbers, 1, PENDING)))
      end
    end
  elseif t ~= "boolean" and t ~= "nil" then
    error("a " .. t .. " cannot be the key of a table: it has no value that is the same everywhere", 2)
  end
  return k
end

local function rest(...)
  local n = select("#", ...)
  if n > 4 then charge(n) end
  return ...
end

-- See rewrite.py: `a .. CONCAT .. b` comes here twice, from the right.
local CONCAT, AGAIN, pending = {}, {}, nil
local function of_concat(a, b)
  if rawequal(a, CONCAT) then
    pending = b
    return AGAIN
  end
  local c = pending
  pending = nil
  local ta, tc = type(a), type(c)
  if (ta == "string" or ta == "number") and (tc == "string" or tc == "number") then
    if ta == "number" then a = new(tostring(a)) end
    if tc == "number" then c = new(tostring(c)) end
    charge((#a + #c) / 8)
    return new(note(a .. c))
  end
  local bad = (ta ~= "string" and ta ~= "number") and a or c
  local with = getmetatable(a)
  local has = ta == "table" and with and with.__concat
  if not has then
    with = getmetatable(c)
    has = tc == "table" and with and with.__concat
  end
  if not has then
    if ta == "string" or ta == "number" then bad = c else bad = a end
    error("attempt to concatenate a " .. type(bad) .. " value", 2)
  end
  return a .. c
end
local concat_meta = { __concat = of_concat, __metatable = false }
setmetatable(CONCAT, concat_meta)
setmetatable(AGAIN, concat_meta)

-- LEN ^ #t: Lua looks for the end of what is no list, key by key.
local LEN = setmetatable({}, {
  __metatable = false,
  __pow = function(_, n)
    charge(16 + 4 * numbers_alike)
    return n
  end,
})

--------------------------------------------------------------------------------- what is read-only
local is_ours = setmetatable({}, { __mode = "k" }) -- never walked
local function readonly() error("Attempt to modify a readonly table", 2) end
local function protect(t)
  local shown = setmetatable({}, { __index = t, __newindex = readonly, __metatable = false })
  is_ours[shown] = t
  return shown
end

------------------------------------------------------------------------------------- basic library
local globals = {}
local env -- what scripts have as their globals

local function bad(n, name, why) error("bad argument #" .. n .. " to '" .. name .. "' (" .. why .. ")", 3) end
local function typename(v, n) if n == 0 then return "no value" end return type(v) end
local function want_table(n, name, t)
  if type(t) ~= "table" then error("bad argument #" .. n .. " to '" .. name .. "' (table expected, got " .. (t == nil and "no value" or type(t)) .. ")", 3) end
  return is_ours[t] or t
end
local function want_string(n, name, s)
  local t = type(s)
  if t == "string" then return s end
  if t == "number" then return tostring(s) end
  error("bad argument #" .. n .. " to '" .. name .. "' (string expected, got " .. (s == nil and "no value" or t) .. ")", 3)
end
local function want_number(n, name, v, default)
  if v == nil and default ~= nil then return default end
  local x = tonumber(v)
  if x == nil or (type(v) ~= "number" and type(v) ~= "string") then
    error("bad argument #" .. n .. " to '" .. name .. "' (number expected, got " .. (v == nil and "no value" or type(v)) .. ")", 3)
  end
  return x
end
local function whole(x) -- as C makes an integer of it
  if x ~= x then return 0 end
  if x >= 9e15 then return 9e15 elseif x <= -9e15 then return -9e15 end
  return x >= 0 and floor(x) or -floor(-x)
end

local function settle(ok, ...)
  if over then error(over, 0) end
  if not ok then
    local e = ...
    if e == "not enough memory" then stop() end
    if type(e) == "table" then
      local err = rawget(e, "err")
      if err ~= nil then return false, err end
    elseif type(e) == "string" then
      new(e)
    end
    return false, e
  end
  return true, ...
end

globals._VERSION = _VERSION
globals.assert, globals.error, globals.type = assert, error, type
globals.ipairs, globals.rawequal, globals.select = ipairs, rawequal, select

function globals.pcall(...)
  if select("#", ...) == 0 then bad(1, "pcall", "value expected") end
  return settle(rawpcall(...))
end

local function handled(handler, ok, ...)
  if over then error(over, 0) end
  if ok then return true, ... end
  local e = ...
  if e == "not enough memory" then stop() end
  if type(e) == "table" then
    local err = rawget(e, "err")
    if err ~= nil then e = err end
  elseif type(e) == "string" then
    new(e)
  end
  return false, handler(e)
end
-- The handler runs behind the error: within it nothing would be counted.
function globals.xpcall(f, handler) return handled(handler, rawpcall(f)) end

function globals.select(n, ...)
  if select("#", ...) > 4 then charge(select("#", ...)) end
  return select(n, ...)
end

function globals.rawget(t, k) return rawget(want_table(1, "rawget", t), key(k)) end
function globals.rawset(t, k, v)
  if is_ours[t] then error("Attempt to modify a readonly table", 0) end
  want_table(1, "rawset", t)
  rawset(t, key(k), v)
  return t
end
function globals.next(t, k)
  local inner = want_table(1, "next", t)
  if k == nil then charge(slots / 8) end
  return rawnext(inner, k)
end
local function script_next(t, k) return rawnext(t, k) end
function globals.pairs(t)
  local inner = want_table(1, "pairs", t)
  charge(slots / 8)
  if inner ~= t then -- of ours a copy is walked: the table itself is nobody's
    t = {}
    for k, v in rawnext, inner do
      if sub(k, 1, 2) ~= "__" then t[k] = v end
    end
  end
  return script_next, t, nil
end
function globals.getmetatable(t)
  if type(t) == "string" then return protect({ __index = env.string }) end
  return getmetatable(t)
end
function globals.setmetatable(t, m)
  if is_ours[t] then error("Attempt to modify a readonly table", 0) end
  if type(t) ~= "table" then want_table(1, "setmetatable", t) end
  if m ~= nil and type(m) ~= "table" then error("bad argument #2 to 'setmetatable' (nil or table expected)", 2) end
  if m and (rawget(m, "__mode") or rawget(m, "__gc")) then error("'__mode' cannot be used here", 2) end
  if m and not metatables[m] then
    metatables[m] = true
    metatable_count = metatable_count + 1
    weigh()
  end
  return setmetatable(t, m)
end
function globals.tonumber(v, base)
  if type(v) == "string" then charge(#v / 32) end
  if base == nil then return tonumber(v) end
  return tonumber(v, base)
end
local names, named = setmetatable({}, { __mode = "k" }), 0 -- never walked
function globals.tostring(...)
  if select("#", ...) == 0 then error("bad argument #1 to 'tostring' (value expected)", 2) end
  local v = ...
  local t = type(v)
  if t == "string" then return v end
  if t == "number" or t == "boolean" or t == "nil" then return tostring(v) end
  if rawequal(v, NULL) then return "userdata: (nil)" end
  local m = getmetatable(v)
  if type(m) == "table" and rawget(m, "__tostring") ~= nil then return (rawget(m, "__tostring")(v)) end
  charge(20)
  if not names[v] then
    named = named + 1
    names[v] = named
  end
  return t .. format(": 0x%08x", names[v])
end
function globals.unpack(t, i, j)
  t = want_table(1, "unpack", t)
  i = whole(want_number(2, "unpack", i, 1))
  j = whole(want_number(3, "unpack", j, #t))
  if j < i then return end
  -- Lua itself adds and subtracts these as C's int, without a look at whether they fit.
  if j - i >= 7990 or i < -INT_MAX or j > INT_MAX then error("too many results to unpack", 2) end
  charge((j - i + 1) * weight)
  return unpack(t, i, j)
end
function globals.collectgarbage(what)
  if what == "count" then return 64 end
  return 0
end
function globals.gcinfo() return 64 end

local WEIGHT = python("name", "weight")
globals[WEIGHT] = function(n)
  if n > of_text then
    of_text = n
    weigh()
  end
end
local function compile(text, name)
  local f, problem = loadstring(text, name)
  if not f then return nil, problem end
  local code, number = python("bytecode", dump(f))
  if not code then
    return nil, getinfo(f, "S").short_src .. ":" .. number .. ": a function with '...' has " .. PARAMETERS_MAX .. " other parameters at most"
  end
  if number > 1 then
    code = python("bytecode", dump(loadstring(WEIGHT .. "(" .. number .. "); " .. text, name)))
  end
  return setfenv(loadstring(code, name), env)
end
local function loaded(text, name)
  local ok, changed, steps, now = python("rewrite", text)
  if changed == nil then stop() end
  crowded(steps, now)
  if not ok then return nil, changed end
  return compile(changed, name or text)
end
function globals.loadstring(text, name)
  text = want_string(1, "loadstring", text)
  charge(#text * 16)
  if name ~= nil then name = want_string(2, "loadstring", name) end
  return loaded(text, name)
end
function globals.load(reader, name)
  local pieces, n = {}, 0
  while true do
    local piece = reader()
    if piece == nil or piece == "" then break end
    if type(piece) ~= "string" then return nil, "reader function must return a string" end
    n = n + 1
    pieces[n] = piece
    charge(#piece * 16)
  end
  return loaded(concat(pieces), name or "=(load)")
end

---------------------------------------------------------------------------------------- coroutines
local period_of = setmetatable({}, { __mode = "k" }) -- never walked
local function resume(co, ...)
  charge(50 + select("#", ...))
  if period_of[co] ~= period then
    charge(PERIOD)
    period_of[co] = period
    sethook(co, tick, "", period)
  end
  return co_resume(co, ...)
end
local function create(f)
  if type(f) ~= "function" then error("bad argument #1 to 'create' (Lua function expected)", 3) end
  charge(PERIOD)
  local co = co_create(f)
  return co
end
local function resumed(ok, ...)
  if over then error(over, 0) end
  if not ok then error((...), 0) end
  return ...
end
local lib_coroutine = {
  create = create,
  status = co_status,
  running = co_running,
  yield = co_yield,
}
function lib_coroutine.resume(co, ...)
  if type(co) ~= "thread" then error("bad argument #1 to 'resume' (coroutine expected)", 2) end
  return settle(resume(co, ...))
end
function lib_coroutine.wrap(f)
  local co = create(f)
  return function(...) return resumed(resume(co, ...)) end
end

-------------------------------------------------------------------------------------------- tables
local lib_table = { getn = table.getn, setn = table.setn }
local maxn = table.maxn
function lib_table.maxn(t)
  t = want_table(1, "maxn", t)
  charge(slots / 4)
  return maxn(t)
end
function lib_table.insert(t, ...)
  if is_ours[t] then error("Attempt to modify a readonly table", 2) end
  want_table(1, "insert", t)
  local count, n = select("#", ...), #t + 1
  slots = slots + 1
  if count == 1 then
    t[n] = (...)
  elseif count == 2 then
    local at, v = ...
    at = whole(want_number(2, "insert", at))
    if at > n then n = key(at) end
    charge(max(0, n - at) / 2)
    for i = n, at + 1, -1 do t[i] = t[i - 1] end
    t[at] = v
  else
    error("wrong number of arguments to 'insert'", 2)
  end
end
function lib_table.remove(t, at)
  if is_ours[t] then error("Attempt to modify a readonly table", 2) end
  want_table(1, "remove", t)
  local n = #t
  at = whole(want_number(2, "remove", at, n))
  if not (1 <= at and at <= n) then return end
  local v = t[at]
  for i = at, n - 1 do t[i] = t[i + 1] end
  t[n] = nil
  return v
end
function lib_table.concat(t, separator, i, j)
  t = want_table(1, "concat", t)
  separator = separator == nil and "" or want_string(2, "concat", separator)
  i = whole(want_number(3, "concat", i, 1))
  j = whole(want_number(4, "concat", j, #t))
  local bytes = 0
  for at = i, j do
    local v = rawget(t, at)
    local kind = type(v)
    if kind == "string" then bytes = bytes + #v
    elseif kind == "number" then bytes = bytes + 16
    else fail("invalid value (" .. (v == nil and "nil" or kind) .. ") at index " .. at .. " in table for 'concat'") end
  end
  if j >= i then bytes = bytes + #separator * (j - i) end
  charge(bytes / 8 + (j - i) * (weight - 1))
  return new(note(concat(t, separator, i, j)))
end
function lib_table.foreach(t, f)
  for k, v in globals.pairs(t) do
    local r = f(k, v)
    if r ~= nil then return r end
  end
end
function lib_table.foreachi(t, f)
  for i = 1, #t do
    local r = f(i, t[i])
    if r ~= nil then return r end
  end
end
-- Lua's own algorithm (ltablib.c), so that the same order comes of it, in Lua: it is counted.
local function auxsort(a, lo, up, less)
  while lo < up do
    if less(a[up], a[lo]) then a[lo], a[up] = a[up], a[lo] end
    if up - lo == 1 then break end
    local i = floor((lo + up) / 2)
    if less(a[i], a[lo]) then
      a[i], a[lo] = a[lo], a[i]
    elseif less(a[up], a[i]) then
      a[i], a[up] = a[up], a[i]
    end
    if up - lo == 2 then break end
    local p = a[i]
    a[i], a[up - 1] = a[up - 1], a[i]
    local j
    i, j = lo, up - 1
    while true do
      i = i + 1
      while less(a[i], p) do
        if i > up then fail("invalid order function for sorting") end
        i = i + 1
      end
      j = j - 1
      while less(p, a[j]) do
        if j < lo then fail("invalid order function for sorting") end
        j = j - 1
      end
      if j < i then break end
      a[i], a[j] = a[j], a[i]
    end
    a[up - 1], a[i] = a[i], a[up - 1]
    if i - lo < up - i then
      j = lo
      i = i - 1
      lo = i + 2
    else
      j = i + 1
      i = up
      up = j - 2
    end
    auxsort(a, j, i, less)
  end
end
local function lesser(a, b) return a < b end
function lib_table.sort(t, less)
  if is_ours[t] then error("Attempt to modify a readonly table", 2) end
  want_table(1, "sort", t)
  if less ~= nil and type(less) ~= "function" then
    error("bad argument #2 to 'sort' (function expected, got " .. type(less) .. ")", 2)
  end
  auxsort(t, 1, #t, less or lesser)
end

------------------------------------------------------------------------------------------- strings
local lib_string = { len = string.len }
local function range(s, i, j) -- as string.sub reads it
  local n = #s
  if i < 0 then i = max(1, n + i + 1) elseif i == 0 then i = 1 end
  if j < 0 then j = n + j + 1 elseif j > n then j = n end
  return i, j
end
function lib_string.sub(s, i, j)
  s = want_string(1, "sub", s)
  return fresh(sub(s, want_number(2, "sub", i), want_number(3, "sub", j, -1)))
end
function lib_string.rep(s, n)
  s, n = want_string(1, "rep", s), whole(want_number(2, "rep", n))
  if n <= 0 then return "" end
  charge(n * #s / 8 + n / 8)
  return new(note(rep(s, n)))
end
function lib_string.reverse(s) return fresh(reverse(want_string(1, "reverse", s))) end
function lib_string.lower(s) -- of ASCII alone, whatever the locale
  s = want_string(1, "lower", s)
  charge(#s / 8)
  if find(s, "[\128-\255]") then s = python("lower", s) else s = lower(s) end
  return fresh(s)
end
function lib_string.upper(s)
  s = want_string(1, "upper", s)
  charge(#s / 8)
  if find(s, "[\128-\255]") then s = python("upper", s) else s = upper(s) end
  return fresh(s)
end
function lib_string.byte(s, i, j)
  s = want_string(1, "byte", s)
  i = whole(want_number(2, "byte", i, 1))
  j = whole(want_number(3, "byte", j, i))
  local from, to = range(s, i, j)
  if to - from > 4 then
    if to - from >= 7990 then error("string slice too long", 2) end
    charge(to - from)
  end
  return byte(s, i, j)
end
function lib_string.char(...)
  local n = select("#", ...)
  charge(n)
  local ok, r = rawpcall(char, ...)
  if not ok then fail((gsub(r, "'%?'", "'char'"))) end
  return fresh(r)
end
function lib_string.format(f, ...)
  f = want_string(1, "format", f)
  local n, bytes = select("#", ...), #f * 4
  for i = 1, n do
    local v = (select(i, ...))
    local kind = type(v)
    if kind == "string" then bytes = bytes + #v * 4
    elseif kind == "number" and (v > 1e15 or v < -1e15) then bytes = bytes + 8000 -- all its digits
    else bytes = bytes + 400 end
  end
  charge(bytes / 8 + n * n)
  local ok, r = rawpcall(format, f, ...)
  if not ok then
    if over then error(over, 0) end
    fail((gsub(r, "'%?'", "'format'")))
  end
  return fresh(r)
end

-- Patterns.  Lua's own matcher takes a time that is exponential in the quantifiers, and its own
-- stack for each item, so it is used where that is little; else the same algorithm in Lua, counted.
local SPECIALS = "[%^%$%*%+%?%.%(%[%%%-]"
local NATIVE_MAX, PATTERN_MAX = 64000, 200
local plans = {} -- of this script, by pattern
local function plan(p)
  local found = plans[p]
  if found then return found end
  local anchored = byte(p) == 94
  local quantifiers, at, n, last = 0, anchored and 2 or 1, #p, 0
  while at <= n do
    local c = byte(p, at)
    if c == 37 then
      local d = byte(p, at + 1)
      if d == 98 then quantifiers, last, at = quantifiers + 1, at, at + 2
      elseif d == 102 then last = at end
      at = at + 2
    elseif c == 91 then -- a set: up to its end, at least one character
      at = at + 1
      if byte(p, at) == 94 then at = at + 1 end
      repeat
        local d = byte(p, at)
        at = at + 1
        if d == 37 then at = at + 1 end
      until at > n or byte(p, at) == 93
      at = at + 1
    else
      if c == 42 or c == 43 or c == 45 or c == 63 then quantifiers, last = quantifiers + 1, at end
      at = at + 1
    end
  end
  -- One greedy quantifier with nothing to be matched behind it is never gone back from.
  local tail = sub(p, last + 1)
  local is_linear = quantifiers == 0 and n < 20
    or quantifiers == 1 and last > 0 and (byte(p, last) == 42 or byte(p, last) == 43) and (tail == "" or tail == ")")
  found = { quantifiers, anchored, is_linear, n <= PATTERN_MAX }
  plans[p] = found
  return found
end

local isalpha = function(c) return c >= 65 and c <= 90 or c >= 97 and c <= 122 end
local isdigit = function(c) return c >= 48 and c <= 57 end
local islower = function(c) return c >= 97 and c <= 122 end
local isupper = function(c) return c >= 65 and c <= 90 end
local classes = {
  a = isalpha, d = isdigit, l = islower, u = isupper,
  c = function(c) return c < 32 or c == 127 end,
  p = function(c) return c >= 33 and c <= 47 or c >= 58 and c <= 64 or c >= 91 and c <= 96 or c >= 123 and c <= 126 end,
  s = function(c) return c >= 9 and c <= 13 or c == 32 end,
  w = function(c) return isalpha(c) or isdigit(c) end,
  x = function(c) return isdigit(c) or c >= 65 and c <= 70 or c >= 97 and c <= 102 end,
  z = function(c) return c == 0 end,
}
local function single(c, class) -- class: the character behind a %
  local name = char(class)
  local f = classes[lower(name)]
  if not f then return c == class end
  local r = f(c)
  if isupper(class) then return not r end
  return r
end

local function matcher(s, p) -- lstrlib.c's match, for one subject and pattern
  local n, m = #s, #p
  local starts, lengths, level = {}, {}, 0
  local depth = 0
  local function class_end(at)
    local c = byte(p, at)
    at = at + 1
    if c == 37 then
      if at > m then fail("malformed pattern (ends with '%')") end
      return at + 1
    elseif c == 91 then
      if byte(p, at) == 94 then at = at + 1 end
      repeat
        if at > m then fail("malformed pattern (missing ']')") end
        local d = byte(p, at)
        at = at + 1
        if d == 37 and at <= m then at = at + 1 end
      until byte(p, at) == 93
      return at + 1
    end
    return at
  end
  local function in_set(c, at, to) -- at: of the [, to: of the ]
    local yes = true
    if byte(p, at + 1) == 94 then
      yes = false
      at = at + 1
    end
    at = at + 1
    while at < to do
      local d = byte(p, at)
      if d == 37 then
        at = at + 1
        if single(c, byte(p, at)) then return yes end
      elseif byte(p, at + 1) == 45 and at + 2 < to then
        if d <= c and c <= byte(p, at + 2) then return yes end
        at = at + 2
      elseif d == c then
        return yes
      end
      at = at + 1
    end
    return not yes
  end
  local function fits(i, at, to) -- the character at i, the item from at up to before to
    local c, d = byte(s, i), byte(p, at)
    if d == 46 then return true end
    if d == 37 then return single(c, byte(p, at + 1)) end
    if d == 91 then return in_set(c, at, to - 1) end
    return c == d
  end
  local match
  local function captured(i, at, open)
    level = level + 1
    if level > 32 then fail("too many captures") end
    starts[level], lengths[level] = i, open
    local r = match(i, at)
    if not r then level = level - 1 end
    return r
  end
  function match(i, at)
    depth = depth + 1
    if depth > 180 then fail("pattern too complex") end
    while true do
      if at > m then depth = depth - 1 return i end
      local d = byte(p, at)
      if d == 40 then
        local r
        if byte(p, at + 1) == 41 then r = captured(i, at + 2, -2) else r = captured(i, at + 1, -1) end
        depth = depth - 1
        return r
      elseif d == 41 then
        local l = 0
        for k = level, 1, -1 do if lengths[k] == -1 then l = k break end end
        if l == 0 then fail("invalid pattern capture") end
        lengths[l] = i - starts[l]
        local r = match(i, at + 1)
        if not r then lengths[l] = -1 end
        depth = depth - 1
        return r
      elseif d == 36 and at == m then
        depth = depth - 1
        return i == n + 1 and i or nil
      end
      local e = d == 37 and byte(p, at + 1)
      if e == 98 then
        if at + 3 > m then fail("unbalanced pattern") end
        local open, close, count, k = byte(p, at + 2), byte(p, at + 3), 1, i + 1
        if byte(s, i) ~= open then depth = depth - 1 return nil end
        while true do
          if k > n then depth = depth - 1 return nil end
          local c = byte(s, k)
          k = k + 1
          if c == close then
            count = count - 1
            if count == 0 then break end
          elseif c == open then
            count = count + 1
          end
        end
        i, at = k, at + 4
      elseif e == 102 then
        at = at + 2
        if byte(p, at) ~= 91 then fail("missing '[' after '%f' in pattern") end
        local to = class_end(at)
        local before = i == 1 and 0 or byte(s, i - 1)
        if in_set(before, at, to - 1) or not in_set(byte(s, i) or 0, at, to - 1) then depth = depth - 1 return nil end
        at = to
      elseif e and e >= 48 and e <= 57 then
        local l = e - 48
        if l < 1 or l > level or lengths[l] == -1 then fail("invalid capture index") end
        local k = max(0, lengths[l])
        charge(k / 8)
        if n - i + 1 < k or sub(s, starts[l], starts[l] + k - 1) ~= sub(s, i, i + k - 1) then depth = depth - 1 return nil end
        i, at = i + k, at + 2
      else
        local to = class_end(at)
        local q = byte(p, to)
        if q == 63 then
          if i <= n and fits(i, at, to) then
            local r = match(i + 1, to + 1)
            if r then depth = depth - 1 return r end
          end
          at = to + 1
        elseif q == 42 or q == 43 then
          local k = 0
          while i + k <= n and fits(i + k, at, to) do k = k + 1 end
          local least = q == 43 and 1 or 0
          while k >= least do
            local r = match(i + k, to + 1)
            if r then depth = depth - 1 return r end
            k = k - 1
          end
          depth = depth - 1
          return nil
        elseif q == 45 then
          while true do
            local r = match(i, to + 1)
            if r then depth = depth - 1 return r end
            if i <= n and fits(i, at, to) then i = i + 1 else depth = depth - 1 return nil end
          end
        else
          if not (i <= n and fits(i, at, to)) then depth = depth - 1 return nil end
          i, at = i + 1, to
        end
      end
    end
  end
  local function capture(k)
    if lengths[k] == -2 then return starts[k] end
    if lengths[k] == -1 then fail("unfinished capture") end
    return sub(s, starts[k], starts[k] + lengths[k] - 1)
  end
  local function captures(k)
    if k > level then return end
    return capture(k), captures(k + 1)
  end
  return function(init, anchored)
    local at = anchored and 2 or 1
    repeat
      level, depth = 0, 0
      local e = match(init, at)
      if e then return init, e - 1, captures(1) end
      init = init + 1
    until init > n + 1 or anchored
  end
end

local function found(ok, ...)
  if not ok then fail((...)) end
  return ...
end

-- A finder for a subject and a pattern: from a position, begin and end and captures of the next
-- match.  `anchored` patterns match there or nowhere.
local function finder(s, p)
  local the = plan(p)
  local metered
  local quantifiers, anchored, is_linear, is_short = the[1], the[2], the[3], the[4]
  return function(init)
    local n = #s - init + 2
    local steps = n
    if not is_linear then
      steps = n ^ (quantifiers + (anchored and 0 or 1)) * 2 ^ min(quantifiers, 8)
      if quantifiers == 0 then steps = n * (anchored and 1 or min(#p, 16)) end
    end
    if is_short and steps <= NATIVE_MAX then
      charge(2 + steps / 64)
      return found(rawpcall(find, s, p, init))
    end
    if is_linear and is_short then
      charge(2 + n / 4)
      return found(rawpcall(find, s, p, init))
    end
    metered = metered or matcher(s, p)
    return metered(init, anchored)
  end
end
local function noted(b, ...) -- captures are strings that are new
  for i = 2, select("#", ...) do
    local v = (select(i, ...))
    if type(v) == "string" then fresh(v) end
  end
  return b, ...
end
local function start(s, init, name)
  init = whole(want_number(3, name, init, 1))
  if init < 0 then init = max(1, #s + init + 1) elseif init == 0 then init = 1 end
  return init
end
local function plain_find(s, p, init)
  local n, m = #s - init + 1, #p
  if n * m > 1000000 then
    charge(n / 8 + m / 8)
    return python("find", s, p, init)
  end
  charge(2 + n / 32 + n * m / 2048)
  return find(s, p, init, true)
end
function lib_string.find(s, p, init, plain)
  s, p = want_string(1, "find", s), want_string(2, "find", p)
  init = start(s, init, "find")
  init = min(init, #s + 1)
  if plain or (#p > 0 and not find(p, SPECIALS)) then return plain_find(s, p, init) end
  return noted(finder(s, p)(init))
end
function lib_string.match(s, p, init)
  s, p = want_string(1, "match", s), want_string(2, "match", p)
  init = min(start(s, init, "match"), #s + 1)
  local function whole_match(b, e, ...)
    if b == nil then return nil end
    if select("#", ...) == 0 then return fresh(sub(s, b, e)) end
    return ...
  end
  return whole_match(noted(finder(s, p)(init)))
end
function lib_string.gmatch(s, p)
  s, p = want_string(1, "gmatch", s), want_string(2, "gmatch", p)
  -- In gmatch a ^ is no anchor.
  local look = byte(p) == 94 and matcher(s, p) or finder(s, p)
  local at = 1
  local function step(b, e, ...)
    if b == nil then
      at = #s + 2
      return nil
    end
    at = e < b and e + 2 or e + 1
    if select("#", ...) == 0 then return fresh(sub(s, b, e)) end
    return ...
  end
  return function()
    if at > #s + 1 then return nil end
    return step(noted(look(at)))
  end
end
lib_string.gfind = lib_string.gmatch
function lib_string.gsub(s, p, r, limit)
  s, p = want_string(1, "gsub", s), want_string(2, "gsub", p)
  local kind = type(r)
  if kind == "number" then r, kind = tostring(r), "string" end
  if kind ~= "string" and kind ~= "table" and kind ~= "function" then
    error("bad argument #3 to 'gsub' (string/function/table expected)", 2)
  end
  if kind == "table" then r = is_ours[r] or r end
  limit = limit == nil and #s + 1 or whole(want_number(4, "gsub", limit))
  local the = plan(p)
  local anchored = the[2]
  local look = finder(s, p)
  local pieces, count, n, at, copied = {}, 0, 0, 1, 1
  local function put(piece)
    if piece ~= "" then
      charge(#piece / 8 + 1)
      n = n + 1
      pieces[n] = new(piece)
    end
  end
  local has_escape = kind == "string" and find(r, "%", 1, true)
  local function value(b, e, ...)
    local found = sub(s, b, e)
    local first = ...
    if select("#", ...) == 0 then first = found end
    if kind == "string" then
      if not has_escape then return r end
      local out, k, from = {}, 0, 1
      local captures = { ... }
      while true do
        local mark = find(r, "%", from, true)
        if not mark then break end
        charge((mark - from) / 8 + 2)
        k = k + 1
        out[k] = new(sub(r, from, mark - 1))
        local c = byte(r, mark + 1)
        k = k + 1
        if c == nil then
          out[k] = "\0"
        elseif c == 48 then
          charge(#found / 8)
          out[k] = found
        elseif c >= 49 and c <= 57 then
          local v = captures[c - 48]
          if c == 49 and #captures == 0 then v = found end
          if v == nil then fail("invalid capture index") end
          if type(v) == "string" then charge(#v / 8) end
          out[k] = v
        else
          out[k] = char(c)
        end
        from = mark + 2
      end
      out[k + 1] = sub(r, from)
      return concat(out)
    elseif kind == "table" then
      return r[first], found
    elseif select("#", ...) == 0 then
      return r(found), found
    end
    return r(...), found
  end
  local function settle_value(v, found)
    if not v then return found end
    local t = type(v)
    if t ~= "string" and t ~= "number" then fail("invalid replacement value (a " .. t .. ")") end
    return v .. ""
  end
  local function step(b, e, ...)
    if b == nil then return false end
    count = count + 1
    put(sub(s, copied, b - 1))
    put(settle_value(value(b, e, ...)))
    copied = e + 1
    if e >= b then
      at = e + 1
    else -- an empty match: the character is copied, and looked at no more
      if b <= #s then put(sub(s, b, b)) end
      copied, at = b + 1, b + 1
    end
    return true
  end
  while count < limit and at <= #s + 1 do
    if not step(look(at)) or anchored then break end
  end
  put(sub(s, copied))
  return fresh(concat(pieces)), count
end
function lib_string.dump() error("unable to dump given function", 2) end

-------------------------------------------------------------------------------------------- numbers
local lib_math = {}
for name, f in pairs(math) do lib_math[name] = f end
for _, name in ipairs({ "max", "min" }) do
  local f = math[name]
  lib_math[name] = function(...)
    charge(select("#", ...))
    return f(...)
  end
end
function lib_math.random(...)
  charge(50)
  local n, u = select("#", ...), python("random") / 2147483647
  if n == 0 then return u end
  local a, b = ...
  if n == 1 then
    b = whole(want_number(1, "random", a))
    if b < 1 then bad(1, "random", "interval is empty") end
    return floor(u * b) + 1
  elseif n == 2 then
    a, b = whole(want_number(1, "random", a)), whole(want_number(2, "random", b))
    if a > b then bad(2, "random", "interval is empty") end
    return floor(u * (b - a + 1)) + a
  end
  error("wrong number of arguments", 2)
end
function lib_math.randomseed(n) python("randomseed", want_number(1, "randomseed", n)) end

---------------------------------------------------------------------------------------- what is seen
local libraries = {
  string = lib_string, table = lib_table, math = lib_math, coroutine = lib_coroutine,
}
for name, library in pairs(libraries) do globals[name] = protect(library) end
globals[python("name", "concat")] = CONCAT
globals[python("name", "key")] = key
globals[python("name", "rest")] = rest
globals[python("name", "len")] = LEN
env = setmetatable({}, { __index = globals, __newindex = readonly, __metatable = false })
is_ours[env] = globals
globals._G = env
-- Strings find their methods here; the table itself cannot be reached.
getmetatable("").__index = lib_string
getmetatable("").__metatable = false
setmetatable(globals, {
  __index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
})

local kit = {
  new = new, crowded = crowded,
  python = python, charge = charge, fresh = fresh, note = note, stop = stop, protect = protect,
  globals = globals, NULL = NULL, is_ours = is_ours, env = env,
  settle = settle, getinfo = getinfo, fail = fail, over = function() return over end,
  allocate = allocate,
  SOURCES = SOURCES,
  grown = function(n) slots = slots + n end,
}


-- Where an error came from: the line of the script that was running.
local line_of_error = 0
local function handler(e)
  running = false
  line_of_error = 0
  for level = 2, 12 do
    local info = getinfo(level, "Sl")
    if not info then break end
    if SOURCES[info.source] and info.currentline > 0 then
      line_of_error = info.currentline
      break
    end
  end
  return e
end

local function begin()
  work, over, running, allocated = 0, false, true, 0
  alike, numbers_alike, string_count, number_count = 0, 0, 0, 0
  strings, numbers, numbers_seen = {}, {}, {}
  metatables, metatable_count = {}, 0
  longest, longest_number, weight, period, of_text = 0, 0, 1, PERIOD, 1
  slots, pending, named = 0, nil, 0
  names, plans = setmetatable({}, { __mode = "k" }), {} -- nothing is known of other scripts
  sethook(tick, "", PERIOD)
end

-- The reply that a value is, in pieces: kinds and values, one after another.
local DEEP = 28 -- arrays within each other: resp/plain.py keeps no deeper reply
local function flatten(v, out, depth)
  local t, n = type(v), #out
  if t == "string" then
    out[n + 1], out[n + 2] = "$", v
  elseif t == "number" then
    out[n + 1], out[n + 2] = ":", v
  elseif t == "boolean" then
    out[n + 1], out[n + 2] = "#", v
  elseif t ~= "table" then
    out[n + 1], out[n + 2] = "_", 0
  else
    if depth > DEEP then
      out[n + 1], out[n + 2] = "-", "ERR reached lua stack limit"
      return
    end
    v = is_ours[v] or v
    local x = rawget(v, "err")
    if type(x) == "string" then out[n + 1], out[n + 2] = "-", x return end
    x = rawget(v, "ok")
    if type(x) == "string" then out[n + 1], out[n + 2] = "+", x return end
    x = rawget(v, "double")
    if type(x) == "number" then -- that of -0 would be lost on the way
      out[n + 1], out[n + 2] = ",", (x == 0 and 1 / x < 0) and "-0" or x
      return
    end
    x = rawget(v, "map")
    if type(x) == "table" then
      local count = 0
      out[n + 1], out[n + 2] = "%", 0
      for k, each in rawnext, x do
        count = count + 1
        flatten(k, out, depth + 1)
        flatten(each, out, depth + 1)
      end
      out[n + 2] = count
      return
    end
    x = rawget(v, "set")
    if type(x) == "table" then
      local count = 0
      out[n + 1], out[n + 2] = "~", 0
      for k in rawnext, x do
        count = count + 1
        flatten(k, out, depth + 1)
      end
      out[n + 2] = count
      return
    end
    x = rawget(v, "big_number")
    if type(x) == "string" then out[n + 1], out[n + 2] = "(", x return end
    x = rawget(v, "verbatim_string")
    if type(x) == "table" then
      local text, kind = rawget(x, "string"), rawget(x, "format")
      if type(text) == "string" and type(kind) == "string" then
        out[n + 1], out[n + 2] = "=", text
        return
      end
    end
    local count = 0
    out[n + 1], out[n + 2] = "*", 0
    while true do
      local each = rawget(v, count + 1)
      if each == nil then break end
      count = count + 1
      flatten(each, out, depth + 1)
    end
    out[n + 2] = count
  end
end

-- Runs f(...) as a script: the pieces of its reply, or why it has none and on which line.
local function run(f, steps, now, a, b)
  begin()
  local ok, r = xpcall(function()
    crowded(steps, now)
    for i = 1, #a do note(a[i]) end
    for i = 1, #b do note(b[i]) end
    local out = {}
    flatten(f(a, b), out, 0)
    running = false
    return out
  end, handler)
  sethook()
  if not ok and r == "not enough memory" then over = over or LIMIT end
  if over then return false, over, line_of_error, true end
  if ok then return true, r, 0, false end
  local text = r
  if type(text) == "table" then text = rawget(text, "err") or globals.tostring(r) end
  local kind = type(text)
  if kind ~= "string" then text = (kind == "number" or kind == "nil" or kind == "boolean") and tostring(text) or kind end
  if type(r) ~= "table" then text = "ERR " .. text end
  return false, text, line_of_error, false
end

return kit, compile, run
