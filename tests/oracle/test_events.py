"""Each write command of the table says its events as Redis does: run here and there, with keyspace
notifications on, and the messages compared."""

import pytest

from distrodb.commands.table import DATA_COMMANDS
from tests.oracle.frames import pack, read_frames
from tests.oracle.ours import PureServer
from tests.oracle.redis_server import RedisServer

# Commands that Redis 7.0 does not know, with the events that their documentation names.
NEWER = {"xdelex", "xackdel", "delex", "msetex", "hsetex", "hgetex", "hgetdel", "hpersist"}
NEWER |= {"hexpire", "hpexpire", "hexpireat", "hpexpireat"}  # tests/unit/test_field_expiry.py
BY_NAME = {"evalsha", "fcall"}  # of what was loaded before: they run as EVAL does
OURS = {"xpart"}  # by which a stream comes back from a backup; tests/unit/test_streams.py
# Each line begins with an empty database.
LINES = """
SET a 1 | SET a 2 EX 100 | SET a 3 KEEPTTL | SET a 4 NX | SET a 5 XX GET | SET a 1 EXAT 1
SETNX a 1 | SETNX a 2
SETEX a 100 1 | PSETEX a 100000 2
GETSET a 1 | GETSET a 2
GETDEL a | SET a 1 | GETDEL a
SET a 1 | GETEX a | GETEX a EX 100 | GETEX a PERSIST | GETEX a PERSIST | GETEX a EXAT 1
MSET {a}1 1 {a}2 2 {a}1 3
MSETNX {a}1 1 {a}2 2 | MSETNX {a}1 1
APPEND a 1 | APPEND a 2
SETRANGE a 2 x | SETRANGE a 0 y | SETRANGE b 0 y | SETRANGE {a}x 3 |
INCR a | INCRBY a 2 | DECR a | DECRBY a 2 | INCRBYFLOAT a 1.5 | INCR a
SETBIT a 1 1 | SETBIT a 1 1
SET a x | BITOP AND {a}1 a | BITOP NOT {a}1 {a}2
BITFIELD a SET u8 0 1 INCRBY u8 0 1 | BITFIELD a GET u8 0 | BITFIELD {a}2 GET u8 0
PFADD a 1 2 | PFADD a 1 | PFADD {a}2 | PFMERGE {a}3 a | PFMERGE {a}4
SET a 1 | DEL a {a}b | DEL a | SET a 1 | UNLINK a
SET a 1 | RENAME a {a}2 | SET a 1 | RENAME a {a}2 | RENAME {a}2 {a}2
SET a 1 | SET {a}2 2 | RENAMENX a {a}2 | RENAMENX a {a}3
SET a 1 EX 100 | COPY a {a}2 | COPY a {a}2 | COPY a {a}2 REPLACE
SET a 1 | FLUSHDB
SET a 1 | FLUSHALL
SET a 1 | EXPIRE a 100 | EXPIRE b 100 | EXPIRE a 100 NX | EXPIRE a -1
SET a 1 | PEXPIRE a 100000 | PEXPIRE a -1
SET a 1 | EXPIREAT a 99999999999 | EXPIREAT a 1
SET a 1 | PEXPIREAT a 99999999999000 | PEXPIREAT a 1
SET a 1 EX 100 | PERSIST a | PERSIST a
LPUSH a 1 2 | RPUSH a 3 | LPUSHX a 4 | RPUSHX a 5 | LPUSHX b 1
RPUSH a 1 2 3 4 5 | LPOP a | RPOP a 2 | LPOP a 0 | LPOP a 9
RPUSH a 1 2 3 2 | LREM a 1 2 | LREM a 1 9 | LSET a 0 x | LINSERT a BEFORE 2 y | LINSERT a AFTER z y
RPUSH a 1 2 3 | LTRIM a 0 1 | LTRIM a 5 6 | LTRIM a 0 1
RPUSH a 1 1 | LREM a 0 1 | RPUSH a 1 | RPOP a
RPUSH a 1 2 | LMOVE a {a}2 LEFT RIGHT | LMOVE a {a}2 RIGHT LEFT | LMOVE a {a}2 LEFT LEFT
RPUSH a 1 2 | RPOPLPUSH a a | RPOPLPUSH a {a}2 | RPOPLPUSH a {a}2 | RPOPLPUSH {a}2 {a}2
RPUSH {a}2 1 2 3 | LMPOP 2 a {a}2 LEFT COUNT 2 | LMPOP 1 {a}2 RIGHT | LMPOP 1 a LEFT
RPUSH a 1 2 3 | BLPOP a 1 | BRPOP {a}2 a 1 | BLPOP a 1 | BLPOP a 0.01
RPUSH a 1 2 | BLMOVE a {a}2 LEFT RIGHT 1 | BRPOPLPUSH a {a}2 1 | BLMPOP 1 2 a {a}2 LEFT COUNT 2
ZADD a 1 x 2 y 3 z | BZPOPMIN a 1 | BZPOPMAX a 1 | BZMPOP 1 1 a MIN
EVAL return(redis.call('set',KEYS[1],1)) 1 a | EVAL return(1) 0 | EVALSHA none 0 | FCALL none 0
RPUSH a 2 1 | SORT a STORE {a}2 | SORT a STORE {a}2 | SORT {a}3 STORE {a}2 | SORT a
SADD a 1 2 | SADD a 1 | SREM a 1 9 | SREM a 9 | SREM a 2 | SADD a 1 2 | SPOP a 0 | SPOP a 5
SADD a 1 | SPOP a | SADD a 1 2 3 | SPOP a
SADD a 1 2 | SMOVE a {a}2 1 | SMOVE a {a}2 1 | SMOVE a {a}2 2 | SMOVE {a}2 {a}2 1
SADD a 1 2 | SADD {a}2 2 | SMOVE a {a}2 2 | SMOVE a {a}2 9
SADD a 1 2 | SADD {a}2 2 | SINTERSTORE {a}3 a {a}2 | SINTERSTORE {a}3 a b{a} | SINTERSTORE a b{a}
SADD a 1 2 | SADD {a}2 2 3 | SUNIONSTORE a a {a}2 | SUNIONSTORE a {a}4 | SUNIONSTORE a {a}4
SADD a 1 2 | SADD {a}2 2 3 | SDIFFSTORE {a}3 a {a}2 | SDIFFSTORE {a}3 a a | SDIFFSTORE {a}2 a {a}2
HSET a f 1 g 2 | HSET a f 1 | HDEL a f | HDEL a f | HDEL a g
HMSET a f 1 | HSETNX a f 1 | HSETNX a g 1 | HINCRBY a f 1 | HINCRBYFLOAT a f 1.5 | HINCRBY a f 1
ZADD a 1 x 2 y | ZADD a 1 x | ZADD a 3 x 4 z | ZADD a INCR 1 x | ZADD a NX 9 x | ZADD a XX 1 none
ZINCRBY a 1 x | ZINCRBY a 1 x | ZINCRBY a 0 x | ZREM a none | ZREM a x
ZADD a 1 x 2 y | ZPOPMIN a | ZPOPMAX a | ZPOPMIN a | ZADD a 1 x | ZPOPMIN a 0 | ZPOPMIN a 5
ZADD a 1 x 2 y | ZMPOP 2 {a}2 a MIN | ZMPOP 1 a MAX COUNT 3 | ZMPOP 1 a MAX
ZADD a 1 x 2 y 3 z | ZREMRANGEBYRANK a 0 0 | ZREMRANGEBYRANK a 5 6 | ZREMRANGEBYRANK a 0 -1
ZADD a 1 x 2 y 3 z | ZREMRANGEBYSCORE a 1 1 | ZREMRANGEBYSCORE a 1 1 | ZREMRANGEBYSCORE a 0 9
ZADD a 1 x 1 y 1 z | ZREMRANGEBYLEX a [x [x | ZREMRANGEBYLEX a [x [x | ZREMRANGEBYLEX a - +
ZADD a 1 x 2 y | ZRANGESTORE {a}2 a 0 -1 | ZRANGESTORE {a}2 a 0 -1 | ZRANGESTORE {a}2 a 5 6
ZADD a 1 x 2 y | ZUNIONSTORE {a}2 2 a {a}3 | ZUNIONSTORE {a}2 1 {a}4 | ZUNIONSTORE {a}2 1 {a}4
ZADD a 1 x 2 y | ZINTERSTORE {a}2 2 a a | SET {a}3 1 | ZINTERSTORE {a}3 1 a | ZINTERSTORE a 1 {a}4
ZADD a 1 x 2 y | ZDIFFSTORE {a}2 2 a {a}3 | ZDIFFSTORE {a}2 2 a a
GEOADD a 1 1 x 2 2 y | GEOADD a 1 1 x | GEOADD a XX 3 3 x
GEOADD a 1 1 x | GEORADIUS a 1 1 9 km STORE {a}2 | GEORADIUS a 9 9 9 km STOREDIST {a}2
GEOADD a 1 1 x | GEORADIUSBYMEMBER a x 9 km STORE {a}2 | GEORADIUSBYMEMBER {a}3 x 9 km STORE {a}2
GEOADD a 1 1 x | GEOSEARCHSTORE {a}2 a FROMMEMBER x BYBOX 9 9 km
GEOADD {a}2 1 1 x | GEOSEARCHSTORE {a}2 {a}2 FROMLONLAT 9 9 BYRADIUS 9 km
XADD a 1-1 f v | XADD a MAXLEN 1 2-1 f v | XADD a NOMKSTREAM 3-1 f v | XADD b NOMKSTREAM 1-1 f v
XADD a 1-1 f v | XADD a 2-1 f v | XTRIM a MAXLEN 1 | XTRIM a MAXLEN 1 | XDEL a 9-9 | XDEL a 2-1
XADD a 1-1 f v | XSETID a 5-5 | XGROUP CREATE a g 0 | XGROUP CREATE a g 0 | XGROUP SETID a g 1-1
XGROUP CREATE a g $ MKSTREAM | XGROUP CREATECONSUMER a g c | XGROUP CREATECONSUMER a g c
XGROUP CREATE a g 0 MKSTREAM | XGROUP DELCONSUMER a g c | XGROUP DESTROY a g | XGROUP DESTROY a g
XGROUP CREATE a g 0 MKSTREAM | XADD a 1-1 f v | XREADGROUP GROUP g c STREAMS a > | XACK a g 1-1
XGROUP CREATE a g 0 MKSTREAM | XADD a 1-1 f v | XREADGROUP GROUP g c NOACK STREAMS a > | XDEL a 1-1
XGROUP CREATE a g 0 MKSTREAM | XADD a 1-1 f v | XREADGROUP GROUP g c STREAMS a 0 | XREAD STREAMS a 0
XADD a 1-1 f v | XGROUP CREATE a g 0 | XREADGROUP GROUP g c STREAMS a > | XCLAIM a g d 0 1-1
XADD a 1-1 f v | XGROUP CREATE a g 0 | XREADGROUP GROUP g c STREAMS a > | XAUTOCLAIM a g d 0 0
XADD a 1-1 f v | XGROUP CREATE a g 0 | XREADGROUP GROUP g c STREAMS a > | DEL a
SET a 1 | MOVE a 1 | MOVE a 1
SET a 1 | SORT {a}2 STORE a
RESTORE a 0 {10} | RESTORE a 100000 {10} REPLACE
RESTORE a 0 {10} | RESTORE a 1 {10} REPLACE ABSTTL
"""
DUMP_OF_10 = b"\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb"


