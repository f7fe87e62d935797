"""How each command is written, as a person types it; COMMAND DOCS and HELP are made of it.

A line is ``name: words  # what it costs``, in the notation of Redis' documentation: capitals are
typed as they are, ``[a | b]`` is one of these or nothing, ``(a | b)`` one of these, and ``[… ...]``
repeats what stands before it.  ``arguments`` makes of the words the tree that COMMAND DOCS tells,
from which clients such as redis-cli give their hints.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from distrodb.errors import invariant
from distrodb.resp.reply import Reply, SetReply, Status

TABLE = """
append: key value  # O(1)
asking:  # O(1)
auth: [username] password  # O(N)
bitcount: key [start end [BYTE | BIT]]  # O(N)
bitfield: key [GET encoding offset | [OVERFLOW (WRAP | SAT | FAIL)] (SET encoding offset value |
  INCRBY encoding offset increment)]  # O(N)
bitfield_ro: key [GET encoding offset [GET encoding offset ...]]  # O(1)
bitop: (AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE) destkey key [key ...]  # O(N)
bitpos: key bit [start [end [BYTE | BIT]]]  # O(N)
blmove: source destination (LEFT | RIGHT) (LEFT | RIGHT) timeout  # O(1)
blmpop: timeout numkeys key [key ...] (LEFT | RIGHT) [COUNT count]  # O(N+M)
blpop: key [key ...] timeout  # O(N)
brpop: key [key ...] timeout  # O(N)
brpoplpush: source destination timeout  # O(1)
bzmpop: timeout numkeys key [key ...] (MIN | MAX) [COUNT count]  # O(K) + O(M*log(N))
bzpopmax: key [key ...] timeout  # O(log(N))
bzpopmin: key [key ...] timeout  # O(log(N))
client|caching: (YES | NO)  # O(1)
client|getname:  # O(1)
client|getredir:  # O(1)
client|id:  # O(1)
client|info:  # O(1)
client|kill: ip:port | [ID client-id] [TYPE (NORMAL | MASTER | REPLICA | PUBSUB)] [USER username]
  [ADDR ip:port] [LADDR ip:port] [SKIPME yes/no] [MAXAGE seconds]  # O(N)
client|list: [TYPE (NORMAL | MASTER | REPLICA | PUBSUB)] [ID client-id [client-id ...]]  # O(N)
client|no-evict: (ON | OFF)  # O(1)
client|no-touch: (ON | OFF)  # O(1)
client|pause: timeout [WRITE | ALL]  # O(1)
client|reply: (ON | OFF | SKIP)  # O(1)
client|setinfo: (LIB-NAME libname | LIB-VER libver)  # O(1)
client|setname: connection-name  # O(1)
client|tracking: (ON | OFF) [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST]
  [OPTIN] [OPTOUT] [NOLOOP]  # O(1)
client|trackinginfo:  # O(1)
client|unblock: client-id [TIMEOUT | ERROR]  # O(log N)
client|unpause:  # O(N)
cluster|count-failure-reports: node-id  # O(N)
cluster|countkeysinslot: slot  # O(1)
cluster|failover: [FORCE | TAKEOVER]  # O(1)
cluster|getkeysinslot: slot count  # O(log(N))
cluster|info:  # O(1)
cluster|keyslot: key  # O(N)
cluster|links:  # O(N)
cluster|myid:  # O(1)
cluster|myshardid:  # O(1)
cluster|nodes:  # O(N)
cluster|replicas: node-id  # O(1)
cluster|shards:  # O(N)
cluster|slaves: node-id  # O(1)
cluster|slot-stats: (SLOTSRANGE start-slot end-slot | ORDERBY metric [LIMIT limit] [ASC | DESC])
  # O(N)
