-- redis.*, and what the libraries in Python offer: bit, struct, cmsgpack.
local kit = ...
local python, charge, note, fresh, stop, protect = kit.python, kit.charge, kit.note, kit.fresh, kit.stop, kit.protect
local type, error, select, unpack, format, tostring = type, error, select, unpack, string.format, tostring
local rawget, find, sub, getinfo, setmetatable = rawget, string.find, string.sub, kit.getinfo, setmetatable
local globals, lower = kit.globals, string.lower

local function raised(text) -- the table of an error, as Redis has it
  local line, source = 0, "@user_script"
  for level = 2, 8 do
    local info = getinfo(level, "Sl")
    if not info then break end
    if info.currentline > 0 and kit.SOURCES[info.source] then
      line, source = info.currentline, info.source
      break
    end
  end
  return { err = text, source = source, line = tostring(line), ignore_error_stats_update = true }
end

-- Calls Python: what it gives is (state, value, work); state 0: a value, 1: an error's text, 2: the
-- script ends.
local function asked(state, value, cost, alike)
  kit.crowded(cost, alike)
  kit.allocate(cost * 8)
  if state == 2 then stop(value) end
  if type(value) == "string" then kit.new(note(value)) end
  return state, value
end

local MANY = 100
local function call(...)
  local n = select("#", ...)
  if n == 0 then return 1, "ERR Please specify at least one argument for this redis lib call" end
  local words, bytes = { ... }, 0
  for i = 1, n do
    local word = words[i]
    local t = type(word)
    if t == "number" then
      words[i] = format("%.17g", word)
    elseif t ~= "string" then
      return 1, "ERR Lua redis lib command arguments must be strings or integers"
    else
      bytes = bytes + #word
    end
  end
  charge(bytes / 16 + n)
  if n > MANY then return asked(python("call_words", words, n)) end
  return asked(python("call", unpack(words, 1, n)))
end

local lib = {}
function lib.call(...)
  local state, value = call(...)
  if state == 1 then error(raised(value), 0) end
  return value
end
function lib.pcall(...)
  local state, value = call(...)
  if state == 1 then return raised(value) end
  return value
end

local function coded(text) -- "-CODE text", or only a text
  if sub(text, 1, 1) == "-" then text = sub(text, 2) end
  text = text:gsub("[\r\n]+$", "")
  if not find(text, " ", 1, true) then return "ERR " .. text end
  return text
end
function lib.error_reply(...)
  local text = ...
  if select("#", ...) ~= 1 or type(text) ~= "string" then return raised("ERR wrong number or type of arguments") end
  return raised(coded(text))
end
function lib.status_reply(...)
  local text = ...
  if select("#", ...) ~= 1 or type(text) ~= "string" then return raised("ERR wrong number or type of arguments") end
  return { ok = text }
