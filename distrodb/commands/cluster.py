"""The cluster as clients ask for it: CLUSTER, and READONLY and READWRITE for its copies."""

from collections.abc import Sequence

from distrodb.commands.api import PENDING, Answer, SessionApi
from distrodb.commands.command import session_row
from distrodb.commands.error_replies import unknown_subcommand
from distrodb.resp.reply import OK, Reply, error
from distrodb.ring.slots import SLOT_COUNT, slot_of


def cluster(session: SessionApi, args: Sequence[bytes]) -> Answer:
    """https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/"""
    slave, verb = session.slave, args[1].upper()
    if len(args) == 2:
        if verb == b"SLOTS":
            return slave.cluster_slots()
        if verb == b"SHARDS":
            return slave.cluster_shards()
        if verb == b"NODES":
            return slave.cluster_nodes()
        if verb == b"INFO":
            return slave.cluster_info()
        if verb == b"MYID":
            return slave.cluster_id()
    if verb == b"KEYSLOT" and len(args) == 3:
        return slot_of(args[2])
    if verb == b"COUNTKEYSINSLOT" and len(args) == 3:
        return _count_keys_in_slot(session, args[2])
    return unknown_subcommand(args)


def _count_keys_in_slot(session: SessionApi, text: bytes) -> Answer:
    if not text.isdigit() or len(text) > 5 or int(text) >= SLOT_COUNT:
        return error("ERR", "Invalid slot")
    session.slave.ask_partition(
        int(text), [b"COUNTKEYSINSLOT", text], session.database, session.later()
    )
    return PENDING


def readonly(session: SessionApi, args: Sequence[bytes]) -> Reply:
    session.is_readonly = True
    return OK


def readwrite(session: SessionApi, args: Sequence[bytes]) -> Reply:
    session.is_readonly = False
    return OK


COMMANDS = (
    session_row(
        "readonly", readonly, 1, "fast", "cluster", "Allows stale reads from copies.", "3.0.0"
    ),
    session_row("readwrite", readwrite, 1, "fast", "cluster", "Ends READONLY.", "3.0.0"),
    session_row("cluster", cluster, -2, "admin", "cluster", "Describes the cluster.", "3.0.0"),
)