cluster|slots:  # O(N)
command|count:  # O(1)
command|docs: [command-name [command-name ...]]  # O(N)
command|getkeys: command [arg [arg ...]]  # O(N)
command|getkeysandflags: command [arg [arg ...]]  # O(N)
command|info: [command-name [command-name ...]]  # O(N)
command|list: [FILTERBY (MODULE module-name | ACLCAT category | PATTERN pattern)]  # O(N)
config|get: parameter [parameter ...]  # O(N)
config|resetstat:  # O(1)
config|rewrite:  # O(1)
config|set: parameter value [parameter value ...]  # O(N)
copy: source destination [DB destination-db] [REPLACE]  # O(N)
dbsize:  # O(1)
decr: key  # O(1)
decrby: key decrement  # O(1)
del: key [key ...]  # O(N)
delex: key [IFEQ ifeq-value | IFNE ifne-value | IFDEQ ifdeq-digest | IFDNE ifdne-digest]  # O(N)
digest: key  # O(N)
discard:  # O(N)
dump: key  # O(1)
echo: message  # O(1)
eval: script numkeys [key [key ...]] [arg [arg ...]]  # Depends on the script that is executed.
eval_ro: script numkeys [key [key ...]] [arg [arg ...]]  # Depends on the script that is executed.
evalsha: sha1 numkeys [key [key ...]] [arg [arg ...]]  # Depends on the script that is executed.
evalsha_ro: sha1 numkeys [key [key ...]] [arg [arg ...]]
  # Depends on the script that is executed.
exec:
exists: key [key ...]  # O(N)
expire: key seconds [NX | XX | GT | LT]  # O(1)
expireat: key unix-time-seconds [NX | XX | GT | LT]  # O(1)
expiretime: key  # O(1)
fcall: function numkeys [key [key ...]] [arg [arg ...]]
  # Depends on the function that is executed.
fcall_ro: function numkeys [key [key ...]] [arg [arg ...]]
  # Depends on the function that is executed.
function|delete: library-name  # O(1)
function|dump:  # O(N)
function|flush: [ASYNC | SYNC]  # O(N)
function|kill:  # O(1)
function|list: [LIBRARYNAME library-name-pattern] [WITHCODE]  # O(N)
function|load: [REPLACE] function-code  # O(1)
function|restore: serialized-value [FLUSH | APPEND | REPLACE]  # O(N)
function|stats:  # O(1)
flushall: [ASYNC | SYNC]  # O(N)
flushdb: [ASYNC | SYNC]  # O(N)
get: key  # O(1)
geoadd: key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]  # O(log(N))
geodist: key member1 member2 [M | KM | FT | MI]  # O(1)
geohash: key [member [member ...]]  # O(1)
geopos: key [member [member ...]]  # O(1)
georadius: key longitude latitude radius (M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT
  count [ANY]] [ASC | DESC] [STORE storekey | STOREDIST storekey]  # O(N+log(M))
georadius_ro: key longitude latitude radius (M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH]
  [COUNT count [ANY]] [ASC | DESC]  # O(N+log(M))
georadiusbymember: key member radius (M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT
  count [ANY]] [ASC | DESC] [STORE storekey | STOREDIST storekey]  # O(N+log(M))
georadiusbymember_ro: key member radius (M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT
  count [ANY]] [ASC | DESC]  # O(N+log(M))
geosearch: key (FROMMEMBER member | FROMLONLAT longitude latitude) (BYRADIUS radius (M | KM | FT |
  MI) | BYBOX width height (M | KM | FT | MI)) [ASC | DESC] [COUNT count [ANY]] [WITHCOORD]
  [WITHDIST] [WITHHASH]  # O(N+log(M))
geosearchstore: destination source (FROMMEMBER member | FROMLONLAT longitude latitude) (BYRADIUS
  radius (M | KM | FT | MI) | BYBOX width height (M | KM | FT | MI)) [ASC | DESC] [COUNT count
  [ANY]] [STOREDIST]  # O(N+log(M))
getbit: key offset  # O(1)
getdel: key  # O(1)
getex: key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds |
  PERSIST]  # O(1)
getrange: key start end  # O(N)
getset: key value  # O(1)
hdel: key field [field ...]  # O(N)
hello: [protover [AUTH username password] [SETNAME clientname]]  # O(1)
hexists: key field  # O(1)
hexpire: key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]  # O(N)
hexpireat: key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]  # O(N)
hexpiretime: key FIELDS numfields field [field ...]  # O(N)
hget: key field  # O(1)
hgetall: key  # O(N)
hgetdel: key FIELDS numfields field [field ...]  # O(N)
hgetex: key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds |
  PERSIST] FIELDS numfields field [field ...]  # O(N)
