"""Where our replies differ from Redis' and are meant to: the whole table, each with its reason.

docs/redis.md has the same list for people, and test_differences.py shows that each is really there:
one that is gone must leave both.
"""

import contextlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from distrodb.commands.table import COMMANDS
from tests.oracle.frames import Frame, is_error

Words = list[bytes]


@dataclass(frozen=True)
class Difference:
    title: str  # as docs/redis.md has it
    is_meant: Callable[[Words, Frame, Frame], bool]  # the command, Redis' reply and ours
    example: tuple[str, ...]  # commands that show it, by the last one
    is_cluster: bool = True
    parts_ways: bool = False  # what follows is not comparable


def _command(words: Words, *names: bytes) -> bool:
    return [word.upper() for word in words[: len(names)]] == list(names)


def _says(frame: Frame, text: bytes) -> bool:
    return is_error(frame) and text in frame[1]


def _without_count(frame: Frame) -> bytes:
    """A HyperLogLog but for the bytes of its header that keep its count."""
    value: bytes = frame[1] or b""
    return value[:8] + value[16:] if value.startswith(b"H") else repr(id(frame)).encode()


# Of HELLO's reply: all but the version and the number of the connection.
_OF_HELLO = [0, 1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13]


def _is_newer(words: Words) -> bool:
    row = COMMANDS.get(words[0].upper())
    found = row.subcommand(words) if row is not None else None
    return found is not None and found.since > "7.0.99"


_TOLD = (b"COUNT", b"LIST", b"DOCS", b"INFO", b"HELP")


def _text(frame: Frame) -> bytes:
    return frame[1] if isinstance(frame[1], bytes) else b""


# Whose replies have scores.
_SCORED = {
    *(b"ZADD", b"ZINCRBY", b"ZSCORE", b"ZMSCORE", b"ZPOPMIN", b"ZPOPMAX", b"ZMPOP", b"ZSCAN"),
    *(b"ZRANGE", b"ZREVRANGE", b"ZRANGEBYSCORE", b"ZREVRANGEBYSCORE"),
    *(b"ZUNION", b"ZINTER", b"ZDIFF", b"EXEC", b"GEODIST", b"GEOSEARCH", b"GEORADIUS"),
    *(b"GEORADIUSBYMEMBER", b"GEORADIUS_RO", b"GEORADIUSBYMEMBER_RO"),
}


def _with_numbers(frame: Frame, digits: int = 17) -> Frame:
    """What looks like a double is one, of so many digits."""
    kind, content = frame
    if isinstance(content, list):
        return (kind, [_with_numbers(each, digits) for each in content])
    if kind in (b"$", b",") and content is not None:
        with contextlib.suppress(ValueError):
            return (kind, f"{float(content):.{digits}g}")
    return frame


# A library as release candidates of Redis 7.0 wrote it: its name, its engine, its code compressed.
PRE_RELEASE = "FUNCTION RESTORE " + shlex.quote(
    "\xf6\x05mylib\x03LUA\x00\xc3@D@J\x1aredis.register_function('my@\x0b\x02'"
    ", @\x06`\x12\x11keys, args) return`\x0c\x07[1] end)\n\x00@\n)\x11\xc8|\x9b\xe4"
)

