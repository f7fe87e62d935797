"""What a gateway has to ask of a partition: sent in order, again when it must be, answered once."""

import pytest

from distrodb.commands.gateway import OPEN, SKIP
from distrodb.keyspace.origins import NoReply
from distrodb.resp.reply import OK, Reply, error
from distrodb.slave.forwarding.queue import FORGOTTEN, FORGOTTEN_READ, UNKNOWN, Item, Queue
from tests.support.request import Asked

DOWN = error("CLUSTERDOWN", "nobody leads")
UNTIL = 10.0


class Gateway:
    """A queue whose partition has given it origin 7, unless a test says otherwise."""

    def __init__(self, has_origin: bool = True):
        self.queue = Queue(0)
        if has_origin:
            first = self.ask(b"SET", b"a", b"0")
            self.queue.begin("node1")
            assert [item.args for item in self.take()] == [OPEN]
            self.answer(7)
            self.take()
            self.answer(OK)
            assert first.reply == OK

    def ask(self, *args: bytes, sender: object = None) -> Asked:
        asked = Asked(*args)
        self.queue.add(UNTIL, asked, sender)
        return asked

    def take(self, now: float = 0.0) -> list[Item]:
        taken = self.queue.take(now)
        return [] if taken is None else taken[1]

    def answer(self, reply: Reply, why: int = 0, number: int | None = None) -> None:
        queue = self.queue
        number = queue._sent[0].number if number is None else number
        queue.answered(0.0, queue.generation, [(number, why, reply)])

    def fail(self, why: NoReply) -> None:
        self.answer(None, why.value)


def test_all_is_sent_again_in_order_to_the_next_leader_with_the_same_numbers() -> None:
    gateway = Gateway()
    asked = [gateway.ask(b"SET", b"a", b"%d" % number) for number in range(3)]
    before = [(item.sequence, item.args) for item in gateway.take()]
    gateway.queue.end(0.0)
    gateway.queue.begin("node2")
    assert [(item.sequence, item.args) for item in gateway.take()] == before
    for each in asked:
        gateway.answer(OK)
        assert each.reply == OK


def test_an_answer_of_an_older_generation_counts_for_nothing() -> None:
    gateway = Gateway()
    asked = gateway.ask(b"INCR", b"a")
    number, generation = gateway.take()[0].number, gateway.queue.generation
    gateway.queue.end(0.0)
    gateway.queue.begin("node2")
    gateway.take()
    gateway.queue.answered(0.0, generation, [(number, 0, 1)])
    assert not asked.is_answered


def test_a_write_waits_for_reads_of_its_connection_or_takes_them_into_the_log() -> None:
    gateway, ours = Gateway(), object()
    early = gateway.ask(b"GET", b"a", sender=ours)
    assert [item.is_logged for item in gateway.take()] == [False]
    gateway.ask(b"GET", b"a", sender=ours)
    gateway.ask(b"SET", b"a", b"1", sender=ours)
    gateway.ask(b"GET", b"a", sender=ours)
    assert [item.args[0] for item in gateway.take()] == [b"GET"]  # the write waits, and holds it up
    gateway.answer(b"0")
    gateway.answer(b"0")
    assert early.reply == b"0"
    assert [(item.args[0], item.is_logged) for item in gateway.take()] == [
        (b"SET", True),
        (b"GET", False),
    ]
    gateway = Gateway()
    gateway.ask(b"GET", b"a", sender=ours)
    gateway.ask(b"GET", b"a", sender=object())
    gateway.ask(b"SET", b"a", b"1", sender=ours)
    assert [item.is_logged for item in gateway.take()] == [True, False, True]


def test_a_write_in_doubt_is_unknown_and_its_number_is_skipped() -> None:
    gateway = Gateway()
    write, refused, read = (
        gateway.ask(b"INCR", b"a"),
        gateway.ask(b"INCR", b"a"),
        gateway.ask(b"GET", b"a"),
    )
    items = gateway.take()
    gateway.fail(NoReply.IN_DOUBT)
    gateway.answer(None, NoReply.NOT_DONE.value, items[1].number)
    gateway.queue.look(UNTIL, DOWN)
    assert (write.reply, refused.reply, read.reply) == (UNKNOWN, DOWN, DOWN)
    gateway.queue.begin("node2")
    assert [item.args for item in gateway.take()] == [SKIP, SKIP]
    gateway.answer(OK)
    gateway.answer(OK)
    assert len(gateway.queue) == gateway.queue.bytes == 0


def test_without_an_origin_what_was_sent_once_is_sent_under_another_one() -> None:
    gateway = Gateway()
    twice, once = gateway.ask(b"INCR", b"a"), None
    gateway.take()
    gateway.queue.end(0.0)
    once = gateway.ask(b"INCR", b"b")
    gateway.queue.begin("node2")
    gateway.take()
    gateway.fail(NoReply.UNKNOWN_ORIGIN)
    assert twice.reply == UNKNOWN and not once.is_answered
    gateway.queue.begin("node2")
    assert [item.args for item in gateway.take()] == [OPEN]
    gateway.answer(8)
    (item,) = gateway.take()
    assert (item.args, item.sequence) == ((b"INCR", b"b"), 1)