hincrby: key field increment  # O(1)
hincrbyfloat: key field increment  # O(1)
hkeys: key  # O(N)
hlen: key  # O(1)
hmget: key field [field ...]  # O(N)
hmset: key field value [field value ...]  # O(N)
hpersist: key FIELDS numfields field [field ...]  # O(N)
hpexpire: key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]  # O(N)
hpexpireat: key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field
  [field ...]  # O(N)
hpexpiretime: key FIELDS numfields field [field ...]  # O(N)
hpttl: key FIELDS numfields field [field ...]  # O(N)
hrandfield: key [count [WITHVALUES]]  # O(N)
hscan: key cursor [MATCH pattern] [COUNT count] [NOVALUES]  # O(1)
hset: key field value [field value ...]  # O(1)
hsetex: key [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds |
  PXAT unix-time-milliseconds | KEEPTTL] FIELDS numfields field value [field value ...]  # O(N)
hsetnx: key field value  # O(1)
hstrlen: key field  # O(1)
httl: key FIELDS numfields field [field ...]  # O(N)
hvals: key  # O(N)
incr: key  # O(1)
incrby: key increment  # O(1)
incrbyfloat: key increment  # O(1)
info: [section [section ...]]  # O(1)
keys: pattern  # O(N)
latency|doctor:  # O(1)
latency|graph: event  # O(1)
latency|histogram: [command [command ...]]  # O(N)
latency|history: event  # O(1)
latency|latest:  # O(1)
latency|reset: [event [event ...]]  # O(1)
lcs: key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]  # O(N*M)
lindex: key index  # O(N)
linsert: key (BEFORE | AFTER) pivot element  # O(N)
llen: key  # O(1)
lmove: source destination (LEFT | RIGHT) (LEFT | RIGHT)  # O(1)
lmpop: numkeys key [key ...] (LEFT | RIGHT) [COUNT count]  # O(N+M)
lpop: key [count]  # O(N)
lpos: key element [RANK rank] [COUNT num-matches] [MAXLEN len]  # O(N)
lpush: key element [element ...]  # O(1)
lpushx: key element [element ...]  # O(1)
lrange: key start stop  # O(S+N)
lrem: key count element  # O(N+M)
lset: key index element  # O(N)
ltrim: key start stop  # O(N)
memory|doctor:  # O(1)
memory|malloc-stats:
memory|purge:
memory|stats:  # O(1)
memory|usage: key [SAMPLES count]  # O(N)
mget: key [key ...]  # O(N)
monitor:
move: key db  # O(1)
mset: key value [key value ...]  # O(N)
msetex: numkeys key value [key value ...] [NX | XX] [EX seconds | PX milliseconds | EXAT
  unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]  # O(N)
