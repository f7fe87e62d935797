"""The commands that are compared, a family at a time: whoever adds a command adds its line here.

Lines of commands that our table does not have are passed over.  Keys are few, so that commands meet
what others have left, of their own kind or of another one.
"""

import hashlib
from dataclasses import dataclass, replace

from tests.oracle.grammar import Command, commands

INTEGERS = [
    *(b"0", b"1", b"-1", b"2", b"7", b"100", b"-100"),
    *(b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808"),
    *(b"-9223372036854775809", b"4294967296", b"2147483647", b"2147483648"),
    *(b"", b" 1", b"1 ", b"+1", b"01", b"-0", b"1.0", b"1e3", b"x", b"0x10", b"1_0"),
]
FLOATS = [
    *(b"0", b"1", b"-1", b"0.1", b"3.0", b"-2.50", b"1e3", b"1.5e-7", b"1e300", b"-1e308"),
    *(b"inf", b"-inf", b"nan", b"+1", b"1e400", b"0x10", b".5", b"5.", b"", b" 1", b"1 ", b"x"),
    *(b"3.14159265358979", b"9007199254740993", b"123456789012345678", b"1e17", b"0.0001", b"1_0"),
]
# What expires during a test would be there for one server and not for the other one.
SECONDS = [
    *(b"100", b"1000", b"100000", b"0", b"-1", b"-100", b"9223372036854775807"),
    *(b"9223372036854775", b"9223372036854776", b"-9223372036854775808", b"", b"1.5", b"x"),
    *(b"9223372036", b"4611686018427387904", b"-9223372036854775"),
]
MILLISECONDS = [
    *(b"100000", b"1000500", b"0", b"-1", b"9223372036854775807", b"-9223372036854775808", b"x"),
    *(b"9223370000000000000", b"100000000000", b"4611686018427387904"),
]
UNIX = [
    *(b"4000000000", b"4000000001", b"5000000000", b"1", b"0", b"-1", b"9223372036854775807"),
    *(b"9223372036854775", b"9223372036854776", b"-9223372036854776", b"1.5", b"x", b"1000000000"),
]
UNIX_MS = [
    *(b"4000000000000", b"4000000000500", b"4000000000499", b"5000000000000", b"1", b"0", b"-1"),
    *(b"9223372036854775807", b"-9223372036854775808", b"x", b"1000000000000"),
]
POOLS = {
    "key": [b"{t}a", b"{t}b", b"{t}c", b"{t}d", b"{t}"],
    "value": [
        *(b"", b"x", b"hello world", b"10", b"-7", b"3.0e3", b"2.5", b"9223372036854775807"),
        *(b"\x00\xff\x80", b"a" * 100, b"ohmytext", b"mynewtext", b"nan", b"abc\r\n", b"\xf0\x0f"),
    ],
    "integer": INTEGERS,
    "float": FLOATS,
    "small": [b"0", b"1", b"2", b"3", b"5", b"8", b"-1", b"-2", b"-3", b"100", b"-100", b"x"],
    "seconds": SECONDS,
    "milliseconds": MILLISECONDS,
    "unix": UNIX,
    "unix_ms": UNIX_MS,
    "bit": [b"0", b"1", b"2", b"-1", b"", b"x", b"01"],
    "offset": [
        *(b"0", b"1", b"7", b"8", b"15", b"16", b"100", b"-1", b"x", b"", b"1000"),
        *(b"4294967296", b"9223372036854775807", b"-9223372036854775808", b"01", b"1.0"),
    ],
    "bit_type": [
        *(b"u8", b"i8", b"u1", b"i1", b"u63", b"i64", b"u64", b"i65", b"u0", b"u4", b"i5", b"u16"),
        *(b"U8", b"x8", b"u", b"", b"8"),
    ],
    "bit_offset": [b"0", b"#0", b"#1", b"3", b"8", b"#2", b"-1", b"#-1", b"x", b"#", b"100", b"01"],
    "field": [b"f", b"g", b"", b"h"],
    "db": [b"0", b"1", b"2", b"15", b"16", b"-1", b"x", b"", b"99999999999999999999"],
    "pattern": [
        *(b"*", b"{t}*", b"{t}?", b"{t}[ab]", b"{t}[^a]", b"{t}[a-c]", b"\\{t}a", b"none", b""),
        *(b"*a", b"{t}a", b"**", b"[", b"{t}[", b"{t}[b-a]", b"*[abc", b"\\"),
    ],
    # DUMP of 10, hello world, a hundred a, an empty string, a hash, a list, two sets, a sorted set
    # and a stream with a group; then damaged ones.
    "payload": [
        b"\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb",
        b"\x00\x0bhello world\n\x00\x0b\xfcI\xb9\xa6\xc7\xa04",
        b"\x00\xc3\t@d\x01aa\xe0W\x00\x01aa\n\x00\xe8\xa3\xb5\x07\xb0m\xf2q",
        b"\x00\x00\n\x00]\x9b\\@\x0f\x7f\xa2\xda",
        b"\x10\x12\x12\x00\x00\x00\x04\x00\x81f\x02\x01\x01\x81g\x02\x81x\x02\xff\n\x00\xf2\xc5\xd7;[\x9b\xc3Z",
        b"\x12\x01\x02\x0c\x0c\x00\x00\x00\x02\x00\x81a\x02\x01\x01\xff\n\x00\x94\x96+#\xac\x17\xaa\x85",
        b"\x02\x02\x01b\x01a\n\x00u\xd9\x9d\x83^\xf8_e",
        b"\x0b\x0c\x02\x00\x00\x00\x02\x00\x00\x00\x01\x00\x02\x00\n\x00oy8\xb14\xeb .",
        b"\x11\x14\x14\x00\x00\x00\x04\x00\x81a\x02\x831.5\x04\x81b\x02\x02\x01\xff\n\x00\xfa\x02\xb4%\xaf"
        b"\x18\x87c",
        b"\x13\x01\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x1d\x1d\x00\x00\x00"
        b"\n\x00\x01\x01\x00\x01\x01\x01\x81f\x02\x00\x01\x02\x01\x00\x01\x00\x01\x81v\x02\x04\x01\xff\x01"
        b"\x01\x01\x01\x01\x00\x00\x01\x01\x01g\x00\x00\x81\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\n\x00"
        b"\xff\x9a\xd3KH\xb2h\xce",
        b"\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbc",
        b"\x00\xc0\n\xff\x00n\x9fWE\x0e\xaec\xbb",
        b"",
        b"x",
    ],
    # No empty channel: to Redis it fits no pattern, not even *.
    "channel": [b"a", b"b", b"c", b"foo", b"1", b"\x00\xff"],
    "channel_pattern": [b"a", b"*", b"f*", b"?", b"[ab]", b"", b"fo\\o"],
    "prefix": [b"{t}", b"{t}a", b"{t}b", b"x", b""],
    "element": [b"a", b"b", b"c", b"", b"foo", b"1", b"\x00\xff"],
    "count": [b"0", b"1", b"10", b"1000", b"-1", b"x", b""],
    "score": [
        *(b"0", b"1", b"2", b"-1", b"1.5", b"3", b"-2.5", b"7", b"0.1", b"1e17", b"123456789.125"),
        *(b"inf", b"-inf", b"+inf", b"1e400", b"-0", b"1e-7", b"0x10", b"4503599627370497.5"),
        *(b"nan", b"x", b"", b" 1", b"1 ", b"0x1p-2", b"1e-400", b"12345.678901234567", b"+5"),
    ],
    "bound": [
        *(b"0", b"1", b"2", b"-1", b"(1", b"(2", b"(0", b"-inf", b"+inf", b"(inf", b"1.5"),
        *(b"", b"(", b" 1", b"( 1", b"1 ", b"x", b"nan", b"((1", b"1e400", b"(-1e400", b"[1"),
        *(b"0x1", b"(-inf"),
    ],
    "lex": [
        *(b"-", b"+", b"[a", b"(a", b"[b", b"(b", b"[c", b"(c", b"[", b"(", b"[foo", b"(1"),
        *(b"a", b"", b"--", b"+x", b"[\x00\xff"),
    ],
    "longitude": [
        *(b"13.361389", b"15.087269", b"0", b"-122.42", b"180", b"-180", b"179.99", b"2.349"),
        *(b"181", b"x", b"-0.0001", b"1e1", b"90"),
    ],
    "latitude": [
        *(b"38.115556", b"37.502669", b"0", b"48.853", b"85.05", b"-85.05", b"-33.9", b"70", b"82"),
        *(b"85.06", b"x", b"0.0001", b"-90"),
    ],
    "radius": [
        *(b"0", b"1", b"200", b"1000", b"10000", b"100000", b"1e6", b"3e7", b"0.001", b"-1", b"x"),
    ],
    "unit": [b"m", b"km", b"ft", b"mi", b"M", b"Km", b"x", b"m"],
    "flag": [b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"],
    "numkeys": [b"1", b"2", b"1", b"2", b"3", b"0", b"-1", b"x", b"9"],
    "id": [
        *(b"1-1", b"1-2", b"2-1", b"2-2", b"3-0", b"5-1", b"5-2", b"1", b"3", b"0", b"0-1", b"7-7"),
        *(b"18446744073709551615-18446744073709551615", b"0-0", b"100", b"1-18446744073709551615"),
        *(b"-", b"+", b"(1-1", b"$", b">", b"3-*", b"x", b"", b"1-", b"-1", b"1--1", b"01-1"),
        *(b"18446744073709551616", b"1-+2", b" 1-1", b"1- 2", b"(", b"(-", b"(0-0", b"1-1-1"),
    ],
    "new_id": [
        *(b"1-1", b"1-2", b"2-1", b"2-2", b"3-0", b"4-1", b"5-1", b"6-1", b"7-1", b"8-1", b"9-1"),
        *(b"1-*", b"2-*", b"3-*", b"5-*", b"0-*", b"6", b"0-0", b"7", b"10-*", b"11-*"),
    ],
    "low_id": [b"0", b"1-1", b"1-2", b"2-1", b"2", b"3-0", b"5-1", b"0-0", b"6", b"(1-1", b"-"],
    "high_id": [b"+", b"5", b"2-1", b"6-1", b"(3-0", b"(6-1", b"9", b"1-1", b"+", b"10"],
    "group": [b"g", b"h", b"g"],
    "consumer": [b"c", b"d", b"c", b""],
    "idle": [b"0", b"0", b"100000", b"-1", b"x"],
    "type": [b"string", b"hash", b"list", b"set", b"zset", b"stream", b"STRING", b"x", b""],
}

SCRIPT_TEXTS = [
    *(
        b"return 1",
        b"return {KEYS, ARGV}",
        b"return nil",
        b"x y",
        b"return redis.error_reply('MY e')",
    ),
    b"return redis.call('SET', KEYS[1], ARGV[1] or 'x')",
    b"return redis.call('GET', KEYS[1])",
    b"return redis.pcall('INCR', KEYS[1])",
    b"return redis.call('INCRBY', KEYS[1], ARGV[1] or 1)",
    b"return redis.call('APPEND', KEYS[1], 'y') + 1",
    b"return redis.call('TYPE', KEYS[1]).ok",
    b"return {redis.call('EXISTS', KEYS[1]), redis.call('DEL', KEYS[1])}",
    b"redis.call('HSET', KEYS[1], 'f', 'v') return redis.call('HGET', KEYS[1], 'f')",
    b"redis.call('SET', KEYS[1], '1') error('stop')",
    b"redis.setresp(3) return redis.call('HMGET', KEYS[1], 'f', 'g')",
    b"return cjson.encode({KEYS, ARGV})",
    b"local g = redis.call('GET', KEYS[1]) return {g == ARGV[1], g == false, type(g)}",
    b"local r = {} for i = 1, 3 do r[i] = redis.call('INCR', KEYS[1]) end return r",
    b"redis.call('RPUSH', KEYS[1], 1, 2, 3) return redis.call('LRANGE', KEYS[1], -3, -1)",
    b"redis.call('ZADD', KEYS[1], 1.5, 'a') return redis.call('ZSCORE', KEYS[1], 'a')",
    b"return redis.call('PEXPIRE', KEYS[1], 100000) + redis.call('PERSIST', KEYS[1])",
    b"#!lua flags=no-writes\nreturn redis.call('DEL', KEYS[1])",
    b"#!lua\nreturn redis.call('STRLEN', KEYS[1])",
]
POOLS |= {
    "script": SCRIPT_TEXTS,
    # Redis remembers those of EVAL_RO too, so they are others.
    "ro_script": [text + b" " for text in SCRIPT_TEXTS],
    "sha": [*(hashlib.sha1(text).hexdigest().encode() for text in SCRIPT_TEXTS), b"x", b"0" * 40],
    "library": [
        b"#!lua name=one\nredis.register_function('f', function(k, a) return {k, a} end)",
        b"#!lua name=one\nredis.register_function('g', function() return redis.pcall('GET') end)",
        b"#!lua name=two\nredis.register_function('f', function() return 2 end)",
        b"#!lua name=two\nredis.register_function{function_name='h', flags={'no-writes'},"
        b" callback=function(k, a) return redis.call('SET', k[1], a[1]) end}",
        *(b"return 1", b"#!lua name=x-y\n", b"#!lua name=three\nerr", b""),
    ],
    "library_name": [b"one", b"two", b"three", b"*", b"o*"],
    "function": [b"f", b"g", b"h", b"F", b""],
}

# What puts values of all kinds under the keys; lists and their like when we have them.
FILL = """
SET key value
SET key integer
HSET key field value
RPUSH key element
SADD key element
ZADD key small element
XADD key 1-1 field value
"""

STRINGS = """
GET key
SET key value [NX|XX] [GET] [EX seconds|PX milliseconds|EXAT unix|PXAT unix_ms|KEEPTTL]
GETSET key value
GETDEL key
GETEX key [EX seconds|PX milliseconds|EXAT unix|PXAT unix_ms|PERSIST]
GETRANGE key integer integer
GETRANGE key small small
SUBSTR key small small
SETRANGE key offset value
STRLEN key
APPEND key value
MGET {key}
MSET {key value}
MSETNX {key value}
SETNX key value
SETEX key seconds value
PSETEX key milliseconds value
INCR key
DECR key
INCRBY key integer
DECRBY key integer
INCRBYFLOAT key float
LCS key key [LEN] [IDX] [MINMATCHLEN small] [WITHMATCHLEN]
SET key float
SET key integer
DEL key
EXPIREAT key unix
PEXPIRETIME key
PTTL key
"""

BITS = """
SETBIT key offset bit
GETBIT key offset
BITCOUNT key
BITCOUNT key small small [BYTE|BIT]
BITPOS key bit
BITPOS key bit small
BITPOS key bit small small [BYTE|BIT]
BITOP (AND|OR|XOR) key {key}
BITOP NOT key key
BITFIELD key {(GET bit_type bit_offset|SET bit_type bit_offset integer)}
BITFIELD key {(OVERFLOW WRAP|OVERFLOW SAT|OVERFLOW FAIL|INCRBY bit_type bit_offset integer)}
BITFIELD_RO key {(GET bit_type bit_offset)}
BITFIELD_RO key (SET bit_type bit_offset integer|OVERFLOW SAT)
SET key value
APPEND key value
GET key
STRLEN key
"""

HYPERLOGLOG = """
PFADD key
PFADD key {element}
PFCOUNT key
PFCOUNT {key}
PFMERGE key
PFMERGE key {key}
GET key
STRLEN key
SET key value
SETRANGE key (1|3|4) 'x
"""

KEYS = """
DEL {key}
UNLINK {key}
EXISTS {key}
TOUCH {key}
TYPE key
RENAME key key
RENAMENX key key
COPY key key [REPLACE]
KEYS pattern
RANDOMKEY
DBSIZE
SCAN integer [MATCH pattern] [COUNT count] [TYPE type]
OBJECT (ENCODING|REFCOUNT|FREQ|IDLETIME|HELP|ENCODINGS) key
OBJECT HELP
FLUSHDB [ASYNC|SYNC]
FLUSHALL [ASYNC|SYNC]
EXPIREAT key unix
PEXPIRETIME key
GET key
"""

# What every kind of value has, of each kind.
OF_EACH_KIND = """
RESTORE key 0 payload [REPLACE]
RESTORE key 0 payload REPLACE
DUMP key
COPY key key [REPLACE]
COPY key key REPLACE
TYPE key
OBJECT (ENCODING|REFCOUNT) key
MEMORY USAGE key [SAMPLES small]
SORT key ALPHA [LIMIT small small]
SORT_RO key [LIMIT small small]
RENAME key key
HINCRBY key 'a integer
HGETALL key
LPOP key
RPUSH key float
LRANGE key integer integer
SREM key element
SMEMBERS key
ZINCRBY key float 'a
ZRANGE key 0 -1 WITHSCORES
ZADD key float 'a
XADD key new_id 'f float
XRANGE key '- '+
XREADGROUP GROUP 'g 'c STREAMS key '>
XPENDING key 'g
XINFO GROUPS key
SET key float
GET key
DEL key
"""

EXPIRY = """
EXPIRE key seconds [NX] [XX] [GT] [LT]
PEXPIRE key milliseconds [NX] [XX] [GT] [LT]
EXPIREAT key unix [NX] [XX] [GT] [LT]
PEXPIREAT key unix_ms [NX] [XX] [GT] [LT]
TTL key
PTTL key
EXPIRETIME key
PEXPIRETIME key
PERSIST key
GET key
SET key value
APPEND key value
EXISTS {key}
RENAME key key
"""

SORTING = """
SORT key [BY pattern] [LIMIT small small] [GET pattern] [ASC|DESC] [ALPHA] [STORE key]
SORT_RO key [BY pattern] [LIMIT small small] [GET pattern] [ASC|DESC] [ALPHA]
GET key
"""

DUMPING = """
DUMP key
RESTORE key unix_ms payload [REPLACE] [ABSTTL] [IDLETIME integer] [FREQ integer]
RESTORE key milliseconds payload [REPLACE]
RESTORE key 0 payload REPLACE
RESTORE key 0 value [REPLACE]
OBJECT ENCODING key
APPEND key value
GET key
PEXPIRETIME key
"""

TRANSACTIONS = """
MULTI
MULTI
EXEC
EXEC
DISCARD
WATCH {key}
UNWATCH
GET key
SET key value
INCR key
APPEND key value
MGET {key}
EXPIREAT key unix
HGET key field
NOSUCH key
DEL {key}
PING
ECHO value
"""

HASHES = """
HSET key {field value}
HGET key field
HMSET key {field value}
HSETNX key field value
HDEL key {field}
HMGET key {field}
HEXISTS key field
HSTRLEN key field
HGETALL key
HKEYS key
HVALS key
HLEN key
HSET key field integer
HINCRBY key field integer
HSET key field float
HINCRBYFLOAT key field float
HRANDFIELD key
HRANDFIELD key integer [WITHVALUES|'x]
HRANDFIELD key (1|2|3|-3) [WITHVALUES]
HSCAN key (0|0|integer) [MATCH channel_pattern] [COUNT count]
GET key
DEL key
TYPE key
"""

LISTS = """
LPUSH key {element}
RPUSH key {element}
LPUSH key {value}
RPUSH key {value}
RPUSH key 'a 'b 'a 'c 'a 'b
LPUSHX key {element}
RPUSHX key {element}
LPOP key [count]
RPOP key [count]
LLEN key
LRANGE key small small
LRANGE key integer integer
LINDEX key small
LSET key small element
LTRIM key small small
LREM key small element
LREM key integer element
LINSERT key (BEFORE|AFTER|'x) element element
LPOS key element [RANK small] [COUNT small] [MAXLEN small]
LPOS key element [RANK integer] [COUNT integer]
LMOVE key key (LEFT|RIGHT|'x) (LEFT|RIGHT)
RPOPLPUSH key key
LMPOP (1|2|3|0|'x) key key (LEFT|RIGHT) [COUNT count]
LMPOP 1 key (LEFT|RIGHT|'x)
LRANGE key 0 -1
EXPIREAT key unix
DEL key
TYPE key
COPY key key REPLACE
RENAME key key
DUMP key
OBJECT ENCODING key
"""

SORTED_SETS = """
ZADD key {flag} score element
ZADD key {score element}
ZADD key {small element}
ZADD key {flag} {score element}
ZADD key (0|1) 'm1 (0|1) 'm2 (0|2) 'm3
ZINCRBY key score element
ZREM key {element}
ZPOPMIN key [small]
ZPOPMAX key [small]
ZMPOP numkeys {key} (MIN|MAX) [COUNT small]
ZMPOP 1 key (MIN|MAX) [COUNT small]
ZCARD key
ZSCORE key element
ZMSCORE key {element}
ZRANK key element [WITHSCORE]
ZREVRANK key element
ZRANDMEMBER key [small] [WITHSCORES]
ZRANDMEMBER key (0|1|-1|5|-5) [WITHSCORES]
ZSCAN key 0 [MATCH ('*|'a*|'?)] [COUNT count]
ZSCAN key integer [MATCH pattern] [COUNT count] [TYPE type]
OBJECT ENCODING key
SORT key (BY 'x|ALPHA|BY 'x DESC|DESC) [LIMIT small small] [STORE key]
TYPE key
EXPIREAT key unix
"""

RANGES = """
ZADD key {small element}
ZADD key 0 'a 0 'b 0 'c 0 'd
ZADD key {score element}
ZRANGE key small small [BYSCORE|BYLEX] [REV] [LIMIT small small] [WITHSCORES]
ZRANGE key small small [REV] [WITHSCORES]
ZRANGE key integer integer [REV] [WITHSCORES]
ZRANGE key bound bound BYSCORE [REV] [LIMIT small small] [WITHSCORES]
ZRANGE key lex lex BYLEX [REV] [LIMIT small small] [WITHSCORES]
ZREVRANGE key small small [WITHSCORES]
ZRANGEBYSCORE key bound bound [WITHSCORES] [LIMIT small small]
ZREVRANGEBYSCORE key bound bound [WITHSCORES] [LIMIT small small]
ZRANGEBYLEX key lex lex [LIMIT small small]
ZREVRANGEBYLEX key lex lex [LIMIT small small]
ZRANGESTORE key key small small [REV] [LIMIT small small]
ZRANGESTORE key key bound bound BYSCORE [REV] [LIMIT small small]
ZRANGESTORE key key lex lex BYLEX [REV] [LIMIT small small]
ZCOUNT key bound bound
ZLEXCOUNT key lex lex
ZREMRANGEBYRANK key small small
ZREMRANGEBYSCORE key bound bound
ZREMRANGEBYLEX key lex lex
"""

GEO = """
GEOADD key longitude latitude element
GEOADD key {longitude latitude element}
GEOADD key 13.361389 38.115556 'a 15.087269 37.502669 'b 2.349 48.853 'c
GEOADD key 13.583333 37.316667 'foo -122.42 37.77 '1
GEOADD key (NX|XX|CH|NX CH|XX CH|NX XX) longitude latitude element
GEODIST key element element [unit]
GEOHASH key {element}
GEOPOS key {element}
GEORADIUS key longitude latitude radius unit [WITHDIST] [WITHHASH] [COUNT small] [ASC|DESC]
GEORADIUS key 15 37 (200|1000|5000|20000) 'km [WITHDIST] [COUNT 2 ANY] [ASC|DESC]
GEORADIUS key 15 37 (200|5000) 'km [STORE key|STOREDIST key] [COUNT 2] [WITHDIST]
GEORADIUS_RO key longitude latitude radius unit [WITHDIST] [WITHCOORD] [COUNT 1] [STORE key]
GEORADIUSBYMEMBER key element radius unit [WITHDIST] [WITHHASH] [WITHCOORD] [COUNT small] [ASC|DESC]
GEORADIUSBYMEMBER key element radius unit [STORE key] [STOREDIST key]
GEORADIUSBYMEMBER_RO key element radius unit [WITHDIST] [COUNT 1 ANY]
GEOSEARCH key FROMMEMBER element BYRADIUS radius unit [ASC|DESC] [COUNT small] [WITHDIST]
GEOSEARCH key FROMMEMBER element BYBOX radius radius unit [ASC|DESC] [COUNT small ANY] [WITHCOORD]
GEOSEARCH key FROMLONLAT longitude latitude BYRADIUS radius unit [ASC|DESC] [COUNT small] [WITHHASH]
GEOSEARCH key FROMLONLAT 15 37 BYBOX (400|3000|30000) (400|3000|30000) 'km [ASC|DESC] [WITHDIST]
GEOSEARCH key (FROMMEMBER element|BYRADIUS radius unit|ASC) (BYBOX 1 1 'km|FROMLONLAT 1 1|WITHDIST)
GEOSEARCHSTORE key key FROMMEMBER element BYRADIUS radius unit [ASC|DESC] [COUNT small] [STOREDIST]
GEOSEARCHSTORE key key FROMLONLAT 15 37 BYBOX 3000 3000 'km [STOREDIST] [COUNT 1 ANY] [WITHDIST]
ZRANGE key 0 -1 WITHSCORES
"""

SORTED_SET_ALGEBRA = """
ZADD key {score element}
ZADD key {small element}
ZUNION numkeys {key} [WEIGHTS {score}] [AGGREGATE (SUM|MIN|MAX)] [WITHSCORES]
ZUNION 2 key key [WEIGHTS score score] [AGGREGATE (SUM|MIN|MAX)] [WITHSCORES]
ZINTER 2 key key [WEIGHTS score score] [AGGREGATE (SUM|MIN|MAX|'x)] [WITHSCORES]
ZINTER numkeys {key} [WITHSCORES]
ZDIFF numkeys {key} [WITHSCORES]
ZDIFF 2 key key [WITHSCORES]
ZINTERCARD numkeys {key} [LIMIT small]
ZINTERCARD 2 key key [LIMIT small]
ZUNIONSTORE key numkeys {key} [WEIGHTS {score}] [AGGREGATE (SUM|MIN|MAX)] [WITHSCORES]
ZUNIONSTORE key 2 key key [WEIGHTS score score] [AGGREGATE (SUM|MIN|MAX)]
ZINTERSTORE key 2 key key [WEIGHTS score score] [AGGREGATE (SUM|MIN|MAX)]
ZINTERSTORE key numkeys {key}
ZDIFFSTORE key numkeys {key}
ZDIFFSTORE key 2 key key
ZRANGE key 0 -1 WITHSCORES
"""

SETS = """
SADD key {element}
SADD key {element}
SADD key {value}
SADD key 'a 'b 'c
SREM key {element}
SMEMBERS key
SCARD key
SISMEMBER key element
SMISMEMBER key {element}
SMOVE key key element
SINTER {key}
SUNION {key}
SDIFF {key}
SINTERSTORE key {key}
SUNIONSTORE key {key}
SDIFFSTORE key {key}
SINTERCARD (1|2|3|0|'x) key key [LIMIT count]
SINTERCARD 1 key
SPOP key (0|1000|'x|-1)
SPOP key 1000
SRANDMEMBER key (0|1000|'x|-9223372036854775808)
SRANDMEMBER key [count]
SSCAN key integer [MATCH pattern] [COUNT count]
SSCAN key 0 COUNT 1000
EXPIREAT key unix
DEL key
TYPE key
COPY key key REPLACE
DUMP key
OBJECT ENCODING key
SORT key [LIMIT small small] [DESC] [ALPHA] [STORE key]
!SORT key BY 'unordered [DESC]
!SORT key BY 'unordered STORE key [LIMIT small small] [DESC]
LRANGE key 0 -1
"""

# What is taken by chance is another member there, and nothing behind it can be compared.
CHANCE = """
SPOP key
SPOP key small
"""

# An entry's own number is one of few, so that commands meet; that of * is a server's own.
STREAMS = """
XADD key new_id {field value}
XADD key new_id {field value}
XADD key new_id 'f value
XADD key new_id 'f value 'g value
XADD key id {field value}
XADD key NOMKSTREAM new_id field value
XADD key (MAXLEN|MINID|NOMKSTREAM MAXLEN) (small|'= small) new_id field value
XADD key (MAXLEN|MINID) (small|'~ small|'= small LIMIT small) new_id field value
XADD key MAXLEN '~ small LIMIT (0|1|-1|'x) new_id field value
XLEN key
XRANGE key low_id high_id [COUNT small]
XRANGE key id id [COUNT small]
XREVRANGE key high_id low_id [COUNT small]
XREVRANGE key id id [COUNT count]
XDEL key {new_id}
XDEL key {id}
XTRIM key MAXLEN (0|1|2|5|-1|'x)
XTRIM key (MAXLEN|MINID) ('=|'~) small [LIMIT small]
XTRIM key MINID new_id
XTRIM key small
XSETID key new_id [ENTRIESADDED small] [MAXDELETEDID new_id]
XSETID key id [ENTRIESADDED integer] [MAXDELETEDID id]
XREAD STREAMS key low_id
XREAD STREAMS key key low_id low_id
!XREAD STREAMS key id
!XREAD COUNT small STREAMS key key id low_id
!XREAD BLOCK (-1|'x) STREAMS key low_id
XREAD NOACK STREAMS key low_id
XREAD GROUP group consumer STREAMS key low_id
XINFO STREAM key
XINFO STREAM key FULL [COUNT small]
XGROUP CREATE key group low_id [MKSTREAM]
XREADGROUP GROUP group consumer STREAMS key '>
XINFO GROUPS key
OBJECT ENCODING key
COPY key key [REPLACE]
DEL key
"""

STREAM_GROUPS = """
XADD key new_id 'f value
XADD key new_id 'f value
XADD key new_id 'f value
XDEL key {new_id}
XTRIM key MAXLEN small
XGROUP CREATE key group low_id [MKSTREAM] [ENTRIESREAD small]
XGROUP CREATE key group (0|'$) MKSTREAM
XGROUP CREATE key group id [MKSTREAM] [ENTRIESREAD integer]
XGROUP SETID key group (low_id|'$) [ENTRIESREAD small]
XGROUP DESTROY key group
XGROUP CREATECONSUMER key group consumer
XGROUP DELCONSUMER key group consumer
XGROUP (NOSUCH|CREATE) key group
XREADGROUP GROUP group consumer STREAMS key '>
XREADGROUP GROUP group consumer STREAMS key '>
XREADGROUP GROUP group consumer COUNT (1|2|0|-1) STREAMS key '>
XREADGROUP GROUP group consumer COUNT 1 NOACK STREAMS key '>
XREADGROUP GROUP group consumer (COUNT small|NOACK) STREAMS key id
XREADGROUP GROUP group consumer STREAMS key low_id
XREADGROUP GROUP group consumer STREAMS key key '> '>
!XREADGROUP GROUP group consumer BLOCK (-1|'x) STREAMS key '>
XACK key group {new_id}
XACK key group {id}
XPENDING key group
XPENDING key group low_id high_id count
XPENDING key group IDLE idle low_id high_id count
XPENDING key group low_id high_id count consumer
XPENDING key group IDLE idle id id count consumer
XPENDING key group id id
XCLAIM key group consumer idle {new_id}
XCLAIM key group consumer 0 new_id FORCE [JUSTID] [RETRYCOUNT small]
XCLAIM key group consumer idle {id} [IDLE integer] [RETRYCOUNT small] [FORCE] [JUSTID] [LASTID id]
XCLAIM key group consumer 0 new_id TIME (1000|-1|'x) [FORCE]
XAUTOCLAIM key group consumer idle low_id [COUNT (1|2|0|-1)] [JUSTID]
XAUTOCLAIM key group consumer 0 id [COUNT count] [JUSTID]
XINFO STREAM key
XINFO STREAM key FULL [COUNT small]
XINFO GROUPS key
XINFO CONSUMERS key group
XINFO (HELP|NOSUCH)
XSETID key new_id [ENTRIESADDED small] [MAXDELETEDID new_id]
DEL key
"""

# Nothing waits in a transaction.
STREAMS_IN_TRANSACTIONS = """
MULTI
EXEC
XADD key new_id 'f value
XGROUP CREATE key group (0|'$) MKSTREAM
!XREAD BLOCK 1 STREAMS key (0|'$)
!XREADGROUP GROUP group consumer BLOCK 0 STREAMS key '>
XACK key group new_id
WATCH key
"""

CONNECTION = """
PING
PING value
ECHO value
HELLO (2|3|4|'x) [AUTH 'default value] [SETNAME element]
CLIENT (GETNAME|HELP|NOSUCH|LIST|INFO) [value]
CLIENT SETNAME value
CLIENT ID
!CLIENT LIST (TYPE 'normal|TYPE 'x|ID 99999999|ID 'x|'x)
CLIENT SETINFO (LIB-NAME|LIB-VER|'x) value
CLIENT REPLY (ON|'x)
CLIENT (NO-EVICT|NO-TOUCH) (ON|OFF|'x)
!CLIENT KILL (ID 99999999|ADDR 'x|USER 'x|SKIPME 'x|LADDR 'x|TYPE 'x)
!CLIENT KILL value
CLIENT UNBLOCK integer [TIMEOUT|ERROR]
!CLIENT PAUSE (0|'x|-1) [WRITE|ALL|'x]
CLIENT UNPAUSE
CLIENT TRACKINGINFO
CLIENT GETREDIR
CLIENT CACHING (YES|NO|'x)
CLIENT TRACKING (OFF|'x) [BCAST] [PREFIX element] [OPTIN] [OPTOUT] [NOLOOP] [REDIRECT 99999999]
AUTH value
AUTH value value
RESET
SELECT 0
READONLY
READWRITE
ASKING
!WAIT (0|'x|-1) (0|'x|-1)
NOSUCH
NOSUCH value value value
"""

SERVER = """
!CONFIG GET ('save|'x) ['timeout]
!CONFIG SET 'timeout (0|'x|-1) ['timeout 0|'nope 1|'maxmemory-policy 'x]
!CONFIG SET ('slowlog-max-len|'slowlog-log-slower-than|'latency-monitor-threshold) ('x|'1.5|-5)
!CONFIG SET 'cluster-enabled 'yes
!CONFIG SET 'nope value
CONFIG NOSUCH value
SLOWLOG (RESET|NOSUCH)
!SLOWLOG GET ('x|-2) [value]
LATENCY HISTORY value
LATENCY RESET 'x
LATENCY GRAPH value
LATENCY (NOSUCH|LATEST) [value]
!LATENCY HISTOGRAM 'x
!TIME value
!ROLE value
!LASTSAVE value
!SAVE value
!BGSAVE 'x
!SHUTDOWN ('x|ABORT)
!LOLWUT VERSION 'x
!WAIT integer integer integer
ACL (WHOAMI|USERS|LIST|NOSUCH) [value]
ACL GETUSER ('default|'x)
ACL DRYRUN ('default|'x) ('get|'nosuch) key
!ACL DELUSER ('default|'x)
!ACL GENPASS ('x|0|-1|5000)
!ACL LOG (RESET|'x)
MODULE LIST
!ACL (LOAD|SAVE)
MEMORY USAGE key [SAMPLES integer]
MEMORY NOSUCH value
!DEBUG SLEEP 0
SET key value
"""

METADATA = """
COMMAND COUNT
COMMAND INFO (GET|SET|'mget|'nosuch) [MSET|'nosuch|'command]
COMMAND GETKEYS (GET key|MGET {key}|MSET {key value}|PING|NOSUCH|DEL|EXPIRE key 1|COMMAND COUNT)
COMMAND GETKEYSANDFLAGS (GET key|SET key value [GET]|MGET {key}|MSET {key value}|PING|NOSUCH)
COMMAND LIST FILTERBY (MODULE 'x|ACLCAT 'x|PATTERN 'x|'x|PATTERN)
COMMAND LIST 'x
COMMAND DOCS 'nosuch
COMMAND NOSUCH value
"""

KEYS_OF = """
COMMAND GETKEYS (SORT key STORE key|SORT key|BITOP AND key {key}|OBJECT ENCODING key|RENAME key key)
COMMAND GETKEYSANDFLAGS (HSET key field value|COPY key key|SORT key STORE key|GETEX key|DEL {key})
"""

CLUSTER = """
CLUSTER KEYSLOT key
CLUSTER COUNTKEYSINSLOT integer
CLUSTER GETKEYSINSLOT integer small
CLUSTER COUNT-FAILURE-REPORTS value
CLUSTER FAILOVER (FORCE|TAKEOVER|'x)
CLUSTER (HELP|NOSUCH)
CLUSTER NOSUCH value
SET key value
DEL key
"""

DATABASES = """
SELECT db
SWAPDB db db
MOVE key db
COPY key key [DB db] [REPLACE]
DBSIZE
FLUSHDB
FLUSHALL
KEYS pattern
GET key
SET key value
EXPIREAT key unix
PEXPIRETIME key
RANDOMKEY
EXISTS key
DEL key
"""

TRANSACTIONS_IN_DATABASES = """
MULTI
MULTI
EXEC
EXEC
DISCARD
WATCH {key}
UNWATCH
SELECT (0|1|2|16|'x)
MOVE key (0|1|2|16|'x)
COPY key key DB (0|1|2)
SET key value
GET key
DBSIZE
"""


# With several clients (conversations.py).
WATCHING = """
WATCH {key}
WATCH {key}
UNWATCH
MULTI
MULTI
EXEC
EXEC
EXEC
DISCARD
GET key
SET key value
SET key value
INCR key
DEL {key}
EXPIREAT key unix
PERSIST key
RENAME key key
HSET key field value
HDEL key field
FLUSHDB
MSET {key value}
NOSUCH
"""

PUBSUB = """
SUBSCRIBE {channel}
PSUBSCRIBE {channel_pattern}
UNSUBSCRIBE
UNSUBSCRIBE {channel}
PUNSUBSCRIBE
PUNSUBSCRIBE {channel_pattern}
SSUBSCRIBE {channel}
SUNSUBSCRIBE
SUNSUBSCRIBE {channel}
PUBLISH channel value
PUBLISH channel value
SPUBLISH channel value
PUBSUB CHANNELS
PUBSUB CHANNELS channel_pattern
PUBSUB NUMSUB {channel}
PUBSUB NUMPAT
PUBSUB SHARDCHANNELS
PUBSUB SHARDNUMSUB {channel}
PING
PING value
GET key
RESET
"""

PUBSUB_IN_TRANSACTIONS = """
MULTI
EXEC
EXEC value
"""

TRACKING = """
CLIENT TRACKING ON
CLIENT TRACKING ON BCAST
CLIENT TRACKING ON BCAST PREFIX prefix
CLIENT TRACKING ON [BCAST] [OPTIN] [OPTOUT] [NOLOOP] [PREFIX prefix]
CLIENT TRACKING OFF
CLIENT CACHING (YES|NO)
CLIENT TRACKINGINFO
GET key
GET key
MGET {key}
SET key value
SET key value
DEL {key}
EXPIREAT key unix
HGET key field
MULTI
EXEC
"""

# Where one stands in a transaction it counts from there.
TRACKING_IN_TRANSACTIONS = """
MULTI
MULTI
EXEC
EXEC
EXEC
CLIENT TRACKING ON
CLIENT TRACKING ON BCAST
SET key value NX
DEL key
COPY key key
"""


NODE, GATEWAY, BOTH = (True,), (False,), (True, False)


@dataclass(frozen=True)
class Family:
    name: str
    commands: list[Command]
    clients: int = 1
    # With what it is compared: with a node of a Redis Cluster (True), and through a gateway with a
    # single server.
    kinds: tuple[bool, ...] = BOTH
    keys: tuple[bytes, ...] = tuple(POOLS["key"])
    lines: str = ""

    def of_kind(self, is_cluster: bool) -> "Family":
        """A single server has keys without hash tags, which are in many slots of one partition."""
        if is_cluster:
            return self
        keys = tuple(WITHOUT_TAGS["key"])
        return replace(self, commands=commands(self.lines, WITHOUT_TAGS), keys=keys)


WITHOUT_TAGS = {
    name: [value.replace(b"{t}", b"") for value in values] for name, values in POOLS.items()
}


def _family(
    name: str, lines: str, fill: int = 1, clients: int = 1, kinds: tuple[bool, ...] = BOTH
) -> Family:
    lines += FILL * fill
    return Family(name, commands(lines, POOLS), clients, kinds, lines=lines)


BLOCKING = """
RPUSH key element
RPUSH key element element
LPUSH key element
RPUSHX key element
LPOP key
RPOP key
LLEN key
LRANGE key 0 -1
!BLPOP key 0
!BRPOP {key} 0
!BLMOVE key key (LEFT|RIGHT) (LEFT|RIGHT) 0
!BRPOPLPUSH key key 0
!BLMPOP 0 1 key (LEFT|RIGHT)
!BLMPOP 0 2 key key (LEFT|RIGHT) [COUNT 2]
ZADD key small element
ZADD key small element small element
ZPOPMIN key
ZCARD key
!BZPOPMIN key 0
!BZPOPMAX {key} 0
!BZMPOP 0 1 key (MIN|MAX)
BZPOPMIN key (-1|'x)
BZMPOP 0 1 key (LEFT|MIN) (-1|'x)
BLPOP key (-1|'x)
BLMOVE key key LEFT (UP|LEFT) (-1|'x)
BLMPOP ('x|-1) 1 key LEFT
DEL key
RENAME key key
SET key value
LMOVE key key LEFT RIGHT
"""

# Of a newer Redis than the one that is compared with: tests/unit/test_replicas_agree.py runs them.
NEWER = """
HEXPIRE key seconds FIELDS 2 field field
HEXPIRE key seconds (NX|XX|GT|LT) FIELDS 2 field field
HPEXPIRE key (1|2|5|20|'x) (NX|XX|GT|LT) FIELDS 1 field
HPEXPIRE key (1|2|5) FIELDS 3 'f 'g 'h
HPEXPIRE key (1|2|5) FIELDS 1 field
HEXPIREAT key unix FIELDS 1 field
HPEXPIREAT key unix_ms FIELDS 1 field
HTTL key FIELDS 1 field
HPTTL key FIELDS 2 field field
HEXPIRETIME key FIELDS 1 field
HPEXPIRETIME key FIELDS 1 field
HPERSIST key FIELDS 2 field field
HGETDEL key FIELDS 2 field field
HGETEX key FIELDS 2 field field
HGETEX key (EX|PX) (1|2|3|'x) FIELDS 2 field field
HGETEX key PERSIST FIELDS 2 field field
HSETEX key FIELDS 1 field value
HSETEX key (FNX|FXX) PX (1|2|3) FIELDS 2 field value field integer
HSETEX key KEEPTTL FIELDS 2 field value field integer
HSETEX key EXAT unix FIELDS 1 field value
SADD key element element
SUNIONCARD 2 key key [LIMIT small] [APPROX]
SDIFFCARD (1|2|'x) key key [LIMIT small]
ZADD key small element small element
ZUNION 2 key key AGGREGATE COUNT [WEIGHTS small small] [WITHSCORES]
ZINTER 2 key key AGGREGATE COUNT WITHSCORES
ZUNIONSTORE key 2 key key AGGREGATE COUNT [WEIGHTS small small]
ZINTERSTORE key 2 key key AGGREGATE COUNT [WEIGHTS small small]
XADD key new_id field value
XADD key new_id field value
XGROUP CREATE key group 0 MKSTREAM
XREADGROUP GROUP group consumer COUNT 2 STREAMS key '>
XDELEX key (KEEPREF|DELREF|ACKED) 'IDS 2 new_id new_id
XDELEX key 'IDS (1|0|2|'x) new_id
XACKDEL key group (KEEPREF|DELREF|ACKED) 'IDS 1 new_id
XACKDEL key group 'IDS (1|0|2|'x) new_id
"""
NOT_COMPARED = [_family("what is newer", NEWER, 0)]
# Compared by the tests.
SCRIPTS = """
EVAL script 1 key
EVAL script 1 key value
EVAL script 1 key integer
EVAL script 2 key key value value
EVAL script integer key
EVALSHA sha 1 key
EVALSHA sha 1 key value
EVAL_RO ro_script 1 key value
EVALSHA_RO sha 1 key
SCRIPT LOAD script
SCRIPT FLUSH [ASYNC|SYNC]
SCRIPT KILL
FUNCTION LOAD REPLACE library
FUNCTION LOAD library
FUNCTION DELETE library_name
FUNCTION STATS
FUNCTION KILL
FCALL function 1 key
FCALL function 1 key value
FCALL function integer key value
FCALL_RO function 1 key value
"""

# What is in all partitions of a cluster, or in one.
SCRIPTS_OF_ALL = """
EVAL script 0
EVAL script 0 value
EVAL_RO ro_script 0
SCRIPT EXISTS {sha}
FUNCTION LIST [LIBRARYNAME library_name] [WITHCODE]
FUNCTION FLUSH [ASYNC|SYNC]
"""

FAMILIES = [
    _family("strings", STRINGS),
    _family("bits", BITS),
    _family("hyperloglog", HYPERLOGLOG),
    _family("keys", KEYS),
    _family("dumping", DUMPING),
    _family("of each kind", OF_EACH_KIND, kinds=GATEWAY),
    _family("expiry", EXPIRY),
    _family("hashes", HASHES),
    _family("lists", LISTS),
    _family("sorted sets", SORTED_SETS),
    _family("ranges of sorted sets", RANGES),
    _family("geo", GEO),
    _family("unions of sorted sets", SORTED_SET_ALGEBRA),
    _family("scripts", SCRIPTS),
    _family("scripts of all", SCRIPTS + SCRIPTS_OF_ALL, kinds=GATEWAY),
    _family("sets", SETS),
    _family("sets by chance", SETS + CHANCE),
    _family("streams", STREAMS),
    _family("groups of streams", STREAM_GROUPS),
    _family("databases", DATABASES, kinds=GATEWAY),
    _family("transactions in databases", TRANSACTIONS_IN_DATABASES, kinds=GATEWAY),
    # Without sets: what BY keeps from being sorted has an order then, which is compared.
    _family("sorting", SORTING + FILL.replace("SADD key element\n", "") * 2, 0, kinds=GATEWAY),
    _family("metadata", METADATA + KEYS_OF, 0),
    _family("cluster", CLUSTER, kinds=NODE),
    _family("transactions", TRANSACTIONS),
    _family("connection", CONNECTION),
    _family("server", SERVER, 0),
]
# Compared with several clients.
WAITING = _family("blocking", BLOCKING, 0)

CONVERSATIONS = [
    _family("pubsub", PUBSUB, 0, clients=3),
    _family("watching", WATCHING, 0, clients=2),
    _family("pubsub in transactions", PUBSUB + PUBSUB_IN_TRANSACTIONS, 0, clients=3),
    _family("tracking", TRACKING, 0, clients=2, kinds=NODE),
    _family(
        "tracking in transactions", TRACKING + TRACKING_IN_TRANSACTIONS, 0, clients=2, kinds=NODE
    ),
]


def of_both_kinds(families: list[Family]) -> list[tuple[Family, bool]]:
    """Each with each kind of server that it is compared with; True: of a cluster."""
    return [(family.of_kind(kind), kind) for family in families for kind in family.kinds]


def named(case: object) -> str:
    """For pytest."""
    if isinstance(case, Family):
        return case.name
    return "cluster" if case else "gateway"
