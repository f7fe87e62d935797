"""The commands a slave answers: the data commands of store/ and those about the server itself."""

from typing import Any

from distrodb.commands.command import Command
from distrodb.commands.table import DATA_COMMANDS
from distrodb.slave.commands import cluster, connection, server


def _row(name: str, handler: Any, arity: int, flags: str, group: str, summary: str) -> Command:
    return Command(
        name=name,
        handler=handler,
        arity=arity,
        flags=frozenset(flags.split()),
        scope="connection",
        group=group,
        summary=summary,
        categories=frozenset({"connection" if group == "connection" else "admin"}),
    )


_ROWS = [
    _row("ping", connection.ping, -1, "fast", "connection", "Answers PONG."),
    _row("echo", connection.echo, 2, "fast", "connection", "Answers its argument."),
    _row("hello", connection.hello, -1, "fast", "connection", "Chooses RESP2 or RESP3."),
    _row("client", connection.client_command, -2, "", "connection", "About connections."),
    _row("select", connection.select, 2, "fast", "connection", "Database 0 is the only one."),
    _row("readonly", connection.readonly, 1, "fast", "cluster", "Allows stale reads from copies."),
    _row("readwrite", connection.readwrite, 1, "fast", "cluster", "Ends READONLY."),
    _row("reset", connection.reset, 1, "fast", "connection", "Resets the connection."),
    _row("quit", connection.quit_, -1, "fast", "connection", "Closes the connection."),
    _row("command", server.command, -1, "loading", "server", "Describes the commands."),
    _row("config", server.config, -2, "admin", "server", "CONFIG GET shows the configuration."),
    _row("info", server.info, -1, "loading", "server", "Describes this slave."),
    _row("shutdown", server.shutdown, -1, "admin", "server", "Ends this slave."),
    _row("cluster", cluster.cluster, -2, "admin", "cluster", "Describes the cluster."),
    _row("distrodb", cluster.distrodb, -2, "admin", "cluster", "DISTRODB STATUS: the map as JSON."),
]

TABLE: dict[bytes, Command] = {
    **DATA_COMMANDS,
    **{row.name.upper().encode(): row for row in _ROWS},
}