def test_a_reply_that_was_not_kept_is_told_as_such() -> None:
    gateway = Gateway()
    asked = gateway.ask(b"INCR", b"a")
    gateway.take()
    gateway.fail(NoReply.FORGOTTEN)
    assert asked.reply == FORGOTTEN
    read, _ = gateway.ask(b"GET", b"a", sender="b"), gateway.ask(b"INCR", b"a", sender="b")
    assert [item.is_logged for item in gateway.take()] == [True, True]
    gateway.fail(NoReply.FORGOTTEN)
    assert read.reply == FORGOTTEN_READ


def test_an_answer_that_may_be_of_an_earlier_run_is_told_as_such() -> None:
    gateway, ours = Gateway(), object()
    queue = gateway.queue
    gateway.ask(b"GET", b"a", sender=ours)
    gateway.ask(b"SET", b"a", b"1", sender=ours)  # which takes that into the log
    gateway.ask(b"GET", b"a", sender=object())  # not this one: it is run again
    gateway.take()
    gateway.answer(b"0")
    assert not queue.answered_again  # the first time
    queue.end(0.0)
    queue.begin("node2")
    gateway.take()
    gateway.answer(OK)
    assert queue.answered_again
    queue.answered_again = False
    gateway.answer(b"1")
    assert not queue.answered_again


def test_what_has_not_run_before_is_not_answered_again() -> None:
    gateway = Gateway()
    gateway.ask(b"SET", b"a", b"1")
    gateway.take()
    gateway.fail(NoReply.NOT_DONE)
    gateway.queue.begin("node2")
    gateway.take()
    gateway.answer(OK)
    assert not gateway.queue.answered_again


def test_an_answer_that_is_lost_is_noticed_by_the_next_one() -> None:
    gateway = Gateway()
    first, second = gateway.ask(b"GET", b"a"), gateway.ask(b"GET", b"b")
    items = gateway.take()
    gateway.answer(b"1", 0, items[1].number)
    assert not (first.is_answered or second.is_answered) and gateway.queue.target is None


def test_who_did_not_take_commands_is_not_asked_again_at_once() -> None:
    gateway = Gateway()
    gateway.ask(b"GET", b"a")
    gateway.take()
    gateway.fail(NoReply.NOT_DONE)
    assert not gateway.queue.may_begin(0.0, "node1") and gateway.queue.may_begin(0.0, "node2")
    assert gateway.queue.may_begin(1.0, "node1")


def test_reads_of_a_connection_that_is_gone_are_dropped_and_its_writes_go_on() -> None:
    gateway, gone, other = Gateway(), object(), object()
    sent = [gateway.ask(b"GET", b"a", sender=gone), gateway.ask(b"GET", b"a", sender=other)]
    logged = [gateway.ask(b"GET", b"a", sender=gone), gateway.ask(b"INCR", b"a", sender=gone)]
    assert [item.is_logged for item in gateway.take()] == [True, False, True, True]
    gateway.ask(b"GET", b"a", sender=gone)
    gateway.take()
    waiting = gateway.ask(b"GET", b"a", sender=gone), gateway.ask(b"GET", b"b", sender=other)
    write = gateway.ask(b"INCR", b"a", sender=gone)
    queue = gateway.queue
    queue.lose({gone})
    assert len(queue) == 5 + 2 and [item.args[0] for item in queue._waiting] == [b"GET", b"INCR"]
    # What has a number in the log keeps it with the next leader; what others wait for goes on.
    queue.end(0.0)
    queue.begin("node2")
    items = gateway.take()
    assert [item.args for item in items[:4]] == [SKIP, (b"GET", b"a"), SKIP, (b"INCR", b"a")]
    assert [item.sequence for item in items[:4]] == [2, 0, 3, 4]
    for reply in (OK, b"0", OK, 1):
        gateway.answer(reply)
    assert (sent[1].reply, logged[1].reply) == (b"0", 1)
    while len(queue):
        for item in gateway.take() or [queue._sent[0]]:
            gateway.answer(2, number=item.number)
    assert queue.bytes == queue._sent_bytes == 0 and write.reply == waiting[1].reply == 2
    assert not (sent[0].is_answered or logged[0].is_answered or waiting[0].is_answered)


@pytest.mark.parametrize("origin", [-1, 0, 1 << 63, True, b"7", None])
def test_what_is_no_origin_is_not_taken_for_one(origin: Reply) -> None:
    gateway = Gateway(has_origin=False)
    gateway.ask(b"SET", b"a", b"1")
    gateway.queue.begin("node1")
    gateway.take()
    gateway.answer(origin)
    assert [item.args for item in gateway.take()] == [OPEN]
