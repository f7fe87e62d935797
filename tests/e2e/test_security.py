"""Passwords, users and certificates, as real clients meet them."""

import asyncio
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from redis.cluster import RedisCluster

from distrodb import LocalCluster, connect, connect_async
from distrodb.clock import monotonic, sleep
from distrodb.config import load
from distrodb.errors import ConfigError
from distrodb.events import EVENTS
from distrodb.login import Login
from tests.e2e.test_commands import DISTRODB

PASSWORD = "correct horse battery staple"
SECRET = "0123456789abcdef0123456789abcdef"


def distrodb(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: text for name, text in os.environ.items() if not name.startswith("DISTRODB_")}
    return subprocess.run(
        [*DISTRODB, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**clean, **environment},
        stdin=subprocess.DEVNULL,
    )


def certify(cluster: LocalCluster, *arguments: object) -> None:
    files = [config.file for config in cluster.configs.values()]
    done = distrodb("certs", cluster.directory / "certs", *files, *arguments)
    assert done.returncode == 0, done.stderr


def with_certificates(directory: Path, clients: str = "on", users: str = "off") -> LocalCluster:
    """A cluster of three, not started, each slave with a certificate of its own."""
    cluster = LocalCluster(
        nodes=3,
        partitions=3,
        directory=directory,
        cluster_secret=SECRET,
        clients_requirepass=PASSWORD,
        log_format="json",
    )
    certify(cluster, "--client", "app")
    for node, config in cluster.configs.items():
        text = config.file.read_text()
        for before, after in (
            ('certificate = ""', f'certificate = "../certs/{node}.crt"'),
            ('key = ""', f'key = "../certs/{node}.key"'),
            ('ca = ""', 'ca = "../certs/ca.crt"'),
            ('clients = "off"', f'clients = "{clients}"'),
            ('users = "off"', f'users = "{users}"'),
            ("peers = false", "peers = true"),
        ):
            assert f"\n{before}\n" in text
            text = text.replace(f"\n{before}\n", f"\n{after}\n")
        config.file.write_text(text)
        cluster.configs[node] = load(config.file)
    return cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with with_certificates(tmp_path_factory.mktemp("tls")) as cluster:
        cluster.wait_healed()
        yield cluster


def port(cluster: LocalCluster, node: str = "node1") -> int:
    return cluster.configs[node].me.client.port


def gateway(cluster: LocalCluster, node: str = "node1") -> int:
    at = cluster.configs[node].me.gateway
    assert at is not None
    return at.port


def ca(cluster: LocalCluster) -> str:
    return str(cluster.directory / "certs" / "ca.crt")


def tls(cluster: LocalCluster) -> dict[str, object]:
    return {"ssl": True, "ssl_ca_certs": ca(cluster)}


def log_of(cluster: LocalCluster, node: str) -> str:
    return (cluster.directory / node / "slave.log").read_text()


def wait_for(condition, what: str) -> None:
    until = monotonic() + 30
    while not condition():
        assert monotonic() < until, what
        sleep(0.05)


# -- clients ---------------------------------------------------------------------------------------


def test_redis_py_comes_by_tls_and_with_a_password(cluster: LocalCluster) -> None:
    for at in (gateway(cluster, "node2"), gateway(cluster, "node3")):
        with redis.Redis(port=at, password=PASSWORD, **tls(cluster)) as client:
            assert client.set("a", "1") and client.get("a") == b"1"
            large = b"x" * 3_000_000
            assert client.set("large", large) and client.get("large") == large
            pipe = client.pipeline(transaction=False)
            for number in range(2000):
                pipe.set(f"k{number}", number)
            assert all(pipe.execute())


