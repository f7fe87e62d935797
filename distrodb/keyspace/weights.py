"""What commands will take to run, about, before any of them runs.  Pure.

While a command runs nobody else is served, on any replica, so what is run at once is bounded: the
leader asks here before it proposes (raft/proposals.py).  An estimate depends on what is in the
store, and on nothing else; it is no part of the state, and no entry ever depends on it.

A row says what its command takes (``cost``), from its words and the sizes of the values that it
will meet (commands/costs.py).  Those are the sizes of now, or what commands before it may make of
them: a transaction may write a large value first and copy it a thousand times then.

Caveat: sizes only grow here, so what deletes or cuts a value makes nothing behind it lighter.
"""

from collections.abc import Callable, Container, Sequence

from distrodb.keyspace.context import Table, row_of
from distrodb.keyspace.usage import size_of
from distrodb.keyspace.values import Value

_REPLACED = ("string", "bitmap", "generic", "hyperloglog")  # groups whose writes add nothing
# What a word may take in a container beside its own bytes: a member of a sorted set is two words.
WORD_BYTES = 90


class _All:
    def __contains__(self, name: object) -> bool:
        return True


class Weightless:
    """Of a machine whose commands take no time to speak of."""

    light: Container[bytes] = _All()

    def cost_us(
        self, place: int, args: Sequence[bytes], before: int, is_logged: bool = False
    ) -> float:
        return 0.0


WEIGHTLESS = Weightless()


def light_names(table: Table) -> frozenset[bytes]:
    """Of the commands that need not be weighed, in capitals and in small letters: other ways to
    write them are looked up."""
    names = {name for name, row in table.items() if row.cost is None and not row.subcommands}
    return frozenset(names | {name.lower() for name in names})


class Weights:
    """Of commands that will run one after another."""

    def __init__(
        self,
        table: Table,
        light: Container[bytes],
        value_at: Callable[[int, bytes], Value | None],
        key_count: Callable[[], int],
        value_bytes_max: int,
    ):
        """``value_at``: by a place and a key of it, or of its database."""
        self.light, self.value_bytes_max = light, value_bytes_max
        self._table, self._value_at, self._count = table, value_at, key_count
        self._grown: dict[bytes, int] = {}  # by key, whatever the database
        self.is_logged = False  # what is weighed goes into the log
        self._keys: int | None = None
        self._place = self._before = 0

    def cost_us(
        self, place: int, args: Sequence[bytes], before: int, is_logged: bool = False
    ) -> float:
        """``before``: bytes of the commands that run before this one and were not weighed; any
        value may be larger by so much."""
        self._before, self.is_logged = before, is_logged
        return self.of_command(place, args)

    # -- what rows ask -----------------------------------------------------------------------

    def of_command(self, place: int, args: Sequence[bytes]) -> float:
        """Microseconds; and what it makes of values is known for those behind it."""
        row = row_of(self._table, args)
        if row is None or not row.words_min <= len(args) <= row.words_max:
            return 0.0
        self._place = place
        if row.cost is not None:
            return row.cost(self, args)
        if row.is_write and row.is_on_keys:
            written = sum(map(len, args)) + WORD_BYTES * len(args)
            is_added = row.group not in _REPLACED  # a container gets more, a string is another one
            for key in row.keys_of(args):
                self.grow(key, written + (self.size(key) if is_added else 0))
        return 0.0

    def value(self, key: bytes) -> Value | None:
        """As it is now."""
        return self._value_at(self._place, key)

    def size(self, key: bytes) -> int:
        """Bytes of a key's value, at most; 0 if it will not be there."""
        value = self.value(key)
        size = max(0 if value is None else size_of(value), self._grown.get(key, 0))
        return size + self._before

    def grow(self, key: bytes, size: int) -> None:
        """It may have so many bytes from now on."""
        if size > self._grown.get(key, 0):
            self._grown[key] = size

    @property
    def key_count(self) -> int:
        """Of the partition."""
        if self._keys is None:
            self._keys = self._count()
        return self._keys
