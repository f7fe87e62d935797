"""What the handler of a command sees of the keyspace: its keys, wherever they are kept.

``Place`` (one place, almost always) and ``Spread`` (keys in several slots of the partition) are
behind this; what always holds for both is said in place.py.
"""

from typing import Protocol, TypeVar

from distrodb.keyspace.chance import Chance
from distrodb.keyspace.partition import Partition
from distrodb.keyspace.values import Container, Value

C = TypeVar("C", bound=Container)

# Kinds of events, as notify-keyspace-events names them:
# https://redis.io/docs/latest/develop/use/keyspace-notifications/
GENERIC, STRING, LIST, SET, HASH, SORTED_SET = "g", "$", "l", "s", "h", "z"
STREAM, EXPIRED, NEW = "t", "x", "n"


class Keys(Protocol):
    # -- to read -----------------------------------------------------------------------------

    def __contains__(self, key: bytes) -> bool: ...

    def string(self, key: bytes) -> bytes | None:
        """None when it is not there; raises ``WrongType``."""

    def string_if_any(self, key: bytes) -> bytes | None:
        """None also for a value of another kind."""

    def container(self, key: bytes, kind: type[C]) -> C | None:
        """To be read only.  None when it is not there; raises ``WrongType``."""

    def value(self, key: bytes) -> Value | None:
        """Of whatever kind, to be read only; None when it is not there."""

    def kind(self, key: bytes) -> bytes | None:
        """What TYPE answers; None when it is not there."""

    def expiry(self, key: bytes) -> int | None:
        """Milliseconds since the epoch; None for a key that stays, or is not there."""

    def is_past(self, at_ms: int) -> bool:
        """Whether this moment has come, to the command that runs.  If no entry is so new yet the
        leader lets one pass first, so what was seen past never is to come again."""

    # -- to write ----------------------------------------------------------------------------

    def put(self, key: bytes, value: bytes) -> None:
        """Set a string, and say so as SET does; whatever was there is gone, its expiry too."""

    def update(self, key: bytes, value: bytes) -> None:
        """Set a string, which expires when the one before would have."""

    def put_value(self, key: bytes, value: Value, overwrites: bool = False) -> None:
        """Set a value of whatever kind that no other key has (a snapshot may); what was there is
        gone, its expiry too.  To who listens it was deleted before, or with ``overwrites`` is
        another value of the same key."""

    def container_to_write(self, key: bytes, kind: type[C]) -> C:
        """A new one if there is none; raises ``WrongType``.  Whoever may leave it empty calls
        ``drop_if_empty`` then."""

    def container_to_mark(self, key: bytes, kind: type[C]) -> C:
        """One that is there, to write to it what does not change its value: which of a stream's
        entries were read, and by whom.  Nobody who watches the key is told, as in Redis."""

    def drop_if_empty(self, key: bytes) -> None: ...

    def follow_fields(self, key: bytes) -> None:
        """Fields of a hash may expire at other times than before: whoever changes that calls this
        then."""

    def delete(self, key: bytes) -> bool:
        """True if it was there."""

    def expire_at(self, key: bytes, at_ms: int) -> None:
        """Let a key that is there expire then."""

    def persist(self, key: bytes) -> None:
        """Let a key stay."""

    def event(self, kind: str, name: bytes, key: bytes) -> None:
        """Tell whoever listens to this key what a command has done: after it has, and in Redis'
        words."""

    @property
    def chance(self) -> Chance:
        """Numbers for what is chosen by chance."""

    # -- elsewhere ---------------------------------------------------------------------------

    @property
    def database(self) -> int:
        """The logical database of these keys."""

    def in_database(self, database: int) -> "Keys":
        """The keys of the same slots in another logical database."""

    def of_all_slots(self) -> "Keys | None":
        """All keys of this database, to be read only; None where several partitions have them."""

    @property
    def partition(self) -> "Partition | None":
        """For a script, which runs commands on any keys."""
