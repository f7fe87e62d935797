"""The users that a slave goes by: those of the cluster map, and the default user.  Pure.

Users are in the map, so all slaves have the same ones, each as soon as it has the map.  Where
nobody has changed the default user it is as the slave's own file says (``requirepass``).

What always holds: who is free to do everything has no guard (None), so that it costs a command of
such a client nothing but to see that; a user whose rules this version cannot read is off.
"""

from collections.abc import Callable, Mapping

from distrodb.commands.acl_guard import STRANGER, Guard, Guarding
from distrodb.commands.acl_user import (
    DEFAULT,
    RuleError,
    UnmatchedError,
    User,
    default_user,
    hash_of,
    read,
)
from distrodb.commands.command import Command


class Users:
    def __init__(self, table: Mapping[bytes, Command], password: str):
        """``table``: the commands that rules may name.  ``password``: the default user's, of the
        slave's file."""
        self.table = table
        self._default = default_user(password.encode())
        self._texts: Mapping[str, str] = {}
        self._read: dict[bytes, tuple[bytes, User]] = {}  # by name: a text, and the user that it is
        self._guards: dict[bytes, Guarding | None] = {}
        self.all: dict[bytes, User] = {DEFAULT: self._default}
        self.changed: list[Callable[[], None]] = []  # called when some are others

    def follow(self, texts: Mapping[str, str]) -> None:
        """Those of a newer map."""
        if texts == self._texts:
            return
        before, self._texts = self.all, texts
        self.all = self.those_of(texts)
        self._read = {name: each for name, each in self._read.items() if name in self.all}
        self._guards = {
            name: guard
            for name, guard in self._guards.items()
            if self.all.get(name) == before.get(name)
        }
        for tell in self.changed:
            tell()

    def those_of(self, texts: Mapping[str, str]) -> dict[bytes, User]:
        """The users of a map with these rules."""
        users = {DEFAULT: self._default}
        for name, text in texts.items():
            user = self._user(name.encode("latin-1"), text.encode("latin-1"))
            users[user.name] = user
        return users

    def _user(self, name: bytes, text: bytes) -> User:
        known = self._read.get(name)
        if known is not None and known[0] == text:
            return known[1]
        try:
            user = read(name, text, self.table)
        except (RuleError, UnmatchedError):
            user = User(name)
        self._read[name] = text, user
        return user

    @property
    def is_open(self) -> bool:
        """Nobody needs to log in."""
        default = self.all[DEFAULT]
        return default.is_on and default.has_no_password

    @property
    def needs_no_password(self) -> bool:
        """The default user, whether it is on or not, takes any."""
        return self.all[DEFAULT].has_no_password

    def authenticates(self, name: bytes, password: bytes) -> bool:
        user = self.all.get(name)
        if user is None:
            hash_of(password)  # as long as with a name that is one
            return False
        return user.takes(password)

    def guard_of(self, name: bytes, has_logged_in: bool) -> Guarding | None:
        """None: everything is allowed."""
        if not (has_logged_in or self.is_open):
            return STRANGER
        if name not in self._guards:
            user = self.all.get(name) or User(name)
            self._guards[name] = None if user.is_unrestricted else Guard(user)
        return self._guards[name]
