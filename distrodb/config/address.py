"""``host:port``: the one parser of addresses, for files, arguments, peers and the shell.  Pure.

A host is a name or an IP address; one of IPv6 is written in brackets, as ``[::1]:55551``, and taken
without them too, since the last colon is the port's.
"""

from dataclasses import dataclass
from ipaddress import ip_address

PORT_MAX = 65535
_NOT_IN_A_HOST = set("[]\"'\\/,@")


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def on_the_wire(self) -> str:
        """As Redis writes it to clients: IPv6 without brackets."""
        return f"{self.host}:{self.port}"

    @property
    def is_wildcard(self) -> bool:
        """All addresses of a machine: one can listen there, and nobody can go there."""
        return not self.host.strip("0.:")  # 0.0.0.0, ::, and all other ways to write them

    @property
    def is_loopback(self) -> bool:
        """Only this machine can go there.  A name may be anything, but for that of the machine."""
        return self.host == "localhost" or is_loopback(self.host)

    @property
    def is_named(self) -> bool:
        """Its host is a name, not an IP address."""
        return not _is_ip(self.host)


def parse(text: str) -> Address:
    """Raises ``ValueError``, whose text says what is wrong."""
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise ValueError("it has no host and port")
    host = _host(host)
    # Python's own int() takes signs, underscores, spaces and digits of any script.
    if not port.isascii() or not port.isdigit() or len(port) > 5 or not 0 < int(port) <= PORT_MAX:
        raise ValueError(f"its port is not 1 to {PORT_MAX}")
    return Address(host, int(port))


def host_of(text: str) -> str:
    """Of an address that a socket has told; of what is none, all of it."""
    try:
        return parse(text).host
    except ValueError:
        return text


def parse_announced(text: str, port: int) -> Address:
    """The same, where the port may be left out; ``port`` is what it is then."""
    if text.endswith("]") or ":" not in text or _is_ip(text):
        return Address(_host(text), port)
    return parse(text)


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """An IP address of the machine's own: also one of IPv4 as IPv6 writes it."""
    try:
        ip = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return ip.is_loopback or (mapped is not None and mapped.is_loopback)


def _host(host: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host:
            raise ValueError("only an IPv6 address goes in brackets")
    if not host or any(c in _NOT_IN_A_HOST or c.isspace() or not c.isprintable() for c in host):
        raise ValueError("its host is not a name or an IP address")
    try:
        host.encode("idna")  # as whoever resolves it does, where nobody expects this error
    except UnicodeError:
        raise ValueError(
            "a part of its host is empty, above 63 characters, or has some that no name has"
        ) from None
    return host
