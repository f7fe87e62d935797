"""A slave whose log holds what only a newer version knows stops, and loses nothing by that."""

import pytest

from distrodb.commands.command import data_row
from distrodb.commands.key_specs import WRITES
from distrodb.commands.table import DATA_COMMANDS, MACHINE_COMMANDS
from distrodb.errors import VersionError
from distrodb.resp.reply import OK
from tests.library.slaves import Slaves

SET = DATA_COMMANDS[b"SET"]
FUTURE = data_row("future", SET.handler, SET.arity, "write denyoom", WRITES, "string", "as SET")
NEWER = {**MACHINE_COMMANDS, b"FUTURE": FUTURE}


class Stopping(Slaves):
    """A slave that fails stops, as its process would; what it says is noted."""

    def __init__(self) -> None:
        self.said: dict[str, str] = {}
        super().__init__("abc", partitions=2)

    def flush(self, name: str) -> None:
        try:
            super().flush(name)
        except VersionError as problem:
            self.said[name] = str(problem)
            self.crash(name)


def test_who_does_not_know_a_command_of_the_log_stops_until_it_is_upgraded():
    slaves = Stopping().settled()
    leader = slaves.leader(0)
    others = [name for name in slaves.names if name != leader]
    before = slaves.ask(leader, b"SET", b"k", b"old")
    slaves.until(lambda: before.reply)
    slaves[leader].groups[0].machine.table = NEWER  # it has been upgraded, the others have not
    index = slaves[leader].groups[0].log.last_index + 1
    written = slaves.ask(leader, b"FUTURE", b"k", b"new")
    slaves.until(lambda: len(slaves.said) == 2)
    assert written.reply == OK
    line = (
        f"group 0: entry {index} of the log holds the command 'FUTURE', which this version of"
        " distrodb does not know; upgrade this slave, its data is kept"
    )
    assert slaves.said == dict.fromkeys(others, line)

    slaves.said.clear()
    slaves.start(others[0])  # as it is: it stops again, as soon as it learns of the commit
    slaves.until(lambda: slaves.said)
    assert slaves.said == {others[0]: line}

    slaves.table = NEWER
    for name in others:
        slaves.start(name)
    slaves.crash(leader)
    slaves.until(lambda: slaves.leader(0))
    read = slaves.ask(slaves.leader(0), b"GET", b"k")
    slaves.until(lambda: read.is_answered)
    assert read.reply == b"new"


@pytest.fixture(autouse=True)
def _the_table_is_whole():
    yield
    assert b"FUTURE" not in MACHINE_COMMANDS
