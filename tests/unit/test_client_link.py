"""What a client sends again, and what it never sends twice: a stand-in for a slave, which answers
as it is told or hangs up."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from distrodb.client.link import Link
from distrodb.client.options import where
from distrodb.client.request import OutcomeUnknown
from distrodb.client.sync import Database

STANDALONE = b"-ERR This instance has cluster support disabled\r\n"


class Slave(threading.Thread):
    """``answers``: to each command that is no greeting, in order; None hangs up instead."""

    def __init__(self, answers: list[bytes | None]):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.answers, self.heard = answers, []

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                while (words := self._command(lines)) and (answer := self._answer(words)):
                    connection.sendall(answer)

    def _command(self, lines) -> list[bytes]:
        head = lines.readline()
        words = []
        for _ in range(int(head[1:]) if head else 0):
            words.append(lines.read(int(lines.readline()[1:]) + 2)[:-2])
        return words

    def _answer(self, words: list[bytes]) -> bytes | None:
        match words[0].upper():
            case b"CLIENT":
                return b"+OK\r\n"
            case b"CLUSTER":
                return STANDALONE
        self.heard.append(words[0])
        return self.answers.pop(0)


@contextmanager
def connected(*answers: bytes | None) -> Iterator[tuple[Database[str], Slave]]:
    slave = Slave(list(answers))
    slave.start()
    at = f"127.0.0.1:{slave.listener.getsockname()[1]}"
    database: Database[str] = Database(Link(where(at, None, 5.0), 5.0), True)
    try:
        yield database, slave
    finally:
        database.close()
        slave.listener.close()


def test_a_write_whose_answer_is_lost_is_not_sent_again():
    with connected(None) as (db, slave):
        with pytest.raises(OutcomeUnknown, match="^INCRBY"):
            db.add("a")
        assert slave.heard == [b"INCRBY"]


def test_nor_is_one_that_is_answered_unknown():
    with connected(b"-UNKNOWN the leader has changed\r\n") as (db, slave):
        with pytest.raises(OutcomeUnknown, match="the leader has changed"):
            db["a"] = 1
        assert slave.heard == [b"SET"]


def test_a_read_is():
    with connected(None, b"$1\r\n5\r\n") as (db, slave):
        assert db["a"] == "5" and slave.heard == [b"GET", b"GET"]


def test_a_write_that_was_refused_for_now_is():
    with connected(b"-CLUSTERDOWN no leader\r\n", b"+OK\r\n") as (db, slave):
        db["a"] = 1
        assert slave.heard == [b"SET", b"SET"]


def test_what_is_wrong_with_a_command_is_said_at_once():
    with connected(b"-WRONGTYPE no string\r\n") as (db, slave):
        with pytest.raises(redis.ResponseError, match="no string"):
            db["a"]
        assert slave.heard == [b"GET"]
