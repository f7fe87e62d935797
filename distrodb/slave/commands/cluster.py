"""CLUSTER and DISTRODB: the map, as clients and the shell ask for it."""

import json
from collections.abc import Sequence

from distrodb.resp.reply import error
from distrodb.ring.slots import SLOT_COUNT, slot_of
from distrodb.slave import topology
from distrodb.slave.clients import DEFERRED, Client, Part
from distrodb.slave.commands.connection import unknown_subcommand

# What may be asked of the ring, with its number of words.
_ASKED = {b"REMOVE": 3, b"KEEP": 3, b"MOVE": 4, b"BALANCE": 2}


def cluster(client: Client, args: Sequence[bytes]) -> object:
    """https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/"""
    core, verb = client.server.core, args[1].upper()
    if len(args) == 2:
        if verb == b"SLOTS":
            return topology.slots(core)
        if verb == b"SHARDS":
            return topology.shards(core)
        if verb == b"NODES":
            return topology.nodes(core)
        if verb == b"INFO":
            return topology.info(core)
        if verb == b"MYID":
            return topology.wire_id(core.id).encode()
    if verb == b"KEYSLOT" and len(args) == 3:
        return slot_of(args[2])
    if verb == b"COUNTKEYSINSLOT" and len(args) == 3:
        return count_keys_in_slot(client, args)
    return unknown_subcommand(args)


def count_keys_in_slot(client: Client, args: Sequence[bytes]) -> object:
    if not args[2].isdigit() or len(args[2]) > 5 or int(args[2]) >= SLOT_COUNT:
        return error("ERR", "Invalid slot")
    slot, call = int(args[2]), client.pending[-1]
    part = Part([b"COUNTKEYSINSLOT", args[2]], False, slot, call.resolve)
    client.server.core.submit(part, client.server.core.partition_of_slot[slot])
    return DEFERRED


def distrodb(client: Client, args: Sequence[bytes]) -> object:
    """DISTRODB STATUS: JSON for ``distrodb status`` and the shell.  DISTRODB REMOVE node, KEEP
    node, MOVE partition node and BALANCE: to be sent to the ``controller`` that it names."""
    core, verb = client.server.core, args[1].upper()
    if verb == b"STATUS" and len(args) == 2:
        return json.dumps(topology.status(core)).encode()
    if len(args) == _ASKED.get(verb):
        core.change_map(
            [arg.decode(errors="replace") for arg in args[1:]], client.pending[-1].resolve
        )
        return DEFERRED
    return unknown_subcommand(args)
