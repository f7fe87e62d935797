"""What a slave is told: one TOML file, typed and validated.

One table of options drives both the validation and the commented files in conf/, so that what is
written there is what is checked.  A wrong file raises ``ConfigError`` with one line: the file, the
key, what is wrong, the remedy.
"""

import difflib
import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distrodb.errors import ConfigError


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
    partitions: int
    replicas: int
    nodes: tuple[NodeAddress, ...]
    raft: RaftConfig
    limits: LimitsConfig
    log_level: str


@dataclass(frozen=True, slots=True)
class Option:
    """One key of a file: its type and default, its bounds, and what is said about it."""

    section: str
    name: str
    default: Any
    text: str  # what it does, its unit, what changing it costs
    low: float | None = None
    high: float | None = None  # bounds of a number, both or neither
    choices: tuple[Any, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.section}.{self.name}"


OPTIONS = (
    Option("node", "id", None, "This slave's id: one of those under [[cluster.nodes]]."),
    Option(
        "node",
        "directory",
        None,
        "Where this slave keeps its journal and snapshots, relative to this file. One slave, one"
        " directory. Losing it is losing this slave's copies and its votes.",
    ),
    Option(
        "cluster",
        "id",
        "distrodb",
        "The cluster's name. Slaves of another cluster are refused at the handshake. Changing it"
        " makes the slave refuse its old directory.",
    ),
    Option(
        "cluster",
        "secret",
        "",
        "A secret that slaves prove to each other that they know; empty: anybody who reaches the"
        " peer port may join in. The same in every file. Links are not encrypted.",
    ),
    Option(
        "cluster",
        "partitions",
        0,
        "How many Raft groups share the 16384 slots; 0: twice the number of slaves. Chosen once,"
        " for ever. More of them spread better over many slaves and make each write dearer.",
        0,
        16384,
    ),
    Option(
        "cluster",
        "replicas",
        3,
        "Copies of each partition: 1, 3 or 5. A partition survives the loss of 0, 1 or 2 of them."
        " Each write waits for a majority of them to reach their disks.",
        choices=(1, 3, 5),
    ),
    Option(
        "raft",
        "heartbeat_ms",
        100,
        "Milliseconds between a leader's heartbeats. Lower costs idle CPU, higher slows the"
        " copies' view of what is committed.",
        5,
        10000,
    ),
    Option(
        "raft",
        "election_timeout_ms",
        1000,
        "Milliseconds of silence after which a leader is given up (at random up to twice as long)."
        " A broken link is noticed at once; this is for slaves that hang. Lower: elections while"
        " the machine is merely busy. Higher: longer pauses.",
        50,
        60000,
    ),
    Option(
        "raft",
        "unknown_after_ms",
        2000,
        "Milliseconds that a write under way waits, once its leader has lost the lead, to learn"
        " its fate before it is answered UNKNOWN.",
        100,
        600000,
    ),
    Option(
        "raft",
        "snapshot_log_bytes",
        16777216,
        "Bytes of log, per partition, after which a snapshot is taken and the log cut. Lower:"
        " faster restarts, more writing. Higher: the reverse, and more memory.",
        65536,
        1 << 36,
    ),
    Option(
        "raft",
        "dead_after_s",
        10.0,
        "Seconds without a link after which a slave is marked down in the cluster map.",
        0.1,
        86400,
    ),
    Option(
        "limits",
        "key_bytes_max",
        65536,
        "Bytes of a key. Keys are held in memory on every copy.",
        1,
        1 << 24,
    ),
    Option(
        "limits",
        "value_bytes_max",
        16777216,
        "Bytes of a value. A value travels whole in one log entry and delays what is behind it.",
        1,
        1 << 26,
    ),
    Option(
        "limits",
        "inline_bytes_max",
        65536,
        "Bytes of an inline command (typed by hand), as in Redis.",
        64,
        1 << 20,
    ),
    Option(
        "limits",
        "arguments_max",
        65536,
        "Arguments of one command; their list is held whole before it runs.",
        8,
        1 << 20,
    ),
    Option(
        "limits",
        "command_bytes_max",
        67108864,
        "Bytes of one command with all its arguments; it becomes one log entry.",
        1024,
        1 << 27,
    ),
    Option(
        "limits",
        "output_bytes_max",
        67108864,
        "Bytes of replies that wait on one connection; a client that does not read is closed.",
        65536,
        1 << 30,
    ),
    Option(
        "limits",
        "input_pending_max",
        1024,
        "Commands of one connection under way; beyond, it is not read until half are answered.",
        1,
        1 << 20,
    ),
    Option(
        "limits",
        "connections_max",
        10000,
        "Client connections; each costs a few KiB and a file descriptor.",
        1,
        1 << 20,
    ),
    Option(
        "limits",
        "partition_queue_max",
        100000,
        "Commands that wait on one partition; beyond, TRYAGAIN. They wait in memory.",
        1,
        1 << 24,
    ),
    Option(
        "limits",
        "partition_queue_bytes_max",
        134217728,
        "The same in bytes.",
        65536,
        1 << 34,
    ),
    Option(
        "limits",
        "batch_bytes_max",
        1048576,
        "Bytes of writes gathered into one log entry (a larger command goes alone). Higher: more"
        " writes a disk sync, longer waits behind each.",
        1024,
        1 << 26,
    ),
    Option(
        "log",
        "level",
        "info",
        "What is logged (to standard error): debug, info, warning or error.",
        choices=("debug", "info", "warning", "error"),
    ),
)

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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
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
    if values["raft.election_timeout_ms"] <= 3 * values["raft.heartbeat_ms"]:
        raise problem(
            file,
            "raft.election_timeout_ms",
            "is not above three heartbeats",
            f"set it above {3 * values['raft.heartbeat_ms']}",
        )

    def section(name: str) -> dict[str, Any]:
        return {o.name: values[o.key] for o in OPTIONS if o.section == name}

    return SlaveConfig(
        file=file,
        id=me,
        directory=(file.parent / values["node.directory"]).resolve(),
        cluster_id=values["cluster.id"],
        secret=values["cluster.secret"],
        partitions=values["cluster.partitions"] or 2 * len(nodes),
        replicas=values["cluster.replicas"],
        nodes=nodes,
        raft=RaftConfig(**section("raft")),
        limits=LimitsConfig(**section("limits")),
        log_level=values["log.level"],
    )


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
    if wanted is float and type(value) is int:
        value = float(value)
    if type(value) is not wanted:
        names = {str: "a string", int: "a whole number", float: "a number"}
        raise problem(file, option.key, f"{value!r} is not {names[wanted]}", "mend it")
    if option.choices and value not in option.choices:
        choices = ", ".join(map(str, option.choices))
        raise problem(file, option.key, f"is {value!r}", f"use one of {choices}")
    if option.low is not None and option.high is not None:
        if not option.low <= float(value) <= option.high:
            bounds = f"{option.low} to {option.high}"
            raise problem(file, option.key, f"is {value!r}", f"use {bounds}")
    if wanted is str and option.default is None and not value:
        raise problem(file, option.key, "is empty", "give it a value")
    return value


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
        or not 0 < int(port) < 65536
    ):
        raise problem(file, key, f"{text!r} is not an address", 'write it as "host:port"')
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
    """A commented file.  ``changed`` holds other values than the defaults, as ``section_name``."""
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
            lines += ["", "# Every slave, in ring order; the same list in every file."]
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
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
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
