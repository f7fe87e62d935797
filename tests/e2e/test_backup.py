"""``distrodb backup``, ``restore``, ``verify``, ``export`` and ``import``, as a user runs them."""

import json
import os
import resource
import stat
import subprocess
import time
from argparse import Namespace
from hashlib import sha1
from pathlib import Path

import pytest
import redis

from distrodb import LocalCluster
from distrodb.backup import loading, make, pictures, redis_source, restore
from distrodb.backup.json_lines import record_of
from distrodb.backup.records import Code
from distrodb.backup.redis_source import RedisSource
from distrodb.clock import monotonic, sleep
from tests.e2e.load import load
from tests.e2e.test_commands import DISTRODB, distrodb
from tests.e2e.test_terminal import Terminal
from tests.oracle.redis_server import redis_server

HOUR_MS = 3_600_000
SCRIPT = "return 'of a script'"
SHA = sha1(SCRIPT.encode()).hexdigest()
LIBRARY = "#!lua name=l\nredis.register_function('f', function() return 'of a function' end)"
BYTES = bytes(range(256))


@pytest.fixture(scope="module")
def source():
    """Three slaves with keys of every kind, in two databases."""
    with LocalCluster(nodes=3, partitions=6) as cluster:
        cluster.wait_healed()
        fill(cluster)
        yield cluster


@pytest.fixture(scope="module")
def five():
    with LocalCluster(nodes=5, partitions=7) as cluster:
        yield cluster


@pytest.fixture
def target(five):
    """Five slaves, empty, of another number of partitions."""
    five.wait_ready()
    with gateway(five) as client:
        client.flushall()
    return five


