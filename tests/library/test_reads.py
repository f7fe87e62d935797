"""A leader answers a read when a majority has said, after it came, that it follows this leader in
this term, and when the leader knows what was committed before.  Whole slaves, links and disks by
hand."""

import pytest

from distrodb.raft import messages as m
from tests.library.slaves import Wire

TIMEOUT_S = 1.0  # election_timeout_ms


def test_reads_of_all_groups_are_confirmed_by_one_exchange():
    slaves = Wire(partitions=40).settled()
    leader = slaves.leader(0)
    slaves.run(2 * TIMEOUT_S)
    led = [group for group in range(40) if slaves[leader].routing.leads(group)]
    assert len(led) > 10
    slaves.sent.clear()
    reads = [slaves.ask(leader, b"GET", b"k", partition=group) for group in led]
    slaves.until(lambda: all(read.is_answered for read in reads))
    asking = [message for _, _, message in slaves.sent if message[1] == m.HEARTBEAT and message[3]]
    assert len(asking) == len(slaves.names) - 1
    assert all(message[1] == m.HEARTBEAT for _, _, message in slaves.sent), slaves.sent[:9]


def test_a_read_is_answered_with_the_answer_to_its_question():
    """A quiet group has nothing else that would wake it: no time passes here."""
    slaves, leader, _ = a_quiet_group()
    read = slaves.ask(leader, b"GET", b"k")
    for _ in range(2):  # the question, its answer
        slaves.tick(0.0)
    assert read.reply == b"v"


def test_a_read_whose_question_went_with_the_link_is_answered_when_the_link_is_back():
    """By the answer to the append with which a leader begins on each link: no time passes here."""
    slaves, leader, others = a_quiet_group()
    slaves.loses = lambda *_: True
    slaves.sent.clear()
    read = slaves.ask(leader, b"GET", b"k")
    slaves.tick(0.0)
    slaves.cut(leader, *others)
    slaves.loses = lambda *_: False
    assert any(message[1] == m.HEARTBEAT and message[3] for _, _, message in slaves.sent)
    assert not read.is_answered
    slaves.join(leader, others[0])
    for _ in range(2):  # the append, its answer
        slaves.tick(0.0)
    assert read.reply == b"v"


@pytest.mark.parametrize("is_question", [True, False])
def test_a_read_whose_question_or_answer_is_lost_is_confirmed_all_the_same(is_question):
    slaves, leader, _ = a_quiet_group()
    lost: list[m.Message] = []
    asked: set[str] = set()

    def loses(sender: str, receiver: str, message: m.Message) -> bool:
        asks = sender == leader and message[1] == m.HEARTBEAT and bool(message[3])
        answers = receiver == leader and sender in asked
        if asks:
            asked.add(receiver)
        is_one = (asks if is_question else answers) and len(lost) < 2
        if is_one:
            lost.append(message)
        return is_one

    slaves.loses = loses
    read = slaves.ask(leader, b"GET", b"k")
    slaves.until(lambda: len(lost) == 2)
    assert read.reply is None
    began = slaves.now
    slaves.until(lambda: read.reply == b"v")
    assert slaves.now - began < TIMEOUT_S


def test_the_answer_of_one_that_follows_another_by_now_confirms_no_read():
    """It comes back to the old leader, whose appends are lost, so that nobody tells it."""
    slaves = Wire(partitions=1).settled()
    old = slaves.leader(0)
    new, third = [name for name in slaves.names if name != old]
    written = slaves.ask(old, b"SET", b"k", b"old")
    slaves.until(lambda: written.is_answered)
    slaves.cut(old, new, third)
    slaves.loses = lambda sender, _, message: sender == old and message[1] == m.APPEND
    slaves.until(lambda: slaves[new].routing.leads(0) or slaves[third].routing.leads(0))
    leader, follower = (new, third) if slaves[new].routing.leads(0) else (third, new)
    slaves.until(lambda: slaves[leader].groups[0].member.is_ready)
    written = slaves.ask(leader, b"SET", b"k", b"new")
    slaves.until(lambda: written.is_answered)
    assert slaves[old].routing.leads(0)
    slaves.join(old, follower)
    read = slaves.ask(old, b"GET", b"k")
    slaves.run(2 * TIMEOUT_S)
    assert read.reply != b"old"


def test_a_new_leader_answers_no_read_before_an_entry_of_its_own_term_is_committed():
    """What its predecessor has committed it has in its log, but cannot know yet."""
    slaves = Wire(partitions=1).settled()
    old = slaves.leader(0)
    others = [name for name in slaves.names if name != old]
    slaves.loses = lambda _, receiver, message: receiver in others and is_news_of_a_commit(message)
    written = slaves.ask(old, b"SET", b"k", b"v")
    slaves.until(lambda: written.is_answered)
    slaves.loses = lambda _, __, message: message[1] == m.ACK  # nothing can be committed
    slaves.crash(old)
    slaves.until(lambda: any(slaves[name].routing.leads(0) for name in others))
    leader = next(name for name in others if slaves[name].routing.leads(0))
    read = slaves.ask(leader, b"GET", b"k")
    slaves.run(TIMEOUT_S / 2)
    assert not read.is_answered
    slaves.loses = lambda *_: False
    slaves.until(lambda: read.is_answered)
    assert read.reply == b"v"


def a_quiet_group() -> tuple[Wire, str, list[str]]:
    """With k = v, its leader, and the others."""
    slaves = Wire().settled()
    leader = slaves.leader(0)
    assert leader is not None
    written = slaves.ask(leader, b"SET", b"k", b"v")
    slaves.until(lambda: written.is_answered)
    slaves.run(2 * TIMEOUT_S)
    return slaves, leader, [name for name in slaves.names if name != leader]


def is_news_of_a_commit(message: m.Message) -> bool:
    """An append without entries: the commit index is all that is new in it."""
    return message[1] == m.APPEND and not message[7]


def test_with_leases_a_read_is_answered_at_once_and_many_share_one_exchange():
    slaves = Wire(partitions=1, reads="lease").settled()
    leader = slaves.leader(0)
    written = slaves.ask(leader, b"SET", b"k", b"v")
    slaves.until(lambda: written.is_answered)
    slaves.run(0.2)
    slaves.sent.clear()
    asked, at_once = 0, 0
    until = slaves.now + 1.0
    while slaves.now < until:
        read = slaves.ask(leader, b"GET", b"k")
        slaves.tick(0.002)  # a turn, for which it need not wait if nobody is asked
        at_once += read.is_answered
        slaves.until(lambda read=read: read.is_answered)
        assert read.reply == b"v"
        asked += 1
    questions = [m for sender, _, m in slaves.sent if sender == leader and m[3] is True]
    assert at_once > 0.9 * asked
    assert len(questions) < asked / 4
