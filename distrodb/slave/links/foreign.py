"""What somebody speaks who does not speak as slaves do, by his first bytes.  Pure.

Who mistypes a port meets clients' commands, HTTP or TLS there.  Saying so is all that this is for:
nothing is taken or refused by it.
"""

_HTTP = (b"HTTP/", b"GET ", b"HEAD ", b"POST ", b"PUT ", b"OPTIONS ", b"PRI * ", b"DELETE ")
_REDIS = (b"-ERR", b"-NOAUTH", b"-DENIED", b"-NOPROTO", b"+PONG", b"+OK", b"*", b"PING")
# A TLS record begins with its kind, an alert or a handshake, and the version, 3 and something.
_TLS = (b"\x15\x03", b"\x16\x03")


def what_speaks(data: bytes) -> str:
    """To be read behind the name of who it is; empty: nothing that is known."""
    if data.startswith(_TLS):
        return (
            "it speaks TLS, and this side does not: [tls] peers must be the same in every file, and"
            " the port a peer port"
        )
    if data.startswith(_HTTP):
        return "it speaks HTTP: this is no peer port, or no slave"
    if data.startswith(_REDIS):
        return "it speaks as clients do: this is a client port, or a client at a peer port"
    return ""