def test_a_cluster_client_comes_by_tls_as_a_user(cluster: LocalCluster) -> None:
    with redis.Redis(port=port(cluster), password=PASSWORD, **tls(cluster)) as admin:
        rules = ["on", ">its own", "~app:*", "+@all", "-@admin"]
        assert admin.execute_command("ACL", "SETUSER", "app", *rules) == b"OK"
    login = {"username": "app", "password": "its own", **tls(cluster)}
    wait_for(lambda: _knows(cluster, login), "the user is on every slave")
    with RedisCluster(host="127.0.0.1", port=port(cluster, "node2"), **login) as client:
        for number in range(50):
            assert client.set(f"app:{number}", number)
        assert client.get("app:7") == b"7"
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.set("other", "1")
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.execute_command("CONFIG", "GET", "*", target_nodes=RedisCluster.RANDOM)


def _knows(cluster: LocalCluster, login: dict[str, object]) -> bool:
    for node in cluster.nodes:
        with redis.Redis(port=port(cluster, node), **login) as client:
            try:
                client.ping()
            except redis.AuthenticationError:
                return False
    return True


def redis_cli(at: int, *args: str) -> str:
    done = subprocess.run(
        ["redis-cli", "-p", str(at), *args], capture_output=True, text=True, timeout=30
    )
    return done.stdout + done.stderr


def test_redis_cli_comes_by_tls(cluster: LocalCluster) -> None:
    how = ["--tls", "--cacert", ca(cluster), "--no-auth-warning"]
    assert redis_cli(port(cluster), *how, "-c", "-a", PASSWORD, "set", "x", "1") == "OK\n"
    user = ["--user", "default", "--pass", PASSWORD]
    assert redis_cli(gateway(cluster), *how, *user, "get", "x") == "1\n"
    assert "NOAUTH" in redis_cli(port(cluster), *how, "get", "x")
    assert "WRONGPASS" in redis_cli(port(cluster), *how, "-a", "wrong", "get", "x")


