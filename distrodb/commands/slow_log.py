"""SLOWLOG: the last commands that took long to execute, a bounded number of them.

As in Redis a command's time is that of its execution, without waiting: not for its turn, not for
the disk, not for a majority.  So what is here has kept the others of its slave waiting.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from distrodb.commands.api import SessionApi
from distrodb.commands.command import container, session_row
from distrodb.resp.reply import OK, Reply, error

ARGUMENTS_MAX = 32  # kept of one command, as in Redis
ARGUMENT_BYTES_MAX = 128  # kept of one argument, the same
LENGTH_MAX = 10_000  # entries, whatever slowlog-max-len says: some 40 MB at most
SHOWN = 10  # entries, if no number is asked for


@dataclass(frozen=True, slots=True)
class SlowCommand:
    id: int
    at_s: int  # seconds since the epoch
    took_us: int
    args: list[Reply]
    address: str  # the client's; "" where the command came from another slave
    name: bytes  # the client's


class SlowLog:
    def __init__(self) -> None:
        self._entries: deque[SlowCommand] = deque()  # the newest first
        self._next_id = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(
        self,
        at_s: int,
        took_us: int,
        args: Sequence[bytes],
        client: tuple[str, bytes],
        length_max: int,
    ) -> None:
        """``client``: its address and its name."""
        entry = SlowCommand(self._next_id, at_s, took_us, _shortened(args), *client)
        self._entries.appendleft(entry)
        self._next_id += 1
        self.keep(length_max)

    def keep(self, length_max: int) -> None:
        """No more than so many, the newest."""
        while len(self._entries) > min(length_max, LENGTH_MAX):
            self._entries.pop()

    def newest(self, count: int) -> list[SlowCommand]:
        """All of them if ``count`` is negative."""
        return list(self._entries)[: count if count >= 0 else None]

    def clear(self) -> None:
        self._entries.clear()


def _shortened(args: Sequence[bytes]) -> list[Reply]:
    kept = args if len(args) <= ARGUMENTS_MAX else args[: ARGUMENTS_MAX - 1]
    words: list[Reply] = [_short(word) for word in kept]
    if len(kept) < len(args):
        words.append(b"... (%d more arguments)" % (len(args) - len(kept)))
    return words


def _short(word: bytes) -> bytes:
    more = len(word) - ARGUMENT_BYTES_MAX
    return word if more <= 0 else b"%b... (%d more bytes)" % (word[:ARGUMENT_BYTES_MAX], more)


def get(session: SessionApi, args: Sequence[bytes]) -> Reply:
    if len(args) > 3:
        verb = args[1].decode(errors="replace")
        text = f"unknown subcommand or wrong number of arguments for '{verb}'. Try SLOWLOG HELP."
        return error("ERR", text)
    count = SHOWN
    if len(args) == 3:
        text = args[2].decode(errors="replace")
        if text != "-1" and not (text.isascii() and text.isdigit() and len(text) < 20):
            return error("ERR", "count should be greater than or equal to -1")
        count = int(text)
    return [
        [entry.id, entry.at_s, entry.took_us, entry.args, entry.address.encode(), entry.name]
        for entry in session.slave.slow_log.newest(count)
    ]


def length(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return len(session.slave.slow_log)


def reset(session: SessionApi, args: Sequence[bytes]) -> Reply:
    session.slave.slow_log.clear()
    return OK


_FLAGS = "admin loading stale"
_TIPS = ("request_policy:all_nodes",)

COMMANDS = (
    container(
        "slowlog",
        "server",
        "A container for slow log commands.",
        "2.2.12",
        [
            session_row(
                "slowlog|get",
                get,
                -2,
                _FLAGS,
                "server",
                "Returns the slow log's entries.",
                "2.2.12",
                tips=(*_TIPS, "nondeterministic_output"),
            ),
            session_row(
                "slowlog|len",
                length,
                2,
                _FLAGS,
                "server",
                "Returns the number of entries in the slow log.",
                "2.2.12",
                tips=(*_TIPS, "response_policy:agg_sum", "nondeterministic_output"),
            ),
            session_row(
                "slowlog|reset",
                reset,
                2,
                _FLAGS,
                "server",
                "Clears all entries from the slow log.",
                "2.2.12",
                tips=(*_TIPS, "response_policy:all_succeeded"),
            ),
        ],
    ),
)
