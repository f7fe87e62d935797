"""The commands on data: the rows of every family."""

from distrodb.commands import keys, strings
from distrodb.commands.command import Command
from distrodb.commands.keys import COUNT_KEYS_IN_SLOT

DATA_COMMANDS: dict[bytes, Command] = {
    row.name.upper().encode(): row for row in (*strings.COMMANDS, *keys.COMMANDS)
}

__all__ = ["COUNT_KEYS_IN_SLOT", "DATA_COMMANDS"]
