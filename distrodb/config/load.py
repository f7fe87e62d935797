"""Reading a slave's file: TOML, whose every key and value is checked against options.py.

A wrong file raises ``ConfigError`` with one line: the file, the key, what is wrong, the remedy.
"""

import os
import stat
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from distrodb import private
from distrodb.config.address import Address
from distrodb.config.mistakes import address, problem, shown, unknown
from distrodb.config.options import OPTIONS, SECTIONS, Option
from distrodb.config.rows import nodes_of
from distrodb.config.sections import (
    ClientsConfig,
    GatewayConfig,
    HealingConfig,
    LimitsConfig,
    NodeAddress,
    RaftConfig,
    SlaveConfig,
    TlsConfig,
)
from distrodb.errors import ConfigError

EVENT_LETTERS = "Ag$lshzxeKEtmdn"  # of notify-keyspace-events
_KINDS = {str: "a string", int: "a whole number", float: "a number", list: "a list"}
_KINDS[bool] = "true or false"


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
    nodes = nodes_of(file, plain)
    me = values["node.id"]
    if me not in [node.id for node in nodes]:
        known = ", ".join(node.id for node in nodes)
        raise problem(
            file, "node.id", f"{me!r} is not among [[cluster.nodes]]", f"use one of {known}"
        )
    join = tuple(
        address(file, f"node.join[{number}]", text)
        for number, text in enumerate(values["node.join"])
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

    if set(values["clients.notify_keyspace_events"]) - set(EVENT_LETTERS):
        raise problem(
            file,
            "clients.notify_keyspace_events",
            f"is {shown(values['clients.notify_keyspace_events'])}",
            f"use letters of {EVENT_LETTERS}",
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
        log_format=values["log.format"],
        join=join,
        healing=HealingConfig(**section("healing")),
        clients=ClientsConfig(**section("clients")),
        gateway=GatewayConfig(**section("gateway")),
        tls=_tls(file, section("tls")),
        partitions_wanted=values["cluster.partitions"],
        is_protected=values["node.protected_mode"],
        is_born=values["cluster.born"],
    )


def _tls(file: Path, values: dict[str, Any]) -> TlsConfig:
    tls = TlsConfig(
        clients=values["clients"],
        users=values["users"],
        http=values["http"],
        peers=values["peers"],
    )
    if tls.users != "off" and tls.clients != "certificate":
        remedy = 'set tls.clients to "certificate", or this to "off"'
        raise problem(file, "tls.users", "needs the certificates of clients", remedy)
    needed = ["certificate", "key"] if tls.is_on else []
    needed += ["ca"] if tls.peers or "certificate" in (tls.clients, tls.of_http) else []
    for name in needed:
        if not values[name]:
            remedy = "name the file; distrodb certs makes it (docs/security.md)"
            raise problem(file, f"tls.{name}", "is empty", remedy)
    try:
        paths = {name: file.parent / values[name] for name in ("certificate", "key", "ca")}
        paths = {name: path.resolve() if values[name] else Path() for name, path in paths.items()}
    except (ValueError, OSError, RuntimeError) as error:  # a NUL; links in a circle
        raise problem(file, "tls", f"a path is none ({error})", "mend it") from None
    return replace(tls, **paths)


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
            raise unknown(file, section, section, SECTIONS)
        if not isinstance(content, dict):
            raise problem(file, section, "is not a section", f"write it as [{section}]")
        names = [option.name for option in OPTIONS if option.section == section]
        if section == "cluster":
            names.append("nodes")
        for name in content:
            if name not in names:
                raise unknown(file, f"{section}.{name}", name, names)


def _value(file: Path, plain: dict[str, Any], option: Option) -> Any:
    value = plain.get(option.section, {}).get(option.name, option.default)
    if value is None:
        raise problem(file, option.key, "is missing", "add it")
    wanted = option.type
    is_wanted = type(value) is wanted or (wanted is float and type(value) is int)
    if not is_wanted:
        what, remedy = f"{shown(value)} is not {_KINDS[wanted]}", f"write {_KINDS[wanted]}"
        raise problem(file, option.key, what, remedy)
    if wanted is list and not all(isinstance(text, str) for text in value):
        raise problem(file, option.key, "is not a list of strings", 'write it as ["host:port"]')
    if option.choices and value not in option.choices:
        choices = ", ".join(map(str, option.choices))
        raise problem(file, option.key, f"is {shown(value)}", f"use one of {choices}")
    if option.low is not None and option.high is not None:
        if not option.low <= value <= option.high:
            bounds = f"use {option.low} to {option.high} {option.unit}".rstrip()
            raise problem(file, option.key, f"is {shown(value)}", bounds)
    if wanted is str and option.default is None and not value:
        raise problem(file, option.key, "is empty", "give it a value")
    return float(value) if wanted is float else value


def check_directory(config: SlaveConfig) -> None:
    """Make the slave's directory, or raise ``ConfigError`` when nothing can be written to it."""
    directory, key = config.directory, "node.directory"
    try:
        directory.mkdir(mode=private.DIRECTORY, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except (FileExistsError, NotADirectoryError) as error:  # also a FIFO, or a link to nothing
        what = f"{directory} cannot be written to ({error.filename} is not a directory)"
        raise problem(config.file, key, what, "name one that can") from None
    except OSError as error:
        what = f"{directory} cannot be written to ({error.strerror or error})"
        raise problem(config.file, key, what, "name one that can") from None