msetnx: key value [key value ...]  # O(N)
multi:  # O(1)
object|encoding: key  # O(1)
object|freq: key  # O(1)
object|idletime: key  # O(1)
object|refcount: key  # O(1)
persist: key  # O(1)
pexpire: key milliseconds [NX | XX | GT | LT]  # O(1)
pexpireat: key unix-time-milliseconds [NX | XX | GT | LT]  # O(1)
pexpiretime: key  # O(1)
pfadd: key [element [element ...]]  # O(1)
pfcount: key [key ...]  # O(1)
pfmerge: destkey sourcekey [sourcekey ...]  # O(N)
ping: [message]  # O(1)
psetex: key milliseconds value  # O(1)
psubscribe: pattern [pattern ...]  # O(N)
pttl: key  # O(1)
publish: channel message  # O(N+M)
pubsub|channels: [pattern]  # O(N)
pubsub|numpat:  # O(1)
pubsub|numsub: [channel [channel ...]]  # O(N)
pubsub|shardchannels: [pattern]  # O(N)
pubsub|shardnumsub: [shardchannel [shardchannel ...]]  # O(N)
punsubscribe: [pattern [pattern ...]]  # O(N+M)
quit:  # O(1)
randomkey:  # O(1)
readonly:  # O(1)
readwrite:  # O(1)
rename: key newkey  # O(1)
renamenx: key newkey  # O(1)
reset:  # O(1)
restore: key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]  # O(1)
role:  # O(1)
rpop: key [count]  # O(N)
rpoplpush: source destination  # O(1)
rpush: key element [element ...]  # O(1)
rpushx: key element [element ...]  # O(1)
sadd: key member [member ...]  # O(1)
scan: cursor [MATCH pattern] [COUNT count] [TYPE type]  # O(1)
scard: key  # O(1)
script|exists: sha1 [sha1 ...]  # O(N)
script|flush: [ASYNC | SYNC]  # O(N)
script|kill:  # O(1)
script|load: script  # O(N)
sdiff: key [key ...]  # O(N)
sdiffcard: numkeys key [key ...] [LIMIT limit]  # O(N)
sdiffstore: destination key [key ...]  # O(N)
select: index  # O(1)
set: key value [NX | XX | IFEQ ifeq-value | IFNE ifne-value | IFDEQ ifdeq-digest | IFDNE
  ifdne-digest] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT
  unix-time-milliseconds | KEEPTTL]  # O(1)
setbit: key offset value  # O(1)
setex: key seconds value  # O(1)
setnx: key value  # O(1)
setrange: key offset value  # O(1)
shutdown: [NOSAVE | SAVE] [NOW] [FORCE]  # O(1)
sinter: key [key ...]  # O(N*M)
sintercard: numkeys key [key ...] [LIMIT limit]  # O(N*M)
sinterstore: destination key [key ...]  # O(N*M)
sismember: key member  # O(1)
slowlog|get: [count]  # O(N)
slowlog|len:  # O(1)
slowlog|reset:  # O(N)
smembers: key  # O(N)
smismember: key member [member ...]  # O(N)
smove: source destination member  # O(1)
sort: key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]
  [STORE destination]  # O(N+M*log(M))
sort_ro: key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC]
  [ALPHA]  # O(N+M*log(M))
spop: key [count]  # O(1)
spublish: shardchannel message  # O(N)
srandmember: key [count]  # O(1)
srem: key member [member ...]  # O(N)
sscan: key cursor [MATCH pattern] [COUNT count]  # O(1)
ssubscribe: shardchannel [shardchannel ...]  # O(N)
strlen: key  # O(1)
subscribe: channel [channel ...]  # O(N)
substr: key start end  # O(N)
sunion: key [key ...]  # O(N)
sunioncard: numkeys key [key ...] [APPROX] [LIMIT limit]  # O(N)
sunionstore: destination key [key ...]  # O(N)
sunsubscribe: [shardchannel [shardchannel ...]]  # O(N)
swapdb: index1 index2  # O(N)
time:  # O(1)
touch: key [key ...]  # O(N)
ttl: key  # O(1)
type: key  # O(1)
unlink: key [key ...]  # O(1)
unsubscribe: [channel [channel ...]]  # O(N)
unwatch:  # O(1)
wait: numreplicas timeout  # O(1)
waitaof: numlocal numreplicas timeout  # O(1)
watch: key [key ...]  # O(1)
zadd: key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]  # O(log(N))
zcard: key  # O(1)
zcount: key min max  # O(log(N))
zdiff: numkeys key [key ...] [WITHSCORES]  # O(L + (N-K)log(N))
zdiffstore: destination numkeys key [key ...]  # O(L + (N-K)log(N))
zincrby: key increment member  # O(log(N))
zinter: numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE (SUM | MIN | MAX |
  COUNT)] [WITHSCORES]  # O(N*K)+O(M*log(M))
zintercard: numkeys key [key ...] [LIMIT limit]  # O(N*K)
zinterstore: destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE (SUM | MIN |
  MAX | COUNT)]  # O(N*K)+O(M*log(M))
