"""What a slave asks its partitions of their slots, for CLUSTER; none is a client's command."""

from collections.abc import Sequence
from typing import TypeAlias

from distrodb.commands.combine import CONCATENATED, MERGED, TOTAL
from distrodb.commands.command import data_row
from distrodb.commands.key_specs import NO_KEYS
from distrodb.commands.numbers import parse_integer
from distrodb.keyspace.context import Context
from distrodb.keyspace.store import Store
from distrodb.resp.reply import Reply, error

Counts: TypeAlias = dict[int, int]  # of keys, by slot
BAD_SLOT = error("ERR", "Invalid slot")  # or no longer one: the map has changed since it was asked


def _slot(store: Store, text: bytes) -> int | None:
    slot = parse_integer(text)
    return slot if slot is not None and store.first_slot <= slot <= store.last_slot else None


def count_keys_in_slot(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    slot = _slot(store, args[1])
    return BAD_SLOT if slot is None else store.share(context.database).count_in(slot)


def get_keys_in_slot(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    slot = _slot(store, args[1])
    if slot is None:
        return BAD_SLOT
    count_max = max(0, parse_integer(args[2]) or 0)
    return [*store.share(context.database).keys_in(slot, count_max)]


def key_counts(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    share = store.share(context.database)
    return {slot: share.count_in(slot) for slot in range(store.first_slot, store.last_slot + 1)}


_READS = "readonly fast"
COUNT_KEYS_IN_SLOT = data_row(
    "countkeysinslot", count_keys_in_slot, 2, _READS, NO_KEYS, "cluster", "", combine=TOTAL
)
GET_KEYS_IN_SLOT = data_row(
    "getkeysinslot", get_keys_in_slot, 3, _READS, NO_KEYS, "cluster", "", combine=CONCATENATED
)
KEY_COUNTS = data_row("keycounts", key_counts, 1, _READS, NO_KEYS, "cluster", "", combine=MERGED)
ASKED = (COUNT_KEYS_IN_SLOT, GET_KEYS_IN_SLOT, KEY_COUNTS)