DIFFERENCES: list[Difference] = [
    Difference(
        "Where a node of Redis 7.0's cluster denies `BY` and `GET` of `SORT`, they are allowed with"
        " the hash tag of the key in the pattern, as since Redis 8",
        lambda words, theirs, ours: (
            words[0].upper() in (b"SORT", b"SORT_RO")
            and b"option of SORT denied in Cluster mode" in _text(theirs)
            and not is_error(ours)
        ),
        ("SORT {t}a BY {t}*",),
        parts_ways=True,
    ),
    Difference(
        "`SORT` with `ALPHA` compares whole elements, as bytes; Redis up to a NUL",
        lambda words, theirs, ours: (
            words[0].upper() in (b"SORT", b"SORT_RO")
            and b"ALPHA" in [word.upper() for word in words]
            and theirs[0] == ours[0] == b"*"
            and any(b"\0" in _text(each) for each in theirs[1])
            and sorted(map(repr, theirs[1])) == sorted(map(repr, ours[1]))
        ),
        ("RPUSH k \0b \0a", "SORT k ALPHA"),
    ),
    Difference(
        "An error quotes no more than 128 bytes of a word",
        lambda words, theirs, ours: (
            is_error(theirs)
            and is_error(ours)
            and len(theirs[1]) > len(ours[1])
            and theirs[1].startswith(ours[1][:130])
            and any(len(word) > 128 for word in words)
        ),
        ("EXPIRE k 1 " + "x" * 200,),
    ),
    Difference(
        "Who tries many wrong passwords is told to wait",
        lambda words, theirs, ours: (
            words[0].upper() in (b"AUTH", b"HELLO") and _says(ours, b"too many failed logins")
        ),
        ("AUTH u x",) * 300,
        parts_ways=True,
    ),
    Difference(
        "`FUNCTION RESTORE` does not know the form that release candidates of Redis 7.0 had",
        lambda words, theirs, ours: (
            _command(words, b"FUNCTION", b"RESTORE")
            and words[2][:1] == b"\xf6"
            and _says(ours, b"Bad data format")
        ),
        (PRE_RELEASE,),
        parts_ways=True,
    ),
    Difference(
        "Where there are several partitions `SORT` needs the hash tag of its key in the patterns of"
        " `BY` and `GET`",
        lambda words, theirs, ours: (
            words[0].upper() in (b"SORT", b"SORT_RO") and b"option of SORT denied" in _text(ours)
        ),
        ("SORT {t}a GET *",),
        is_cluster=False,
        parts_ways=True,
    ),
    Difference(
        "`COMMAND` tells of the commands that are here, and in words of its own",
        lambda words, theirs, ours: (
            _command(words, b"COMMAND")
            and (len(words) == 1 or words[1].upper() in _TOLD)
            and not is_error(theirs)
        ),
        ("COMMAND COUNT",),
    ),
    Difference(
        "`HELP` tells of the subcommands that are here",
        lambda words, theirs, ours: (
            len(words) > 1 and words[1].upper() == b"HELP" and not is_error(theirs)
        ),
        ("CLUSTER HELP",),
    ),
    Difference(
        "`EVALSHA` knows a script that `EVAL` has brought in the partition where it ran;"
        " `SCRIPT LOAD` brings it to all",
        lambda words, theirs, ours: (
            words[0].upper().startswith(b"EVALSHA") and _says(ours, b"NOSCRIPT")
        ),
        ("EVAL return{1} 0", "EVALSHA 7da067d306ba2950a9b8ae9ef59deade71ff5b36 1 {t}a"),
        parts_ways=True,
    ),
    Difference(
        "`WATCH` takes keys of one partition",
        lambda words, theirs, ours: (
            (_command(words, b"WATCH") or _command(words, b"EXEC"))
            and ours == (b"-", b"CROSSSLOT Watched keys are in another partition")
        ),
        ("WATCH a", "WATCH b"),
        parts_ways=True,
    ),
    Difference(
        "A value that would get too long is refused by the name of its limit, `value_bytes_max`",
        lambda words, theirs, ours: (
            _says(ours, b"value exceeds value_bytes_max")
            and (not is_error(theirs) or b"exceeds maximum allowed size" in theirs[1])
        ),
        ("SETRANGE k 4294967296 x",),
        parts_ways=True,
    ),
    Difference(
        "`DBSIZE` counts a key that has expired until it is removed in the background; Redis"
        " removes those that it meets",
        lambda words, theirs, ours: _command(words, b"DBSIZE") and ours[1] > theirs[1],
        ("SET k x PXAT 1", "GET k", "DBSIZE"),
    ),
    Difference(
        "`PFCOUNT` writes nothing: the count that Redis keeps in the value stays marked as old",
        lambda words, theirs, ours: (
            theirs[0] == ours[0] == b"$" and _without_count(theirs) == _without_count(ours)
        ),
        ("PFADD k a", "PFCOUNT k", "GET k"),
    ),
    Difference(
        "A command on all partitions (`DBSIZE`, `FLUSHALL`, …) cannot be part of a transaction",
        lambda words, theirs, ours: _says(ours, b"is on all partitions"),
        ("MULTI", "DBSIZE"),
        parts_ways=True,
    ),
    Difference(
        "Shard channels of several slots are refused when a transaction runs, not when they are"
        " queued",
        lambda words, theirs, ours: _says(theirs, b"CROSSSLOT") and ours == (b"+", b"QUEUED"),
        ("MULTI", "SSUBSCRIBE a b"),
        parts_ways=True,
    ),
    Difference(
        "`OBJECT ENCODING` goes by the value, not by how it came about",
        lambda words, theirs, ours: (
            _command(words, b"OBJECT", b"ENCODING")
            and theirs in ((b"$", b"raw"), (b"$", b"skiplist"))  # SORT makes the latter
        ),
        ("SET k a", "APPEND k b", "OBJECT ENCODING k"),
    ),
    Difference(
        "`OBJECT ENCODING` names a small list or set as Redis 7.2 and later do",
        lambda words, theirs, ours: (
            _command(words, b"OBJECT", b"ENCODING")
            and theirs in ((b"$", b"quicklist"), (b"$", b"hashtable"))
            and ours in ((b"$", b"listpack"), (b"$", b"intset"))
        ),
        ("RPUSH k a", "OBJECT ENCODING k"),
    ),
    Difference(
        "`SPOP` takes other members than Redis",
        lambda words, theirs, ours: (
            _command(words, b"SPOP")
            and not is_error(theirs)
            and theirs[0] == ours[0]
            and isinstance(theirs[1], bytes) == isinstance(ours[1], bytes)
        ),
        ("SADD k a b c d e f g h i j k l m n o p q r s t u v w x y z", "SPOP k 9"),
        parts_ways=True,
    ),
    Difference(
        "`LPOS` refuses a `RANK` of -2^63, as later Redis do",
        lambda words, theirs, ours: (
            _command(words, b"LPOS") and _says(ours, b"value is out of range, value must between")
        ),
        ("LPOS k a RANK -9223372036854775808",),
    ),
    Difference(
        "What is newer than Redis 7.0 is there: `CLIENT SETINFO`, `CLIENT NO-TOUCH`, …",
        lambda words, theirs, ours: _says(theirs, b"ERR unknown ") and _is_newer(words),
        ("CLIENT NO-TOUCH ON",),
    ),
    Difference(
        "Scores and distances are printed in the shortest form that reads back as the same number,"
        " as since Redis 7.2; before, with all 17 digits",
        lambda words, theirs, ours: (
            words[0].upper() in _SCORED and _with_numbers(theirs) == _with_numbers(ours)
        ),
        ("ZADD k 0.1 a", "ZSCORE k a"),
    ),
    Difference(
        "Distances are reckoned in a way that is the same on every machine, so the last digit of"
        " one that is stored may be another one",
        lambda words, theirs, ours: (
            words[0].upper() in _SCORED and _with_numbers(theirs, 13) == _with_numbers(ours, 13)
        ),
        (
            "GEOADD k 89.68 -39.19 a",
            "GEOSEARCHSTORE k k FROMLONLAT 15 37 BYRADIUS 30000 km STOREDIST",
            "ZSCORE k a",
        ),
    ),
    Difference(
        "`ZRANK` and `ZREVRANK` take `WITHSCORE`, as since Redis 7.2",
        lambda words, theirs, ours: (
            words[0].upper() in (b"ZRANK", b"ZREVRANK")
            and len(words) == 4
            and _says(theirs, b"wrong number of arguments")
        ),
        ("ZRANK k a WITHSCORE",),
    ),
    Difference(
        "`XREAD` takes `+` for the last entry, as since Redis 7.4",
        lambda words, theirs, ours: (
            words[0].upper() == b"XREAD" and b"+" in words and _says(theirs, b"Invalid stream ID")
        ),
        ("XADD {t}a 1-1 f v", "XREAD STREAMS {t}a +"),
    ),
    Difference(
        "`XINFO` tells when a consumer got something last, as since Redis 7.2",
        lambda words, theirs, ours: (
            words[0].upper() == b"XINFO"
            and _without_times(theirs) == _without_times(without_activity(ours))
        ),
        (
            "XGROUP CREATE {t}a g 0 MKSTREAM",
            "XGROUP CREATECONSUMER {t}a g c",
            "XINFO CONSUMERS {t}a g",
        ),
    ),
    Difference(
        "A consumer is there once it has asked, also if it got nothing, as since Redis 7.2",
        lambda words, theirs, ours: (
            (words[0].upper() == b"XINFO" and _with_consumers(theirs) == _with_consumers(ours))
            or (
                _command(words, b"XGROUP", b"CREATECONSUMER")
                and (theirs, ours) == ((b":", 1), (b":", 0))
            )
        ),
        (
            "XGROUP CREATE {t}a g 0 MKSTREAM",
            "XREADGROUP GROUP g c STREAMS {t}a >",
            "XINFO GROUPS {t}a",
        ),
    ),
    Difference(
        "`XSETID` refuses a number below one that was deleted, as since Redis 7.2",
        lambda words, theirs, ours: (
            words[0].upper() == b"XSETID" and _says(ours, b"smaller than current max_deleted")
        ),
        ("XADD {t}a 2-1 f v", "XDEL {t}a 2-1", "XSETID {t}a 1-1"),
        parts_ways=True,
    ),
    Difference(
        "`HELLO` says a version of its own, of the Redis that is followed",
        lambda words, theirs, ours: (
            _command(words, b"HELLO")
            and not is_error(theirs)
            and not is_error(ours)
            and [theirs[1][each] for each in _OF_HELLO] == [ours[1][each] for each in _OF_HELLO]
        ),
        ("HELLO 3",),
    ),
    Difference(
        "`WAIT` counts copies in other slaves, which a single Redis has not",
        lambda words, theirs, ours: _command(words, b"WAIT") and theirs[0] == ours[0] == b":",
        ("WAIT 0 0",),
    ),
    Difference(
        "`SELECT` of another database than 0 is allowed in a cluster too, as in Valkey 9",
        lambda words, theirs, ours: _says(theirs, b"SELECT is not allowed in cluster mode"),
        ("SELECT 1",),
        parts_ways=True,
    ),
    Difference(
        "`CONFIG SET` has bounds of its own, and of several faults it may name another one",
        lambda words, theirs, ours: (
            _command(words, b"CONFIG", b"SET") and is_error(theirs) and is_error(ours)
        ),
        ("CONFIG SET timeout -1",),
    ),
    Difference(
        "`DEBUG`, `ACL LOAD` and `ACL SAVE` are refused in words of their own",
        lambda words, theirs, ours: (
            _says(ours, b"DEBUG command not allowed") or _says(ours, b"to use an ACL file")
        ),
        ("DEBUG SLEEP 0",),
    ),
    Difference(
        "What must be atomic and has keys in several partitions is refused by a gateway",
        lambda words, theirs, ours: _says(ours, b"Keys in request lie in several partitions"),
        ("MSETNX a 1 b 2",),
        is_cluster=False,
        parts_ways=True,
    ),
    Difference(
        "`SWAPDB` is refused: partitions cannot swap at one moment",
        lambda words, theirs, ours: (
            _command(words, b"SWAPDB") and _says(ours, b"SWAPDB is not supported")
        ),
        ("SWAPDB 0 1",),
        is_cluster=False,
        parts_ways=True,
    ),
]


