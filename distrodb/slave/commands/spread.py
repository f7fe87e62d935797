"""Commands that concern every partition led here: DBSIZE, FLUSHALL and SCAN.

As in Redis Cluster they speak of one slave's share; cluster clients ask every leader and add up.
"""

from distrodb.commands.command import Command
from distrodb.resp.reply import OK, ErrorReply, Reply, error
from distrodb.slave.clients import Call, Client, Part

POSITIONS_PER_SLOT = 64  # see Store.scan


def spread(client: Client, row: Command, call: Call) -> None:
    if leaderless := client.server.core.leaderless():
        # Passing over it would be a FLUSHALL that did not flush, a DBSIZE that did not count.
        call.resolve(error("CLUSTERDOWN", f"partition {leaderless[0]} has no leader"))
        return
    if row.name == "scan":
        _scan(client, call)
        return
    core = client.server.core
    groups = [group for group in core.data_groups if core.leads(group.id)]
    replies: list[Reply] = []

    def resolved(reply: Reply) -> None:
        replies.append(reply)
        if len(replies) == len(groups):
            failed = [reply for reply in replies if isinstance(reply, ErrorReply)]
            unknown = [reply for reply in failed if reply.code == "UNKNOWN"]
            if failed:
                call.resolve((unknown or failed)[0])
            else:
                counts = [reply for reply in replies if isinstance(reply, int)]
                call.resolve(sum(counts) if row.name == "dbsize" else OK)

    if not groups:
        call.resolve(0 if row.name == "dbsize" else OK)
    for group in groups:
        core.submit(Part(call.args, row.is_write, -1, resolved), group.id)


def _scan(client: Client, call: Call) -> None:
    """The cursor is a position in the whole key space (see ``Store.scan``): slot * 64 + window."""
    core, args = client.server.core, call.args
    if not args[1].isdigit() or len(args[1]) > 20:
        call.resolve(error("ERR", "invalid cursor"))
        return
    position = int(args[1])
    led = [
        (partition.first, partition.last, partition.id)
        for partition in core.map.partitions
        if core.leads(partition.id)
    ]
    ahead = [part for part in led if position < (part[1] + 1) * POSITIONS_PER_SLOT]
    if not ahead:
        call.resolve([b"0", []])
        return
    first, _, partition = ahead[0]
    following = ahead[1][0] * POSITIONS_PER_SLOT if len(ahead) > 1 else 0
    position = max(position, first * POSITIONS_PER_SLOT)

    def resolved(reply: Reply) -> None:
        if isinstance(reply, list) and reply[0] == b"0":
            reply = [str(following).encode(), reply[1]]
        call.resolve(reply)

    part = Part([args[0], str(position).encode(), *args[2:]], False, -1, resolved)
    core.submit(part, partition)
