"""Every secret has a mark in it, every command is run, and the mark is in nothing that comes out.

Passwords are given in all places where that can be done, rightly and wrongly, by clients of a slave
and of a gateway, in the slaves' files, by HTTP, and to our own commands; what comes out is each
command's reply, what a watcher is shown, logs, pages, the processes' arguments and their errors.
What a client is told of its own mistake is its own, and not looked at.
"""

import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from distrodb import LocalCluster, connect
from distrodb.commands.table import DISPATCHED
from distrodb.login import Login
from tests.e2e.test_security import distrodb

MARK = "mark-7f3a9c51"
PASSWORD, SECRET = f"{MARK}-password-of-clients", f"{MARK}-secret-of-all-the-slaves"
# They end the connection or the slave, stop it for a time, or empty what is looked at.
LEFT_OUT = {
    "quit", "shutdown", "monitor", "sync", "psync", "failover", "flushall", "flushdb", "debug",
    "slowlog|reset", "latency|reset", "client|kill", "client|reply", "client|pause", "acl|deluser",
    "config|resetstat", "replicaof", "slaveof",
}  # fmt: skip
SECRETS = [
    line.replace("?", MARK).split()
    for line in """
        AUTH ?
        AUTH default ?
        auth nobody ?
        AUTH x ? ?
        HELLO 3 AUTH nobody ?
        HELLO 3 AUTH default ?
        HELLO 3 SETNAME x AUTH nobody ?
        hello 9 auth nobody ?
        ACL SETUSER marked on >? ~* +@all
        ACL SETUSER marked >?-more
        ACL SETUSER marked <?-more
        ACL SETUSER marked <?-none
        acl setuser marked >?-bad +nosuch
        ACL SETUSER marked (>?)
        ACL DRYRUN default AUTH ?
        ACL DRYRUN marked AUTH ?
        ACL DRYRUN marked HELLO 3 AUTH x ?
        ACL DRYRUN marked ACL SETUSER y >?
        ACL DRYRUN marked CONFIG SET requirepass ?
        ACL DRYRUN marked ACL DRYRUN marked AUTH ?
        CONFIG SET masterauth ?
        config set MasterAuth ?
        CONFIG SET tls-key-file-pass ?
        CONFIG SET requirepass ? no-such x
        CONFIG SET no-such x requirepass ?
        CONFIG SET requirepass ? requirepass ?
        MIGRATE h 1 k 0 1 AUTH ?
        MIGRATE h 1 k 0 1 AUTH2 u ?
    """.strip().splitlines()
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    directory = tmp_path_factory.mktemp("secrets")
    options = {"cluster_secret": SECRET, "clients_requirepass": PASSWORD}
    with LocalCluster(nodes=3, partitions=3, directory=directory, **options) as cluster:
        cluster.wait_healed()
        yield cluster


def every_command() -> list[list[str]]:
    """With too few, few and more words, which mean nothing."""
    said = []
    for row in DISPATCHED.values():
        for each in row.subcommands.values() or [row]:
            if LEFT_OUT.isdisjoint({each.name, row.name}):
                name = each.name.upper().split("|")
                for count in sorted({len(name), each.words_min, min(each.words_max, 5)}):
                    word = "0" if each.timeout_of is None else "0.01"  # seconds that it waits
                    said.append([*name, *[word] * 9][: max(count, len(name))])
    return said


class Client:
    def __init__(self, port: int):
        self._port = port
        self._at = self._logged_in()

    def _logged_in(self) -> redis.Connection:
        at = redis.Connection(port=self._port, password=PASSWORD, protocol=2, socket_timeout=20)
        at.connect()
        return at

    def say(self, words: list[str]) -> str:
        try:
            self._at.send_command(*words)
            return repr(self._at.read_response())
        except redis.ResponseError as error:
            return str(error)
        except redis.RedisError as error:
            self._at = self._logged_in()
            return str(error)

    def anew(self) -> None:
        self._at.disconnect()
        self._at = self._logged_in()


def ports(cluster: LocalCluster) -> list[int]:
    """Of two slaves, and of the gateway of the third."""
    gateway = cluster.configs["node3"].me.gateway
    assert gateway is not None
    return [cluster.configs[node].me.client.port for node in ("node1", "node2")] + [gateway.port]


def page(cluster: LocalCluster, path: str, password: str) -> str:
    login = {"Authorization": "Basic " + b64encode(f"default:{password}".encode()).decode()}
    request = urllib.request.Request(f"{cluster.http_url('node1')}{path}", headers=login)
    try:
        with urllib.request.urlopen(request, timeout=20) as got:
            return got.read(100_000).decode()
    except urllib.error.HTTPError as refused:
        return refused.read().decode()


def test_every_command_keeps_every_secret(cluster: LocalCluster, tmp_path: Path) -> None:
    watchers, seen = [], {}
    for port in ports(cluster):
        watcher = redis.Redis(port=port, password=PASSWORD).monitor()
        watchers.append(watcher.__enter__())
        Client(port).say(
            ["CONFIG", "SET", "slowlog-log-slower-than", "0", "slowlog-max-len", "9999"]
        )
    for port in ports(cluster):
        client = Client(port)
        for words in SECRETS:
            client.say(words)
            client.anew()
        client.say(["MULTI"])
        for words in SECRETS:
            client.say(words)
        client.say(["EXEC"])
    client = Client(ports(cluster)[0])
    assert "marked" in client.say(["ACL", "USERS"]) and "auth" in client.say(["ACL", "LOG"])
    slow = client.say(["SLOWLOG", "GET", "-1"])
    assert "(redacted)" in slow and "SETUSER" in slow.upper()

    for port in ports(cluster):
        client = Client(port)
        for words in every_command():
            seen[f"{port} {' '.join(words)}"] = client.say(words)
            if DISPATCHED[words[0].encode()].group in ("connection", "pubsub", "transactions"):
                client.anew()
        for words in (
            "INFO all", "CONFIG GET *", "CLIENT LIST", "CLIENT INFO", "ACL LIST", "ACL LOG 999",
            "ACL GETUSER marked", "ACL GETUSER default", "SLOWLOG GET -1", "LATENCY DOCTOR",
            "LATENCY HISTOGRAM", "DISTRODB STATUS", "DISTRODB DOCTOR", "CLUSTER NODES", "INFO",
        ):  # fmt: skip
            seen[f"{port} {words}"] = client.say(words.split())
            assert seen[f"{port} {words}"], words
    for number, watcher in enumerate(watchers):
        Client(ports(cluster)[number]).say(["ECHO", "the-end"])
        shown = ""
        while "the-end" not in shown:
            shown = watcher.next_command()["command"]
            seen[f"MONITOR {number}"] = seen.get(f"MONITOR {number}", "") + shown
        assert "(redacted)" in seen[f"MONITOR {number}"]
        watcher.connection.disconnect()

    for path in (
        "/",
        "/cluster",
        "/live",
        "/metrics",
        "/user",
        "/healthz",
        "/readyz",
        "/key?name=0",
    ):
        for password in (PASSWORD, f"{MARK}-wrong"):
            seen[f"{path} {password == PASSWORD}"] = page(cluster, path, password)

    at = f"127.0.0.1:{ports(cluster)[0]}"
    for name, words in {
        "status": ["--connect", at, "--json"],
        "doctor": ["--connect", at, "--json"],
        "bench": ["--port", str(ports(cluster)[0]), "-n", "50", "-c", "2", "--json"],
        "backup": [str(tmp_path / "b"), "--connect", at],
        "master": ["--connect", at, "-c", "NODES"],
    }.items():
        for password in (PASSWORD, f"{MARK}-wrong") if name == "status" else (PASSWORD,):
            done = distrodb(name, *words, DISTRODB_PASSWORD=password, XDG_STATE_HOME=str(tmp_path))
            assert (done.returncode == 0) == (password == PASSWORD), (name, done.stderr)
            seen[f"{name} {password == PASSWORD}"] = done.stdout + done.stderr
    done = distrodb("status", "--connect", at, "--password", MARK)
    seen["--password"] = done.stdout + done.stderr
    for file in tmp_path.rglob("*"):
        seen[str(file)] = file.read_bytes().decode("latin-1") if file.is_file() else ""

    for node, config in cluster.configs.items():
        seen[f"{node}'s options"] = repr(config)
        seen[f"{node}'s log"] = (cluster.directory / node / "slave.log").read_text()
        process = Path(f"/proc/{cluster.pids[node]}")
        seen[f"{node}'s arguments"] = (process / "cmdline").read_text()
        seen[f"{node}'s environment"] = (process / "environ").read_text()
    seen["a login"] = repr(Login("default", PASSWORD))
    for where in (at, f"redis://default:{MARK}@127.0.0.1:1", f"x://a:{MARK}@h:1"):
        with pytest.raises(Exception) as problem:
            connect(where, login=Login(password=f"{MARK}-wrong"))
        seen[f"connect {where}"] = f"{problem.value!r} {problem.value}"

    assert len(seen) > 900
    assert {name: text for name, text in seen.items() if MARK in text} == {}
