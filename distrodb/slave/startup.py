"""What is decided when a slave starts: whether its file fits the cluster, how many clients it has
room for, and what a person is told of a directory that cannot be read.  Pure."""

from distrodb.config import SlaveConfig, problem
from distrodb.ring.clustermap import ClusterMap
from distrodb.ring.levels import OF_MOVES

DESCRIPTORS_RESERVED = 512  # for the journal, snapshots, peers, strangers there, and HTTP
CONNECTIONS_MIN = 16
SECRET_CHARACTERS = 16  # of the cluster's secret, below which it is warned of
# A part of the memory: what clients' inputs and outputs may take together if no option says it.
# Four clients that send the largest values, or a few that do not take their replies, fit in on a
# machine of 512 MiB; and several slaves of one machine do not fill it.
CLIENTS_SHARE = 8


def check_against_map(config: SlaveConfig, cluster_map: ClusterMap) -> None:
    """Once the cluster is born its map rules.  Raises ``ConfigError`` for what would be ignored:
    also other addresses, as long as there may be slaves that do not know that they can change."""
    row = cluster_map.nodes.get(config.id)
    if cluster_map.epoch == 0 or row is None:
        return
    for key, ours, theirs in (
        ("client", config.me.client, row.client),
        ("peer", config.me.peer, row.peer),
    ):
        if str(ours) != theirs and cluster_map.level < OF_MOVES:
            what = f"{config.id} is at {theirs} in the cluster map, not at {ours}"
            advice = (
                "give it the address it had, or let it join under a new id (docs/operations.md)"
            )
            raise problem(config.file, f"cluster.nodes.{key}", what, advice)
    count = len(cluster_map.partitions)
    if config.partitions_wanted not in (0, count):
        what = f"is {config.partitions_wanted}, and the cluster was born with {count}"
        raise problem(config.file, "cluster.partitions", what, f"write {count}")


def check_protected(config: SlaveConfig, needs_no_password: bool) -> None:
    """Nobody from elsewhere may do anything without saying who he is.  Raises ``ConfigError``."""
    if not config.is_protected:
        return
    listens = {name: at for name, at in config.me.listens.items() if not at.is_loopback}
    peer = listens.pop("peer", None)
    off = "or write protected_mode = false under [node] if the network keeps strangers away"
    if peer is not None and not config.secret:
        what = f"is empty, and others than this machine can reach {peer}: each could join in"
        remedy = f'write secret = "…" under [cluster], the same in every file, {off}'
        raise problem(config.file, "cluster.secret", what, remedy)
    if config.tls.clients == "certificate":
        listens = {}
    http = config.me.http_bind
    if http is not None and not http.is_loopback and config.tls.of_http != "certificate":
        listens["http"] = http
    if listens and needs_no_password:
        at = " and ".join(map(str, listens.values()))
        what = f"is empty, and others than this machine can reach {at}: each could do everything"
        remedy = f'write requirepass = "…" under [clients], the same in every file, {off}'
        raise problem(config.file, "clients.requirepass", what, remedy)


def warnings(config: SlaveConfig, may_others_read: bool) -> list[str]:
    """What is no reason not to start.  ``may_others_read``: the slave's file."""
    found: list[str] = []
    password = config.clients.requirepass
    if may_others_read and (config.secret or (password and not password.startswith("#"))):
        what = "holds a secret or a password, and others of this machine may read it"
        found.append(f"{config.file}: {what}; chmod 600 it")
    is_reached = not config.me.listens["peer"].is_loopback
    if is_reached and 0 < len(config.secret) < SECRET_CHARACTERS:
        what = f"has less than {SECRET_CHARACTERS} characters"
        advice = "who listens on the network may find it by trying; openssl rand -hex 16 makes one"
        found.append(f"{config.file}: cluster.secret: {what}: {advice}")
    if min(len(config.nodes), config.replicas) == 2:
        what = "two copies of each partition: it waits while one of its slaves is down, and"
        advice = "one whose directory is lost for good stops it for good (docs/operations.md)"
        found.append(f"{config.file}: {what} {advice}; three copies bear one loss")
    return found


def room_for_connections(wanted: int, files_max: int | None) -> tuple[int, int]:
    """How many files may be open, and how many of them clients, if the system allows
    ``files_max``."""
    files = wanted + DESCRIPTORS_RESERVED
    if files_max is not None:
        files = min(files, files_max)
    return files, min(wanted, max(CONNECTIONS_MIN, files - DESCRIPTORS_RESERVED))


def remedy(config: SlaveConfig) -> str:
    """What to do about a directory that cannot be read.  How many copies there are is in it; the
    file may say what was before."""
    if min(len(config.nodes), config.replicas) < 3:
        return "bring the directory back from a copy, the others have no majority without it"
    return (
        "while the others run: move the directory away, keep it, and start this slave with an"
        " empty directory; it is then taken in as a new one (not if the cluster was told to keep"
        " one copy of each partition: then bring the directory back from a copy)"
    )
