"""Users of the ACL, as values: the rules of ACL SETUSER in, their text out
(https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/).

A user has a root selector and may have others; a command is allowed if one of them allows all of
it.  What a selector allows of commands is a base, all or none, and rules that are gone by in the
order in which they came, so that a command of a later version is allowed if its category is.  (As
in Redis 7.2; 7.0 makes new rules of what its own commands come to.)

What always holds: ``read(name, user.text)`` is that user; passwords are there as SHA-256 only, in
hexadecimal digits as Redis has them; no name and no pattern has blanks in it.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from distrodb.commands.command import Command
from distrodb.keyspace.glob import PATTERN_BYTES_MAX

CATEGORIES = (
    *("keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap"),
    *("hyperloglog", "geo", "stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous"),
    *("connection", "transaction", "scripting"),
)
DEFAULT = b"default"  # who a client is that has not said who it is
TEXT_BYTES_MAX = 16384  # of the rules of one user: they are in the cluster map
NAME_BYTES_MAX = 256
_HASH = re.compile(rb"[0-9a-f]{64}")
_ALL = b"*"
_BLANKS = frozenset(b" \t\n\v\f\r\0")  # in no name and no pattern, so that lists can be read

UNKNOWN_COMMAND = "Unknown command or category name in ACL"
_SYNTAX = "Syntax error"
_NOT_A_HASH = (
    "The password hash must be exactly 64 characters and contain only lowercase hexadecimal"
    " characters"
)
_NO_SUCH_PASSWORD = "The password you are trying to remove from the user does not exist"
_AFTER_ALL_KEYS = (
    "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have"
    " any effect. Try 'resetkeys' to start with an empty list of patterns"
)
_AFTER_ALL_CHANNELS = (
    "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not"
    " have any effect. Try 'resetchannels' to start with an empty list of channels"
)
_OF_A_SUBCOMMAND = "Allowing first-arg of a subcommand is not supported"
_TOO_LONG = f"A pattern is longer than {PATTERN_BYTES_MAX} bytes"


class RuleError(Exception):
    """A rule that is none; the text is Redis'."""

    def __init__(self, rule: bytes, why: str):
        super().__init__(why)
        self.rule = rule


class UnmatchedError(Exception):
    """A selector that does not end; the text is how it begins."""


def hash_of(password: bytes) -> bytes:
    return hashlib.sha256(password).hexdigest().encode()


def is_hash(text: bytes) -> bool:
    return _HASH.fullmatch(text) is not None


def is_name(name: bytes) -> bool:
    """Redis' rule; and ours on its length."""
    return _BLANKS.isdisjoint(name) and len(name) <= NAME_BYTES_MAX


# -- selectors -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeyPattern:
    text: bytes
    reads: bool = True
    writes: bool = True

    @property
    def rule(self) -> bytes:
        if self.reads and self.writes:
            return b"~" + self.text
        return (b"%R~" if self.reads else b"%W~") + self.text


@dataclass(frozen=True, slots=True)
class CommandRule:
    is_allowed: bool
    what: str  # ``get``, ``config|get``, ``@read``, or ``select|0``: with this first argument
    is_first_argument: bool = False

    @property
    def text(self) -> str:
        return ("+" if self.is_allowed else "-") + self.what

    def is_about(self, row: Command) -> bool:
        """``row``: of a command, or of a subcommand, named ``config|get``."""
        if self.what.startswith("@"):
            return self.what[1:] in row.categories
        return row.name == self.what or row.name.startswith(f"{self.what}|")


