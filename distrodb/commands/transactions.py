"""Transactions: MULTI EXEC DISCARD WATCH UNWATCH, and what a partition runs of them.

What is queued, and what becomes of it, is the session's business (slave/transactions.py): EXEC
sends a whole transaction to its partition as one command, the machine's EXEC, which no client can
send (keyspace/transaction.py has its words).
"""

from collections.abc import Sequence

from distrodb.commands.api import Answer, SessionApi
from distrodb.commands.combine import TOTAL
from distrodb.commands.command import data_row, session_row
from distrodb.commands.costs import LIGHT_US, Sizes
from distrodb.commands.key_specs import NO_KEYS, many
from distrodb.keyspace.context import Context, is_write
from distrodb.keyspace.place_number import place_of
from distrodb.keyspace.store import Store
from distrodb.keyspace.transaction import commands_of, decided, is_undecided
from distrodb.resp.encode import size_of
from distrodb.resp.reply import OK, Reply, error
from distrodb.ring.slots import slot_of

# Of the replies to one transaction, in bytes: beyond, what only reads is not run, so that neither
# memory nor time is without bound.  More than a connection may have by default.
REPLIES_BYTES_MAX = 64 << 20
TOO_MUCH = error("ERR", "not run: the replies of this transaction exceed 64 MiB")


def multi(session: SessionApi, args: Sequence[bytes]) -> Reply:
    if session.transactions.is_open:
        return error("ERR", "MULTI calls can not be nested")
    session.transactions.open()
    return OK


def exec_(session: SessionApi, args: Sequence[bytes]) -> Answer:
    if not session.transactions.is_open:
        return error("ERR", "EXEC without MULTI")
    return session.transactions.execute()


def discard(session: SessionApi, args: Sequence[bytes]) -> Reply:
    if not session.transactions.is_open:
        return error("ERR", "DISCARD without MULTI")
    session.transactions.drop()
    return OK


def watch(session: SessionApi, args: Sequence[bytes]) -> Answer:
    return session.transactions.watch(args[1:])


def unwatch(session: SessionApi, args: Sequence[bytes]) -> Reply:
    session.transactions.unwatch()
    return OK


_FLAGS = "noscript loading stale fast allow_busy"

COMMANDS = (
    session_row("multi", multi, 1, _FLAGS, "transactions", "Starts a transaction.", "1.2.0"),
    session_row(
        "exec",
        exec_,
        1,
        "noscript loading stale skip_slowlog",
        "transactions",
        "Executes all commands in a transaction.",
        "1.2.0",
    ),
    session_row("discard", discard, 1, _FLAGS, "transactions", "Discards a transaction.", "2.0.0"),
    session_row(
        "watch",
        watch,
        -2,
        _FLAGS,
        "transactions",
        "Monitors changes to keys to determine the execution of a transaction.",
        "2.2.0",
        keys=many("RO"),
    ),
    session_row(
        "unwatch",
        unwatch,
        1,
        _FLAGS,
        "transactions",
        "Forgets about watched keys of a transaction.",
        "2.2.0",
    ),
)

# -- what a partition runs -----------------------------------------------------------------------


def run(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    """One after another, whatever the replies to those before; None if nothing is to be run."""
    commands = commands_of(args)
    if commands is None:
        return None
    replies: list[Reply] = []
    size = 0
    for place, words in commands:
        if size > REPLIES_BYTES_MAX and not is_write(store.table, words):
            replies.append(TOO_MUCH)
            continue
        reply = store.execute(place, words, context.now_ms)
        size += size_of(reply)
        replies.append(reply)
    return replies


def cost_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    """Of all of its commands."""
    commands = commands_of(decided(args, True) if is_undecided(args) else args) or ()
    light_us = LIGHT_US * len(commands)
    if all(words[0] in sizes.light for _, words in commands):
        return light_us
    return light_us + sum(sizes.of_command(place, words) for place, words in commands)


def watch_keys(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    return store.watch([(place_of(context.database, slot_of(key)), key) for key in args[1:]])


_GROUP = "transactions"

MACHINE_COMMANDS = (
    data_row("exec", run, -2, "write", NO_KEYS, _GROUP, "", combine=TOTAL, cost=cost_us),
    data_row("exec_ro", run, -2, "readonly", NO_KEYS, _GROUP, "", combine=TOTAL, cost=cost_us),
    data_row("watch", watch_keys, -2, "readonly", NO_KEYS, _GROUP, "", combine=TOTAL),
)
