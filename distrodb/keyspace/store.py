"""The replicated dictionary of one partition.

Deterministic: the same entries in the same order give the same state and replies everywhere; time
is the entry's and never goes back.  ``execute`` never raises for bad input: a bad command is
answered with an error and changes nothing.  ``apply`` raises for what no client can have sent: the
session that took a command has looked it up and counted its arguments, so one that is not known
here comes from a newer version, and to skip it would let replicas differ.  Keys live in one
dictionary a place (place.py), since all keys of a command share a slot.

What expires is there until its time comes, for every reader; it is removed by entries alone: when
a command writes to it, or when the entry says how many expired keys it removes (``advance``).
A read may be ahead of the entries (``read``): it gets its leader's time.  What it says must stay
true, so if it has met a key that expires between the newest entry's time and its own, it says so
in place of a reply, and the leader lets an entry of that time pass first.  The same goes for the
fields of hashes (hash_queue.py).

Caveats: a snapshot copies the dictionaries (not the values) when it is taken, about 40 ms a million
keys, and the first write to each container after it clones that container (values.py).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple
from itertools import chain, islice
from typing import TypeAlias

from distrodb.errors import VersionError, invariant
from distrodb.keyspace import snapshot
from distrodb.keyspace.containers.kinds import CONTAINERS
from distrodb.keyspace.context import (
    UNSETTLED,
    Context,
    StoreLimits,
    Table,
    Unsettled,
    row_of,
)
from distrodb.keyspace.counts import Counts
from distrodb.keyspace.digest import digest_of
from distrodb.keyspace.entry import Limits, Payload, decode_batch
from distrodb.keyspace.expiry import ExpiryQueue
from distrodb.keyspace.hash_queue import HashQueue, expire_fields, hashes_of
from distrodb.keyspace.keys import Keys
from distrodb.keyspace.observers import Observers
from distrodb.keyspace.origins import Mark, NoReply, Origins, Unseen
from distrodb.keyspace.place import Observer, Place, Shared, WrongType
from distrodb.keyspace.place_number import database_of, place_of, slot_at
from distrodb.keyspace.scripts import SCRIPT, Scripts
from distrodb.keyspace.share import Share
from distrodb.keyspace.snapshot import Kept, ScriptRow
from distrodb.keyspace.spread import Spread, all_slots_of
from distrodb.keyspace.transaction import EXEC, EXEC_RO, commands_of
from distrodb.keyspace.undo import Undo
from distrodb.keyspace.usage import EXPIRY_BYTES
from distrodb.keyspace.values import STRING, Value
from distrodb.keyspace.watched import Watched, last_moment, moment_behind, next_moment
from distrodb.keyspace.weights import Weights, light_names
from distrodb.resp.reply import Reply, error
from distrodb.ring.slots import slot_of

Commands: TypeAlias = Sequence[tuple[int, Sequence[bytes]]]  # places and words
Publisher: TypeAlias = Callable[[bytes, bytes, bool], None]  # channel, message, is it sharded
SHOWN_BYTES_MAX = 64  # of the name of a command that is not known
SAMPLE = 256  # keys that are measured to estimate the size of all
WRONG_TYPE = error("WRONGTYPE", "Operation against a key holding the wrong kind of value")


class Store:
    def __init__(
        self, first_slot: int, last_slot: int, table: Table, limits: StoreLimits | None = None
    ):
        self.first_slot, self.last_slot = first_slot, last_slot
        self.table = table
        self._limits = limits or StoreLimits()
        # This slave's own, which go into the entries that it proposes (entry.py).
        self.limits: Limits = astuple(self._limits)
        self._context = Context(0, 0, self._limits)
        self._shared = Shared(self._open)
        self._shared.all_slots = all_slots_of(
            first_slot, last_slot, self._place_to_read, self._shared
        )
        self._shared.partition = self
        self._places: dict[int, Place] = {}
        self.origins, self.scripts = Origins(), Scripts()
        self.publisher: Publisher | None = None  # of what scripts publish
        self._nowhere = Place(-1, self._shared)  # what is read where no key ever was
        self._chance = self.chance = self._shared.chance
        self.watched = Watched(self._expires_by, self._touched)
        self._observers = Observers()
        self.light = light_names(table)

    # -- commands ----------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        """The newest entry's time."""
        return self._shared.now_ms

    def apply(self, payload: Payload) -> "Sequence[Reply | NoReply]":
        """Run the write commands of one log entry, within the limits that it names.  Raises
        ``ValueError`` for a damaged one, ``VersionError`` for one that is not known; the state is
        as before then."""
        now_ms, expire_max, limits, commands, marks = decode_batch(payload)
        _check_known(self.table, commands)
        self.advance(now_ms, expire_max)
        now_ms, ours = self._shared.now_ms, self.limits
        if limits is not None and limits != ours:
            self._use_limits(limits)
        replies: Sequence[Reply | NoReply]
        if marks:
            replies = _run_marked(self, commands, marks, now_ms)
        else:
            replies = self.execute_all(commands, now_ms)
        if self.limits != ours:
            self._use_limits(ours)
        return replies

    def _use_limits(self, limits: Limits) -> None:
        self.limits = limits
        self._limits = StoreLimits(*limits)
        self._context = Context(-1, 0, self._limits)

    def advance(self, now_ms: int, expire_max: int) -> None:
        """An entry's time has come: so many keys that have expired by then are removed at most,
        and fields of hashes among them."""
        shared = self._shared
        shared.chance.entry_count = 0
        shared.now_ms = max(shared.now_ms, now_ms)
        shared.moment = next_moment(shared.moment, shared.now_ms)
        self._at(shared.now_ms)
        if not expire_max:
            return
        if shared.hashes.soonest_ms > shared.now_ms:
            for _, place, key in shared.expiries.due(shared.now_ms, expire_max):
                self._places[place].delete(key)
        else:
            self._expire_with_fields(expire_max)

    def _expire_with_fields(self, count_max: int) -> None:
        """So many keys and fields of hashes, the soonest first."""
        expiries, hashes, now_ms = self._shared.expiries, self._shared.hashes, self._shared.now_ms
        while count_max > 0 and (soonest_ms := self.next_expiry_ms) <= now_ms:
            if expiries.soonest_ms == soonest_ms:
                ((_, place, key),) = expiries.due(now_ms, 1)
                self._places[place].delete(key)
                count_max -= 1
            else:
                _, place, key = hashes.first()
                count_max -= expire_fields(self._places[place], key, now_ms, count_max)

    def execute(self, place: int, args: Sequence[bytes], now_ms: int) -> Reply:
        """Run one command at that time; ``place`` is that of its keys (see place_number.py)."""
        row = self.table.get(args[0])
        if row is None or row.subcommands:
            row = row_of(self.table, args)
        if row is None:
            return error("ERR", "unknown command")
        if not row.words_min <= len(args) <= row.words_max:
            return error("ERR", f"wrong number of arguments for '{row.name}' command")
        context = self._context
        if context.now_ms != now_ms:
            context = self._at(now_ms)
        reply: Reply
        if not row.is_on_keys:
            database = database_of(place)
            reply = row.handler(self, args, Context(now_ms, database, self._limits))
            return reply
        keys: Keys | None = self._places.get(place)
        if keys is None:
            keys = self._keys_elsewhere(place, row.is_write)
        try:
            reply = row.handler(keys, args, context)
        except WrongType:
            return WRONG_TYPE
        return reply

    def execute_all(self, commands: Commands, now_ms: int) -> list[Reply]:
        """``execute`` for each of these, in their order.  Most are plain and on places where keys
        are: each costs the call of its handler."""
        row_of, keys_of, execute = self.table.get, self._places.get, self.execute
        context = self._context if self._context.now_ms == now_ms else self._at(now_ms)
        replies: list[Reply] = []
        for place, args in commands:
            row, keys = row_of(args[0]), keys_of(place)
            if keys is None or row is None or not row.is_plain:
                replies.append(execute(place, args, now_ms))
            elif row.words_min <= len(args) <= row.words_max:
                try:
                    replies.append(row.handler(keys, args, context))
                except WrongType:
                    replies.append(WRONG_TYPE)
            else:
                replies.append(execute(place, args, now_ms))
        return replies

    def weights(self) -> Weights:
        """To weigh commands that would run now."""
        limit = self._limits.value_bytes_max
        return Weights(self.table, self.light, self._value_at, self.key_count, limit)

    def _value_at(self, place: int, key: bytes) -> Value | None:
        keys = self._places.get(place) if place >= 0 else None
        if keys is None:
            keys = self._place_to_read(database_of(place), key)
        return keys.all().get(key)

    def element_count(self, place: int, key: bytes) -> int:
        """What is there to be taken, as far as entries have said: a string is one."""
        value = self._value_at(place, key)
        return 0 if value is None else 1 if isinstance(value, bytes) else len(value)

    def execute_once(
        self, mark: Mark, place: int, args: Sequence[bytes], now_ms: int
    ) -> "Reply | NoReply":
        """Run a command that a gateway has forwarded, if it has not run before (origins.py)."""
        known = self.origins.look(mark)
        if isinstance(known, Unseen):
            self._chance.begin(mark)
            known = self.execute(place, args, now_ms)
            self._chance.end()
            self.origins.keep(mark, known)
        return known

    def _keys_elsewhere(self, place: int, is_write: bool) -> Keys:
        """Those of a place where no key is yet, or of all of a database's."""
        if place < 0:
            at = self._place_of_key if is_write else self._place_to_read
            return Spread(database_of(place), at, self._shared)
        invariant(self._is_ours(place), f"place {place} in a wrong partition")
        return self._open(place) if is_write else self._nowhere

    def _place_of_key(self, database: int, key: bytes) -> Place:
        place = place_of(database, slot_of(key))
        invariant(self._is_ours(place), f"place {place} in a wrong partition")
        return self._open(place)

    def _place_to_read(self, database: int, key: bytes) -> Place:
        return self._places.get(place_of(database, slot_of(key)), self._nowhere)

    def read(self, place: int, args: Sequence[bytes], now_ms: int) -> "Reply | Unsettled":
        """Run a command that reads, at a time that is not before the newest entry's."""
        self._shared.is_unsettled = False
        reply = self.execute(place, args, now_ms)
        return UNSETTLED if self._shared.is_unsettled else reply

    def _at(self, now_ms: int) -> Context:
        """The time of the commands that follow."""
        self._shared.clock_ms = self._chance.now_ms = now_ms
        self._context = Context(now_ms, 0, self._limits)
        return self._context

    def _is_ours(self, place: int) -> bool:
        return self.first_slot <= slot_at(place) <= self.last_slot

    def _open(self, place: int) -> Place:
        keys = self._places.get(place)
        if keys is None:
            keys = self._places[place] = Place(place, self._shared)
        return keys

    def observe(self, observer: Observer) -> None:
        """Let somebody know from now on what happens to keys here."""
        self._observers.add(observer)
        self._shared.follow(self._observers.one, self._shared.undo)

    def ignore(self, observer: Observer) -> None:
        """The end of ``observe``."""
        self._observers.remove(observer)
        self._shared.follow(self._observers.one, self._shared.undo)

    def watch(self, keys: Sequence[tuple[int, bytes]]) -> bytes:
        """Keys with their places, for a transaction (watched.py); the token."""
        for place, key in keys:
            self._places.get(place, self._nowhere).expiry(key)  # notes it if it has just expired
        self.observe(self.watched)
        return self.watched.add(keys, self._moment_of_watch())

    def _moment_of_watch(self) -> int:
        """What is changed from now on is not changed before it; 0: that is not known."""
        shared = self._shared
        if shared.moment <= shared.touched:
            return 0
        # At an entry's own time it may be among its commands, some of which are still to come.
        is_behind = shared.clock_ms > shared.now_ms
        return moment_behind(shared.moment) if is_behind else shared.moment

    def _touched_by(self, now_ms: int) -> None:
        """A snapshot of this time does not say when its keys were changed, nor its moment."""
        self._shared.moment = self._shared.touched = last_moment(now_ms)

    def _touched(self, place: int) -> int:
        return max(self._shared.touched, self._places.get(place, self._nowhere).touched)

    def _expires_by(self, place: int, key: bytes, at_ms: int) -> bool:
        return self._places.get(place, self._nowhere).expires_by(key, at_ms)

    # -- what is there -----------------------------------------------------------------------

    @property
    def next_expiry_ms(self) -> float:
        """When the next key or field of a hash expires, or the first that is not removed yet did;
        infinite if none."""
        of_keys, of_fields = self._shared.expiries.soonest_ms, self._shared.hashes.soonest_ms
        return of_keys if of_keys < of_fields else of_fields

    @property
    def expiring_count(self) -> int:
        return len(self._shared.expiries)

    @property
    def expired_count(self) -> int:
        """Keys that were removed here since their time had come."""
        return self._shared.expired_count

    @property
    def used_bytes(self) -> int:
        """Of memory, about, with the replies that gateways may ask for; it costs nothing to ask."""
        of_keys = self._shared.usage.total + EXPIRY_BYTES * self.expiring_count
        scripts = self.scripts.bytes + self.scripts.library_bytes
        return of_keys + self.origins.bytes + scripts

    def key_count(self, database: int | None = None) -> int:
        """Of all databases unless one is given."""
        return sum(
            len(keys)
            for place, keys in self._places.items()
            if database is None or database_of(place) == database
        )

    def clear(self, database: int | None = None) -> None:
        """All databases unless one is given."""
        if self._shared.undo is not None:
            self._shared.undo.keep_all(self._put_back_all())
        self.watched.clear(  # also those that have expired and are not removed yet
            lambda place, key: (
                database in (None, database_of(place))
                and key in self._places.get(place, self._nowhere).all()
            )
        )
        self._shared.touched = self._shared.moment
        if database is None:
            self._places = {}
            self._shared.expiries, self._shared.hashes = ExpiryQueue(), HashQueue()
            self._shared.usage.count([])
        else:
            gone = [at for at in self._places if database_of(at) == database]
            self._shared.usage.drop(self._places.pop(place).all() for place in gone)
            self._shared.expiries = self._shared.expiries.without(database)
            self._shared.hashes = self._shared.hashes.without(database)
        if self._shared.observer is not None:
            self._shared.observer.flushed(database)

    # -- scripts -----------------------------------------------------------------------------

    def elements(self, place: int, key: bytes) -> int:
        """Of a key's value: bytes of a string, or what a container holds."""
        value = self._value_at(place, key)
        return 0 if value is None else len(value)

    @property
    def store_limits(self) -> StoreLimits:
        """Of the entry that is applied."""
        return self._limits

    def begin_script(self) -> None:
        """What is written from now on can be undone."""
        self._shared.follow(self._shared.observer, Undo(self._shared.generation))

    @property
    def copied(self) -> int:
        """Elements that were copied for that by now."""
        undo = self._shared.undo
        return 0 if undo is None else undo.cloned

    def end_script(self, is_undone: bool) -> None:
        undo = self._shared.undo
        self._shared.follow(self._shared.observer, None)
        if undo is not None and is_undone:
            undo.undo()

    def publish(self, channel: bytes, message: bytes, is_sharded: bool) -> None:
        if self.publisher is not None:
            self.publisher(channel, message, is_sharded)

    def _put_back_all(self) -> Callable[[], None]:
        """Of a script that is undone: all keys as they are now."""
        places, shared, used = dict(self._places), self._shared, self._shared.usage.total
        contents = {number: place.copy() for number, place in places.items()}

        def put_back() -> None:
            self._places, shared.touched = places, shared.moment
            for number, (values, expiries) in contents.items():
                places[number].put_back_all(values, expiries)
            shared.usage.put_back(used)
            shared.expiries = ExpiryQueue(
                chain.from_iterable(place.expiring() for place in places.values())
            )
            shared.hashes = HashQueue(
                hashes_of((number, place.all()) for number, place in places.items())
            )
            if shared.observer is not None:
                shared.observer.flushed(None)

        return put_back

    # -- what replicas compare ---------------------------------------------------------------

    def share(self, database: int) -> Share:
        """What is here of one database."""
        return Share(self._places, database, self.first_slot, self.last_slot, self._chance)

    def counts(self) -> dict[int, Counts]:
        """Of each database that is not empty."""
        databases = {database_of(place) for place, keys in self._places.items() if len(keys)}
        return {database: self.share(database).counts(self.now_ms) for database in databases}

    def any_number(self) -> int:
        """For what is chosen by chance (chance.py)."""
        return self._chance.number()

    def digest(self) -> str:
        """Equal for equal states, whatever order they were reached in."""
        return digest_of(self.now_ms, self._places, self.origins, self.scripts)

    # -- snapshots ---------------------------------------------------------------------------

    def snapshot(self) -> Iterator[bytes]:
        """The state now, as chunks that are encoded while they are taken (in any thread)."""
        return self._encoded(self.origins.counts, self.origins.rows(), self.scripts.rows())

    def picture(self, has_scripts: bool | None = None) -> Iterator[bytes]:
        """The same of its keys: what concerns nobody but this partition is left out.  Scripts that
        were loaded, and libraries, are in all partitions, so one gives them: the first one, if it
        is not said which."""
        gives = self.first_slot == 0 if has_scripts is None else has_scripts
        scripts = [row for row in self.scripts.rows() if row[0] != SCRIPT] if gives else []
        return self._encoded((0, 0), (), scripts)

    def _encoded(
        self, origin_counts: tuple[int, int], origins: Kept, scripts: Sequence[ScriptRow]
    ) -> Iterator[bytes]:
        self._shared.generation += 1  # containers of before are cloned before they are written to
        places = {place: keys.copy() for place, keys in self._places.items()}
        key_count = sum(len(values) for values, _ in places.values())
        header = snapshot.Header(
            self.now_ms, self.first_slot, self.last_slot, key_count, *origin_counts
        )
        return snapshot.encode(header, places, origins, scripts)

    def size_estimate(self) -> int:
        """About the bytes of a snapshot, as far as a few keys tell."""
        items = chain.from_iterable(keys.all().items() for keys in self._places.values())
        sizes = [
            len(key) + (len(value) if isinstance(value, bytes) else value.size) + 5
            for key, value in islice(items, SAMPLE)
        ]
        return sum(sizes) * self.key_count() // max(1, len(sizes)) + self.origins.bytes