zlexcount: key min max  # O(log(N))
zmpop: numkeys key [key ...] (MIN | MAX) [COUNT count]  # O(K) + O(M*log(N))
zmscore: key member [member ...]  # O(N)
zpopmax: key [count]  # O(log(N)*M)
zpopmin: key [count]  # O(log(N)*M)
zrandmember: key [count [WITHSCORES]]  # O(N)
zrange: key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]  # O(log(N)+M)
zrangebylex: key min max [LIMIT offset count]  # O(log(N)+M)
zrangebyscore: key min max [WITHSCORES] [LIMIT offset count]  # O(log(N)+M)
zrangestore: dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]  # O(log(N)+M)
zrank: key member [WITHSCORE]  # O(log(N))
zrem: key member [member ...]  # O(M*log(N))
zremrangebylex: key min max  # O(log(N)+M)
zremrangebyrank: key start stop  # O(log(N)+M)
zremrangebyscore: key min max  # O(log(N)+M)
zrevrange: key start stop [WITHSCORES]  # O(log(N)+M)
zrevrangebylex: key max min [LIMIT offset count]  # O(log(N)+M)
zrevrangebyscore: key max min [WITHSCORES] [LIMIT offset count]  # O(log(N)+M)
zrevrank: key member [WITHSCORE]  # O(log(N))
zscan: key cursor [MATCH pattern] [COUNT count]  # O(1)
zscore: key member  # O(1)
zunion: numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE (SUM | MIN | MAX |
  COUNT)] [WITHSCORES]  # O(N)+O(M*log(M))
zunionstore: destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE (SUM | MIN |
  MAX | COUNT)]  # O(N)+O(M log(M))
xack: key group id [id ...]  # O(1)
xackdel: key group [KEEPREF | DELREF | ACKED] IDS numids id [id ...]  # O(1)
xadd: key [NOMKSTREAM] [KEEPREF | DELREF | ACKED] [(MAXLEN | MINID) [= | ~] threshold [LIMIT count]]
  (* | id) field value [field value ...]  # O(1)
xautoclaim: key group consumer min-idle-time start [COUNT count] [JUSTID]  # O(1)
xclaim: key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds]
  [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]  # O(log N)
xdel: key id [id ...]  # O(1)
xdelex: key [KEEPREF | DELREF | ACKED] IDS numids id [id ...]  # O(1)
xgroup|create: key group (id | $) [MKSTREAM] [ENTRIESREAD entries-read]  # O(1)
xgroup|createconsumer: key group consumer  # O(1)
xgroup|delconsumer: key group consumer  # O(1)
xgroup|destroy: key group  # O(N)
xgroup|setid: key group (id | $) [ENTRIESREAD entries-read]  # O(1)
xinfo|consumers: key group  # O(1)
xinfo|groups: key  # O(1)
xinfo|stream: key [FULL [COUNT count]]  # O(1)
xlen: key  # O(1)
xpart: key part  # O(N)
xpending: key group [[IDLE min-idle-time] start end count [consumer]]  # O(N)
xrange: key start end [COUNT count]  # O(N)
xread: [COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]
xreadgroup: GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id
  [id ...]  # O(M)