@dataclass(frozen=True, slots=True)
class Selector:
    allows_all: bool = False  # the base: all commands, or none
    rules: tuple[CommandRule, ...] = ()
    keys: tuple[KeyPattern, ...] = ()
    channels: tuple[bytes, ...] = ()

    @property
    def has_all_keys(self) -> bool:
        return KeyPattern(_ALL) in self.keys

    @property
    def reads_all_keys(self) -> bool:
        return any(pattern.text == _ALL and pattern.reads for pattern in self.keys)

    @property
    def has_all_channels(self) -> bool:
        return _ALL in self.channels

    @property
    def is_unrestricted(self) -> bool:
        return self.allows_all and not self.rules and self.has_all_keys and self.has_all_channels

    def allows(self, row: Command) -> bool | frozenset[bytes]:
        """Or the first arguments with which it is allowed."""
        is_allowed, first_arguments = self.allows_all, set[bytes]()
        for rule in self.rules:
            if rule.is_first_argument:
                if row.name == rule.what.partition("|")[0]:
                    first_arguments.add(rule.what.partition("|")[2].encode("latin-1"))
            elif rule.is_about(row):
                is_allowed = rule.is_allowed
                first_arguments.clear()
        return is_allowed or frozenset(first_arguments) or False

    # -- as text ---------------------------------------------------------------------------------

    @property
    def commands_text(self) -> bytes:
        texts = ["+@all" if self.allows_all else "-@all", *(rule.text for rule in self.rules)]
        return " ".join(texts).encode("latin-1")

    @property
    def keys_text(self) -> bytes:
        return b" ".join(pattern.rule for pattern in self.keys)

    @property
    def channels_text(self) -> bytes:
        return b" ".join(b"&" + channel for channel in self.channels)

    @property
    def text(self) -> bytes:
        channels = self.channels_text
        if not self.has_all_channels:
            channels = b"resetchannels " + channels
        parts = (self.keys_text, channels.strip(), self.commands_text)
        return b" ".join(part for part in parts if part)

    # -- changes ---------------------------------------------------------------------------------

    def changed(self, rule: bytes, table: Mapping[bytes, Command], is_lenient: bool) -> "Selector":
        """By one rule.  Raises ``RuleError``."""
        word = rule.lower()
        if word in (b"allkeys", b"~*"):
            return replace(self, keys=(KeyPattern(_ALL),))
        if word == b"resetkeys":
            return replace(self, keys=())
        if word in (b"allchannels", b"&*"):
            return replace(self, channels=(_ALL,))
        if word == b"resetchannels":
            return replace(self, channels=())
        if word in (b"allcommands", b"+@all"):
            return replace(self, allows_all=True, rules=())
        if word in (b"nocommands", b"-@all"):
            return replace(self, allows_all=False, rules=())
        if rule[:1] in (b"~", b"%"):
            return self._with_keys(rule)
        if rule[:1] == b"&":
            return self._with_channel(rule)
        if rule[:1] in (b"+", b"-"):
            return self._with_command(rule, table, is_lenient)
        raise RuleError(rule, _SYNTAX)

    def _with_keys(self, rule: bytes) -> "Selector":
        rights, _, text = rule.partition(b"~")
        letters = rights[1:].upper()
        # ``%R`` without a tilde is a pattern of its own in Redis: of the empty key.
        if rights and letters not in (b"R", b"W", b"RW", b"WR"):
            raise RuleError(rule, _SYNTAX)
        _check_pattern(rule, text)
        if self.has_all_keys:
            raise RuleError(rule, _AFTER_ALL_KEYS)
        pattern = KeyPattern(text, b"R" in letters or not rights, b"W" in letters or not rights)
        if pattern.reads and pattern.writes and text == _ALL:
            return replace(self, keys=(pattern,))
        same = next((known for known in self.keys if known.text == text), None)
        if same is None:
            return replace(self, keys=(*self.keys, pattern))
        both = KeyPattern(text, same.reads or pattern.reads, same.writes or pattern.writes)
        return replace(self, keys=tuple(both if k is same else k for k in self.keys))

    def _with_channel(self, rule: bytes) -> "Selector":
        channel = rule[1:]
        _check_pattern(rule, channel)
        if self.has_all_channels:
            raise RuleError(rule, _AFTER_ALL_CHANNELS)
        if channel in self.channels:
            return self
        return replace(self, channels=(*self.channels, channel))

    def _with_command(
        self, rule: bytes, table: Mapping[bytes, Command], is_lenient: bool
    ) -> "Selector":
        made = CommandRule(rule[:1] == b"+", rule[1:].lower().decode("latin-1"))
        if made.what.startswith("@"):
            if made.what[1:] not in CATEGORIES and not is_lenient:
                raise RuleError(rule, UNKNOWN_COMMAND)
        else:
            made = _of_command(made, rule, table, is_lenient)
        # What the new one speaks of is said by the new one from now on.
        kept = [
            known
            for known in self.rules
            if known.what != made.what and not known.what.startswith(f"{made.what}|")
        ]
        # What says the same as the base changes nothing while nothing else is before it.
        rules = [*kept, made]
        while rules and rules[0].is_allowed == self.allows_all:
            del rules[0]
        return replace(self, rules=tuple(rules))