def test_who_comes_without_tls_or_trusts_another_authority_gets_nowhere(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    with pytest.raises(redis.ConnectionError):
        redis.Redis(port=port(cluster), password=PASSWORD).ping()
    assert distrodb("certs", tmp_path, "--client", "x").returncode == 0
    with pytest.raises(redis.ConnectionError, match="certificate verify failed"):
        other = str(tmp_path / "ca.crt")
        redis.Redis(port=port(cluster), password=PASSWORD, ssl=True, ssl_ca_certs=other).ping()
    with redis.Redis(port=port(cluster), password=PASSWORD, **tls(cluster)) as client:
        assert client.ping()


def test_our_own_commands_log_in(cluster: LocalCluster, tmp_path: Path) -> None:
    connect = ["--connect", f"127.0.0.1:{port(cluster)}"]
    how = [*connect, "--ca", ca(cluster)]
    done = distrodb(
        "master",
        *how,
        "-c",
        "SET shell 1",
        "-c",
        "GET shell",
        "-c",
        "NODES",
        DISTRODB_PASSWORD=PASSWORD,
    )
    assert done.returncode == 0 and done.stdout.startswith('OK\nJust "1"\n'), done.stderr
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    done = distrodb("status", *how, "--json", "--user", "default", "--password-file", file)
    assert done.returncode == 0 and '"epoch"' in done.stdout, done.stderr
    done = distrodb(
        "bench",
        "--port",
        port(cluster),
        "--cluster",
        "--ca",
        ca(cluster),
        "-n",
        200,
        "-c",
        2,
        "--json",
        DISTRODB_PASSWORD=PASSWORD,
    )
    assert done.returncode == 0 and '"failed": 0' in done.stdout, done.stdout + done.stderr
    backup = tmp_path / "cluster.backup"
    done = distrodb("backup", backup, *how, DISTRODB_PASSWORD=PASSWORD)
    assert done.returncode == 0 and backup.stat().st_mode & 0o077 == 0, done.stderr
    done = distrodb("export", "-", *how, DISTRODB_PASSWORD=PASSWORD)
    assert done.returncode == 0 and '"shell"' in done.stdout, done.stderr
    done = distrodb("status", *how)
    assert done.returncode == 1 and "NOAUTH" not in done.stdout
    assert "log in with --user NAME" in done.stderr and done.stderr.count("\n") == 1
    done = distrodb("status", *how, DISTRODB_PASSWORD="wrong")
    assert "WRONGPASS" in done.stderr or "invalid username-password" in done.stderr
    done = distrodb("status", *how, "--user", "somebody")
    assert done.returncode == 2 and "there is no password" in done.stderr


def connected(at: list[str], login: Login | None) -> None:
    """By ``connect`` and by ``connect_async``: keys of all slaves, a transaction, a lock."""
    values = {f"by-tls{n}": str(n) for n in range(50)}
    with connect(at, login=login, text=True) as db:
        db.set_many(values)
        assert db.get_many(values) == values and set(db.keys("by-tls*")) == set(values)
        db.transact(lambda t: t.__setitem__("by-tls0", int(t["by-tls0"]) + 7), "by-tls0")
        with db.lock("by-tls", 20.0) as lock:
            assert db["by-tls0"] == "7"
            token = lock.token

    async def in_asyncio() -> None:
        async with await connect_async(at, login=login, text=True) as db:
            assert await db.get_many(values) == values | {"by-tls0": "7"}
            async with db.lock("by-tls", 20.0) as again:
                assert again.token > token
            assert await db.delete_many(values) == len(values)

    asyncio.run(in_asyncio())


def refused(at: list[str], login: Login | None) -> set[str]:
    """What ``connect`` and ``connect_async`` say, of one line each, at once."""
    said = set()
    for how in (
        lambda: connect(at, login=login),
        lambda: asyncio.run(connect_async(at, login=login)),
    ):
        begun = monotonic()
        with pytest.raises((redis.RedisError, ConfigError)) as problem:
            how()
        assert monotonic() - begun < 10 and "\n" not in str(problem.value)
        said.add(str(problem.value))
    return said


def test_python_programs_come_by_tls(cluster: LocalCluster, tmp_path: Path) -> None:
    ports = [f"127.0.0.1:{port(cluster, node)}" for node in cluster.nodes]
    gateways = [f"127.0.0.1:{gateway(cluster, node)}" for node in cluster.nodes]
    for at in (ports, gateways):
        connected(at, Login(password=PASSWORD, has_tls=True, ca=ca(cluster)))
        for wrong in refused(at, Login(password="wrong", has_tls=True, ca=ca(cluster))):
            assert "invalid username-password" in wrong
        assert distrodb("certs", tmp_path, "--client", "x").returncode == 0
        other = str(tmp_path / "ca.crt")
        for wrong in refused(at, Login(password=PASSWORD, has_tls=True, ca=other)):
            assert "certificate verify failed" in wrong
        for wrong in refused(at, Login(password=PASSWORD, has_tls=True, ca=str(tmp_path / "no"))):
            assert str(tmp_path / "no") in wrong
        assert all(refused(at, Login(password=PASSWORD)))  # in plain text


def test_no_secret_is_in_a_log_or_shown(cluster: LocalCluster) -> None:
    with redis.Redis(port=port(cluster), password=PASSWORD, **tls(cluster)) as client:
        told = repr(client.config_get("*")) + repr(client.info("all"))
        told += str(client.execute_command("DISTRODB", "STATUS"))
        told += str(client.execute_command("DISTRODB", "DOCTOR"))
    told += "".join(log_of(cluster, node) for node in cluster.nodes)
    assert PASSWORD not in told and SECRET not in told
    for node in cluster.nodes:
        line = Path(f"/proc/{cluster.pids[node]}/cmdline").read_text()
        assert PASSWORD not in line and SECRET not in line


def test_each_line_of_a_log_is_an_event(cluster: LocalCluster) -> None:
    lines = [json.loads(line) for line in log_of(cluster, "node1").splitlines()]
    told = {line["event"] for line in lines}
    assert told <= {*EVENTS} and told >= {"listening", "waits_for_birth", "born", "ready"}
    assert {line["node"] for line in lines} == {"node1"}
    (born,) = [line for line in lines if line["event"] == "born"]
    assert sorted(born["ring"].split()) == cluster.nodes and born["level"] == "info"


def test_what_is_wrong_with_a_certificate_is_told_of_all_slaves(cluster: LocalCluster) -> None:
    how = ("--connect", f"127.0.0.1:{port(cluster)}", "--ca", ca(cluster))

    def doctor() -> tuple[int, list[tuple[str, str]]]:
        done = distrodb("doctor", "--json", *how, DISTRODB_PASSWORD=PASSWORD)
        found = json.loads(done.stdout)
        return done.returncode, [(each["code"], each["about"]) for each in found]

    def read_again(days: int) -> None:
        certify(cluster, "--days", days)
        at = port(cluster, "node2")
        with redis.Redis(port=at, password=PASSWORD, **tls(cluster)) as client:
            client.config_set("tls-cert-file", client.config_get("tls-cert-file")["tls-cert-file"])

    wait_for(lambda: doctor() == (0, []), "all is well")
    read_again(days=3)
    wait_for(lambda: doctor() == (1, [("certificate_ends", "node2")]), "it is told")
    read_again(days=365)
    wait_for(lambda: doctor() == (0, []), "all is well again")


def test_files_are_for_their_owner_alone(cluster: LocalCluster) -> None:
    found = list(cluster.directory.rglob("*"))
    open_to_others = [
        str(path)
        for path in found
        if path.lstat().st_mode & 0o077 and path.suffix != ".crt" and not path.is_symlink()
    ]
    assert len(found) > 20 and open_to_others == []


def test_the_certificate_s_end_and_paths_are_told(cluster: LocalCluster) -> None:
    with redis.Redis(port=port(cluster), password=PASSWORD, **tls(cluster)) as client:
        left = client.info("server")["tls_certificate_expires_in_seconds"]
        assert 364 * 86400 < left <= 365 * 86400
        told = client.config_get("tls-*")
        assert told["tls-auth-clients"] == "no" and told["tls-cluster"] == "yes"
        path = told["tls-cert-file"]
        assert path.endswith("certs/node1.crt")
        before = served(cluster, "node1", ca(cluster))
        certify(cluster)
        assert served(cluster, "node1", ca(cluster)) == before
        assert client.config_set("tls-cert-file", path)  # read again, as in Redis
        assert served(cluster, "node1", ca(cluster)) != before
        with pytest.raises(redis.ResponseError, match="set to that it is read again"):
            client.config_set("tls-cert-file", "/elsewhere")
        shard = client.execute_command("CLUSTER", "SHARDS")[0]
    assert b"tls-port" in repr(shard).encode()


# -- the HTTP port ---------------------------------------------------------------------------------


def get(
    cluster: LocalCluster, path: str, login: str = "", trusted: str | None = None
) -> tuple[int, str]:
    headers = {"Authorization": "Basic " + b64encode(login.encode()).decode()} if login else {}
    asked = urllib.request.Request(f"{cluster.http_url('node1')}{path}", headers=headers)
    context = ssl.create_default_context(cafile=trusted or ca(cluster))
    try:
        with urllib.request.urlopen(asked, timeout=20, context=context) as got:
            return got.status, got.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def test_the_page_and_the_metrics_come_by_tls_to_users(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    with redis.Redis(port=gateway(cluster), password=PASSWORD, **tls(cluster)) as admin:
        for name, rules in (("scraper", ["+info"]), ("reader", ["~mine:*", "+@all"])):
            assert admin.execute_command("ACL", "SETUSER", name, "on", ">x", *rules) == b"OK"
        assert admin.set("mine:1", "its value") and admin.set("other", "1")
        assert get(cluster, "/healthz") == (200, "ok\n")
        for path in ("/", "/metrics", "/cluster", "/key?name=other"):
            assert get(cluster, path)[0] == get(cluster, path, ":wrong")[0] == 401
        admin_s = f":{PASSWORD}"
        status, told = get(cluster, "/cluster", admin_s)
        assert status == 200 and json.loads(told)["nodes"]["node2"]["http"] == cluster.http_url(
            "node2"
        )
        assert get(cluster, "/", admin_s)[1].startswith("<!doctype html>")
        wait_for(lambda: get(cluster, "/user", "reader:x")[0] == 200, "the users are there")
        assert "distrodb_info{" in get(cluster, "/metrics", "scraper:x")[1]
        assert get(cluster, "/cluster", "scraper:x")[0] == 403
        assert json.loads(get(cluster, "/key?name=mine:1", "reader:x")[1])["value"] == {
            "type": "string", "ttl_ms": -1, "length": 9, "text": "its value",
        }  # fmt: skip
        found = json.loads(get(cluster, "/key?name=other", "reader:x")[1])
        assert found["value"] is None and "no permissions" in found["why"]
        with redis.Redis(port=port(cluster), password=PASSWORD, **tls(cluster)) as asked:
            log = asked.execute_command("ACL", "LOG")
        refused = {(each[b"reason"], each[b"object"], each[b"username"]) for each in log}
        assert {(b"auth", b"AUTH", b"default"), (b"key", b"other", b"reader")} <= refused
    assert distrodb("certs", tmp_path, "--client", "x").returncode == 0
    with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
        get(cluster, "/healthz", trusted=str(tmp_path / "ca.crt"))
    plain = str(cluster.http_url("node1")).replace("https://", "http://")
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        urllib.request.urlopen(f"{plain}/healthz", timeout=20)
    log_lines = log_of(cluster, "node1")
    assert f"a page, metrics and health at {cluster.http_url('node1')}" in log_lines


# -- slaves ----------------------------------------------------------------------------------------


def test_slaves_link_by_tls_and_say_nothing_to_others(cluster: LocalCluster) -> None:
    at = cluster.configs["node1"].me.peer.port
    with socket.create_connection(("127.0.0.1", at), timeout=20) as plain:
        plain.sendall(b"\x00\x00\x00\x13\x00\x00\x00\x00" + b"x" * 100)
        heard = b""
        while data := plain.recv(4096):
            heard += data
    assert b"node1" not in heard and b"local" not in heard and len(heard) < 100
    context = ssl.create_default_context(cafile=ca(cluster))
    with (
        pytest.raises((ssl.SSLError, ConnectionError)),
        socket.create_connection(("127.0.0.1", at), timeout=20) as system,
        context.wrap_socket(system, server_hostname="localhost") as stranger,
    ):
        stranger.sendall(b"x" * 100)  # by TLS 1.3 it hears only now that it lacks a certificate
        while stranger.recv(4096):
            pass
        raise ConnectionError("closed")


def test_a_slave_dies_and_comes_back(cluster: LocalCluster) -> None:
    cluster.kill("node2")
    with RedisCluster(
        host="127.0.0.1", port=port(cluster), password=PASSWORD, **tls(cluster)
    ) as client:
        wait_for(lambda: _sets(client), "the others go on")
        cluster.start("node2")
        cluster.wait_ready()
        assert _sets(client)


def _sets(client: RedisCluster) -> bool:
    try:
        return all(client.set(f"again{n}", n) for n in range(20))
    except redis.RedisError:
        return False


def served(cluster: LocalCluster, node: str, authority: str, http: bool = False) -> bytes | None:
    """The certificate that a client is shown; None if it does not trust it."""
    context = ssl.create_default_context(cafile=authority)
    me = cluster.configs[node].me
    at = "127.0.0.1", (me.http if http else me.client).port
    try:
        with (
            socket.create_connection(at, timeout=20) as system,
            context.wrap_socket(system, server_hostname="127.0.0.1") as client,
        ):
            return client.getpeercert(binary_form=True)
    except ssl.SSLError:
        return None


def told_again(cluster: LocalCluster, text: str) -> None:
    """All slaves are sent SIGHUP, and each says this."""
    before = {node: log_of(cluster, node).count(text) for node in cluster.nodes}
    for node in cluster.nodes:
        os.kill(cluster.pids[node], signal.SIGHUP)
    for node, count in before.items():
        wait_for(lambda n=node, c=count: log_of(cluster, n).count(text) > c, f"{node}: {text}")


def test_certificates_are_renewed_while_clients_go_on(cluster: LocalCluster) -> None:
    before = served(cluster, "node1", ca(cluster))
    with redis.Redis(port=gateway(cluster), password=PASSWORD, **tls(cluster)) as client:
        number = client.client_id()
        certify(cluster)
        told_again(cluster, "the certificates are read again")
        assert client.set("renewed", "1") and client.client_id() == number
    after = served(cluster, "node1", ca(cluster))
    assert before is not None and after is not None and before != after
    assert served(cluster, "node1", ca(cluster), http=True) == after
    test_a_slave_dies_and_comes_back(cluster)  # links that are made anew


def test_files_that_do_not_fit_change_nothing(cluster: LocalCluster) -> None:
    before = served(cluster, "node1", ca(cluster))
    file = cluster.directory / "certs" / "node1.key"
    kept = file.read_bytes()
    try:
        shutil.copy(cluster.directory / "certs" / "app.key", file)
        os.kill(cluster.pids["node1"], signal.SIGHUP)
        text = "the old ones stay: "
        wait_for(lambda: text in log_of(cluster, "node1"), text)
        assert "the key is that of another certificate" in log_of(cluster, "node1")
        assert served(cluster, "node1", ca(cluster)) == before
    finally:
        file.write_bytes(kept)


def test_an_authority_is_replaced_step_by_step(cluster: LocalCluster, tmp_path: Path) -> None:
    """Trust both, then take certificates of the new one, then trust that alone."""
    folder, trusted = cluster.directory / "certs", Path(ca(cluster))
    old, kept = trusted.read_bytes(), {file: file.read_bytes() for file in folder.iterdir()}
    try:
        assert distrodb("certs", tmp_path, "--client", "x").returncode == 0
        new = (tmp_path / "ca.crt").read_bytes()
        trusted.write_bytes(old + new)
        told_again(cluster, "the certificates are read again")
        files = [config.file for config in cluster.configs.values()]
        assert distrodb("certs", tmp_path, *files).returncode == 0
        for node in cluster.nodes:
            for kind in ("crt", "key"):
                shutil.copy(tmp_path / f"{node}.{kind}", folder / f"{node}.{kind}")
        told_again(cluster, "the certificates are read again")
        trusted.write_bytes(new)
        told_again(cluster, "the certificates are read again")
        (tmp_path / "old.crt").write_bytes(old)
        assert served(cluster, "node2", str(tmp_path / "old.crt")) is None
        assert served(cluster, "node2", str(tmp_path / "ca.crt")) is not None
        cluster.kill("node3")
        cluster.start("node3")
        cluster.wait_ready()
    finally:
        for file, data in kept.items():
            file.write_bytes(data)
        told_again(cluster, "the certificates are read again")


# -- certificates of clients -----------------------------------------------------------------------


def test_a_client_shows_a_certificate_where_it_must(tmp_path: Path) -> None:
    with with_certificates(tmp_path, clients="certificate", users="cn") as cluster:
        own = tmp_path / "certs" / "app"
        shown = {"ssl_certfile": f"{own}.crt", "ssl_keyfile": f"{own}.key"}
        with redis.Redis(
            port=gateway(cluster), password=PASSWORD, **tls(cluster), **shown
        ) as client:
            assert client.set("a", "1")
            client.execute_command("ACL SETUSER app on >unused ~* +get +acl|whoami")
        # By its certificate it is a user, if that is one and on.
        for at_port in (port(cluster), gateway(cluster)):
            with redis.Redis(port=at_port, **tls(cluster), **shown) as known:
                assert known.execute_command("ACL WHOAMI") == "app"
                with pytest.raises(redis.ResponseError, match="no permissions"):
                    known.set("a", "2")
        with redis.Redis(port=port(cluster), password=PASSWORD, **tls(cluster), **shown) as client:
            client.execute_command("ACL SETUSER app off")
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port(cluster), **tls(cluster), **shown).ping()
        with pytest.raises(redis.ConnectionError):
            redis.Redis(port=gateway(cluster), password=PASSWORD, **tls(cluster)).ping()
        how = ["--ca", ca(cluster), "--cert", f"{own}.crt", "--key", f"{own}.key"]
        at = f"127.0.0.1:{port(cluster)}"
        done = distrodb("status", "--connect", at, *how, DISTRODB_PASSWORD=PASSWORD)
        assert done.returncode == 0, done.stderr
        login = Login(None, PASSWORD, True, ca(cluster), f"{own}.crt", f"{own}.key")
        for at_ports in (port(cluster), gateway(cluster)):
            connected([f"127.0.0.1:{at_ports}"], login)
            assert all(
                refused([f"127.0.0.1:{at_ports}"], replace(login, certificate=None, key=None))
            )
        # One that is a client's alone makes no slave.
        node3 = cluster.configs["node3"]
        cluster.kill("node3")
        text = node3.file.read_text()
        node3.file.write_text(text.replace("certs/node3.", "certs/app."))
        cluster.start("node3")
        wait_for(
            lambda: "no TLS handshake" in log_of(cluster, "node1") + log_of(cluster, "node3"),
            "the others do not take its certificate",
        )
        node3.file.write_text(text)


def test_who_comes_from_elsewhere_is_sent_away_once_the_password_is_gone(tmp_path: Path) -> None:
    told = subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout.split()
    if not told:
        pytest.skip("this machine has no address but loopback")
    cluster = LocalCluster(
        nodes=1, directory=tmp_path, cluster_secret=SECRET, clients_requirepass=PASSWORD
    )
    config = cluster.configs["node1"]
    at = config.me.client.port
    here, everywhere = f'client = "127.0.0.1:{at}"\n', f'client = "0.0.0.0:{at}"\n'
    text = config.file.read_text()
    assert here in text
    config.file.write_text(text.replace(here, everywhere + 'announce = "127.0.0.1"\n'))
    cluster.configs["node1"] = load(config.file)
    with cluster:
        assert redis.Redis(host=told[0], port=at, password=PASSWORD).ping()
        with redis.Redis(port=at, password=PASSWORD) as admin:
            assert admin.execute_command("ACL", "SETUSER", "default", "nopass") == b"OK"
        assert redis.Redis(port=at).ping()
        with pytest.raises(redis.RedisError, match="DENIED this slave is in protected mode"):
            redis.Redis(host=told[0], port=at).ping()


# -- what does not start ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {'"127.0.0.1:PORT"': '"0.0.0.0:PORT"\nannounce = "127.0.0.1"'},
            "clients.requirepass: is empty, and others than",
        ),
        ({'clients = "off"': 'clients = "on"'}, "tls.certificate: is empty; name the file"),
        (
            {
                'clients = "off"': 'clients = "on"',
                'certificate = ""': 'certificate = "none.crt"',
                'key = ""': 'key = "none.key"',
            },
            "No such file or directory; make them with distrodb certs",
        ),
    ],
)
def test_a_slave_that_would_be_open_or_is_half_configured_does_not_start(
    tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    cluster = LocalCluster(nodes=1, directory=tmp_path)
    config = cluster.configs["node1"]
    text, at = config.file.read_text(), str(config.me.client.port)
    for before, after in changes.items():
        assert before.replace("PORT", at) in text
        text = text.replace(before.replace("PORT", at), after.replace("PORT", at))
    config.file.write_text(text)
    command = [sys.executable, "-m", "distrodb", "slave", str(config.file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and words in done.stderr, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_slave_s_own_machine_asks_it_by_tls_whether_it_is_ready(cluster: LocalCluster) -> None:
    done = distrodb("ready", cluster.configs["node1"].file, "--wait", 30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "node1 is ready\n", "")


def test_a_further_slave_gets_a_certificate_where_the_authority_s_key_is(
    cluster: LocalCluster,
) -> None:
    """The last in here: it stays."""
    key = cluster.directory / "certs" / "ca.key"
    kept = key.rename(key.with_suffix(".away"))
    with pytest.raises(ConfigError, match="node4 needs a certificate of its own"):
        cluster.add()
    kept.rename(key)
    assert cluster.add() == "node4"
    cluster.wait_healed()
    assert served(cluster, "node4", ca(cluster))
    assert (cluster.configs["node4"].file.stat().st_mode & 0o077) == 0
