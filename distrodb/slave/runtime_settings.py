"""What CONFIG tells of a slave, and what it may change until the slave restarts.

One table: each setting has its name, what it is now, and, if it may be changed while the slave
runs, how its new value is read.  Names are Redis', and those of our own options
(config/options.py) as they stand; where Redis has a name for one of ours it goes by both.  A change
is never written to the slave's file, which rules when the slave starts.

Invariants: CONFIG SET of several settings changes all of them or none; an option never leaves the
bounds that its file has.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from distrodb.commands.configuration import SettingError, UnknownSetting
from distrodb.config import LimitsConfig, SlaveConfig
from distrodb.config.options import OPTIONS, Option
from distrodb.errors import ConfigError
from distrodb.slave.notifications import kinds_of, text_of

# Options whose new value is gone by at once, or by connections that come from then on.
CHANGEABLE = {
    *("connections_max", "tcp_keepalive_s", "timeout_s", "half_command_s", "output_bytes_max"),
    *("input_pending_max", "inline_bytes_max", "arguments_max", "command_bytes_max"),
    *("maxmemory", "maxmemory_clients"),
}
# Redis' names of options of ours, as far as there are such options.
OPTION_OF = {
    "maxclients": "connections_max",
    "tcp-keepalive": "tcp_keepalive_s",
    "timeout": "timeout_s",
    "proto-max-bulk-len": "value_bytes_max",
    "client-query-buffer-limit": "command_bytes_max",
    "maxmemory-clients": "maxmemory_clients",
}
IMMUTABLE = "can't set immutable config"
NO_EVICTION = "noeviction"
_POLICIES = (
    *("volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"),
    *("allkeys-lru", "allkeys-lfu", "allkeys-random", NO_EVICTION),
)
_UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1 << 10, "m": 10**6, "mb": 1 << 20}
_UNITS |= {"g": 10**9, "gb": 1 << 30}
_BITS_64 = (1 << 63) - 1

Parse: TypeAlias = Callable[[str], Any]  # raises ValueError with Redis' words


def integer(low: int, high: int) -> Parse:
    def parse(text: str) -> int:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
            raise ValueError("argument couldn't be parsed into an integer")
        if not low <= int(text) <= high:
            raise ValueError(f"argument must be between {low} and {high} inclusive")
        return int(text)

    return parse


def memory(low: int, high: int) -> Parse:
    """Bytes, perhaps with a unit: 1gb."""

    def parse(text: str) -> int:
        digits = text.rstrip("bkmgBKMG")
        unit = text[len(digits) :].lower()
        is_number = digits.isascii() and digits.isdigit() and len(digits) <= 20
        if not is_number or unit not in _UNITS:
            raise ValueError("argument must be a memory value")
        value = int(digits) * _UNITS[unit]
        if not low <= value <= high:
            raise ValueError(f"argument must be between {low} and {high} inclusive")
        return value

    return parse


def one_of(*words: str) -> Parse:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"argument(s) must be one of the following: {', '.join(words)}")
        return text.lower()

    return parse


def only(value: str, why: str) -> Parse:
    """What can only be as it is; clients set it to that all the same."""

    def parse(text: str) -> str:
        if text.lower() != value:
            raise ValueError(why)
        return value

    return parse


def _yes(why: str) -> Parse:
    def parse(text: str) -> str:
        if text.lower() not in ("yes", "no"):
            raise ValueError("argument must be 'yes' or 'no'")
        return str(only("yes", why)(text))

    return parse


def _policy(text: str) -> str:
    one_of(*_POLICIES)(text)
    return str(only(NO_EVICTION, "nothing is evicted here: noeviction is the only policy")(text))


def keyspace_events(text: str) -> str:
    """``notify-keyspace-events``, as Redis writes it."""
    return text_of(kinds_of(text))


class Certificates(Protocol):
    """slave/tls.py"""

    @property
    def is_on(self) -> bool: ...

    @property
    def ends_at(self) -> float:
        """Seconds since the epoch."""

    def check(self) -> None:
        """Raises ``ConfigError`` for what cannot be read."""

    def read_again(self) -> None: ...


@dataclasses.dataclass(frozen=True, slots=True)
class _Setting:
    show: Callable[[], object]
    parse: Parse | None = None  # None: it cannot be changed
    use: Callable[[Any], None] = lambda value: None


class RuntimeSettings:
    def __init__(self, config: SlaveConfig, limits: LimitsConfig):
        self.limits = limits
        self.slow_log_us = 10000  # microseconds; negative: no command is slow
        self.slow_log_max = 128  # entries
        self.latency_threshold_ms = 0  # 0: nothing is noted
        self.tls: Certificates | None = None
        self.acl_log_max = 128  # entries of ACL LOG
        # Classes, as ``keyspace_events`` gives them.
        self.keyspace_events = keyspace_events(config.clients.notify_keyspace_events)
        self.tracked_keys_max = config.clients.tracking_table_max_keys
        self.changed: list[Callable[[], None]] = []  # called after each change
        self._changed()
        self._known = {**_fixed(config), **self._redis(), **self._options(config)}
        if config.tls.is_on:
            path = str(config.tls.certificate)
            read = _Setting(lambda: path, self._certificate(path), lambda _: self._read_again())
            self._known["tls-cert-file"] = read
        for name, option in OPTION_OF.items():
            if option in self._known:
                self._known[name] = self._known[option]

    # -- what one sees -------------------------------------------------------------------------

    def names(self) -> Iterable[str]:
        return self._known

    def show(self, name: str) -> str:
        return str(self._known[name].show())

    def __contains__(self, name: str) -> bool:
        return name in self._known

    # -- what changes --------------------------------------------------------------------------

    def change(self, wanted: Sequence[tuple[str, str]]) -> None:
        """All of them, or none.  Raises ``UnknownSetting`` or ``SettingError``."""
        found: list[tuple[_Setting, Any]] = []
        names = [name.lower() for name, _ in wanted]
        for (shown, _), name in zip(wanted, names, strict=True):
            if name not in self._known:
                raise UnknownSetting(shown)
        for (shown, text), name in zip(wanted, names, strict=True):
            setting = self._known[name]
            if setting.parse is None:
                raise SettingError(shown, IMMUTABLE)
            if names.count(name) > 1:
                raise SettingError(shown, "duplicate parameter")
            try:
                found.append((setting, setting.parse(text)))
            except ValueError as why:
                raise SettingError(shown, str(why)) from None
        for setting, value in found:
            setting.use(value)
        self._changed()

    def _changed(self) -> None:
        limits = [self.slow_log_us / 1e6] if self.slow_log_us >= 0 else []
        limits += [self.latency_threshold_ms / 1e3] if self.latency_threshold_ms else []
        # Seconds of execution from which on somebody wants to know of a command.
        self.slow_s = min(limits, default=math.inf)
        for tell in self.changed:
            tell()

    # -- certificates --------------------------------------------------------------------------

    def _certificate(self, path: str) -> Parse:
        """As in Redis it is read again when it is set, here to the path that it has."""

        def parse(text: str) -> str:
            if text != path or self.tls is None:
                raise ValueError(f"the slave's file says {path}; set to that it is read again")
            try:
                self.tls.check()
            except ConfigError as problem:
                raise ValueError(str(problem)) from None
            return text

        return parse

    def _read_again(self) -> None:
        if self.tls is not None:
            self.tls.read_again()

    # -- the table -----------------------------------------------------------------------------

    def _own(self, attribute: str, parse: Parse) -> _Setting:
        return _Setting(
            lambda: getattr(self, attribute), parse, lambda value: setattr(self, attribute, value)
        )

    def _redis(self) -> dict[str, _Setting]:
        return {
            "slowlog-log-slower-than": self._own("slow_log_us", integer(-1, _BITS_64)),
            "slowlog-max-len": self._own("slow_log_max", integer(0, _BITS_64)),
            "acllog-max-len": self._own("acl_log_max", integer(0, _BITS_64)),
            "latency-monitor-threshold": self._own("latency_threshold_ms", integer(0, _BITS_64)),
            "notify-keyspace-events": self._own("keyspace_events", keyspace_events),
            "tracking-table-max-keys": self._own("tracked_keys_max", integer(1, 1 << 30)),
            "client-output-buffer-limit": _Setting(self._output_limit),
        }

    def _output_limit(self) -> str:
        most = self.limits.output_bytes_max
        return f"normal {most} 0 0 slave 0 0 0 pubsub {most} 0 0"

    def _options(self, config: SlaveConfig) -> dict[str, _Setting]:
        """Our own, by their names; those of limits may have been changed."""
        found: dict[str, _Setting] = {}
        for option in OPTIONS:
            if option.section == "limits":
                found[option.name] = self._limit(option)
            elif option.section in ("raft", "healing"):
                value = getattr(getattr(config, option.section), option.name)
                found[option.name] = _fixed_at(value)
        return found

    def _limit(self, option: Option) -> _Setting:
        name = option.name

        def use(value: int) -> None:
            self.limits = dataclasses.replace(self.limits, **{name: value})

        parse: Parse | None = None
        if name in CHANGEABLE and option.low is not None and option.high is not None:
            bounds = int(option.low), int(option.high)
            parse = memory(*bounds) if option.unit == "bytes" else integer(*bounds)
        return _Setting(lambda: getattr(self.limits, name), parse, use)


def _fixed_at(value: object) -> _Setting:
    return _Setting(lambda: value)


def _paths(config: SlaveConfig) -> dict[str, object]:
    tls = config.tls
    return {"tls-key-file": tls.key, "tls-ca-cert-file": tls.ca} if tls.is_on else {}


def _fixed(config: SlaveConfig) -> Mapping[str, _Setting]:
    """What follows from what distrodb is; what clients set to that is taken."""
    durable = "each write is on the disks of a majority before its reply: that cannot be changed"
    told = {
        "cluster-enabled": "yes",
        "cluster-require-full-coverage": "no",
        "cluster-allow-reads-when-down": "no",
        "cluster-replica-no-failover": "no",
        "cluster-node-timeout": int(config.raft.dead_after_s * 1000),
        "cluster-announce-ip": config.me.client.host,
        "cluster-announce-port": config.me.client.port,
        "port": config.me.listens["client"].port,
        "bind": config.me.listens["client"].host,
        "dir": config.directory,
        "loglevel": config.log_level,
        "io-threads": 1,
        "tls-port": config.me.listens["client"].port if config.tls.clients != "off" else 0,
        "tls-auth-clients": "yes" if config.tls.clients == "certificate" else "no",
        "tls-auth-clients-user": config.tls.users.upper() if config.tls.users != "off" else "off",
        "tls-cluster": "yes" if config.tls.peers else "no",
        **_paths(config),
        "protected-mode": "yes" if config.is_protected else "no",
        "requirepass": "",  # whatever it is: no secret is told
        "aclfile": "",
        "acl-pubsub-default": "resetchannels",
        "replicaof": "",
    }
    return {name: _fixed_at(value) for name, value in told.items()} | {
        "save": _Setting(lambda: "", only("", f"there are no RDB files; {durable}")),
        "appendonly": _Setting(lambda: "yes", _yes(durable)),
        "appendfsync": _Setting(lambda: "always", only("always", durable)),
        "maxmemory-policy": _Setting(lambda: NO_EVICTION, _policy),
    }
