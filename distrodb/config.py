"""What a slave is told: one TOML file, typed and validated.

One table of options (options.py) drives both the validation and the commented files in conf/, so
that what is written there is what is checked.  A wrong file raises ``ConfigError`` with one line:
the file, the key, what is wrong, the remedy.
"""

import difflib
import json
import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distrodb.errors import ConfigError
from distrodb.options import OPTIONS, Option


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class NodeAddress:
    id: str
    client: Address
    peer: Address


@dataclass(frozen=True, slots=True)
class RaftConfig:
    heartbeat_ms: int = 100
    election_timeout_ms: int = 1000
    unknown_after_ms: int = 2000
    snapshot_log_bytes: int = 16777216
    dead_after_s: float = 10.0


@dataclass(frozen=True, slots=True)
class HealingConfig:
    moves_at_once: int = 4
    copy_bytes_per_s: int = 67108864


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    key_bytes_max: int = 65536
    value_bytes_max: int = 16777216
    inline_bytes_max: int = 65536
    arguments_max: int = 65536
    command_bytes_max: int = 67108864
    output_bytes_max: int = 67108864
    input_pending_max: int = 1024
    connections_max: int = 10000
    partition_queue_max: int = 100000
    partition_queue_bytes_max: int = 134217728
    batch_bytes_max: int = 1048576


@dataclass(frozen=True, slots=True)
class SlaveConfig:
    file: Path
    id: str
    directory: Path
    cluster_id: str
    secret: str
    partitions: int  # that a new cluster has
    replicas: int
    nodes: tuple[NodeAddress, ...]
    raft: RaftConfig
    limits: LimitsConfig
    log_level: str
    join: tuple[Address, ...] = ()
    healing: HealingConfig = HealingConfig()
    partitions_wanted: int = 0  # what the file says; 0: any number

    @property
    def me(self) -> NodeAddress:
        """This slave's own row."""
        return next(node for node in self.nodes if node.id == self.id)


_ROW_TEXT = "# This slave's own row."
_NODES_TEXT = """\
# Every slave that the cluster is born with, in ring order; the same list in every file. Later the
# cluster's own map says who there is, and only this slave's own row matters."""
_NODE_KEYS = ("id", "client", "peer")
_SECTIONS = tuple(dict.fromkeys(option.section for option in OPTIONS))


def problem(file: Path, key: str, what: str, remedy: str) -> ConfigError:
    """The one form in which a wrong configuration is reported."""
    return ConfigError(f"{file}: {key}: {what}; {remedy}".replace("\n", " "))


def load(path: str | os.PathLike[str]) -> SlaveConfig:
    """Read and check one slave's file.  Raises ``ConfigError``."""
    file = Path(path)
    try:
        plain = tomllib.loads(file.read_bytes().decode())
    except OSError as error:
        raise ConfigError(
            f"{file}: cannot be read ({error.strerror}); name a slave's file"
        ) from None
    except (ValueError, RecursionError) as error:  # also what is no UTF-8, too long or too deep
        raise ConfigError(f"{file}: is not TOML ({error}); mend the line it names") from None
    return _check(file, plain)


def _check(file: Path, plain: dict[str, Any]) -> SlaveConfig:
    _check_names(file, plain)
    values = {option.key: _value(file, plain, option) for option in OPTIONS}
    nodes = _nodes(file, plain)
    me = values["node.id"]
    if me not in [node.id for node in nodes]:
        known = ", ".join(node.id for node in nodes)
        raise problem(
            file, "node.id", f"{me!r} is not among [[cluster.nodes]]", f"use one of {known}"
        )
    join = tuple(
        parse_address(file, f"node.join[{number}]", address)
        for number, address in enumerate(values["node.join"])
    )
    if join:
        _check_joiner(file, me, nodes, join, values["cluster.partitions"])
    if values["raft.election_timeout_ms"] <= 3 * values["raft.heartbeat_ms"]:
        raise problem(
            file,
            "raft.election_timeout_ms",
            "is not above three heartbeats",
            f"set it above {3 * values['raft.heartbeat_ms']}",
        )

    try:
        directory = (file.parent / values["node.directory"]).resolve()
    except (ValueError, OSError, RuntimeError) as error:  # a NUL; links in a circle
        raise problem(file, "node.directory", f"is not a path ({error})", "mend it") from None

    def section(name: str) -> dict[str, Any]:
        return {o.name: values[o.key] for o in OPTIONS if o.section == name}

    return SlaveConfig(
        file=file,
        id=me,
        directory=directory,
        cluster_id=values["cluster.id"],
        secret=values["cluster.secret"],
        partitions=values["cluster.partitions"] or 2 * len(nodes),
        replicas=values["cluster.replicas"],
        nodes=nodes,
        raft=RaftConfig(**section("raft")),
        limits=LimitsConfig(**section("limits")),
        log_level=values["log.level"],
        join=join,
        healing=HealingConfig(**section("healing")),
        partitions_wanted=values["cluster.partitions"],
    )


def _check_joiner(
    file: Path, me: str, nodes: Sequence[NodeAddress], join: Sequence[Address], partitions: int
) -> None:
    if len(nodes) > 1:
        remedy = f"leave only the row of {me}; the others are learnt from those that it joins"
        raise problem(file, "cluster.nodes", "has other slaves beside node.join", remedy)
    if partitions:  # a wrong number would be noticed only when the cluster has let it in
        remedy = "set it to 0: the cluster has its number"
        raise problem(file, "cluster.partitions", "is set beside node.join", remedy)
    if set(join) == {nodes[0].peer}:
        remedy = "name the peer addresses of slaves of the running cluster"
        raise problem(file, "node.join", "names nobody but this slave", remedy)


