"""Stores as tests need them: commands as words, snapshots as lists of chunks."""

from collections.abc import Iterable

from distrodb.keyspace.context import StoreLimits
from distrodb.keyspace.store import Store
from distrodb.resp.reply import Reply
from distrodb.slave.machine_factory import new_store, restore_store

__all__ = ["ask", "new_store", "restored"]


def ask(store: Store, line: str, now_ms: int | None = None, place: int = 0) -> Reply:
    """Run one command as an entry of that time would, or at the store's own."""
    if now_ms is not None:
        store.advance(now_ms, 0)
    return store.execute(place, line.encode().split(b" "), store.now_ms)


def restored(chunks: Iterable[bytes]) -> Store:
    return restore_store(StoreLimits(), chunks)