def overflows(words: Words) -> bool:
    """A RESTORE that lives beyond the end of all time: Redis' sum overflows and the key is gone,
    ours stays, and nothing behind it can be compared."""
    return _command(words, b"RESTORE") and words[2:3] == [b"9223372036854775807"]


def meant(words: Words, theirs: Frame, ours: Frame) -> Difference | None:
    """The one that it is, if it is one of these."""
    return next((each for each in DIFFERENCES if each.is_meant(words, theirs, ours)), None)


def is_of_the_clock(words: Words) -> bool:
    """It makes a number of the time: what follows is each server's own."""
    return words[0].upper() == b"XADD" and b"*" in words


# -- replies that are equal in what they say -------------------------------------------------------

CLOCK_MS_MAX = 5000  # between the same command's run here and there; a moment's, on a busy machine
_CLOCKS = {b"TTL": 1 + CLOCK_MS_MAX // 1000, b"EXPIRETIME": 1 + CLOCK_MS_MAX // 1000}
_CLOCKS |= {b"PTTL": CLOCK_MS_MAX, b"PEXPIRETIME": CLOCK_MS_MAX}


def is_equal(words: Words, theirs: Frame, ours: Frame) -> bool:
    """Byte for byte, but for clocks, for what is in no order, and for chance."""
    if theirs == ours:
        return True
    if theirs[0] != ours[0] or is_error(theirs):
        return False
    name = words[0].upper()
    if name in _CLOCKS:
        one, other = int(theirs[1]), int(ours[1])
        return min(one, other) >= 0 and abs(one - other) <= _CLOCKS[name]
    if name == b"KEYS":
        return bool(sorted(theirs[1]) == sorted(ours[1]))
    if name == b"ZRANDMEMBER":
        return _shape(theirs) == _shape(ours)
    if is_of_the_clock(words):
        return True
    if name in (b"XPENDING", b"XINFO"):
        return _without_times(theirs) == _without_times(ours)
    if name == b"HGETALL" or _command(words, b"CONFIG", b"GET"):
        return _pairs(theirs) == _pairs(ours)
    if name in (b"HKEYS", b"HVALS"):
        return bool(sorted(theirs[1]) == sorted(ours[1]))
    if name == b"HRANDFIELD":  # the same of them, if all are wanted
        one, other = theirs[1], ours[1]
        return None not in (one, other) and (isinstance(one, bytes) or len(one) == len(other))
    if name == b"HSCAN":
        if theirs[1][0] != ours[1][0]:
            return True  # one that is large to Redis: its cursors are its own
        return _pairs(theirs[1][1]) == _pairs(ours[1][1])
    if name in (b"SMEMBERS", b"SINTER", b"SUNION", b"SDIFF"):
        return bool(sorted(theirs[1]) == sorted(ours[1]))
    if name == b"SORT" and isinstance(theirs[1], list) and _is_unordered(words):
        return bool(sorted(theirs[1]) == sorted(ours[1]))
    if name == b"SPOP" and len(words) == 3 and len(theirs[1]) == len(ours[1]):
        return bool(sorted(theirs[1]) == sorted(ours[1]))
    if name == b"SRANDMEMBER":
        return isinstance(theirs[1], bytes) or len(theirs[1]) == len(ours[1])
    if words[0].upper() == b"PUBSUB" and words[1].upper() in (b"CHANNELS", b"SHARDCHANNELS"):
        return bool(sorted(theirs[1]) == sorted(ours[1]))
    if name == b"CLIENT" and words[1].upper() in (b"INFO", b"LIST"):
        return _fields(theirs) <= _fields(ours)
    if _command(words, b"CLIENT", b"ID") or _command(words, b"MEMORY", b"USAGE"):
        return True
    if _command(words, b"FUNCTION", b"LIST"):
        return _in_no_order(theirs) == _in_no_order(ours)
    if _command(words, b"FUNCTION", b"DUMP"):  # another version in it: test_functions.py
        return True
    if name in (b"RANDOMKEY", b"DUMP"):  # what one dumps the other restores: test_dumps.py
        return None not in (theirs[1], ours[1])
    return name in (b"SCAN", b"SSCAN")  # their cursors are each server's own


def _is_unordered(words: Words) -> bool:
    """SORT of a set that BY keeps from being sorted: there is a word of its own for that."""
    return b"unordered" in words


def _shape(frame: Frame) -> Frame:
    """How many of what kind."""
    kind, content = frame
    return (kind, list(map(_shape, content)) if isinstance(content, list) else content is None)


def without_activity(frame: Frame) -> Frame:
    """What XINFO tells without what Redis 7.0 does not know."""
    kind, content = frame
    if not isinstance(content, list):
        return frame
    items = [without_activity(each) for each in content]
    for place, (_, name) in enumerate(items[:-1]):
        if name in (b"active-time", b"inactive"):
            del items[place : place + 2]
            break
    return (kind, items)


def _with_consumers(frame: Frame) -> Frame:
    """What XINFO tells, but for consumers that have nothing."""
    kind, content = _without_times(without_activity(frame))
    if not isinstance(content, list):
        return (kind, content)
    items = [_with_consumers(each) for each in content]
    for place, (_, name) in enumerate(items[:-1]):
        if name == b"consumers" and isinstance(items[place + 1][1], int):
            items[place + 1] = (b":", b"")
    return (kind, [each for each in items if not _has_nothing(each)])


def _has_nothing(frame: Frame) -> bool:
    content = frame[1]
    if not isinstance(content, list) or (b"$", b"name") not in content:
        return False
    names = [name for _, name in content]
    is_consumer = b"seen-time" in names or b"idle" in names
    at = names.index(b"pel-count" if b"pel-count" in names else b"pending")
    return is_consumer and content[at + 1] == (b":", 0)


_TIMES = frozenset({b"seen-time", b"idle", b"active-time", b"inactive"})
_TIME_MIN = 10**12


def _without_times(frame: Frame) -> Frame:
    """What is told of a stream's consumers, but for when: a moment's difference, or a time."""
    kind, content = frame
    if isinstance(content, list):
        items = [_without_times(each) for each in content]
        for place, (_, name) in enumerate(items[:-1]):
            if isinstance(name, bytes) and name in _TIMES:
                items[place + 1] = (b":", b"")
        if len(items) == 4 and [kind for kind, _ in items[2:]] == [b":", b":"]:
            items[2] = (b":", b"")  # of XPENDING
        return (kind, items)
    is_time = isinstance(content, int) and _TIME_MIN <= content < 10 * _TIME_MIN
    return (kind, b"" if is_time else content)


def _in_no_order(frame: Frame) -> str:
    """Libraries and their functions are in no order."""
    kind, content = frame
    texts = sorted(map(_in_no_order, content)) if isinstance(content, list) else content
    return repr((kind, texts))


def _fields(frame: Frame) -> set[bytes]:
    return {word.partition(b"=")[0] for word in frame[1].removeprefix(b"txt:").split()}


def _pairs(frame: Frame) -> list[tuple[Frame, Frame]]:
    items = frame[1]
    return sorted(zip(items[::2], items[1::2], strict=True))
