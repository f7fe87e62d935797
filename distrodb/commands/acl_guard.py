"""Whether a user may run a command: asked once for each command of a client that is not free to run
them all, before it begins.

What follows from the command alone is decided once and kept; where keys or channels matter they
are looked at each time.  As in Redis, a command that reads no value and changes none (EXISTS) may
name each key that some pattern fits, and what clients ask of themselves before they log in (AUTH,
HELLO, RESET, QUIT) is nobody's to forbid.

Caveats, as in Redis: KEYS, SCAN, RANDOMKEY and DBSIZE tell of all keys, and FLUSHALL has none; who
shall not is to be denied the commands.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from distrodb.commands.acl_user import Selector, User
from distrodb.commands.command import Command
from distrodb.keyspace.glob import glob
from distrodb.resp.reply import ErrorReply, error

NOAUTH = error("NOAUTH", "Authentication required.")
COMMAND, KEY, CHANNEL, AUTH = "command", "key", "channel", "auth"  # what it is about: ACL LOG
_RANK = {COMMAND: 1, KEY: 2, CHANNEL: 3}  # of several selectors' reasons the highest is told
_NO_KEY = error(
    "NOPERM", "this user has no permissions to access one of the keys used as arguments"
)
_NO_CHANNEL = error(
    "NOPERM", "this user has no permissions to access one of the channels used as arguments"
)
_NO_PATTERN = {
    option: error("ERR", f"{option} option of SORT denied due to insufficient ACL permissions")
    for option in ("BY", "GET")
}
# Commands whose words from the second on are channels, up to which word, and whether they are
# patterns of channels.
_CHANNELS: dict[str, tuple[int | None, bool]] = {
    "publish": (2, False),
    "spublish": (2, False),
    "subscribe": (None, False),
    "ssubscribe": (None, False),
    "psubscribe": (None, True),
}

Match = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Objection:
    reply: ErrorReply
    about: str = ""  # empty: it is not of the user's rights, and not for ACL LOG
    what: bytes = b""  # the command, the key, the channel
    position: int = 0  # of that among the words

    @property
    def told(self) -> bytes:
        """As ACL DRYRUN tells it."""
        if self.about == COMMAND:
            return b"This user has no permissions to run the '%b' command" % self.what
        return b"This user has no permissions to access the '%b' %b" % (
            self.what,
            self.about.encode(),
        )


class Guarding(Protocol):
    @property
    def rights(self) -> bytes:
        """The rules of what the user may do, without passwords, as ``acl_user.read`` reads them."""

    def objection(self, row: Command, args: Sequence[bytes]) -> Objection | None:
        """Why a command of these words, as many as it may have, does not begin."""

    def may_listen(self, names: Sequence[bytes], are_patterns: bool) -> bool:
        """It may be subscribed to all of these."""


class Stranger:
    """Who has not logged in where one must."""

    rights = b""
    _needed = Objection(NOAUTH)

    def objection(self, row: Command, args: Sequence[bytes]) -> Objection | None:
        return None if "no_auth" in row.flags else self._needed

    def may_listen(self, names: Sequence[bytes], are_patterns: bool) -> bool:
        return True  # what it had before is its own


STRANGER = Stranger()


class Guard:
    """Of a user that may not do everything."""

    def __init__(self, user: User):
        selectors = [b"(%b)" % selector.text for selector in user.selectors]
        self.rights = b" ".join([user.root.text, *selectors])
        self._selectors = [_Checked(selector) for selector in user.all_selectors]
        self._free: dict[str, bool] = {}  # rows that are allowed whatever their words; or not so
        # Of others with one key: where it is, and what it has to fit to be allowed at once.
        self._of_one_key: dict[str, tuple[int, list[Match]]] = {}

    def objection(self, row: Command, args: Sequence[bytes]) -> Objection | None:
        of_one_key = self._of_one_key.get(row.name)
        if of_one_key is not None:  # most commands of most users: 0.2 µs, the rest takes 3
            key = args[of_one_key[0]]
            for match in of_one_key[1]:
                if match(key):
                    return None
        is_free = self._free.get(row.name)
        if is_free is None:
            is_free = self._free[row.name] = "no_auth" in row.flags or any(
                selector.is_free(row) for selector in self._selectors
            )
            if row.has_one_key and not is_free:
                matches = [match for each in self._selectors for match in each.matches_of(row)]
                self._of_one_key[row.name] = row.first_key, matches
        if is_free:
            return None
        worst: Objection | None = None
        for selector in self._selectors:
            found = selector.objection(row, args)
            if found is None:
                return None
            if worst is None or _rank(found) > _rank(worst):
                worst = found
        return worst

    def may_listen(self, names: Sequence[bytes], are_patterns: bool) -> bool:
        return all(
            any(selector.may_listen(name, are_patterns) for selector in self._selectors)
            for name in names
        )


def _rank(objection: Objection) -> tuple[int, int]:
    return _RANK.get(objection.about, 0), objection.position


class _Checked:
    """A selector, with what is known of it by now."""

    def __init__(self, selector: Selector):
        self._selector = selector
        self._has_all_keys = selector.has_all_keys
        self._has_all_channels = selector.has_all_channels
        self._allowed: dict[str, bool | frozenset[bytes]] = {}
        self._keys = [(pattern, _matcher(pattern.text)) for pattern in selector.keys]
        self._channels = [(name, _matcher(name)) for name in selector.channels]

    def is_free(self, row: Command) -> bool:
        """It allows the command whatever its words are."""
        has_keys = any("not_key" not in spec.flags for spec in row.keys)
        may_any_key = self._has_all_keys or not has_keys
        may_any_channel = self._has_all_channels or row.name not in _CHANNELS
        return self._allows(row) is True and may_any_key and may_any_channel

    def matches_of(self, row: Command) -> list[Match]:
        """A key that one of these fits makes a command on that key, and no other, allowed."""
        if self._allows(row) is not True or row.name in _CHANNELS:
            return []
        reads, writes = _needs(row.keys[0].flags)
        return [
            match
            for pattern, match in self._keys
            if (pattern.reads or not reads) and (pattern.writes or not writes)
        ]

    def _allows(self, row: Command) -> bool | frozenset[bytes]:
        allowed = self._allowed.get(row.name)
        if allowed is None:
            allowed = self._allowed[row.name] = self._selector.allows(row)
        return allowed

    def objection(self, row: Command, args: Sequence[bytes]) -> Objection | None:
        allowed = self._allows(row)
        if allowed is not True:
            if not allowed or len(args) < 2 or args[1].lower() not in allowed:
                text = f"this user has no permissions to run the '{row.name}' command"
                return Objection(error("NOPERM", text), COMMAND, row.name.encode())
        if not self._has_all_keys and row.keys:
            for position, flags in row.keys_with_flags(args):
                if "not_key" not in flags and not self._may_use(args[position], flags):
                    return Objection(_NO_KEY, KEY, args[position], position)
            if row.name in ("sort", "sort_ro") and not self._selector.reads_all_keys:
                if option := _pattern_option(args):
                    return Objection(_NO_PATTERN[option])
        if not self._has_all_channels and row.name in _CHANNELS:
            end, are_patterns = _CHANNELS[row.name]
            for position, name in enumerate(args[1:end], 1):
                if not self.may_listen(name, are_patterns):
                    return Objection(_NO_CHANNEL, CHANNEL, name, position)
        return None

    def _may_use(self, key: bytes, flags: str) -> bool:
        reads, writes = _needs(flags)
        return any(
            (pattern.reads or not reads) and (pattern.writes or not writes) and match(key)
            for pattern, match in self._keys
        )

    def may_listen(self, name: bytes, is_pattern: bool) -> bool:
        if self._has_all_channels:
            return True
        if is_pattern:  # only by its own name: what it fits cannot be told
            return name in self._selector.channels
        return any(match(name) for _, match in self._channels)


def _needs(flags: str) -> tuple[bool, bool]:
    """To read the key, to write to it."""
    words = flags.split()
    return "access" in words, not {"insert", "delete", "update"}.isdisjoint(words)


def _matcher(pattern: bytes) -> Match:
    if pattern == b"*":
        return lambda key: True
    return glob(pattern).match


def _pattern_option(args: Sequence[bytes]) -> str:
    """The option of SORT that reads keys which its key specs do not tell of; empty: none."""
    words: Iterator[bytes] = iter(args[2:])
    for word in words:
        option = word.upper()
        if option == b"LIMIT":
            next(words, None), next(words, None)
        elif option == b"STORE":
            next(words, None)
        elif option in (b"BY", b"GET"):
            pattern = next(words, b"")
            if option == b"GET" or b"*" in pattern:
                return option.decode()
    return ""
