"""A client of the generator against replies that it is handed: each command is counted once."""

import hiredis
import pytest

from distrodb.bench.books import Books
from distrodb.bench.client import PAUSE_S, REDIRECTIONS_MAX, Client
from distrodb.bench.link import Link
from distrodb.bench.workload import Pipeline, get
from distrodb.config import Address

ONE, TWO = Address("127.0.0.1", 1), Address("127.0.0.1", 2)


class Transport:
    def __init__(self):
        self.written = []
        self.is_aborted = False

    def write(self, data):
        self.written.append(data)

    def writelines(self, pieces):
        self.written += pieces

    def is_closing(self):
        return self.is_aborted

    def abort(self):
        self.is_aborted = True


class World:
    """Stands in for the load: who connects, where redirections lead, who is free again."""

    def __init__(self, *, is_cluster=True):
        self.books = Books()
        self.freed, self.wanted, self.doubts = [], [], 0
        self._is_cluster = is_cluster
        self.client = Client(self)
        self.links = {at: self.link(at) for at in (ONE, TWO)}
        for link in self.links.values():
            self.client.add(link)

    def link(self, at) -> Link:
        link = Link(self.client, at)
        link.connection_made(Transport())
        return link

    def connect(self, client, address):
        self.wanted.append(address)

    def redirected(self, text, link):
        host, _, port = text.split()[2].rpartition(":")
        return Address(host, int(port)) if self._is_cluster else None

    def doubt(self):
        self.doubts += 1

    def is_free(self, client, pause_s):
        self.freed.append(pause_s)

    def start(self, kinds="ss", leader=ONE):
        commands = tuple(get(b"k%d" % number) for number in range(len(kinds)))
        is_set = bytes(kind == "s" for kind in kinds)
        usual = b"+OK\r\n" if "g" not in kinds else b""
        pieces = [b"".join(piece for command in commands for piece in command)]
        self.books.asked += len(kinds)
        self.client.start(Pipeline(commands, is_set, leader, pieces, 0, usual), 0.0)

    def adds_up(self):
        books = self.books
        return books.asked == books.done + books.failed + self.client.under_way


@pytest.mark.parametrize(
    "parts", [[b"+OK\r\n+OK\r\n"], [b"+OK\r\n", b"+OK\r\n"], [b"+O", b"K\r\n+OK\r\n"]]
)
def test_replies_however_they_are_cut(parts):
    world = World()
    world.start()
    for part in parts:
        assert world.freed == [] and world.adds_up()
        world.links[ONE].data_received(part)
    assert (world.books.sets.count, world.books.gets.count, world.freed) == (2, 0, [0.0])
    world.start("sg")
    world.links[ONE].data_received(b"+OK\r\n$-1\r\n")
    assert (world.books.sets.count, world.books.gets.count, world.books.misses) == (3, 1, 1)
    assert world.adds_up()


def test_an_error_is_counted_by_its_text_and_is_no_latency():
    world = World()
    world.start("ssg")
    world.links[ONE].data_received(b"+OK\r\n-OOM no memory\r\n-OOM no memory\r\n")
    assert world.books.errors == {"OOM no memory": 2} and world.books.done == 1
    assert world.freed == [0.0] and world.doubts == 0 and world.adds_up()
    world.start("s")
    world.links[ONE].data_received(b"-CLUSTERDOWN no leader\r\n")
    assert world.freed == [0.0, PAUSE_S] and world.doubts == 1, "nothing was done: not at once"


def test_what_is_redirected_is_sent_again_and_counted_once():
    world = World()
    world.start("sgs")
    world.links[ONE].data_received(b"+OK\r\n-MOVED 7 127.0.0.1:2\r\n+OK\r\n")
    assert world.freed == [] and world.books.redirected == 1 and world.adds_up()
    assert world.links[TWO]._transport.written == [b"".join(get(b"k1"))]
    world.links[TWO].data_received(b"$1\r\nx\r\n")
    assert world.books.sets.count == 2 and world.books.gets.count == 1 and world.books.failed == 0
    assert world.freed == [0.0] and world.adds_up()


