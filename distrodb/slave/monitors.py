"""Who watches all commands of this slave (MONITOR), and what they are shown.  Pure."""

from collections.abc import Callable, Sequence

from distrodb.commands.api import SessionApi
from distrodb.commands.command import Command
from distrodb.commands.monitor import is_shown, line
from distrodb.resp.reply import Status
from distrodb.slave.runtime_settings import RuntimeSettings

# The part of output_bytes_max that may wait for a watcher: beyond, it is closed.
SHARE = 2


class Monitors(dict[int, SessionApi]):
    """By their ids; a dictionary, so that to see that there are none costs a command nothing."""

    def __init__(self, wall_us: Callable[[], int], settings: RuntimeSettings):
        super().__init__()
        self._wall_us, self._settings = wall_us, settings

    def show(self, session: SessionApi, row: Command, args: Sequence[bytes]) -> None:
        if not is_shown(row):
            return
        shown = Status(line(self._wall_us(), session, args))
        bytes_max = self._settings.limits.output_bytes_max // SHARE
        for watcher in list(self.values()):
            if watcher.replies.output_bytes + len(shown.text) <= bytes_max:
                watcher.push(shown)
            else:
                del self[watcher.id]
                watcher.kill()
