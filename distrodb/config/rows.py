"""The rows of [[cluster.nodes]]: who the slaves are, where they listen and where they are found.
Pure.

``gateway``, if there is one, is where it listens for clients that know no cluster; a wildcard is
found at the host of ``announce`` or ``client``.  The same goes for ``http``, where it says how it
is; a port alone is one of the loopback address, which only this machine reaches.  Where either is
found elsewhere ``announce_gateway`` and ``announce_http`` say it, as host, or host and port.

``client`` and ``peer`` are where a slave listens, and mostly where others find it too.  Where it
is found elsewhere (it listens at all addresses of its machine, or behind a mapped port) its row
says ``announce``: a host, or host and port, for clients.  The other slaves find it at
``announce_peer``, else at ``peer``; if that is a wildcard, at the host of ``announce``.

What always holds: nobody is sent to a wildcard.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distrodb.config.address import Address, parse_announced
from distrodb.config.mistakes import address, problem, shown, unknown
from distrodb.config.sections import NodeAddress

LOOPBACK = "127.0.0.1"
_NEEDED = ("id", "client", "peer")
_TOLD = ("announce", "announce_peer", "announce_gateway", "announce_http")
_MAY_BE = ("gateway", "http", *_TOLD)


def nodes_of(file: Path, plain: dict[str, Any]) -> tuple[NodeAddress, ...]:
    rows = plain.get("cluster", {}).get("nodes")
    if not isinstance(rows, list) or not rows:
        remedy = "list every slave with id, client and peer"
        raise problem(file, "cluster.nodes", "is missing or empty", remedy)
    nodes: list[NodeAddress] = []
    taken: dict[str, str] = {}
    for number, row in enumerate(rows):
        key = f"cluster.nodes[{number}]"
        _check_texts(file, key, row)
        id_ = row["id"]
        if not id_.isascii() or not all(c.isalnum() or c in "-_." for c in id_):
            remedy = "use letters, digits, - _ and ."
            raise problem(file, f"{key}.id", f"{id_!r} is not an id", remedy)
        if id_ in [node.id for node in nodes]:
            raise problem(file, f"{key}.id", f"two slaves have the id {id_}", "rename one of them")
        node = _node(file, key, row)
        places: dict[str, Address | None] = {"client": node.client, "peer": node.peer}
        if node.gateway_told is None:  # else one that spreads clients over all may be told of
            places["gateway"] = node.gateway
        for name, place in places.items():
            if place is None:
                continue
            here, other = f"{key}.{name}", taken.get(str(place))
            if other:
                raise problem(file, here, f"{place} is also {other}", "give each its own port")
            taken[str(place)] = here
        nodes.append(node)
    return tuple(nodes)


def _check_texts(file: Path, key: str, row: object) -> None:
    if not isinstance(row, dict):
        raise problem(file, key, "is not a table", "write it as [[cluster.nodes]]")
    for name in row:
        if name not in _NEEDED + _MAY_BE:
            raise unknown(file, f"{key}.{name}", name, _NEEDED + _MAY_BE)
    for name in _NEEDED:
        if not isinstance(row.get(name), str) or not row[name]:
            raise problem(file, f"{key}.{name}", "is missing or not a string", "add it")
    for name in _MAY_BE:
        if name in row and not isinstance(row[name], str):
            remedy = 'write it as "host:port"'
            raise problem(file, f"{key}.{name}", f"{shown(row[name])} is not a string", remedy)


def _node(file: Path, key: str, row: dict[str, str]) -> NodeAddress:
    client = address(file, f"{key}.client", row["client"])
    peer = address(file, f"{key}.peer", row["peer"])
    if client == peer:
        raise problem(file, f"{key}.peer", f"{peer} is also {key}.client", "give each its own port")
    told_client = _announced(file, key, "announce", row, client)
    if "announce" in row and peer.is_wildcard:
        peer_default = Address(told_client.host, peer.port)
    else:
        peer_default = peer
    told_peer = _announced(file, key, "announce_peer", row, peer_default)
    for name, listens, told in (("client", client, told_client), ("peer", peer, told_peer)):
        if told.is_wildcard:
            what = f"{listens} is no address that clients and slaves can be sent to"
            remedy = 'add announce = "HOST" to this row: the name or IP address of this machine'
            raise problem(file, f"{key}.{name}", what, remedy)
    gateway = _more(file, key, "gateway", row, {"client": client, "peer": peer})
    others = {"client": client, "peer": peer, "gateway": gateway}
    http = _more(file, key, "http", row, others)
    return NodeAddress(
        row["id"],
        told_client,
        told_peer,
        client_bind=None if client == told_client else client,
        peer_bind=None if peer == told_peer else peer,
        gateway_bind=gateway,
        http_bind=http,
        gateway_told=_told(file, key, "gateway", row, gateway),
        http_told=_told(file, key, "http", row, http),
    )


def _more(
    file: Path, key: str, name: str, row: dict[str, str], others: Mapping[str, Address | None]
) -> Address | None:
    """Where it listens too, if its row says so."""
    if name not in row:
        return None
    text = row[name]
    if name == "http" and text.isascii() and text.isdigit():
        text = f"{LOOPBACK}:{text}"
    found = address(file, f"{key}.{name}", text)
    for of, other in others.items():
        if found == other:
            what = f"{found} is also {key}.{of}"
            raise problem(file, f"{key}.{name}", what, "give each its own port")
    return found


def _told(
    file: Path, key: str, of: str, row: dict[str, str], listens: Address | None
) -> Address | None:
    """Where clients find the gateway, or people the HTTP port, if the row says so."""
    name = f"announce_{of}"
    if name not in row:
        return None
    if listens is None:
        raise problem(file, f"{key}.{name}", f"there is no {of} in this row", f"add {of}")
    told = _announced(file, key, name, row, listens)
    if told.is_wildcard:
        what = f"{told} is no address that anybody can be sent to"
        raise problem(file, f"{key}.{name}", what, "name the host where it is found")
    return told


def _announced(file: Path, key: str, name: str, row: dict[str, str], default: Address) -> Address:
    if name not in row:
        return default
    try:
        return parse_announced(row[name], default.port)
    except ValueError as error:
        what = f"{shown(row[name])} is not an address ({error})"
        raise problem(file, f"{key}.{name}", what, 'write it as "host" or "host:port"') from None