def _check_names(file: Path, plain: dict[str, Any]) -> None:
    for section, content in plain.items():
        if section not in _SECTIONS:
            raise _unknown(file, section, section, _SECTIONS)
        if not isinstance(content, dict):
            raise problem(file, section, "is not a section", f"write it as [{section}]")
        names = [option.name for option in OPTIONS if option.section == section]
        if section == "cluster":
            names.append("nodes")
        for name in content:
            if name not in names:
                raise _unknown(file, f"{section}.{name}", name, names)


def _unknown(file: Path, key: str, name: str, known: Sequence[str]) -> ConfigError:
    close = difflib.get_close_matches(name, known, 1)
    remedy = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
    return problem(file, key, "is unknown", remedy)


def _value(file: Path, plain: dict[str, Any], option: Option) -> Any:
    value = plain.get(option.section, {}).get(option.name, option.default)
    if value is None:
        raise problem(file, option.key, "is missing", "add it")
    wanted = str if option.default is None else type(option.default)
    is_wanted = type(value) is wanted or (wanted is float and type(value) is int)
    if not is_wanted:
        names = {str: "a string", int: "a whole number", float: "a number", list: "a list"}
        raise problem(file, option.key, f"{_shown(value)} is not {names[wanted]}", "mend it")
    if wanted is list and not all(isinstance(text, str) for text in value):
        raise problem(file, option.key, "is not a list of strings", 'write it as ["host:port"]')
    if option.choices and value not in option.choices:
        choices = ", ".join(map(str, option.choices))
        raise problem(file, option.key, f"is {_shown(value)}", f"use one of {choices}")
    if option.low is not None and option.high is not None:
        if not option.low <= value <= option.high:
            bounds = f"{option.low} to {option.high}"
            raise problem(file, option.key, f"is {_shown(value)}", f"use {bounds}")
    if wanted is str and option.default is None and not value:
        raise problem(file, option.key, "is empty", "give it a value")
    return float(value) if wanted is float else value


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes no whole number of more than 4300 digits
        return "a very long number"
    return text if len(text) <= 60 else text[:57] + "..."


def _nodes(file: Path, plain: dict[str, Any]) -> tuple[NodeAddress, ...]:
    rows = plain.get("cluster", {}).get("nodes")
    if not isinstance(rows, list) or not rows:
        remedy = "list every slave with id, client and peer"
        raise problem(file, "cluster.nodes", "is missing or empty", remedy)
    nodes: list[NodeAddress] = []
    taken: dict[str, str] = {}
    for number, row in enumerate(rows):
        key = f"cluster.nodes[{number}]"
        if not isinstance(row, dict):
            raise problem(file, key, "is not a table", "write it as [[cluster.nodes]]")
        for name in row:
            if name not in _NODE_KEYS:
                raise _unknown(file, f"{key}.{name}", name, _NODE_KEYS)
        for name in _NODE_KEYS:
            if not isinstance(row.get(name), str) or not row[name]:
                raise problem(file, f"{key}.{name}", "is missing or not a string", "add it")
        id_ = row["id"]
        if not id_.isascii() or not all(c.isalnum() or c in "-_." for c in id_):
            remedy = "use letters, digits, - _ and ."
            raise problem(file, f"{key}.id", f"{id_!r} is not an id", remedy)
        if id_ in [node.id for node in nodes]:
            raise problem(file, f"{key}.id", f"two slaves have the id {id_}", "rename one of them")
        client = parse_address(file, f"{key}.client", row["client"])
        peer = parse_address(file, f"{key}.peer", row["peer"])
        for name, address in (("client", client), ("peer", peer)):
            here, other = f"{key}.{name}", taken.get(str(address))
            if other:
                raise problem(file, here, f"{address} is also {other}", "give each its own port")
            taken[str(address)] = here
        nodes.append(NodeAddress(id_, client, peer))
    return tuple(nodes)


def parse_address(file: Path, key: str, text: str) -> Address:
    """``host:port`` or ``[ipv6]:port``."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if (
        not colon
        or not host
        or not port.isascii()
        or not port.isdigit()
        or len(port) > 5
        or not 0 < int(port) < 65536
    ):
        raise problem(file, key, f"{_shown(text)} is not an address", 'write it as "host:port"')
    return Address(host, int(port))


def check_directory(config: SlaveConfig) -> None:
    """Make the slave's directory, or raise ``ConfigError`` when nothing can be written to it."""
    directory = config.directory
    probe = directory / ".writable"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        what = f"{directory} cannot be written to ({error.strerror})"
        raise problem(config.file, "node.directory", what, "name one that can") from None


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
    for section in _SECTIONS:
        lines += ["", f"[{section}]"]
        for option in OPTIONS:
            if option.section == section:
                lines += _comment(option)
                lines.append(f"{option.name} = {_toml(_changed(changed, option))}")
        if section == "cluster":
            what = _ROW_TEXT if changed.get("node_join") else _NODES_TEXT
            lines += ["", what]
            for node in nodes:
                lines += [
                    "[[cluster.nodes]]",
                    f'id = "{node.id}"',
                    f'client = "{node.client}"',
                    f'peer = "{node.peer}"',
                ]
    return "\n".join(lines) + "\n"


def _changed(changed: dict[str, Any], option: Option) -> Any:
    return changed.get(f"{option.section}_{option.name}", option.default)


def _toml(value: Any) -> str:
    if isinstance(value, str):
        # A string of JSON is one of TOML, except that TOML wants DEL escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
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
