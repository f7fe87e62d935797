"""The cluster as clients ask for it: CLUSTER, and READONLY, READWRITE and ASKING.

What Redis' cluster tools change by hand is refused with the reason: who holds what is decided by
the cluster map, which heals by itself and is steered by DISTRODB.
https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from distrodb.commands.api import PENDING, Answer, SessionApi
from distrodb.commands.command import Command, container, session_row
from distrodb.commands.error_replies import SYNTAX, shown, wrong_subcommand
from distrodb.commands.numbers import NOT_AN_INTEGER, parse_integer
from distrodb.commands.slots import BAD_SLOT, KEY_COUNTS, Counts
from distrodb.resp.reply import OK, ErrorReply, Reply, error
from distrodb.ring.slots import SLOT_COUNT, slot_of

BAD_LIMIT = error("ERR", "Limit has to lie in between 1 and 16384 (maximum number of slots).")


# -- who there is ----------------------------------------------------------------------------------


def slots(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return session.slave.cluster.slots()


def shards(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return session.slave.cluster.shards()


def nodes(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return session.slave.cluster.nodes()


def info(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return session.slave.cluster.info()


def links(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return session.slave.cluster.links()


def myid(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return session.slave.cluster.my_id()


def myshardid(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return session.slave.cluster.my_shard_id()


def _unknown_node(name: bytes) -> ErrorReply:
    return error("ERR", f"Unknown node {shown(name)}")


def replicas(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """CLUSTER REPLICAS node-id: those that CLUSTER NODES shows as its replicas."""
    cluster = session.slave.cluster
    node = cluster.node_of(args[2])
    if node is None:
        return _unknown_node(args[2])
    found = cluster.replicas_of(node)
    return error("ERR", "The specified node is not a master") if found is None else found


def count_failure_reports(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """CLUSTER COUNT-FAILURE-REPORTS node-id: how many others say that they do not hear it."""
    cluster = session.slave.cluster
    node = cluster.node_of(args[2])
    return _unknown_node(args[2]) if node is None else cluster.failure_reports(node)


def failover(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """CLUSTER FAILOVER [FORCE | TAKEOVER]: refused with the reason, and in Redis' words where Redis
    refuses it too."""
    if len(args) > 3:
        return wrong_subcommand(args)
    if len(args) == 3 and args[2].upper() not in (b"FORCE", b"TAKEOVER"):
        return SYNTAX
    return session.slave.cluster.no_failover()


def saveconfig(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """The map is on this slave's disk before it goes by it."""
    return OK


# -- slots -----------------------------------------------------------------------------------------


