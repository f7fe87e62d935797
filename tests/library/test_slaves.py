"""What the parts of a slave make together when the ring changes: reports, closed groups, commands
that wait.  Whole slaves, their links and disks by hand."""

from distrodb.slave.core import GOSSIP_INTERVAL_S
from tests.library.slaves import Slaves


def test_a_leader_that_reports_the_same_members_at_a_lower_index_is_heard_once():
    """The owner that leads again has no snapshot; the one before had, and reported its index."""
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
