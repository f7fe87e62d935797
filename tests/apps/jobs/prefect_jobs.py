"""Prefect-redis, in an environment of its own: `prefect_jobs.py URL BOOK work|send`.

`send` takes a number from each line that comes in, works with all that prefect keeps in Redis, and
answers "ok"; for the word "end" it says what is left over.
"""

import asyncio
import copy
import os
import sys
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

from tests.apps.page import environment, set_up

URL, PATH, KIND = sys.argv[1:]
os.environ.update(environment("PREFECT_MESSAGING_BROKER", URL))
os.environ["PREFECT_HOME"] = os.path.dirname(PATH)
os.environ["PREFECT_REDIS_MESSAGING_CONSUMER_TRIM_EVERY"] = "1"
TOPIC = "numbers"

# They read their settings as they are imported.
from prefect.server.concurrency.lease_storage import (  # noqa: E402
    ConcurrencyLeaseHolder,
    ConcurrencyLimitLeaseMetadata,
    get_concurrency_lease_storage,
)
from prefect.server.events.ordering import (  # noqa: E402
    EventArrivedEarly,
    get_triggers_causal_ordering,
)
from prefect.server.events.schemas.events import ReceivedEvent, Resource  # noqa: E402
from prefect.server.utilities.messaging import create_consumer, create_publisher  # noqa: E402
from prefect.server.worker_communication.cleanup_queue import (  # noqa: E402
    get_worker_cleanup_queue,
)


async def work() -> None:
    """Two consumers of one group, as two servers of prefect are."""

    async def handle(message) -> None:
        with open(PATH, "ab", buffering=0) as book:
            book.write(f"{message.data}\n".encode())
        if message.data == "fail" and not os.path.exists(f"{PATH}.failed"):
            open(f"{PATH}.failed", "x").close()
            raise ValueError("the first time")

    await asyncio.gather(
        *(create_consumer(TOPIC, name=name).run(handle) for name in ("one", "other"))
    )


IDS = count(1)


def new_id() -> UUID:
    return UUID(int=next(IDS))


class Sender:
    def __init__(self, publisher):
        settings = set_up("from prefect_redis import", URL)
        self._publisher = publisher
        self._block = settings["results"]
        self._locks = [settings["locks"], copy.copy(settings["locks"])]
        self._leases = get_concurrency_lease_storage()
        self._limit = new_id()
        self._queue = get_worker_cleanup_queue()
        self._pool = new_id()
        self._events = get_triggers_causal_ordering()

    async def publish(self, word: str) -> None:
        for _ in range(2):  # the second is a duplicate
            await self._publisher.publish_data(word.encode(), {"id": word})

    async def step(self, word: str) -> None:
        await self.publish(word)
        await self._keep_result(word)
        await self._lock(word)
        await self._lease()
        await self._clean_up(word)
        await self._order()

    async def _keep_result(self, word: str) -> None:
        assert await self._block.awrite_path(word, word.encode())
        assert await self._block.aread_path(word) == word.encode()

    async def _lock(self, word: str) -> None:
        mine, others = self._locks
        assert mine.acquire_lock("key", word, acquire_timeout=10, hold_timeout=60)
        assert not await others.aacquire_lock("key", "another", acquire_timeout=0)
        assert mine.is_locked("key") and mine.is_lock_holder("key", word)
        mine.release_lock("key", word)
        assert await others.await_for_lock("key", timeout=10)

    async def _lease(self) -> None:
        holder = ConcurrencyLeaseHolder(type="flow_run", id=new_id())
        metadata = ConcurrencyLimitLeaseMetadata(slots=1, holder=holder)
        lease = await self._leases.create_lease([self._limit], timedelta(minutes=5), metadata)
        assert await self._leases.renew_lease(lease.id, timedelta(minutes=10))
        assert (await self._leases.read_lease(lease.id)).expiration > lease.expiration
        assert await self._leases.read_active_lease_ids() == [lease.id]
        assert len(await self._leases.list_holders_for_limit(self._limit)) == 1
        await self._leases.revoke_lease(lease.id)
        assert await self._leases.read_active_lease_ids() == []

    async def _clean_up(self, word: str) -> None:
        message = new_id()
        for _ in range(2):
            await self._queue.enqueue(
                message_id=message,
                idempotency_key=word,
                work_pool_id=self._pool,
                kind="pending_claim_teardown.v1",
                target={"flow_run_id": word},
            )
        taken = await self._queue.reserve(work_pool_id=self._pool)
        assert taken
        assert taken.message_id == message
        assert await self._queue.reserve(work_pool_id=self._pool) is None
        await self._queue.ack(
            work_pool_id=self._pool,
            message_id=message,
            reservation_token=taken.reservation_token,
        )

    async def _order(self) -> None:
        """What follows an event that has not come is handled after it."""
        first, second = (
            ReceivedEvent(
                occurred=datetime.now(UTC),
                received=datetime.now(UTC),
                event="happened",
                resource=Resource.model_validate({"prefect.resource.id": "x"}),
                id=new_id(),
            )
            for _ in range(2)
        )
        second.follows = first.id
        handled = []

        async def handle(event, depth: int = 0) -> None:
            async with self._events.preceding_event_confirmed(handle, event, depth):
                handled.append(event.id)

        try:
            await handle(second)
        except EventArrivedEarly:
            handled.append("early")
        await handle(first)
        assert handled == ["early", first.id, second.id], handled


async def send() -> None:
    async with create_publisher(TOPIC, deduplicate_by="id") as publisher:
        publisher.batch_size = 1
        sender = Sender(publisher)
        for line in sys.stdin:
            word = line.strip()
            await (sender.publish(word) if word == "fail" else sender.step(word))
            print("ok", flush=True)


asyncio.run(work() if KIND == "work" else send())
