"""The options of ``distrodb bench``, checked: a mistake is a line that names the option.  Pure."""

import re
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from distrodb.bench.workload import Shape
from distrodb.config.address import Address, parse
from distrodb.errors import ConfigError

CLIENTS_MAX = 10_000
PIPELINE_MAX = 10_000
KEYS_MAX = 1_000_000_000
SIZE_MAX = 512 << 20  # Redis' own limit for a value
SECONDS_MAX = 7 * 24 * 3600
REQUESTS_MAX = 10**12
RATE_MAX = 100_000_000
PLOTS = (".png", ".svg")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20}
_DEFAULT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Options:
    at: Address | None  # None: the cluster that the shell finds, or that of ``config``
    config: str | None
    is_cluster: bool
    clients: int
    shape: Shape
    seconds: float | None
    requests: int | None
    rate: float | None
    timeout_s: float
    is_filled: bool
    seed: int
    plot: Path | None


def checked(given: Namespace) -> Options:
    """Raises ``ConfigError``."""
    if given.config is not None and (given.host is not None or given.port is not None):
        raise ConfigError("--config and --host or --port: use one of them")
    if given.host is not None and given.port is None:
        raise ConfigError(f"--host {given.host}: give its --port, too")
    at = None if given.port is None else _address(given.host or "127.0.0.1", given.port)
    if given.seconds is not None and given.requests is not None:
        raise ConfigError("--seconds and --requests: use one of them")
    seconds = _within("--seconds", given.seconds, 0.1, SECONDS_MAX)
    if seconds is None and given.requests is None:
        seconds = _DEFAULT_SECONDS
    shape = Shape(
        keys=_whole("--keys", given.keys, KEYS_MAX),
        prefix=given.prefix.encode(),
        sizes=sizes(given.size),
        get_percent=_within("--gets", given.gets, 0, 100) or 0.0,
        pipeline=_whole("--pipeline", given.pipeline, PIPELINE_MAX),
    )
    return Options(
        at=at,
        config=given.config,
        is_cluster=at is None or given.cluster,
        clients=_whole("--clients", given.clients, CLIENTS_MAX),
        shape=shape,
        seconds=seconds,
        requests=None
        if given.requests is None
        else _whole("--requests", given.requests, REQUESTS_MAX),
        rate=_within("--rate", given.rate, 0.1, RATE_MAX),
        timeout_s=_within("--timeout", given.timeout, 0.01, 3600) or 0.0,
        is_filled=given.fill,
        seed=given.seed,
        plot=None if given.plot is None else _plot(given.plot),
    )


def sizes(text: str) -> tuple[int, ...]:
    """``64``, ``64,4k,1m``: k and m are 1024 and its square."""
    found = []
    for word in text.lower().split(","):
        match = re.fullmatch(r"([0-9]{1,9})([km]?)b?", word.strip())
        size = int(match[1]) * _UNITS[match[2]] if match else SIZE_MAX + 1
        if size > SIZE_MAX:
            raise ConfigError(f"--size {text}: use bytes up to 512m, as 64 or 64,4k,1m")
        found.append(size)
    return tuple(found)


def _whole(name: str, value: int, most: int) -> int:
    if not 1 <= value <= most:
        raise ConfigError(f"{name} {value}: use 1 to {most}")
    return value


def _within(name: str, value: float | None, least: float, most: float) -> float | None:
    if value is not None and not least <= value <= most:
        raise ConfigError(f"{name} {value:g}: use {least:g} to {most:g}")
    return value


def _address(host: str, port: int) -> Address:
    try:
        return parse(f"{host}:{port}")
    except ValueError as error:
        raise ConfigError(f"--host {host} --port {port}: {error}") from None


def _plot(text: str) -> Path:
    file = Path(text)
    if file.suffix.lower() not in PLOTS:
        raise ConfigError(f"--plot {text}: name a file that ends in {' or '.join(PLOTS)}")
    if not file.parent.is_dir():
        raise ConfigError(f"--plot {text}: there is no folder {file.parent}")
    return file
