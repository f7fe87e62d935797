"""How our own commands reach slaves that ask who they are: user, password, TLS.

A password is never an argument, since everybody on a machine sees those of all processes: it comes
from the environment (``DISTRODB_PASSWORD``), from a file, or is asked for at a terminal.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distrodb.errors import ConfigError

if TYPE_CHECKING:
    import ssl

PASSWORD_BYTES_MAX = 65536
REMEDY = "log in with --user NAME, and the password in DISTRODB_PASSWORD or --password-file FILE"


def _bytes(text: str) -> bytes:
    """Also of what is no UTF-8, as the environment and arguments have it."""
    return text.encode(errors="surrogateescape")


@dataclass(frozen=True, slots=True)
class Login:
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    has_tls: bool = False
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Of redis-py's clients."""
        options: dict[str, Any] = {}
        if self.password is not None:
            user = None if self.user is None else _bytes(self.user)
            options |= {"username": user, "password": _bytes(self.password)}
        if self.has_tls:
            options |= {
                "ssl": True,
                "ssl_ca_certs": self.ca,
                "ssl_certfile": self.certificate,
                "ssl_keyfile": self.key,
                "ssl_cert_reqs": "required",
                "ssl_check_hostname": True,
            }
        return options

    @property
    def greeting(self) -> bytes:
        """The command that logs in, as a client sends it; empty if there is no password."""
        if self.password is None:
            return b""
        user = [_bytes(self.user)] if self.user is not None else []
        words = [b"AUTH", *user, _bytes(self.password)]
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)

    def context(self) -> "ssl.SSLContext | None":
        """Raises ``ConfigError``."""
        if not self.has_tls:
            return None
        import ssl  # takes its time, and most calls of ``distrodb`` do without

        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except OSError as error:
            said = error.strerror or " ".join(str(error).split())
            files = ", ".join(filter(None, (self.ca, self.certificate, self.key)))
            raise ConfigError(f"{files}: {said}; name PEM files") from None
        return context


NOBODY = Login()


def add_to(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("who you are, where slaves ask for it")
    group.add_argument("--user", metavar="NAME", help="(default: that of DISTRODB_USER)")
    group.add_argument(
        "--password-file",
        metavar="FILE",
        help="holds the password, else DISTRODB_PASSWORD does; with --user it is asked for",
    )
    group.add_argument("--password", help=argparse.SUPPRESS)
    group.add_argument("--tls", action="store_true", help="connect by TLS")
    group.add_argument("--ca", metavar="FILE", help="of the authority that slaves are known by")
    group.add_argument("--cert", metavar="FILE", help="a certificate of your own, if they ask")
    group.add_argument("--key", metavar="FILE", help="and its key")


def given(
    options: argparse.Namespace, environment: Mapping[str, str] = os.environ, asks: bool = True
) -> Login:
    """Of these arguments, else of the environment.  Raises ``ConfigError``."""
    if options.password is not None:
        raise ConfigError(
            "--password: everybody on this machine sees the arguments of processes; put it into"
            " DISTRODB_PASSWORD or --password-file FILE"
        )
    user = options.user or environment.get("DISTRODB_USER") or None
    password = environment.get("DISTRODB_PASSWORD") or None
    if options.password_file is not None:
        password = _read(Path(options.password_file))
    elif password is None and user is not None and asks and sys.stdin.isatty():
        import getpass

        password = getpass.getpass(f"Password of {user}: ")
    if user is not None and password is None:
        raise ConfigError(f"user {user}: there is no password; {REMEDY}")
    ca = options.ca or environment.get("DISTRODB_CA") or None
    if (options.cert is None) != (options.key is None):
        raise ConfigError("--cert and --key: give both")
    has_tls = options.tls or ca is not None or options.cert is not None
    login = Login(user, password, has_tls, ca, options.cert, options.key)
    login.context()  # what is wrong with the files is said before anything is tried
    return login


def from_environment(environment: Mapping[str, str] = os.environ) -> Login:
    """For those who have no arguments."""
    nothing = argparse.Namespace(
        user=None, password=None, password_file=None, tls=False, ca=None, cert=None, key=None
    )
    return given(nothing, environment, asks=False)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            text = opened.read(PASSWORD_BYTES_MAX).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigError(f"--password-file {file}: {said}; name a text file") from None
    if not text:
        raise ConfigError(f"--password-file {file}: it is empty; write the password into it")
    return text