def lines() -> list[list[list[bytes]]]:
    found = []
    for line in LINES.strip().splitlines():
        commands = [words.encode().split() for words in line.split(" | ") if words.strip()]
        for words in commands:
            words[:] = [DUMP_OF_10 if word == b"{10}" else word for word in words]
        found.append(commands)
    return found


def test_every_write_command_is_here() -> None:
    tried = {words[0].lower().decode() for line in lines() for words in line}
    writes = {row.name for row in DATA_COMMANDS.values() if row.is_write}
    assert writes - tried <= NEWER | BY_NAME | OURS


@pytest.mark.parametrize(
    "line", lines(), ids=lambda line: b" ".join(line[0]).decode(errors="replace")
)
def test_events_are_as_redis_says_them(single: RedisServer, line: list[list[bytes]]) -> None:
    listener, writer, world = single.connect(), single.connect(), PureServer()
    writer.ask_all([[b"CONFIG", b"SET", b"notify-keyspace-events", b"KEAn"], [b"FLUSHALL"]])
    world.notifications.flags = "KEAn"
    session = world.service.open_session(lambda: None)
    listen = [b"PSUBSCRIBE", b"__key*__:*"]
    listener.ask_all([listen])
    session.receive(pack(listen))
    session.take(1 << 20)
    for words in line:
        writer.ask_all([words, [b"PUBLISH", b"__key__:end", b""]])
        expected = []
        while not expected or expected[-1][1][2] != (b"$", b"__key__:end"):
            expected.append(listener.read())
        world.ask(pack(words))
        world.tell_clients()
        told = read_frames(b"".join(session.take(1 << 20)))
        assert told == expected[:-1], b" ".join(words).decode()
    writer.ask_all([[b"CONFIG", b"SET", b"notify-keyspace-events", b""]])
    for connection in (listener, writer):
        connection.close()
