"""Commands about the connection: PING ECHO HELLO CLIENT SELECT READONLY READWRITE QUIT RESET."""

from collections.abc import Sequence

from distrodb import __version__
from distrodb.resp.reply import OK, Reply, Status, error
from distrodb.slave.clients import Client

SYNTAX = error("ERR", "syntax error")


BAD_NAME = error("ERR", "Client names cannot contain spaces, newlines or special characters.")
NAME_BYTES_MAX = 1024  # it is kept for as long as the connection lasts, and listed


def is_name(text: bytes) -> bool:
    return len(text) <= NAME_BYTES_MAX and all(33 <= byte <= 126 for byte in text)


def ping(client: Client, args: Sequence[bytes]) -> Reply:
    if len(args) > 2:
        return error("ERR", "wrong number of arguments for 'ping' command")
    return args[1] if len(args) == 2 else Status(b"PONG")


def echo(client: Client, args: Sequence[bytes]) -> Reply:
    return args[1]


def hello(client: Client, args: Sequence[bytes]) -> Reply:
    """https://redis.io/docs/latest/commands/hello/; there are no users yet, so AUTH is refused."""
    protocol, rest = client.protocol, list(args[2:])
    if len(args) > 1:
        if args[1] not in (b"2", b"3"):
            return error("NOPROTO", "unsupported protocol version")
        protocol = int(args[1])
    name = client.name
    while rest:
        option = rest.pop(0).upper()
        if option == b"SETNAME" and rest:
            name = rest.pop(0)
            if not is_name(name):
                return BAD_NAME
        elif option == b"AUTH" and len(rest) >= 2:
            return error("ERR", "AUTH called without any password configured")
        else:
            return SYNTAX
    client.protocol, client.name = protocol, name
    return {
        b"server": b"distrodb",
        b"version": __version__.encode(),
        b"proto": protocol,
        b"id": client.id,
        b"mode": b"cluster",
        b"role": b"master",
        b"modules": [],
    }


def describe(client: Client) -> bytes:
    peer = client.transport.get_extra_info("peername") if client.transport else None
    address = f"{peer[0]}:{peer[1]}" if peer else ""
    flags = "r" if client.is_readonly else "N"
    name = client.name.decode(errors="replace")
    library = client.library.get(b"LIB-NAME", b"").decode(errors="replace")
    version = client.library.get(b"LIB-VER", b"").decode(errors="replace")
    return (
        f"id={client.id} addr={address} name={name} flags={flags} db=0 resp={client.protocol}"
        f" lib-name={library} lib-ver={version}\n"
    ).encode()


def client_command(client: Client, args: Sequence[bytes]) -> Reply:
    """CLIENT ID | INFO | LIST | GETNAME | SETNAME name | SETINFO attribute value."""
    verb = args[1].upper()
    if verb == b"ID" and len(args) == 2:
        return client.id
    if verb == b"INFO" and len(args) == 2:
        return describe(client)
    if verb == b"LIST" and len(args) == 2:
        return b"".join(map(describe, sorted(client.server.clients, key=lambda other: other.id)))
    if verb == b"GETNAME" and len(args) == 2:
        return client.name or None
    if verb == b"SETNAME" and len(args) == 3:
        if not is_name(args[2]):
            return BAD_NAME
        client.name = args[2]
        return OK
    if verb == b"SETINFO" and len(args) == 4:
        attribute = args[2].upper()
        if attribute not in (b"LIB-NAME", b"LIB-VER"):
            return error("ERR", f"Unrecognized option '{args[2][:128].decode(errors='replace')}'")
        if not is_name(args[3]):
            return error("ERR", f"{attribute.decode().lower()} cannot contain spaces or newlines")
        client.library[attribute] = args[3]
        return OK
    return unknown_subcommand(args)


def unknown_subcommand(args: Sequence[bytes]) -> Reply:
    name, verb = (arg[:128].decode(errors="replace") for arg in args[:2])
    return error(
        "ERR", f"unknown subcommand or wrong number of arguments for '{verb}'. Try {name} HELP."
    )


def select(client: Client, args: Sequence[bytes]) -> Reply:
    if args[1] == b"0":
        return OK
    return error("ERR", "SELECT is not allowed in cluster mode")


def readonly(client: Client, args: Sequence[bytes]) -> Reply:
    client.is_readonly = True
    return OK


def readwrite(client: Client, args: Sequence[bytes]) -> Reply:
    client.is_readonly = False
    return OK


def reset(client: Client, args: Sequence[bytes]) -> Reply:
    client.protocol, client.name, client.is_readonly = 2, b"", False
    return Status(b"RESET")


def quit_(client: Client, args: Sequence[bytes]) -> Reply:
    client.is_closing = True
    return OK