def keyslot(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return slot_of(args[2])


def countkeysinslot(session: SessionApi, args: Sequence[bytes]) -> Answer:
    slot = parse_integer(args[2])
    if slot is None:
        return NOT_AN_INTEGER
    if not 0 <= slot < SLOT_COUNT:
        return BAD_SLOT
    _ask(session, slot, [b"COUNTKEYSINSLOT", args[2]])
    return PENDING


def getkeysinslot(session: SessionApi, args: Sequence[bytes]) -> Answer:
    """CLUSTER GETKEYSINSLOT slot count."""
    slot, count = parse_integer(args[2]), parse_integer(args[3])
    if slot is None or count is None:
        return NOT_AN_INTEGER
    if not 0 <= slot < SLOT_COUNT or count < 0:
        return error("ERR", "Invalid slot or number of keys")
    _ask(session, slot, [b"GETKEYSINSLOT", args[2], args[3]])
    return PENDING


def _ask(session: SessionApi, slot: int, words: Sequence[bytes]) -> None:
    session.slave.ask_partition(slot, words, session.database, session.later())


def slot_stats(session: SessionApi, args: Sequence[bytes]) -> Answer:
    """CLUSTER SLOT-STATS SLOTSRANGE start end | ORDERBY KEY-COUNT [LIMIT n] [ASC | DESC]: of the
    slots that are led here.  Key counts only, as in Redis unless more is switched on."""
    kind = args[2].upper()
    if kind == b"SLOTSRANGE" and len(args) == 5:
        chosen = _by_range(args)
    elif kind == b"ORDERBY" and len(args) >= 4:
        chosen = _by_order(args)
    else:
        return error(
            "ERR",
            f"unknown subcommand or wrong number of arguments for '{shown(args[1])}'."
            " Try CLUSTER HELP.",
        )
    if isinstance(chosen, ErrorReply):
        return chosen
    answer = session.later()

    def resolve(counts: Reply) -> None:
        if isinstance(counts, dict):
            numbers = [(s, n) for s, n in counts.items() if type(s) is int and type(n) is int]
            answer(chosen(dict(numbers)))
        else:
            answer(counts)

    session.slave.run_on_partitions(KEY_COUNTS, [b"KEYCOUNTS"], session.database, resolve)
    return PENDING


Choose = Callable[[Counts], Reply]  # the reply, from the counts of all slots that are led here


def _by_range(args: Sequence[bytes]) -> Choose | ErrorReply:
    first, last = parse_integer(args[3]), parse_integer(args[4])
    if first is None or last is None:
        return NOT_AN_INTEGER
    if not (0 <= first < SLOT_COUNT and 0 <= last < SLOT_COUNT):
        return error("ERR", "Invalid or out of range slot")
    if first > last:
        return error("ERR", f"Start slot number {first} is greater than end slot number {last}")
    return lambda counts: _told([(slot, n) for slot, n in counts.items() if first <= slot <= last])


def _by_order(args: Sequence[bytes]) -> Choose | ErrorReply:
    if args[3].upper() != b"KEY-COUNT":
        return error("ERR", "Unrecognized sort metric for ORDERBY.")
    limit, is_descending, given = SLOT_COUNT, True, list[str]()
    words = deque(args[4:])
    while words:
        word = words.popleft().upper()
        if word == b"LIMIT" and words:
            number = parse_integer(words.popleft())
            if number is None or not 1 <= number <= SLOT_COUNT:
                return BAD_LIMIT
            limit = number
            given.append("limit")
        elif word in (b"ASC", b"DESC"):
            is_descending = word == b"DESC"
            given.append("order")
        else:
            return SYNTAX
    if len(set(given)) < len(given):
        return SYNTAX
    sign = -1 if is_descending else 1
    return lambda counts: _told(
        sorted(counts.items(), key=lambda row: (sign * row[1], row[0]))[:limit]
    )


def _told(rows: Sequence[tuple[int, int]]) -> Reply:
    return [[slot, {b"key-count": count}] for slot, count in rows]


# -- the connection --------------------------------------------------------------------------------


def readonly(session: SessionApi, args: Sequence[bytes]) -> Reply:
    session.is_readonly = True
    return OK


def readwrite(session: SessionApi, args: Sequence[bytes]) -> Reply:
    session.is_readonly = False
    return OK


def asking(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """No slot is ever half moved here, so nothing is asked in another way behind it."""
    return OK


# -- rows ------------------------------------------------------------------------------------------


def _row(
    word: str,
    handler: Callable[[SessionApi, Sequence[bytes]], Answer],
    arity: int,
    summary: str,
    since: str = "3.0.0",
    *,
    is_admin: bool = False,
    is_in_no_order: bool = False,
    more: str = "",
) -> Command:
    return session_row(
        f"cluster|{word}",
        handler,
        arity,
        f"stale {'admin' * is_admin} {more}",
        "cluster",
        summary,
        since,
        tips=("nondeterministic_output",) * is_in_no_order,
    )


_CHANGES = "no_async_loading"
_ROWS = (
    _row(
        "count-failure-reports",
        count_failure_reports,
        3,
        "How many slaves do not hear a node.",
        is_admin=True,
        is_in_no_order=True,
    ),
    _row("countkeysinslot", countkeysinslot, 3, "Counts the keys of a slot."),
    _row(
        "failover",
        failover,
        -2,
        "Refused: owners lead.",
        is_admin=True,
        more=_CHANGES,
    ),
    _row("getkeysinslot", getkeysinslot, 4, "Names keys of a slot.", is_in_no_order=True),
    _row("info", info, 2, "The state of the cluster.", is_in_no_order=True),
    _row("keyslot", keyslot, 3, "The slot of a key."),
    _row("links", links, 2, "The links with other slaves.", "7.0.0", is_in_no_order=True),
    _row("myid", myid, 2, "The id of this slave."),
    _row("myshardid", myshardid, 2, "The id of its shard.", "7.2.0", is_in_no_order=True),
    _row("nodes", nodes, 2, "All slaves, a line each.", is_in_no_order=True),
    _row(
        "replicas",
        replicas,
        3,
        "The replicas of a node.",
        "5.0.0",
        is_admin=True,
        is_in_no_order=True,
    ),
    _row("saveconfig", saveconfig, 2, "OK: it is saved.", is_admin=True, more=_CHANGES),
    _row("shards", shards, 2, "Slots and their nodes.", "7.0.0", is_in_no_order=True),
    _row("slaves", replicas, 3, "The replicas of a node.", is_admin=True, is_in_no_order=True),
    replace(
        _row("slot-stats", slot_stats, -4, "Counts the keys of slots.", "8.2.0"),
        tips=("nondeterministic_output", "request_policy:all_shards"),
    ),
    _row("slots", slots, 2, "Slots and their nodes.", is_in_no_order=True),
)
CLUSTER = container("cluster", "cluster", "Describes the cluster.", "3.0.0", _ROWS)
COMMANDS = (
    CLUSTER,
    session_row(
        "readonly",
        readonly,
        1,
        "loading stale fast",
        "cluster",
        "Allows stale reads from copies.",
        "3.0.0",
        acl="connection",
    ),
    session_row(
        "readwrite",
        readwrite,
        1,
        "loading stale fast",
        "cluster",
        "Ends READONLY.",
        "3.0.0",
        acl="connection",
    ),
    session_row(
        "asking",
        asking,
        1,
        "fast",
        "cluster",
        "Changes nothing: no slot is half moved.",
        "3.0.0",
        acl="connection",
    ),
)

# -- what is refused -------------------------------------------------------------------------------

_BY_MAP = "who holds what is in the cluster map; DISTRODB MOVE and BALANCE change it"
_WHY_NOT = {
    "addslots": _BY_MAP,
    "addslotsrange": _BY_MAP,
    "bumpepoch": "each change of the cluster map has an epoch of its own",
    "delslots": _BY_MAP,
    "delslotsrange": _BY_MAP,
    "flushslots": _BY_MAP,
    "forget": "DISTRODB REMOVE takes a slave out",
    "meet": "a slave joins by `join` in its file",
    "migration": _BY_MAP,
    "replicate": _BY_MAP,
    "reset": "a slave with an empty directory begins anew",
    "set-config-epoch": "each change of the cluster map has an epoch of its own",
    "setslot": _BY_MAP,
}


def _refusal(word: str, why: str) -> Command:
    reply = error("ERR", f"CLUSTER {word.upper()} is not supported: {why}")
    return _row(word, lambda *_: reply, -2, "", is_admin=True, more=_CHANGES)


# Looked up by sessions, and not told of by COMMAND.
REFUSED = (
    replace(
        CLUSTER,
        subcommands={
            **CLUSTER.subcommands,
            **{word.upper().encode(): _refusal(word, why) for word, why in _WHY_NOT.items()},
        },
    ),
)