def _check_pattern(rule: bytes, text: bytes) -> None:
    if not _BLANKS.isdisjoint(text):
        raise RuleError(rule, _SYNTAX)
    if len(text) > PATTERN_BYTES_MAX:
        raise RuleError(rule, _TOO_LONG)


def _upper(name: str) -> bytes:
    """Of ASCII alone: some other letters of latin-1 have no capital one in it."""
    return name.encode("latin-1").upper()


def _of_command(
    made: CommandRule, rule: bytes, table: Mapping[bytes, Command], is_lenient: bool
) -> CommandRule:
    name, bar, rest = made.what.partition("|")
    row = table.get(_upper(name))
    if row is None:
        if is_lenient:  # of a later version: it allows and forbids nothing that is here
            return made
        raise RuleError(rule, UNKNOWN_COMMAND)
    if not bar:
        return made
    if row.subcommands:
        sub, more, _ = rest.partition("|")
        if _upper(sub) in row.subcommands:
            if not more:
                return made
            raise RuleError(rule, _OF_A_SUBCOMMAND)
        if is_lenient:
            return made
        raise RuleError(rule, UNKNOWN_COMMAND)
    # Redis' old way to allow a command with one first argument only.
    if not made.is_allowed or not rest or "|" in rest:
        raise RuleError(rule, UNKNOWN_COMMAND)
    return replace(made, is_first_argument=True)


# -- users -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class User:
    name: bytes
    is_on: bool = False
    has_no_password: bool = False  # any will do
    sanitizes: bytes = b""  # what was said of it; it means nothing here
    passwords: tuple[bytes, ...] = field(default=(), repr=False)  # their hashes
    root: Selector = Selector()
    selectors: tuple[Selector, ...] = ()  # beside the root

    @property
    def all_selectors(self) -> tuple[Selector, ...]:
        return (self.root, *self.selectors)

    @property
    def is_unrestricted(self) -> bool:
        return any(selector.is_unrestricted for selector in self.all_selectors)

    def takes(self, password: bytes) -> bool:
        """It is on, and this is one of its passwords; how long that takes tells nothing."""
        given = hash_of(password)
        is_one = [hmac.compare_digest(given, known) for known in self.passwords]
        return self.is_on and (self.has_no_password or any(is_one))

    @property
    def flags(self) -> list[bytes]:
        flags = [b"on" if self.is_on else b"off"]
        flags += [b"nopass"] if self.has_no_password else []
        return flags + ([self.sanitizes] if self.sanitizes else [])

    @property
    def text(self) -> bytes:
        """Its rules, as ACL LIST shows them behind the name."""
        hashes = [b"#" + each for each in self.passwords]
        selectors = [b"(%b)" % selector.text for selector in self.selectors]
        return b" ".join([*self.flags, *hashes, self.root.text, *selectors])

    def changed(
        self, rules: Sequence[bytes], table: Mapping[bytes, Command], is_lenient: bool = False
    ) -> "User":
        """By rules in this order: by all of them, or it raises ``RuleError`` or
        ``UnmatchedError``.  ``is_lenient``: commands that are not in the table may be named."""
        user = self
        for rule in _merged(rules):
            user = _changed(user, rule, table, is_lenient)
        if len(user.text) > TEXT_BYTES_MAX:
            why = f"The rules of a user are longer than {TEXT_BYTES_MAX} bytes"
            raise RuleError(rules[-1][:40], why)
        return user


