"""From what ``connect`` is given to where slaves are and what redis-py's connections are given."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from distrodb.errors import ConfigError
from distrodb.login import Login

PORT = 55551
PATIENCE_S = 15.0  # longer than a slave's death takes with the usual settings
ANSWER_S = 12.0  # a gateway may wait for 10 s, and says then what came of it


@dataclass(frozen=True, slots=True)
class Where:
    addresses: list[tuple[str, int]]
    is_tls: bool
    options: dict[str, Any] = field(repr=False)  # of redis-py's ``Connection``


def where(at: str | Iterable[str], login: Login | None, answer_s: float) -> Where:
    """``at`` is ``HOST:PORT``, or ``redis://USER:PASSWORD@HOST:PORT/DATABASE`` (``rediss`` for
    TLS), or several of either, in a list or with commas.  Raises ``ConfigError``."""
    urls = [u.strip() for each in ([at] if isinstance(at, str) else at) for u in each.split(",")]
    parsed = [_parsed(url) for url in urls]
    login = login or Login()
    login.context()  # what is wrong with its files is said before anything is tried
    options: dict[str, Any] = {
        "protocol": 2,  # nothing comes unasked
        "socket_timeout": answer_s,
        "socket_connect_timeout": min(answer_s, 3.0),
        **login.options,
    }
    is_tls = bool(options.pop("ssl", False)) or any(p.scheme == "rediss" for p in parsed)
    for each in parsed:
        if each.username:
            options["username"] = unquote(each.username)
        if each.password:
            options["password"] = unquote(each.password)
        if each.path.strip("/"):
            options["db"] = _database(each.path.strip("/"))
    if not options.get("username"):
        options.pop("username", None)
    return Where([(p.hostname or "127.0.0.1", p.port or PORT) for p in parsed], is_tls, options)


def _parsed(url: str) -> Any:
    try:
        parsed = urlsplit(url if "://" in url else f"redis://{url}")
        parsed.port  # noqa: B018 - it is looked at when it is asked for
        if parsed.scheme in ("redis", "rediss") and parsed.hostname:
            return parsed
    except ValueError:
        pass
    shown = url.rpartition("@")[2]  # without a password
    raise ConfigError(f"{shown!r}: use HOST:PORT, redis://HOST:PORT or rediss://HOST:PORT (TLS)")


def _database(path: str) -> int:
    if not path.isdecimal():
        raise ConfigError(f"/{path}: a database is a number, as in redis://HOST:PORT/1")
    return int(path)