@pytest.fixture(scope="module")
def backup(source, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("backups") / "a.backup"
    done = distrodb("backup", *at(source), str(file))
    assert (done.returncode, done.stderr) == (0, "")
    return file


def at(cluster) -> list[str]:
    return ["--connect", cluster.addresses[cluster.nodes[0]]]


def gateway(cluster, database: int = 0) -> redis.Redis:
    port = cluster.gateway_address(cluster.nodes[0]).rpartition(":")[2]
    return redis.Redis(port=int(port), db=database, protocol=2)


def fill(cluster) -> None:
    now_ms = time.time_ns() // 1_000_000
    with gateway(cluster) as client, gateway(cluster, 3) as third:
        pipe = client.pipeline(transaction=False)
        for number in range(5000):
            pipe.set(f"k{number}", f"value of {number}")
        for number in range(200):
            pipe.set(f"e{number}", number, pxat=now_ms + HOUR_MS + number)
            pipe.hset(f"h{number}", mapping={"f": number, b"\xff": BYTES})
        pipe.set(BYTES, BYTES)
        pipe.set("large", b"\xfe" * 3_000_000)
        pipe.hset("wide", mapping={f"field{n}": "x" * 1000 for n in range(3000)})
        pipe.pexpireat("wide", now_ms + HOUR_MS)
        pipe.execute()
        third.set("k1", "of the third")
        third.hset("h1", "f", "third")
        client.script_load(SCRIPT)
        client.function_load(LIBRARY)
        client.eval("return 'not kept'", 0)


def has_code(cluster, has_script: bool = True) -> None:
    """In all partitions."""
    with gateway(cluster) as client:
        for number in range(50):
            assert client.fcall("f", 1, f"k{number}") == b"of a function"
            if has_script:
                assert client.evalsha(SHA, 1, f"k{number}") == b"of a script"
        client.function_flush()
        client.script_flush()


def export(cluster, *more: str) -> dict[tuple[int, bytes], str]:
    """Every key of a cluster, by database and name, as its line says it."""
    done = distrodb("export", *(at(cluster) if cluster else ()), *more, "-")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    found, code = {}, []
    for line in lines:
        record = record_of(line)
        if isinstance(record, Code):
            code.append(record)
        else:
            found[record.database, record.key] = line
    assert len(found) + len(code) == len(lines), "a key twice"
    known = [Code(False, SCRIPT.encode()), Code(True, LIBRARY.encode())]
    assert code == [each for each in known if each in code]
    return found


def one_line(done, status: int = 1) -> str:
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith("distrodb: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr.removeprefix("distrodb: ").strip()


def test_what_was_backed_up_comes_back_into_five_slaves_of_other_partitions(source, target, backup):
    assert stat.S_IMODE(os.stat(backup).st_mode) == 0o600
    said = distrodb("verify", str(backup))
    wanted = "whole: 6 partitions, 5,405 keys (201 with an expiry, 202 that are no strings)"
    assert said.returncode == 0 and wanted in said.stdout and "in 2 databases" in said.stdout
    assert "databases, 1 library of functions, 1 script, " in said.stdout
    there = export(source)
    assert len(there) == 5405 and there == export(None, "--from", str(backup))
    done = distrodb("restore", *at(target), str(backup))
    assert (done.returncode, done.stderr) == (0, "") and "5,405 keys restored" in done.stdout
    assert export(target) == there
    has_code(target)
    assert list(backup.parent.iterdir()) == [backup], "no note is left"
    with gateway(target) as client, gateway(target, 3) as third:
        assert client.get(BYTES) == BYTES and client.get("large") == b"\xfe" * 3_000_000
        assert HOUR_MS / 2 < client.pttl("e7") < HOUR_MS and client.pttl("k7") == -1
        assert HOUR_MS / 2 < client.pttl("wide") < HOUR_MS and client.hlen("wide") == 3000
        assert client.hgetall("h9") == {b"f": b"9", b"\xff": BYTES}
        assert third.get("k1") == b"of the third" and third.dbsize() == 2
    refused = one_line(distrodb("restore", *at(target), str(backup)))
    assert refused.startswith("the cluster is not empty: it has 5,405 keys; with --overwrite")
    with gateway(target) as client:
        client.set("k1", "changed")
        client.hset("k2", "another", "kind") if client.delete("k2") else None
        client.set("mine", "stays")
        assert distrodb("restore", *at(target), "--overwrite", str(backup)).returncode == 0
        assert client.get("k1") == b"value of 1" and client.get("k2") == b"value of 2"
        assert client.get("mine") == b"stays"


def test_a_restore_that_was_interrupted_goes_on(target, backup, monkeypatch, capsys):
    """Also where slaves are killed, in between and while it goes on.  A key that was written is not
    written again but for those of the chunk in which it broke off."""
    options = Namespace(file=str(backup), connect=at(target)[1], overwrite=False, note=None)
    monkeypatch.setattr(restore, "NOTE_S", 0.0)
    monkeypatch.setattr(loading, "BATCH_KEYS", 100)
    run, calls = loading.Loader._run, []

    def fails_at_last(self, commands):
        calls.append(len(commands))
        if sum(calls) > 3000:
            raise KeyboardInterrupt
        return run(self, commands)

    with monkeypatch.context() as patch:
        patch.setattr(loading.Loader, "_run", fails_at_last)
        with pytest.raises(KeyboardInterrupt):
            restore.run(options)
    note = backup.with_name(f"{backup.name}.restoring")
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    noted = json.loads(note.read_text())
    assert 2000 < noted["keys"] <= 3000 and noted["frame"] > 3
    target.kill("node2")
    target.start("node2")
    calls.clear()
    capsys.readouterr()

    def counts(self, commands):
        calls.append(len(commands))
        if len(calls) == 4:
            target.kill("node4")
        return run(self, commands)

    monkeypatch.setattr(loading.Loader, "_run", counts)
    assert restore.run(options) == 0
    said = capsys.readouterr().out
    assert f"goes on behind {noted['keys']:,} keys that are there already" in said
    assert sum(calls) < 5405 - 1000, "what was there is not written again"
    assert not note.exists() and "node4" not in target.running()
    target.start("node4")
    target.wait_ready()
    assert export(target) == export(None, "--from", str(backup))


def break_off(target, backup: Path, monkeypatch) -> Path:
    """A restore in its middle; its note."""
    run = loading.Loader._run

    def fails_soon(self, commands):
        if self.written > 2000:
            raise KeyboardInterrupt
        return run(self, commands)

    options = Namespace(file=str(backup), connect=at(target)[1], overwrite=False, note=None)
    with monkeypatch.context() as patch:
        patch.setattr(restore, "NOTE_S", 0.0)
        patch.setattr(loading.Loader, "_run", fails_soon)
        with pytest.raises(KeyboardInterrupt):
            restore.run(options)
    return restore.notes.place_of(backup)


def test_a_note_that_says_too_much_is_found_out(target, backup, monkeypatch):
    place = break_off(target, backup, monkeypatch)
    noted = json.loads(place.read_text())
    place.write_text(json.dumps({**noted, "frame": 1000}))
    said = one_line(distrodb("restore", *at(target), str(backup)))
    assert (
        said == f"{place}: it said that more was restored than was; restore anew, with --overwrite"
    )
    assert not place.exists()
    assert distrodb("restore", *at(target), "--overwrite", str(backup)).returncode == 0
    assert export(target) == export(None, "--from", str(backup))


def test_a_note_counts_for_nothing_where_the_cluster_was_emptied(target, backup, monkeypatch):
    note = break_off(target, backup, monkeypatch)
    assert note.exists()
    with gateway(target) as client:
        client.flushall()
        client.set("somebody", "else's")
    refused = one_line(distrodb("restore", *at(target), str(backup)))
    assert refused.startswith("the cluster is not empty: it has 1 key;")
    with gateway(target) as client:
        client.flushall()
    done = distrodb("restore", *at(target), str(backup))
    assert done.returncode == 0 and "goes on" not in done.stdout
    assert export(target) == export(None, "--from", str(backup)) and not note.exists()


def test_a_backup_under_load_has_all_that_was_acknowledged_before_though_a_leader_dies(
    tmp_path, monkeypatch
):
    with LocalCluster(nodes=5, partitions=5) as cluster:
        cluster.wait_healed()
        with gateway(cluster) as client:
            for number in range(20):
                client.mset({f"fill{number}:{n}": "x" * 200 for n in range(1000)})
        asked = []
        piece = pictures.Picture._piece

        def kills(self, slave, number):
            """The leader of the third picture dies behind its first piece."""
            asked.append((self.token, number))
            if len({token for token, _ in asked}) == 3 and number == 1:
                (node,) = [n for n, at in cluster.addresses.items() if at == str(self.at)]
                if node in cluster.running() and not killed:
                    killed.append(node)
                    cluster.kill(node)
            return piece(self, slave, number)

        killed: list[str] = []
        monkeypatch.setattr(pictures.Picture, "_piece", kills)
        with load(cluster, workers=3) as books:
            until = monotonic() + 60
            while len(books.acknowledged) < 600 and monotonic() < until:
                sleep(0.05)
            before = dict(books.acknowledged)
            file = tmp_path / "b.backup"
            assert make.run(Namespace(file=str(file), connect=at(cluster)[1])) == 0
        assert len(killed) == 1 and len({token for token, _ in asked}) == 6, "one began anew"
        assert len(before) >= 600
    found = export(None, "--from", str(file))
    for key, number in before.items():
        value = record_of(found[0, key.encode()]).value
        assert number <= int(value) <= books.sent[key], key
    assert sum(key.startswith(b"fill") for _, key in found) == 20_000
    assert list(tmp_path.iterdir()) == [file]


def test_a_connection_that_breaks_costs_nothing(source, tmp_path, monkeypatch):
    """The piece that was asked for is asked for again."""
    tokens, piece = [], pictures.Picture._piece

    def breaks(self, slave, number):
        if number == 1:
            with redis.Redis(port=self.at.port) as other:
                other.client_kill_filter(_type="normal", skipme=True)
        tokens.append(self.token)
        return piece(self, slave, number)

    monkeypatch.setattr(pictures.Picture, "_piece", breaks)
    file = tmp_path / "a.backup"
    assert make.run(Namespace(file=str(file), connect=at(source)[1])) == 0
    assert len(set(tokens)) == 6, "no partition began anew"
    assert export(None, "--from", str(file)) == export(source)


def test_a_backup_that_is_broken_off_leaves_nothing(source, tmp_path, monkeypatch):
    piece = pictures.Picture._piece
    asked = []

    def breaks(self, slave, number):
        asked.append(self)
        if len({each.token for each in asked}) == 3:
            raise KeyboardInterrupt
        return piece(self, slave, number)

    with monkeypatch.context() as patch:
        patch.setattr(pictures.Picture, "_piece", breaks)
        for _ in range(4):  # and no picture stays, or there would be too many
            asked.clear()
            with pytest.raises(KeyboardInterrupt):
                make.run(Namespace(file=str(tmp_path / "a.backup"), connect=at(source)[1]))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_grow_is_one_line_and_no_file(source, tmp_path):
    for words in (["backup"], ["export"]):
        done = subprocess.run(
            [*DISTRODB, *words, *at(source), str(tmp_path / "a")],
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        )
        assert one_line(done) == f"{tmp_path / 'a'}: cannot be written: File too large"
        assert list(tmp_path.iterdir()) == []


def test_a_slave_that_stays_gone_is_one_line_and_no_file(tmp_path):
    with LocalCluster(nodes=3, partitions=3) as cluster:
        cluster.wait_ready()
        cluster.kill("node2")
        cluster.kill("node3")
        done = distrodb("backup", *at(cluster), str(tmp_path / "a.backup"))
    assert "has no majority" in one_line(done)
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_that_is_not_born_yet_is_one_line_and_no_file(tmp_path, backup):
    cluster = LocalCluster(nodes=3)
    try:
        cluster.start("node1")
        cluster.wait_until(lambda: cluster.status("node1") is not None, "node1 answers")
        for words in (["backup", "FILE"], ["export", "FILE"], ["restore", str(backup)]):
            line = [str(tmp_path / "a") if word == "FILE" else word for word in words]
            done = distrodb(line[0], "--connect", cluster.addresses["node1"], *line[1:])
            assert "the cluster is not born yet" in one_line(done)
    finally:
        cluster.close()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_gets_a_file_by_its_time(source, tmp_path):
    done = distrodb("backup", *at(source), str(tmp_path))
    (file,) = tmp_path.iterdir()
    assert done.returncode == 0 and file.match("distrodb-2*T*Z.backup") and str(file) in done.stdout


def test_at_a_terminal_a_bar_shows_how_far_it_is(source, tmp_path):
    file = str(tmp_path / "a.backup")
    for verb, title in [("backup", b"Backing up"), ("verify", b"Checking")]:
        terminal = Terminal(verb, *(at(source) if verb == "backup" else ()), file, TERM="xterm")
        terminal.wait_for(b"5,405 keys")
        assert terminal.end("") == 0
        os.close(terminal.fd)
        assert title in terminal.written and "━".encode() in terminal.written


def test_what_is_exported_is_imported(source, target, tmp_path):
    file = tmp_path / "keys.json"
    assert distrodb("export", *at(source), str(file)).returncode == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for _ in range(2):  # it can be run again
        done = distrodb("import", *at(target), str(file))
        assert done.returncode == 0 and "5,405 keys imported" in done.stdout
        assert export(target) == export(source)
    has_code(target)
    lines = '{"key": "new", "value": "1"}\n\n{"key": "new", "value": "2"}\n'
    assert distrodb("import", *at(target), "-", lines=lines).returncode == 0
    with gateway(target) as client:
        assert client.get("new") == b"2", "the later line counts"


def fill_redis(address: str) -> None:
    with redis.Redis(unix_socket_path=address) as client:
        for number in range(3000):
            client.set(f"k{number}", f"value of {number}" * 20)
        client.set(BYTES, BYTES)
        client.set("e", "1", px=HOUR_MS)
        client.hset("h", mapping={"f": "v", b"\xff": BYTES})
        client.hset("wide", mapping={f"field{n}": "x" * 500 for n in range(3000)})
        client.pexpire("h", HOUR_MS)
        client.rpush("l", "1", BYTES, "1")
        client.rpush("long", *(f"element {n}" * 30 for n in range(5000)))
        client.sadd("s", "1", BYTES)
        client.sadd("wide set", *(f"member {n}" * 30 for n in range(5000)))
        client.xadd("x", {"a": 1})
        client.zadd("z", {"a": 1})
        client.function_load(LIBRARY)
    with redis.Redis(unix_socket_path=address, db=2) as second:
        second.set("two", "2")


def has_what_redis_had(cluster, with_second: bool = True) -> None:
    with gateway(cluster) as client, gateway(cluster, 2) as second:
        assert client.dbsize() - client.xlen("x") == 3009 and client.zscore("z", "a") == 1
        assert client.get("k2999") == b"value of 2999" * 20 and client.get(BYTES) == BYTES
        assert HOUR_MS / 2 < client.pttl("e") <= HOUR_MS and client.pttl("k1") == -1
        assert client.hgetall("h") == {b"f": b"v", b"\xff": BYTES}
        assert HOUR_MS / 2 < client.pttl("h") <= HOUR_MS and client.hlen("wide") == 3000
        assert client.lrange("l", 0, -1) == [b"1", BYTES, b"1"]
        assert client.smembers("s") == {b"1", BYTES} and client.scard("wide set") == 5000
        assert client.llen("long") == 5000 and client.lindex("long", -1) == b"element 4999" * 30
        assert second.get("two") == (b"2" if with_second else None)
    has_code(cluster, has_script=False)


def test_keys_come_from_a_running_redis_and_again(target, monkeypatch):
    with redis_server(is_cluster=False) as server:
        fill_redis(server.address)
        url = f"unix://{server.address}"
        first = distrodb("import", *at(target), f"{url}?db=0")
        assert first.returncode == 0 and "3,010 keys imported" in first.stdout
        has_what_redis_had(target, with_second=False)
        with redis.Redis(unix_socket_path=server.address) as client:
            client.delete("x")
            client.set("k1", "changed")
            client.config_set("requirepass", "secret")
        assert "Authentication required." in one_line(distrodb("import", *at(target), url))
        monkeypatch.setenv("REDISCLI_AUTH", "secret")
        second = distrodb("import", *at(target), url)
        assert second.returncode == 0 and "3,010 keys imported" in second.stdout
        with gateway(target) as client:
            assert client.get("k1") == b"changed"
        has_what_redis_had(target)


def test_keys_come_from_all_masters_of_a_cluster(source, target):
    """One that speaks as a Redis Cluster does; and a single node at its socket."""
    done = distrodb("import", *at(target), f"redis://{source.addresses['node2']}")
    assert done.returncode == 0 and "5,403 keys imported" in done.stdout
    there = {at: line for at, line in export(source).items() if at[0] == 0}
    assert export(target) == there
    with redis_server(is_cluster=True) as server:
        with redis.Redis(unix_socket_path=server.address) as client:
            client.set("of a node", "1")
        done = distrodb("import", *at(target), f"unix://{server.address}")
        assert done.returncode == 0 and "1 key imported" in done.stdout


def test_expiries_of_a_redis_before_7_are_kept_too(monkeypatch):
    with redis_server(is_cluster=False) as server:
        url = f"unix://{server.address}"
        with redis.Redis.from_url(url) as client:
            for number in range(1000):
                client.set(f"e{number}", "1", px=HOUR_MS + number)
                client.set(f"k{number}", "1")
            wanted = {key: client.pexpiretime(key) for key in client.scan_iter()}
        monkeypatch.setattr(redis_source, "has_pexpiretime", lambda client: False)
        found = {record.key: record.expires_at_ms for record in RedisSource(url).records()}
    assert set(found) == set(wanted)
    for key, at_ms in wanted.items():
        assert (found[key] is None) == (at_ms == -1), key
        assert at_ms == -1 or abs(found[key] - at_ms) < 60_000, key


def test_an_rdb_file_is_read(target, tmp_path):
    with redis_server(is_cluster=False) as server:
        fill_redis(server.address)
        with redis.Redis(unix_socket_path=server.address) as client:
            client.delete("x")
            client.save()
            directory = client.config_get("dir")["dir"]
            file = tmp_path / "dump.rdb"
            file.write_bytes(Path(directory, "dump.rdb").read_bytes())
    done = distrodb("import", *at(target), str(file))
    assert (done.returncode, done.stderr) == (0, "") and "3,010 keys imported" in done.stdout
    has_what_redis_had(target)
    whole = file.read_bytes()
    for number, damaged in enumerate([whole[:1000], whole[:-100] + b"\0" * 100]):
        bad = tmp_path / f"bad{number}.rdb"
        bad.write_bytes(damaged)
        said = one_line(distrodb("import", *at(target), str(bad)), 2)
        assert said.startswith(f"{bad}: the redis-server cannot read it: ")


def test_a_place_that_is_too_long_for_a_socket_is_one_line(target, tmp_path, monkeypatch):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    (tmp_path / "a.rdb").write_bytes(b"REDIS0009")
    monkeypatch.setenv("TMPDIR", str(long))
    said = one_line(distrodb("import", *at(target), str(tmp_path / "a.rdb")), 2)
    assert said.endswith("too long a name for a socket in it; set TMPDIR to another")


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ("verify nosuch", 1, "nosuch: cannot be read: No such file or directory"),
        ("verify .", 1, ".: cannot be read: it is a directory"),
        ("verify note.txt", 2, "note.txt: this is no backup of distrodb"),
        ("verify cut", 1, "cut: it ends too early, at byte 20000: the backup was not finished"),
        ("verify flipped", 1, "flipped: damaged at byte "),
        ("restore AT cut", 1, "cut: it ends too early"),
        ("restore AT flipped", 1, "flipped: damaged at byte "),
        ("restore AT nosuch", 1, "nosuch: cannot be read"),
        ("restore AT --note /nosuch/note whole", 1, "/nosuch/note: how far the restore is cannot"),
        ("restore --connect 127.0.0.1:1 whole", 1, "no slave is reachable at 127.0.0.1:1"),
        ("backup --connect 127.0.0.1:1 new", 1, "no slave is reachable at 127.0.0.1:1"),
        ("backup AT whole", 2, "whole: is there already; name another file"),
        ("backup AT nosuch/new", 1, "nosuch/new: cannot be made: No such file"),
        ("export AT whole", 2, "whole: is there already"),
        ("export --from cut -", 1, "cut: it ends too early"),
        ("export --from note.txt new", 2, "note.txt: this is no backup"),
        ("import AT nosuch", 1, "nosuch: cannot be read"),
        ("import AT note.txt", 2, "note.txt:1: no JSON"),
        ("import AT whole", 2, "whole:1: no JSON"),
        (
            "import AT second.json",
            2,
            "second.json:2: it needs a key, and one of value, hash, list, zset",
        ),
        ("import AT binary.json", 2, "binary.json:1: this is no UTF-8 text"),
        ("import AT high.json", 1, "refused: DB index is out of range"),
        ("import AT redis://127.0.0.1:1", 1, "redis://127.0.0.1:1: Error 111 connecting"),
        ("import AT redis://x:secret@127.0.0.1:y", 2, "redis://127.0.0.1:y: Port could not"),
        ("import AT redis://127.0.0.1:1?password=secret", 1, "redis://127.0.0.1:1: Error 111"),
        ("backup AT -", 2, "a backup goes into a file or a directory"),
        ("import AT http://127.0.0.1", 2, "http://127.0.0.1: a server is named as redis://"),
        ("import AT bad.rdb", 2, "bad.rdb: the redis-server cannot read it: "),
    ],
)
def test_a_bad_input_is_one_line(target, backup, tmp_path, monkeypatch, words, status, says):
    monkeypatch.chdir(tmp_path)
    whole = backup.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    files = {
        "whole": whole,
        "cut": whole[:20_000],
        "flipped": bytes(flipped),
        "note.txt": b"hello\n",
        "second.json": b'{"key": "a", "value": "1"}\n{"key": "b"}\n',
        "binary.json": b'{"key": "\xff", "value": "1"}\n',
        "high.json": b'{"key": "a", "value": "1", "database": 99}\n',
        "bad.rdb": b"REDIS0011nonsense",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    words = words.replace("AT", " ".join(at(target))).split()
    done = distrodb(*words)
    assert one_line(done, status).startswith(says) and "secret" not in done.stderr
    assert {each.name for each in tmp_path.iterdir()} == set(files), "nothing is left behind"
    if words[0] == "restore":
        assert export(target) == {}