def _merged(rules: Sequence[bytes]) -> list[bytes]:
    """A selector may be several words; it is one rule."""
    merged: list[bytes] = []
    opened: list[bytes] = []
    for rule in rules:
        if opened or (rule.startswith(b"(") and not rule.endswith(b")")):
            opened.append(rule)
            if rule.endswith(b")"):
                merged.append(b" ".join(opened))
                opened = []
        else:
            merged.append(rule)
    if opened:
        raise UnmatchedError(opened[0].decode(errors="surrogateescape"))
    return merged


def _changed(user: User, rule: bytes, table: Mapping[bytes, Command], is_lenient: bool) -> User:
    word, sign, rest = rule.lower(), rule[:1], rule[1:]
    if word == b"reset":
        return User(user.name, sanitizes=b"sanitize-payload")
    if word in (b"on", b"off"):
        return replace(user, is_on=word == b"on")
    if word in (b"sanitize-payload", b"skip-sanitize-payload"):
        return replace(user, sanitizes=word)
    if word == b"nopass":
        return replace(user, has_no_password=True, passwords=())
    if word == b"resetpass":
        return replace(user, has_no_password=False, passwords=())
    if word == b"clearselectors":
        return replace(user, selectors=())
    if sign in (b">", b"#"):
        added = hash_of(rest) if sign == b">" else _checked_hash(rule)
        passwords = user.passwords if added in user.passwords else (*user.passwords, added)
        return replace(user, has_no_password=False, passwords=passwords)
    if sign in (b"<", b"!"):
        gone = hash_of(rest) if sign == b"<" else _checked_hash(rule)
        if gone not in user.passwords:
            raise RuleError(rule, _NO_SUCH_PASSWORD)
        return replace(user, passwords=tuple(each for each in user.passwords if each != gone))
    if sign == b"(" and rule.endswith(b")"):
        selector = Selector()
        for each in rule[1:-1].split():
            if each.endswith(b")"):  # in the user's text the selector would end there
                raise RuleError(rule, _SYNTAX)
            try:
                selector = selector.changed(each, table, is_lenient)
            except RuleError as problem:
                raise RuleError(rule, str(problem)) from None
        return replace(user, selectors=(*user.selectors, selector))
    return replace(user, root=user.root.changed(rule, table, is_lenient))


def _checked_hash(rule: bytes) -> bytes:
    if not is_hash(rule[1:]):
        raise RuleError(rule, _NOT_A_HASH)
    return rule[1:]


def read(name: bytes, text: bytes, table: Mapping[bytes, Command]) -> User:
    """A user from its text.  Raises ``RuleError`` or ``UnmatchedError`` for what is none."""
    return User(name).changed(text.split(b" "), table, is_lenient=True)


OPEN = User(  # the default user where nobody has said anything of it
    DEFAULT,
    is_on=True,
    has_no_password=True,
    root=Selector(True, (), (KeyPattern(_ALL),), (_ALL,)),
)


def default_user(password: bytes) -> User:
    """With the ``requirepass`` of a slave's file: a password, or # and its hash; empty: none."""
    if not password:
        return OPEN
    is_hashed = password[:1] == b"#" and is_hash(password[1:])
    return replace(
        OPEN,
        has_no_password=False,
        passwords=(password[1:] if is_hashed else hash_of(password),),
    )
