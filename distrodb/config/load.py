"""Reading a slave's file: TOML, whose every key and value is checked against options.py.

A wrong file raises ``ConfigError`` with one line: the file, the key, what is wrong, the remedy.
"""

import difflib
import os
import stat
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distrodb.config.address import Address, parse
from distrodb.config.options import OPTIONS, SECTIONS, Option
from distrodb.config.sections import (
    HealingConfig,
    LimitsConfig,
    NodeAddress,
    RaftConfig,
    SlaveConfig,
)
from distrodb.errors import ConfigError

_NODE_KEYS = ("id", "client", "peer")
_KINDS = {str: "a string", int: "a whole number", float: "a number", list: "a list"}


def problem(file: Path, key: str, what: str, remedy: str) -> ConfigError:
    """The one form in which a wrong configuration is reported."""
    return ConfigError(f"{file}: {key}: {what}; {remedy}".replace("\n", " "))


def load(path: str | os.PathLike[str]) -> SlaveConfig:
    """Read and check one slave's file.  Raises ``ConfigError``."""
    file = Path(path)
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # to read a FIFO may take for ever
            raise ConfigError(f"{file}: is not a regular file; name a slave's file")
        text = file.read_bytes().decode()
        plain = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(
            f"{file}: cannot be read ({error.strerror or error}); name a slave's file"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{file}: is not UTF-8 text (at byte {error.start}); save it as UTF-8"
        ) from None
    except (ValueError, RecursionError) as error:  # also too long or too deep
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
        _address(file, f"node.join[{number}]", address)
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
        directory = file.parent / values["node.directory"]
        if directory.is_symlink() and not directory.exists():  # a disk that is not mounted, say
            what = f"{directory} is a link to nothing"
            raise problem(file, "node.directory", what, "make what it points to, or mend it")
        directory = directory.resolve()
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
        if section not in SECTIONS:
            raise _unknown(file, section, section, SECTIONS)
        if not isinstance(content, dict):
            raise problem(file, section, "is not a section", f"write it as [{section}]")
        names = [option.name for option in OPTIONS if option.section == section]
        if section == "cluster":
            names.append("nodes")
        for name in content:
            if name not in names:
                raise _unknown(file, f"{section}.{name}", name, names)


def _unknown(file: Path, key: str, name: str, known: Sequence[str]) -> ConfigError:
    close = difflib.get_close_matches(name.lower(), known, 1)
    elsewhere = [option.section for option in OPTIONS if option.name == name]
    if close:
        remedy = f"did you mean {close[0]}?"
    elif elsewhere and "." in key:
        remedy = f"it belongs in [{elsewhere[0]}]"
    else:
        remedy = f"use one of {', '.join(known)}"
    return problem(file, key, "is unknown", remedy)


def _value(file: Path, plain: dict[str, Any], option: Option) -> Any:
    value = plain.get(option.section, {}).get(option.name, option.default)
    if value is None:
        raise problem(file, option.key, "is missing", "add it")
    wanted = option.type
    is_wanted = type(value) is wanted or (wanted is float and type(value) is int)
    if not is_wanted:
        what, remedy = f"{_shown(value)} is not {_KINDS[wanted]}", f"write {_KINDS[wanted]}"
        raise problem(file, option.key, what, remedy)
    if wanted is list and not all(isinstance(text, str) for text in value):
        raise problem(file, option.key, "is not a list of strings", 'write it as ["host:port"]')
    if option.choices and value not in option.choices:
        choices = ", ".join(map(str, option.choices))
        raise problem(file, option.key, f"is {_shown(value)}", f"use one of {choices}")
    if option.low is not None and option.high is not None:
        if not option.low <= value <= option.high:
            bounds = f"use {option.low} to {option.high} {option.unit}".rstrip()
            raise problem(file, option.key, f"is {_shown(value)}", bounds)
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
        client = _address(file, f"{key}.client", row["client"])
        peer = _address(file, f"{key}.peer", row["peer"])
        for name, address in (("client", client), ("peer", peer)):
            here, other = f"{key}.{name}", taken.get(str(address))
            if other:
                raise problem(file, here, f"{address} is also {other}", "give each its own port")
            taken[str(address)] = here
        nodes.append(NodeAddress(id_, client, peer))
    return tuple(nodes)


def _address(file: Path, key: str, text: str) -> Address:
    try:
        return parse(text)
    except ValueError as error:
        what = f"{_shown(text)} is not an address ({error})"
        raise problem(file, key, what, 'write it as "host:port"') from None


def check_directory(config: SlaveConfig) -> None:
    """Make the slave's directory, or raise ``ConfigError`` when nothing can be written to it."""
    directory, key = config.directory, "node.directory"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except (FileExistsError, NotADirectoryError) as error:  # also a FIFO, or a link to nothing
        what = f"{directory} cannot be written to ({error.filename} is not a directory)"
        raise problem(config.file, key, what, "name one that can") from None
    except OSError as error:
        what = f"{directory} cannot be written to ({error.strerror or error})"
        raise problem(config.file, key, what, "name one that can") from None