xrevrange: key end start [COUNT count]  # O(N)
xsetid: key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]  # O(1)
xtrim: key (MAXLEN | MINID) [= | ~] threshold [LIMIT count] [KEEPREF | DELREF | ACKED]  # O(N)
"""


def _read(table: str) -> dict[str, tuple[str, str]]:
    """The words and the cost of each command."""
    found: dict[str, tuple[str, str]] = {}
    for line in table.strip().replace("\n  ", " ").splitlines():
        name, _, rest = line.partition(":")
        words, _, cost = rest.partition("#")
        found[name] = (words.strip(), cost.strip())
    return found


_USAGE: dict[str, tuple[str, str]] = _read(TABLE)


def usage_of(name: str) -> str:
    return _USAGE.get(name, ("", ""))[0]


def cost_of(name: str) -> str:
    return _USAGE.get(name, ("", ""))[1]


# -- the tree --------------------------------------------------------------------------------------

_INTEGERS = {"seconds", "milliseconds", "offset", "start", "end", "count", "bit", "index", "db"}
_INTEGERS |= {"slot", "numkeys", "timeout", "decrement", "len", "client-id", "numreplicas"}
_INTEGERS |= {"limit", "cursor", "weight"}
_TYPES = {"pattern": "pattern"} | dict.fromkeys(_INTEGERS, "integer")
_DOUBLES = ("score", "longitude", "latitude", "radius", "width", "height")
_TYPES |= dict.fromkeys(_DOUBLES, "double")
_TYPES |= dict.fromkeys(("unix-time-seconds", "unix-time-milliseconds"), "unix-time")
_KEYS = {"key", "key1", "key2", "newkey", "destkey", "sourcekey", "source", "destination"}
_KEYS |= {"dst", "src", "storekey"}
_TYPES |= dict.fromkeys(_KEYS, "key")
_TOKENS = re.compile(r"\.\.\.|[][()|]|[^][()|\s]+")


@dataclass
class Argument:
    name: str
    kind: str
    token: str = ""
    flags: list[str] = field(default_factory=list)
    parts: "list[Argument]" = field(default_factory=list)

    def told(self) -> Reply:
        """As COMMAND DOCS tells of it."""
        reply: dict[Reply, Reply] = {b"name": self.name.encode(), b"type": self.kind.encode()}
        if self.token:
            reply[b"token"] = self.token.encode()
        if self.flags:
            reply[b"flags"] = SetReply([Status(flag.encode()) for flag in self.flags])
        if self.parts:
            reply[b"arguments"] = [part.told() for part in self.parts]
        return reply


def arguments(usage: str) -> list[Argument]:
    return _Reader(usage).whole()


class _Reader:
    def __init__(self, usage: str):
        self._tokens: list[str] = [*_TOKENS.findall(usage), ""]
        self._at = 0

    def whole(self) -> list[Argument]:
        row = self._row()
        return [self._choice("", row)] if self._next() == "|" else row

    def _choice(self, end: str, first: list[Argument] | None = None) -> Argument:
        """What is between two brackets: one of several, or a few in a row."""
        choices = [self._row() if first is None else first]
        while self._next() == "|":
            self._at += 1
            choices.append(self._row())
        invariant(self._next() == end, f"a usage without its {end!r}: {self._tokens}")
        self._at += 1
        rows = [_together(row) for row in choices]
        if len(rows) == 1:
            return rows[0]
        return Argument("_".join(row.name for row in rows), "oneof", parts=rows)

    def _next(self) -> str:
        return self._tokens[self._at]

    def _row(self) -> list[Argument]:
        row: list[Argument] = []
        while self._next() not in ("|", "]", ")", ""):
            token = self._next()
            self._at += 1
            if token == "[":
                self._optional(row)
            elif token == "(":
                row.append(self._choice(")"))
            elif token == "...":
                row.append(Argument(token, "repeated"))
            elif token.isupper():
                row.append(Argument(token.lower(), "pure-token", token))
            else:
                row.append(Argument(token, _TYPES.get(token, "string")))
        return row

    def _optional(self, row: list[Argument]) -> None:
        found = self._choice("]")
        parts = found.parts if found.kind == "block" and not found.token else [found]
        if parts[-1].kind != "repeated":
            found.flags.append("optional")
            row.append(found)
            return
        count = len(parts) - 1  # what stands before it once
        repeated = _together(row[len(row) - count :])
        del row[len(row) - count :]
        repeated.flags.append("multiple")
        if repeated.token:
            repeated.flags.append("multiple_token")
        row.append(repeated)


def _together(row: Sequence[Argument]) -> Argument:
    """Several in a row are a block; a word in capitals names what stands behind it."""
    if len(row) == 1:
        return row[0]
    first, *rest = row
    if first.kind == "pure-token" and not any(part.kind == "repeated" for part in rest):
        named = _together(rest)
        if not named.token and named.flags in ([], ["multiple"]):
            named.token = first.token
            return named
    return Argument("_".join(part.name for part in row), "block", parts=list(row))