def test_redirections_in_a_circle_end():
    world = World()
    world.start("s")
    for number in range(REDIRECTIONS_MAX + 1):
        assert world.freed == []
        here, there = (ONE, TWO) if number % 2 == 0 else (TWO, ONE)
        world.links[here].data_received(b"-MOVED 7 127.0.0.1:%d\r\n" % there.port)
    assert world.books.errors == {f"MOVED {REDIRECTIONS_MAX} times and more": 1} or (
        sum(world.books.errors.values()) == 1
    )
    assert world.freed == [PAUSE_S] and world.adds_up()


def test_without_a_cluster_a_redirection_is_an_error_with_the_remedy():
    world = World(is_cluster=False)
    world.start("ss")
    world.links[ONE].data_received(b"-MOVED 7 127.0.0.1:2\r\n-MOVED 9 127.0.0.1:3\r\n")
    assert world.books.errors == {"MOVED (a cluster: use --cluster)": 2} and world.adds_up()


def test_a_lost_connection_fails_what_was_under_way_once():
    world = World()
    world.start("ssss")
    world.links[ONE].data_received(b"+OK\r\n-MOVED 7 127.0.0.1:2\r\n")
    world.links[ONE].connection_lost(None)
    world.links[ONE].connection_lost(None)
    assert world.books.errors == {"connection lost": 3} and world.books.done == 1
    assert world.freed == [PAUSE_S] and world.doubts >= 1 and world.adds_up()
    world.start("s")
    assert world.wanted == [ONE], "it connects anew"
    world.client.connected(link := world.link(ONE))
    link.data_received(b"+OK\r\n")
    assert world.books.done == 2 and world.adds_up()


def test_a_connection_that_is_about_to_be_lost_is_not_written_to():
    """The event loop has closed it and not said so yet: uvloop raises an error then."""
    world = World()
    world.links[ONE]._transport.abort()
    world.start("ss")
    assert world.books.errors == {"connection lost": 2} and world.freed == [PAUSE_S]
    world.start("s", leader=Address("127.0.0.1", 3))
    dead = world.link(Address("127.0.0.1", 3))
    dead._transport.abort()
    world.client.connected(dead)
    assert world.books.errors == {"connection lost": 3} and world.adds_up()


def test_the_loss_of_an_idle_connection_is_no_error():
    world = World()
    world.start("s", leader=TWO)
    world.links[ONE].connection_lost(None)
    assert world.books.failed == 0 and world.client.under_way == 1


def test_a_reply_that_does_not_come_is_an_error_and_late_ones_are_ignored():
    world = World()
    world.start("ss")
    link = world.links[ONE]
    world.client.look(world.client._sent_at + 1.0, 5.0)
    assert world.books.failed == 0
    world.client.look(world.client._sent_at + 5.1, 5.0)
    assert world.books.errors == {"no reply within 5 s": 2} and link._transport.is_aborted
    link.connection_lost(None)
    link.data_received(b"+OK\r\n")
    assert world.books.done == 0 and world.adds_up()


def test_who_cannot_connect_fails_the_pipeline():
    world = World()
    nobody = Address("127.0.0.1", 9)
    world.start("ss", leader=nobody)
    world.client.not_connected(nobody, "cannot connect: Connection refused")
    assert world.books.errors == {"cannot connect: Connection refused": 2} and world.adds_up()
    world.client.connected(late := world.link(nobody))
    assert late._transport.is_aborted and late._transport.written == []
    world.start("s", leader=None)
    assert world.books.errors["no slave leads the slot"] == 1 and world.adds_up()


@pytest.mark.parametrize("data", [b"+OK\r\n" * 3, b"+OK\r\n+OK\r\n:1\r\n", b"HTTP/1.1 400\r\n"])
def test_replies_that_nobody_asked_for_end_the_connection(data):
    world = World()
    world.start("ss")
    world.links[ONE].data_received(data)
    assert world.links[ONE]._transport.is_aborted and world.adds_up()
    assert world.books.failed == 2 and world.freed == [PAUSE_S]


def test_to_end_is_no_error():
    world = World()
    world.start("ss")
    world.client.close()
    world.links[ONE].connection_lost(None)
    assert world.books.failed == 0 and world.client.under_way == 2 and world.adds_up()


def test_hiredis_gives_errors_back():
    """On which ``Link`` builds: an error is a reply like others, it is not raised."""
    reader = hiredis.Reader()
    reader.feed(b"-ERR x\r\n")
    assert isinstance(reader.gets(), hiredis.ReplyError)
