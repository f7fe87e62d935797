"""``host:port``: the one parser of addresses, for files, arguments, peers and the shell.  Pure.

A host is a name or an IP address; one of IPv6 is written in brackets, as ``[::1]:55551``, and taken
without them too, since the last colon is the port's.
"""

from dataclasses import dataclass

PORT_MAX = 65535
_NOT_IN_A_HOST = set("[]\"'\\/,@")


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(text: str) -> Address:
    """Raises ``ValueError``, whose text says what is wrong."""
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise ValueError("it has no host and port")
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
    # Python's own int() takes signs, underscores, spaces and digits of any script.
    if not port.isascii() or not port.isdigit() or len(port) > 5 or not 0 < int(port) <= PORT_MAX:
        raise ValueError(f"its port is not 1 to {PORT_MAX}")
    return Address(host, int(port))
