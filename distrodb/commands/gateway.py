"""What a gateway asks a partition by itself; no client's commands (slave/forwarding/).

GATEWAY OPEN          the number of a new origin (keyspace/origins.py)
GATEWAY SKIP [error]  nothing: it takes the place of a command that shall not run any more
"""

from collections.abc import Sequence

from distrodb.commands.combine import TOTAL
from distrodb.commands.command import data_row
from distrodb.commands.key_specs import NO_KEYS
from distrodb.keyspace.context import Context
from distrodb.keyspace.store import Store
from distrodb.resp.reply import OK, ErrorReply, Reply

NAME = b"GATEWAY"
OPEN, SKIP = (NAME, b"OPEN"), (NAME, b"SKIP")


def gateway(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    if args[1] == b"OPEN":
        return store.origins.open()
    return ErrorReply(args[2]) if len(args) > 2 else OK


GATEWAY = data_row("gateway", gateway, -2, "write", NO_KEYS, "server", "", combine=TOTAL)
