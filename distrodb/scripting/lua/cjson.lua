-- cjson, as Redis has it (lua-cjson 2.1.0 of mpx, with its texts of errors).
local kit = ...
local charge, fresh, protect, NULL, stop = kit.charge, kit.fresh, kit.protect, kit.NULL, kit.stop
local type, error, rawnext, tostring, tonumber = type, error, next, tostring, tonumber
local getmetatable, rawget, floor, huge = getmetatable, rawget, math.floor, math.huge
local byte, sub, find, format, gsub, char = string.byte, string.sub, string.find, string.format, string.gsub, string.char
local concat = table.concat

local ESCAPES = { [34] = '\\"', [92] = "\\\\", [47] = "\\/", [8] = "\\b", [9] = "\\t", [10] = "\\n", [12] = "\\f", [13] = "\\r" }
local function escaped(c)
  local n = byte(c)
  return ESCAPES[n] or format("\\u%04x", n)
end

-- Settings are of one script: they are there anew when the next one begins.
local function settings()
  return { sparse_convert = false, sparse_ratio = 2, sparse_safe = 10, depth = 1000, decode_depth = 1000, precision = 14, nan = false, decode_nan = true, keep = true }
end

local encode_any

local function encode_string(s, out)
  charge(#s / 4)
  if find(s, '[%c"\\/\127]') then s = gsub(s, '[%c"\\/\127]', escaped) end
  out[#out + 1] = '"'
  out[#out + 1] = s
  out[#out + 1] = '"'
end

local function encode_number(n, out, set)
  if n ~= n or n == huge or n == -huge then
    if set.nan == "null" then out[#out + 1] = "null" return end
    if not set.nan then error("Cannot serialise number: must not be NaN or Inf", 0) end
    out[#out + 1] = n ~= n and "nan" or n > 0 and "inf" or "-inf"
    return
  end
  out[#out + 1] = format("%." .. set.precision .. "g", n)
end

-- The largest key of an array; nil for what is none.
local function array_size(t, set)
  local largest, count = 0, 0
  for k in rawnext, t do
    if type(k) ~= "number" or k < 1 or floor(k) ~= k then return nil end
    if k > largest then largest = k end
    count = count + 1
  end
  if set.sparse_ratio > 0 and largest > count * set.sparse_ratio and largest > set.sparse_safe then
    if not set.sparse_convert then error("Cannot serialise table: excessively sparse array", 0) end
    return nil
  end
  return largest
end

local function encode_table(t, out, set, depth)
  if depth > set.depth or depth > 180 then error("Cannot serialise, excessive nesting (" .. depth .. ")", 0) end
  local size = array_size(t, set)
  if size and size > 0 then
    out[#out + 1] = "["
    for i = 1, size do
      if i > 1 then out[#out + 1] = "," end
      encode_any(rawget(t, i), out, set, depth)
    end
    out[#out + 1] = "]"
    return
  end
  out[#out + 1] = "{"
  local is_first = true
  for k, v in rawnext, t do
    if not is_first then out[#out + 1] = "," end
    is_first = false
    if type(k) == "number" then
      out[#out + 1] = '"'
      encode_number(k, out, set)
      out[#out + 1] = '"'
    elseif type(k) == "string" then
      encode_string(k, out)
    else
      error("Cannot serialise " .. type(k) .. ": table key must be a number or string", 0)
    end
    out[#out + 1] = ":"
    encode_any(v, out, set, depth)
  end
  out[#out + 1] = "}"
end

function encode_any(v, out, set, depth)
  local t = type(v)
  if t == "string" then encode_string(v, out)
  elseif t == "number" then encode_number(v, out, set)
  elseif t == "boolean" then out[#out + 1] = v and "true" or "false"
  elseif t == "table" then encode_table(kit.is_ours[v] or v, out, set, depth + 1)
  elseif t == "nil" or v == NULL then out[#out + 1] = "null"
  else error("Cannot serialise " .. t .. ": type not supported", 0) end
end

-- Decoding: a position goes through the text; what is found is said by a token.
local function token_at(s, at, set)
  local _, e = find(s, "^[ \t\r\n]*", at)
  at = e + 1
  local c = byte(s, at)
  if c == nil then return "T_END", at, at end
  if c == 123 then return "T_OBJ_BEGIN", at, at + 1 end
  if c == 125 then return "T_OBJ_END", at, at + 1 end
  if c == 91 then return "T_ARR_BEGIN", at, at + 1 end
  if c == 93 then return "T_ARR_END", at, at + 1 end
  if c == 44 then return "T_COMMA", at, at + 1 end
  if c == 58 then return "T_COLON", at, at + 1 end
  if c == 34 then return "T_STRING", at, at + 1 end
  if c == 45 or c >= 48 and c <= 57 then return "T_NUMBER", at, at end
  if c == 116 and sub(s, at, at + 3) == "true" then return "T_BOOLEAN", at, at + 4, true end
  if c == 102 and sub(s, at, at + 4) == "false" then return "T_BOOLEAN", at, at + 5, false end
  if c == 110 and sub(s, at, at + 3) == "null" then return "T_NULL", at, at + 4 end
  if set.decode_nan and find(s, "^[iInN][nNaA][fFnN]", at) then return "T_NUMBER", at, at end
  return "invalid token", at, at
end

local function failed(expected, found, at)
  error("Expected " .. expected .. " but found " .. found .. " at character " .. at, 0)
end

local UNESCAPED = { [34] = '"', [92] = "\\", [47] = "/", [98] = "\b", [102] = "\f", [110] = "\n", [114] = "\r", [116] = "\t" }
local function utf8(code)
  if code < 128 then return char(code) end
  if code < 2048 then return char(192 + floor(code / 64), 128 + code % 64) end
  if code < 65536 then return char(224 + floor(code / 4096), 128 + floor(code / 64) % 64, 128 + code % 64) end
  return char(240 + floor(code / 262144), 128 + floor(code / 4096) % 64, 128 + floor(code / 64) % 64, 128 + code % 64)
end

-- The text of a string that begins behind its quote, and what is behind it.
local function string_at(s, at, expected, quote)
  local pieces, n = nil, 0
  while true do
    local _, e = find(s, '^[^"\\%c]*', at)
    charge((e - at) / 8 + 2)
    local c = byte(s, e + 1)
    if c == 34 then
      local last = sub(s, at, e)
      if not pieces then return fresh(last), e + 2 end
      pieces[n + 1] = last
      return fresh(concat(pieces)), e + 2
    end
    pieces = pieces or {}
    n = n + 1
    pieces[n] = kit.new(sub(s, at, e))
    if c == nil then failed(expected, "unexpected end of string", e + 1) end
    if c ~= 92 then
      if c < 32 then failed(expected, "invalid token", e + 1) end
      n = n + 1
      pieces[n] = char(c)
      at = e + 2
    else
      local d = byte(s, e + 2)
      n = n + 1
      if d == 117 then
        local hex = sub(s, e + 3, e + 6)
        if not find(hex, "^%x%x%x%x$") then failed(expected, "invalid unicode escape code", e + 1) end
        local code = tonumber(hex, 16)
        at = e + 7
        if code >= 0xD800 and code <= 0xDBFF then
          local low = sub(s, at, at + 5)
          if not find(low, "^\\u[dD][c-fC-F]%x%x$") then failed(expected, "invalid unicode escape code", e + 1) end
          code = 0x10000 + (code - 0xD800) * 1024 + tonumber(sub(low, 3), 16) - 0xDC00
          at = at + 6
        elseif code >= 0xDC00 and code <= 0xDFFF then
          failed(expected, "invalid unicode escape code", e + 1)
        end
        pieces[n] = utf8(code)
      elseif d and UNESCAPED[d] then
        pieces[n] = UNESCAPED[d]
        at = e + 3
      else
        failed(expected, "invalid escape code", e + 1)
      end
    end
  end
end

local function number_at(s, at, expected, set)
  local c = byte(s, at)
  local from = (c == 45) and at + 1 or at
  local _, e = find(s, "^0[xX]%x+", from)
  if not e then _, e = find(s, "^%d+%.?%d*[eE][+-]?%d+", from) end
  if not e then _, e = find(s, "^%d+%.?%d*", from) end
  if not e and set.decode_nan then
    local word = sub(s, from, from + 7):lower()
    if sub(word, 1, 3) == "nan" then return 0 / 0, from + 3 end
    if word == "infinity" then return c == 45 and -huge or huge, from + 8 end
    if sub(word, 1, 3) == "inf" then return c == 45 and -huge or huge, from + 3 end
  end
  if not e then failed(expected, "invalid number", at) end
  charge((e - at) / 8)
  local v = tonumber(sub(s, at, e))
  if not v then failed(expected, "invalid number", at) end
  return v, e + 1
end

local value_of

local function object_at(s, at, set, depth)
  local t = {}
  local kind, where, behind = token_at(s, at, set)
  if kind == "T_OBJ_END" then return t, behind end
  while true do
    if kind ~= "T_STRING" then failed("object key string", kind, where) end
    local k, v
    k, at = string_at(s, behind, "object key string", where)
    kind, where, behind = token_at(s, at, set)
    if kind ~= "T_COLON" then failed("colon", kind, where) end
    v, at = value_of(s, behind, set, depth)
    t[k] = v
    kit.grown(1)
    kind, where, behind = token_at(s, at, set)
    if kind == "T_OBJ_END" then return t, behind end
    if kind ~= "T_COMMA" then failed("comma or object end", kind, where) end
    kind, where, behind = token_at(s, behind, set)
  end
end

local function array_at(s, at, set, depth)
  local t, n = {}, 0
  local kind, where, behind = token_at(s, at, set)
  if kind == "T_ARR_END" then return t, behind end
  while true do
    local v
    v, at = value_of(s, at, set, depth)
    n = n + 1
    t[n] = v
    kit.grown(1)
    kind, where, behind = token_at(s, at, set)
    if kind == "T_ARR_END" then return t, behind end
    if kind ~= "T_COMMA" then failed("comma or array end", kind, where) end
    at = behind
  end
end

function value_of(s, at, set, depth)
  local kind, where, behind, value = token_at(s, at, set)
  if kind == "T_STRING" then return string_at(s, behind, "value", where) end
  if kind == "T_NUMBER" then return number_at(s, where, "value", set) end
  if kind == "T_BOOLEAN" then return value, behind end
  if kind == "T_NULL" then return NULL, behind end
  if kind == "T_OBJ_BEGIN" or kind == "T_ARR_BEGIN" then
    depth = depth + 1
    if depth > set.decode_depth or depth > 180 then
      error("Found too many nested data structures (" .. depth .. ")", 0)
    end
    if kind == "T_OBJ_BEGIN" then return object_at(s, behind, set, depth) end
    return array_at(s, behind, set, depth)
  end
  failed("value", kind, where)
end

local function located(f, ...) -- errors are the caller's
  local ok, a = pcall(f, ...)
  if ok then return a end
  if kit.over() then error(kit.over(), 0) end
  kit.fail(a)
end

local new
local function made(set)
  local lib = { _NAME = "cjson", _VERSION = "2.1.0", null = NULL }
  function lib.encode(...)
    if select("#", ...) ~= 1 then error("bad argument #1 to 'encode' (expected 1 argument)", 2) end
    local v = ...
    return located(function()
      local out = {}
      encode_any(v, out, set(), 0)
      local bytes = 0
      for i = 1, #out do bytes = bytes + #out[i] end
      charge(bytes / 8)
      return fresh(concat(out))
    end)
  end
  function lib.decode(...)
    if select("#", ...) ~= 1 then error("bad argument #1 to 'decode' (expected 1 argument)", 2) end
    local s = ...
    if type(s) == "number" then s = tostring(s) end
    if type(s) ~= "string" then error("bad argument #1 to 'decode' (string expected, got " .. type(s) .. ")", 2) end
    return located(function()
      if #s >= 2 and (byte(s, 1) == 0 or byte(s, 2) == 0) then error("JSON parser does not support UTF-16 or UTF-32", 0) end
      local v, at = value_of(s, 1, set(), 0)
      local kind, where = token_at(s, at, set())
      if kind ~= "T_END" then failed("the end", kind, where) end
      return v
    end)
  end
  local function option(name, low, high)
    return function(v)
      local of = set()
      if v ~= nil then
        v = tonumber(v)
        if not v or v < low or v > high or floor(v) ~= v then
          error("bad argument #1 to '?' (expected integer between " .. low .. " and " .. high .. ")", 2)
        end
        of[name] = v
      end
      return of[name]
    end
  end
  lib.encode_max_depth = option("depth", 1, 2147483647)
  lib.decode_max_depth = option("decode_depth", 1, 2147483647)
  lib.encode_number_precision = option("precision", 1, 14)
  function lib.encode_keep_buffer(v)
    local of = set()
    if v ~= nil then of.keep = v and true or false end
    return of.keep
  end
  function lib.encode_sparse_array(convert, ratio, safe)
    local of = set()
    if convert ~= nil then of.sparse_convert = convert and true or false end
    if ratio ~= nil then of.sparse_ratio = tonumber(ratio) or 2 end
    if safe ~= nil then of.sparse_safe = tonumber(safe) or 10 end
    return of.sparse_convert, of.sparse_ratio, of.sparse_safe
  end
  function lib.encode_invalid_numbers(v)
    local of = set()
    if v == "null" then of.nan = "null" elseif v ~= nil then of.nan = (v == true or v == "on") end
    return of.nan
  end
  function lib.decode_invalid_numbers(v)
    local of = set()
    if v ~= nil then of.decode_nan = (v == true or v == "on") end
    return of.decode_nan
  end
  lib.new = new
  return lib
end

function new()
  local own = settings()
  return made(function() return own end)
end

local of_script = settings()
kit.globals.cjson = protect(made(function() return of_script end))
return function() of_script = settings() end
