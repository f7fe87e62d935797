"""What the parts of a slave make together when the ring changes: reports, closed groups, commands
that wait.  Whole slaves, their links and disks by hand."""

from distrodb.slave.core import GOSSIP_INTERVAL_S
from tests.library.slaves import Slaves


def test_a_leader_that_reports_the_same_members_at_a_lower_index_is_heard_once():
    """The owner that leads again has no snapshot; its predecessor had, and reported its index."""
    slaves = Slaves().settled()
    slaves.crash("a")
    slaves.until(lambda: slaves.leader(0))
    leader = slaves.leader(0)
    assert leader is not None
    for n in range(10):
        slaves.ask(leader, b"SET", b"k", b"%d" % n)
        slaves.tick()
    slaves.compact(leader, 0)
    slaves.run(GOSSIP_INTERVAL_S)
    slaves.start("a")
    slaves.until(lambda: slaves["a"].leads(0))
    slaves.run(0.1)
    report, ours = slaves["c"]._reports.of(0), slaves["a"].groups[0].journal
    assert report is not None
    assert (report.term, report.configuration) == (slaves["a"].term_of(0), ours.configuration)
    before = len(slaves.gossips)
    slaves.run(GOSSIP_INTERVAL_S)
    pairs = 4 * 3
    assert len(slaves.gossips) - before <= 2 * pairs


def test_a_command_does_not_pass_those_that_wait_for_the_leader():
    """This slave comes to lead between two commands of one connection."""
    slaves = Slaves().settled()
    slaves.crash("a")
    core = slaves["b"]
    assert core.leader_of(0) is None
    first = slaves.ask("b", b"SET", b"k", b"first")
    core.groups[0].engine.stand_at_once(slaves.now)
    slaves.cores.pop("c")  # d's frames are delivered here one by one, without a turn in between
    slaves.cut("b", "c")
    while not core.leads(0):
        slaves.now += 0.01
        for name in "bd":
            output = slaves[name].flush(slaves.now, 0)
            if output.journal is not None:
                slaves.disks[name].commit(output.journal[1])
                slaves[name].durable(slaves.now, output.journal[0])
            other = "d" if name == "b" else "b"
            slaves[other].receive(slaves.now, name, output.messages.get(other, []))
    second = slaves.ask("b", b"SET", b"k", b"second")
    slaves.until(lambda: first.reply and second.reply)
    read = slaves.ask("b", b"GET", b"k")
    slaves.until(lambda: read.reply)
    assert read.reply == b"second"
