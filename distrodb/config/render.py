"""Writing a slave's file, each option with its comment: what is in conf/, and what
``distrodb local`` makes.  Pure.
"""

import json
from collections.abc import Sequence
from typing import Any

from distrodb.config.options import OPTIONS, SECTIONS, Option
from distrodb.config.sections import NodeAddress

_ROW_TEXT = """\
# This slave's own row. It listens at `client` and `peer`. If others find it elsewhere, as when it
# listens at 0.0.0.0 or [::], `announce = "HOST"` says where; "HOST:PORT" if clients find it at
# another port, and `announce_peer` for slaves. With `gateway = "HOST:PORT"` it listens there too,
# as one single Redis server that holds all keys, for clients that know no Redis Cluster. With
# `http = "PORT"` it says there how it is: health, metrics, a page to look at. Only this machine
# reaches that; `http = "HOST:PORT"` opens it to the cluster's users elsewhere. `announce_gateway`
# and `announce_http` say where these are found, if elsewhere."""
_NODES_TEXT = """\
# Every slave that the cluster is born with, in ring order; the same list in every file. Later the
# cluster's own map says who there is, and only this slave's own row matters. A slave listens at
# `client` and `peer`. If others find it elsewhere, as when it listens at 0.0.0.0 or [::],
# `announce = "HOST"` says where; "HOST:PORT" if clients find it at another port, and
# `announce_peer` for slaves; the cluster's map follows this slave's own row. With
# `gateway = "HOST:PORT"` it listens there too, as one single Redis server that holds all keys, for
# clients that know no Redis Cluster. With `http = "PORT"` it says there how it is: health, metrics,
# a page to look at. Only this machine reaches that; `http = "HOST:PORT"` opens it to the cluster's
# users elsewhere. `announce_gateway` and `announce_http` say where these are found, if that is
# elsewhere."""


def render(
    node_id: str,
    directory: str,
    nodes: Sequence[NodeAddress],
    **changed: Any,
) -> str:
    """A commented file.  ``changed`` holds other values than the defaults, as ``section_name``.

    Raises ``TypeError`` for a name that is no option: left out silently, it would seem to work.
    """
    for name in changed:
        if name not in [f"{option.section}_{option.name}" for option in OPTIONS]:
            raise TypeError(f"no option of a slave is called {name!r}")
    changed = {"node_id": node_id, "node_directory": directory, **changed}
    lines = [
        "# One slave of a distrodb cluster: `distrodb slave THIS-FILE`.",
        "# An option that is left out has the default that is written here.",
    ]
    for section in SECTIONS:
        lines += ["", f"[{section}]"]
        for option in OPTIONS:
            if option.section == section:
                lines += _comment(option)
                lines.append(f"{option.name} = {_toml(_changed(changed, option))}")
        if section == "cluster":
            what = _ROW_TEXT if changed.get("node_join") else _NODES_TEXT
            lines += ["", what]
            for node in nodes:
                lines += ["[[cluster.nodes]]", f"id = {_toml(node.id)}"]
                listens = node.listens | ({"http": node.http_bind} if node.http_bind else {})
                lines += [f"{name} = {_toml(str(at))}" for name, at in listens.items()]
                if node.client_bind or node.peer_bind:
                    lines.append(f"announce = {_toml(str(node.client))}")
                    lines.append(f"announce_peer = {_toml(str(node.peer))}")
                told = {"gateway": node.gateway_told, "http": node.http_told}
                lines += [f"announce_{of} = {_toml(str(at))}" for of, at in told.items() if at]
    return "\n".join(lines) + "\n"


def _changed(changed: dict[str, Any], option: Option) -> Any:
    return changed.get(f"{option.section}_{option.name}", option.default)


def _toml(value: Any) -> str:
    if isinstance(value, str):
        # A string of JSON is one of TOML, except that TOML wants DEL escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value)


def _comment(option: Option) -> list[str]:
    text = option.text
    if option.default is not None:
        text += f" Default: {_toml(option.default)}."
    lines, line = [], "#"
    for word in text.split():
        if len(line) + 1 + len(word) > 98:
            lines.append(line)
            line = "#"
        line += " " + word
    return [*lines, line]
