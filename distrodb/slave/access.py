"""Who the clients of this slave may be, what it has refused them for lack of rights, and what they
hear of other rules.  Pure: the clock is an argument."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from distrodb.commands.acl_log import MULTI, TOPLEVEL, AclLog, Refused
from distrodb.commands.api import SessionApi
from distrodb.commands.clients import describe
from distrodb.config.address import host_of
from distrodb.slave.logins import OF_CLIENTS, Logins
from distrodb.slave.runtime_settings import RuntimeSettings

if TYPE_CHECKING:
    from distrodb.slave.core import Core
    from distrodb.slave.session import Session


class Access:
    def __init__(
        self,
        core: "Core",
        now: Callable[[], float],
        settings: RuntimeSettings,
        sessions: "Mapping[int, Session]",
    ):
        self.users, self.change_users, self.log = core.users, core.change_users, AclLog()
        self.users.changed.append(self.users_changed)
        self._now, self._settings, self._sessions = now, settings, sessions
        self._logins = Logins(self.users, OF_CLIENTS)

    def takes(self, session: SessionApi, user: bytes, password: bytes) -> bool | None:
        """Whether it may log in so; None: too many from its address have failed."""
        return self._logins.takes(host_of(session.address), user, password, self._now())

    def refused(self, session: SessionApi, about: str, what: bytes, user: bytes) -> None:
        context = MULTI if session.transactions.is_open else TOPLEVEL
        client = describe(session).rstrip(b"\n")
        self.note(Refused(about, context, what, user, client, self._now()))

    def note(self, refused: Refused) -> None:
        self.log.note(refused, self._settings.acl_log_max)

    def users_changed(self) -> None:
        for session in list(self._sessions.values()):
            session.users_changed()