end
function lib.sha1hex(...)
  local text = ...
  if select("#", ...) ~= 1 then error(raised("ERR wrong number of arguments"), 0) end
  if type(text) ~= "string" then text = type(text) == "number" and tostring(text) or "" end
  charge(20 + #text / 4)
  return python("sha1", text)
end
function lib.setresp(...)
  local version = ...
  if select("#", ...) ~= 1 then error(raised("ERR redis.setresp() requires one argument."), 0) end
  if version ~= 2 and version ~= 3 then error(raised("ERR RESP version must be 2 or 3."), 0) end
  python("setresp", version)
end
function lib.log(...)
  local level = ...
  if select("#", ...) < 2 then error(raised("ERR redis.log() requires two arguments or more."), 0) end
  if type(level) ~= "number" then error(raised("ERR First argument must be a number (log level)."), 0) end
  if level < 0 or level > 3 then error(raised("ERR Invalid debug level."), 0) end
  local words = {}
  for i = 2, select("#", ...) do
    local word = (select(i, ...))
    if type(word) == "string" or type(word) == "number" then words[#words + 1] = sub(tostring(word), 1, 1024) end
  end
  charge(1000)
  python("log", level, sub(table.concat(words, " "), 1, 1024))
end
function lib.set_repl(...)
  local flags = ...
  if select("#", ...) ~= 1 then error(raised("ERR redis.set_repl() requires two arguments."), 0) end
  if type(flags) ~= "number" or flags < 0 or flags > 3 or flags % 1 ~= 0 then
    error(raised("ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."), 0)
  end
end
function lib.replicate_commands() return true end
function lib.breakpoint() return false end
function lib.debug() end
function lib.acl_check_cmd(...)
  local n = select("#", ...)
  if n == 0 then error(raised("ERR Please specify at least one argument for this redis lib call"), 0) end
  local words = { ... }
  for i = 1, n do
    if type(words[i]) == "number" then words[i] = format("%.17g", words[i]) end
    if type(words[i]) ~= "string" then error(raised("ERR Lua redis lib command arguments must be strings or integers"), 0) end
  end
  local state, value = asked(python("may", unpack(words, 1, n)))
  if state == 1 then error(raised(value), 0) end
  return value
end
lib.LOG_DEBUG, lib.LOG_VERBOSE, lib.LOG_NOTICE, lib.LOG_WARNING = 0, 1, 2, 3
lib.REPL_NONE, lib.REPL_AOF, lib.REPL_SLAVE, lib.REPL_REPLICA, lib.REPL_ALL = 0, 1, 2, 2, 3
lib.REDIS_VERSION, lib.REDIS_VERSION_NUM = python("version")

local shown = protect(lib)
globals.redis = shown

-- Of a library in Python, each function of which gives (text of an error or nil, results ...).
local function given(problem, ...)
  if problem == false then stop() end
  if problem then kit.fail(problem) end
  for i = 1, select("#", ...) do
    local v = (select(i, ...))
    if type(v) == "string" then fresh(v) end
  end
  return ...
end
-- What a table that goes to Python holds is counted first, as deep as it is looked at there.
local function weigh(v, depth)
  charge(type(v) == "table" and 200 or 20)
  if type(v) == "string" then
    charge(#v / 4)
  elseif type(v) == "table" and depth < 16 then
    for k, each in next, kit.is_ours[v] or v do
      weigh(k, 16)
      weigh(each, depth + 1)
    end
  end
end
local function paid(...)
  charge(python("owed"))
  return ...
end
local function native(library, names)
  local found, makes_tables = {}, library == "cmsgpack"
  local flat, letter = library == "bit" and 100 or 300, library == "struct" and 60 or 0
  for name in names:gmatch("%S+") do
    local full = library .. "." .. name
    found[name] = function(...)
      local n = select("#", ...)
      local bytes = 0
      for i = 1, n do
        local v = (select(i, ...))
        if type(v) == "string" then bytes = bytes + #v end
        if type(v) == "table" then weigh(v, 0) end
      end
      local form = ...
      if letter > 0 and type(form) == "string" then charge(letter * #form) end
      charge(flat + 10 * n + n * n / 4 + bytes / 2)
      if makes_tables then return paid(given(python(full, ...))) end
      return given(python(full, ...))
    end
  end
  return found
end
globals.bit = protect(native("bit", "tobit bnot band bor bxor lshift rshift arshift rol ror bswap tohex"))
globals.struct = protect(native("struct", "pack unpack size"))
local cmsgpack = native("cmsgpack", "pack unpack unpack_one unpack_limit")
cmsgpack._NAME, cmsgpack._VERSION = "cmsgpack", "lua-cmsgpack 0.4.0"
cmsgpack._COPYRIGHT, cmsgpack._DESCRIPTION = "Copyright (C) 2012, Redis Ltd.", "MessagePack C implementation for Lua"
globals.cmsgpack = protect(cmsgpack)

-- What is there while a library is loaded: no commands, but register_function.
local registered
local function register(...)
  local n, name, callback = select("#", ...), ...
  local flags, description = {}, ""
  if n == 1 and type(name) == "table" then
    local given_table = name
    name, callback = nil, nil
    for k, v in next, given_table do
      if k == "function_name" then
        if type(v) ~= "string" then error(raised("ERR function_name argument given to redis.register_function must be a string"), 0) end
        name = v
      elseif k == "description" then
        if type(v) ~= "string" then error(raised("ERR description argument given to redis.register_function must be a string"), 0) end
        description = v
      elseif k == "callback" then
        if type(v) ~= "function" then error(raised("ERR callback argument given to redis.register_function must be a function"), 0) end
        callback = v
      elseif k == "flags" then
        if type(v) ~= "table" then error(raised("ERR flags argument to redis.register_function must be a table representing function flags"), 0) end
        for i = 1, #v do
          if type(v[i]) ~= "string" then error(raised("ERR unknown flag given"), 0) end
          flags[i] = v[i]
        end
      else
        error(raised("ERR unknown argument given to redis.register_function"), 0)
      end
    end
    if not name then error(raised("ERR redis.register_function must get a function name argument"), 0) end
    if not callback then error(raised("ERR redis.register_function must get a callback argument"), 0) end
  elseif n == 1 then
    error(raised("ERR calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments)."), 0)
  elseif n ~= 2 then
    error(raised("ERR wrong number of arguments to redis.register_function"), 0)
  else
    if type(name) == "number" then name = tostring(name) end
    if type(name) ~= "string" then error(raised("ERR first argument to redis.register_function must be a string"), 0) end
    if type(callback) ~= "function" then error(raised("ERR second argument to redis.register_function must be a function"), 0) end
  end
  if not find(name, "^[%w_]+$") then
    error(raised("ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"), 0)
  end
  charge(50)
  if registered[lower(name)] then error(raised("ERR Function already exists in the library"), 0) end
  registered[#registered + 1] = name
  registered[lower(name)] = { callback, flags, description }
end
local loading = { register_function = register, log = lib.log, sha1hex = lib.sha1hex, setresp = nil }
for _, name in next, { "LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING", "REDIS_VERSION", "REDIS_VERSION_NUM", "error_reply", "status_reply" } do
  loading[name] = lib[name]
end
setmetatable(loading, { __index = function(_, name)
  error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end })
local shown_loading = protect(loading)

-- Runs the text of a library and gives what it has registered.
local function load_library(main)
  registered = {}
  globals.redis = shown_loading
  main()
  globals.redis = shown
  return registered
end

local function of_script(main)
  return function(keys, args)
    globals.redis, globals.KEYS, globals.ARGV = shown, keys, args
    return main()
  end
end
local function of_library(main) -- names, and flags of each, in pieces
  return function()
    globals.KEYS, globals.ARGV = nil, nil
    local found, out = load_library(main), {}
    for i = 1, #found do
      local each = found[lower(found[i])]
      out[i] = { found[i], each[2], each[3] }
    end
    return out
  end
end
local function of_function(main, name)
  return function(keys, args)
    globals.KEYS, globals.ARGV = nil, nil
    local found = load_library(main)[lower(name)]
    if not found then return { err = "ERR Function not found" } end
    return found[1](keys, args)
  end
end
return of_script, of_library, of_function