def _check_known(table: Table, commands: Commands) -> None:
    transaction, reads = table.get(EXEC), table.get(EXEC_RO)
    for name, count in {(args[0], len(args)) for _, args in commands}:  # mostly one or two
        row = table.get(name)
        if row is None or not row.is_plain or not row.words_min <= count <= row.words_max:
            break
    else:
        return
    for _, args in commands:
        name, count = args[0], len(args)
        row = table.get(name)
        if row is None or row.subcommands:
            row = row_of(table, args)
        if row is None or not row.words_min <= count <= row.words_max:
            what = f"the command {name[:SHOWN_BYTES_MAX].decode(errors='replace')!a}"
            raise VersionError(what if row is None else f"{what} of {count} words")
        if row is transaction or row is reads:
            _check_known(table, commands_of(args) or ())


def _run_marked(
    store: Store,
    commands: Sequence[tuple[int, Sequence[bytes]]],
    marks: Sequence[tuple[int, int, int, int]],
    now_ms: int,
) -> "list[Reply | NoReply]":
    """The commands of an entry, some of which may have run before."""
    by_number = {number: mark for number, *mark in marks}
    replies: list[Reply | NoReply] = []
    for number, (place, args) in enumerate(commands):
        if number in by_number:
            origin, sequence, answered = by_number[number]
            replies.append(store.execute_once((origin, sequence, answered), place, args, now_ms))
        else:
            replies.append(store.execute(place, args, now_ms))
    return replies


