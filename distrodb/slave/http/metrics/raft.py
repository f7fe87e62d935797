"""Of Raft: batches, elections, snapshots, and each partition that is open here."""

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from distrodb.raft.group import Group
from distrodb.ring.clustermap import node_of
from distrodb.slave.http.metrics.sources import SIZES, Sources, counter, gauge, histogram, table
from distrodb.slave.status_reply import group_name

PARTITIONS_A_SLICE = 256  # of one family: about a millisecond

# Of each group that is open here: name, text, value.
GROUPS: tuple[tuple[str, str, Callable[[Group], float]], ...] = (
    ("distrodb_raft_term", "The term, which grows with each election.", lambda g: g.member.term),
    ("distrodb_raft_leading", "1: this slave leads it.", lambda g: g.member.is_leader),
    (
        "distrodb_raft_commit_index",
        "The newest entry that is committed, as far as is known here.",
        lambda g: g.member.commit_index,
    ),
    (
        "distrodb_raft_uncommitted_entries",
        "Entries of the log here that are not committed yet, as far as is known here.",
        lambda g: max(0, g.log.last_index - g.member.commit_index),
    ),
    (
        "distrodb_raft_unapplied_entries",
        "Committed entries that have not run here yet.",
        lambda g: max(0, g.member.commit_index - g.member.applied_index),
    ),
)


def collect(sources: Sources) -> Iterator[Metric]:
    core, counts = sources.core, sources.core.counts
    yield histogram(
        "distrodb_write_seconds",
        "From the start of a batch of writes at its leader until it is answered: to the disks of a"
        " majority, and run. What waits before in the queue is not in it.",
        {"": counts.write_us},
    )
    yield histogram(
        "distrodb_read_seconds",
        "The same of a batch of reads alone: to a majority, and run.",
        {"": counts.read_us},
    )
    yield histogram(
        "distrodb_write_batch_commands",
        "How many commands that write one entry of a log had.",
        {"": counts.batch_writes},
        powers=SIZES,
        unit=1,
    )
    yield counter(
        "distrodb_elections_total", "In which this slave stood, of all groups.", counts.elections
    )
    yield counter(
        "distrodb_leads_total",
        "Leads of groups that this slave has won, and lost or handed over.",
        {"won": counts.leads_won, "lost": counts.leads_lost},
        "what",
    )
    yield counter(
        "distrodb_membership_changes_total",
        "Steps of groups led here towards the members that the map wants.",
        counts.membership_changes,
    )
    yield counter(
        "distrodb_snapshots_total",
        "taken: of what is held here, to cut the log; sent: begun to be sent to a member;"
        " installed: received and in use; refused: came damaged.",
        {
            "taken": counts.snapshots_taken,
            "sent": counts.snapshots_begun,
            "installed": counts.snapshots_installed,
            "refused": counts.snapshots_refused,
        },
        "what",
    )
    yield counter(
        "distrodb_snapshot_sent_bytes_total",
        "Of snapshots to members that are new or lag behind.",
        core.budget.spent,
    )
    groups = sorted(core.groups.items())
    for first in range(0, len(groups), PARTITIONS_A_SLICE):
        some = [
            (str(group_name(id_)), group)
            for id_, group in groups[first : first + PARTITIONS_A_SLICE]
        ]
        for name, text, value in GROUPS:
            yield table(
                GaugeMetricFamily(name, text, labels=["partition"]),
                [((of,), value(group)) for of, group in some],
            )
        yield table(
            GaugeMetricFamily(
                "distrodb_raft_follower_lag_entries",
                "Entries that a follower lacks, of a partition that is led here.",
                labels=["partition", "follower"],
            ),
            [
                ((of, node_of(peer)), group.member.backlog(peer))
                for of, group in some
                if group.member.is_leader
                for peer in group.member.voters
            ],
        )
    keys = expired = 0
    for group in core.view.partitions:
        store = core.view.copy_of(group.id)
        if store is not None:
            expired += store.expired_count
            keys += store.key_count() if group.member.is_leader else 0
    yield gauge("distrodb_keys", "In the partitions that this slave leads.", keys)
    yield CounterMetricFamily(
        "distrodb_expired_keys", "Removed from what is held here, led or as copies.", value=expired
    )
