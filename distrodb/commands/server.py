"""Commands about the server: INFO TIME LOLWUT."""

from collections.abc import Sequence

from distrodb.commands.api import SessionApi
from distrodb.commands.command import session_row
from distrodb.commands.numbers import NOT_AN_INTEGER, parse_integer
from distrodb.resp.reply import Reply, Verbatim

# Sections that INFO shows only if they are asked for, as in Redis.
_NOT_BY_DEFAULT = {"commandstats", "latencystats"}


def info(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """INFO [section ...]; see slave/info.py.  A section that is not known is empty."""
    sections = session.slave.info()
    asked = [arg.decode(errors="replace").lower() for arg in args[1:]] or ["default"]
    wanted = set(asked) & set(sections)
    if "all" in asked or "everything" in asked:
        wanted = set(sections)
    elif "default" in asked:
        wanted |= set(sections) - _NOT_BY_DEFAULT
    parts = [
        f"# {name.capitalize()}\r\n"
        + "".join(f"{key}:{value}\r\n" for key, value in fields().items())
        for name, fields in sections.items()
        if name in wanted
    ]
    return Verbatim("\r\n".join(parts).encode())


def time(session: SessionApi, args: Sequence[bytes]) -> Reply:
    seconds, microseconds = divmod(session.slave.process.wall_us(), 1_000_000)
    return [b"%d" % seconds, b"%d" % microseconds]


def lolwut(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """LOLWUT [VERSION version]: the version, and no picture."""
    if len(args) > 2 and args[1].upper() == b"VERSION" and parse_integer(args[2]) is None:
        return NOT_AN_INTEGER
    slave = session.slave
    text = f"Redis ver. {slave.redis_version}, as distrodb {slave.version} speaks it\n"
    return Verbatim(text.encode())


COMMANDS = (
    session_row(
        "info",
        info,
        -1,
        "loading stale",
        "server",
        "Returns information and statistics about the server.",
        acl="dangerous",
        tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
    ),
    session_row(
        "time",
        time,
        1,
        "loading stale fast",
        "server",
        "Returns the server time.",
        "2.6.0",
        tips=("nondeterministic_output",),
    ),
    session_row("lolwut", lolwut, -1, "readonly fast", "server", "Shows the version.", "5.0.0"),
)