class StoreBuilder:
    """Makes a store from the chunks of a snapshot.  Raises ``ValueError`` for damaged ones."""

    def __init__(self, table: Table, limits: StoreLimits | None = None):
        self._table, self._limits = table, limits
        self._store: Store | None = None
        self._missing = self._missing_origins = 0  # keys, and origins of gateways
        self._missing_scripts = 0  # as the rows of scripts say

    def add(self, chunk: bytes) -> None:
        if self._store is None:
            header = snapshot.decode_header(chunk)
            self._store = Store(header.first_slot, header.last_slot, self._table, self._limits)
            self._store.advance(header.now_ms, 0)
            self._store._touched_by(header.now_ms)
            self._missing = header.key_count
            self._store.origins.opened = header.origins_opened
            self._missing_origins = header.origin_count
            return
        store = self._store
        for row in snapshot.decode_items(chunk):
            if isinstance(row, snapshot.OriginRow):
                before = len(store.origins)
                store.origins.restore(*row)
                self._missing_origins -= len(store.origins) - before
                continue
            if isinstance(row, snapshot.ScriptRows):
                if not len(store.scripts):
                    self._missing_scripts = row.whole_count
                store.scripts.restore(row.rows)
                self._missing_scripts -= len(row.rows)
                continue
            place = store._places.get(row.place)
            if place is None:
                if not store._is_ours(row.place):
                    slot = slot_at(row.place)
                    raise ValueError(f"a snapshot with slot {slot}, outside its own range")
                place = store._open(row.place)
            before = len(place)
            if row.tag == STRING and row.expiries is None:
                place.restore_strings(row.keys, row.values)
            else:
                self._add(place, row)
            self._missing -= len(place) - before

    @staticmethod
    def _add(place: Place, row: snapshot.Row) -> None:
        for number, key in enumerate(row.keys):
            value = row.values[number]
            if row.tag != STRING:
                part, value = value, place.restored(key)
                if value is None:
                    value = CONTAINERS[row.tag](0)
                elif isinstance(value, bytes) or value.tag != row.tag:
                    raise ValueError("a snapshot with a key of two kinds")
                value.add_part(part)
            place.restore(key, value, None if row.expiries is None else row.expiries[number])

    def finish(self) -> Store:
        if self._store is None:
            raise ValueError("a snapshot without a header")
        if self._missing_scripts:
            raise ValueError(f"a snapshot that lacks {self._missing_scripts} scripts")
        if self._missing or self._missing_origins:
            lacks = f"{self._missing} keys and {self._missing_origins} origins"
            raise ValueError(f"a snapshot that lacks {lacks}")
        store = self._store
        store._shared.usage.count(keys.all() for keys in store._places.values())
        store._shared.expiries = ExpiryQueue(
            chain.from_iterable(keys.expiring() for keys in store._places.values())
        )
        store._shared.hashes = HashQueue(
            hashes_of((place, keys.all()) for place, keys in store._places.items())
        )
        return store
