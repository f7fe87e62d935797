"""The command line without a slave: what runs slaves is in tests/e2e and tests/faults."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import distrodb
from distrodb import cli, patience, ports
from distrodb.clock import sleep
from distrodb.compiled import BUILD
from distrodb.errors import ConfigError, DistrodbError, StorageError, UnavailableError
from distrodb.local import PEER_PORT_OFFSET, LocalCluster

CONF = Path(__file__).parents[2] / "conf"
STATUS = {
    "asked": {"node": "node1", "incarnation": "a1", "not_yet_in": []},
    "epoch": 1,
    "ring": ["node1"],
    "nodes": {"node1": {"status": "up", "client": "127.0.0.1:1", "peer": "127.0.0.1:2"}},
    "partitions": [
        {
            "id": 0,
            "slots": [0, 16383],
            "owner": "node1",
            "group": ["node1"],
            "leader": "node1",
            "term": 1,
        }
    ],
}


@pytest.fixture
def free_port():
    """The first of two client ports that are free, with their peers', and that the kernel gives to
    no outgoing connection (it does from 32768 on)."""
    return next(base for base in range(20000, 30000) if all(_is_free(p) for p in _ports_from(base)))


def _ports_from(base):
    return [base, base + 1, base + PEER_PORT_OFFSET, base + PEER_PORT_OFFSET + 1]


def _is_free(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def one_line(capsys) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("distrodb: ")
    assert err.count("\n") == 1
    return err.removeprefix("distrodb: ").rstrip("\n")


def test_slave_runs_what_its_file_says(monkeypatch):
    import distrodb.slave.process

    monkeypatch.setattr(distrodb.slave.process, "run", lambda config: int(config.id[-1]))
    assert cli.main(["slave", str(CONF / "node4.toml")]) == 4


def test_a_wrong_file_is_one_line_and_status_2(tmp_path, capsys):
    file = tmp_path / "slave.toml"
    file.write_text((CONF / "node1.toml").read_text().replace("replicas = 3", "replicas = 4"))
    assert cli.main(["slave", str(file)]) == 2
    assert one_line(capsys) == f"{file}: cluster.replicas: is 4; use one of 1, 3, 5"


@pytest.mark.parametrize("error", [DistrodbError, StorageError, UnavailableError])
def test_what_stops_a_slave_is_one_line_and_status_1(monkeypatch, capsys, error):
    import distrodb.slave.process

    def run(config):
        raise error("the disk is full; make room")

    monkeypatch.setattr(distrodb.slave.process, "run", run)
    assert cli.main(["slave", str(CONF / "node1.toml")]) == 1
    assert one_line(capsys) == "the disk is full; make room"


def test_master_hands_its_commands_over(monkeypatch):
    import distrodb.master.shell

    seen = []
    monkeypatch.setattr(
        distrodb.master.shell, "run", lambda *arguments: seen.append(arguments) or 3
    )
    assert cli.main(["master"]) == 3
    assert cli.main(["master", "--connect", "h:1", "-c", "GET a", "-c", "NODES"]) == 3
    assert seen == [(None, []), ("h:1", ["GET a", "NODES"])]


@pytest.fixture
def one_status(monkeypatch):
    import distrodb.master.client

    monkeypatch.setattr(distrodb.master.client.Cluster, "status", lambda self: STATUS)


@pytest.mark.usefixtures("one_status")
def test_status_for_programs_is_the_map_as_it_is(capsys):
    assert cli.main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == STATUS


@pytest.mark.usefixtures("one_status")
def test_status_for_people_is_tables(capsys):
    assert cli.main(["status"]) == 0
    out = capsys.readouterr().out
    assert "epoch 1, ring node1" in out
    assert "1 of 1 partitions settled" in out
    assert "127.0.0.1:1" in out
    assert "16383" in out


def test_status_shows_what_moves_and_what_is_stuck(capsys, monkeypatch):
    import distrodb.master.client

    healing = {"is_done": False, "is_map_moving": False, "moving": [0], "waiting": [], "stuck": [7]}
    move = {"group": 0, "from": ["node1"], "to": ["node2"], "done": 1_500_000, "total": 3_000_000}
    status = {**STATUS, "controller": "node1", "healing": healing, "moves": [move]}
    monkeypatch.setattr(distrodb.master.client.Cluster, "status", lambda self: status)
    assert cli.main(["status"]) == 0
    out = capsys.readouterr().out
    assert "ring node1, controller node1" in out
    assert "partition 0: node1 → node2" in out
    assert "1.5 / 3.0 MB" in out
    assert "stuck until a slave comes back: partition 7" in out


def test_status_of_an_unborn_cluster_says_what_is_missing(capsys, monkeypatch):
    import distrodb.master.client

    node = {"status": "suspect", "client": "127.0.0.1:3", "peer": "127.0.0.1:4"}
    status = {**STATUS, "epoch": 0, "nodes": {**STATUS["nodes"], "node2": node}}
    monkeypatch.setattr(distrodb.master.client.Cluster, "status", lambda self: status)
    assert cli.main(["status"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("its first start needs all of its slaves; start node2\n")
    assert "settled" not in out


def test_status_of_a_slave_that_waits_to_join_shows_no_map_of_its_own(capsys, monkeypatch):
    asked = {"node": "node9", "waits_to_join": True, "not_yet_in": [0]}
    status = {**STATUS, "epoch": 0, "asked": asked}
    monkeypatch.setattr(distrodb.master.client.Cluster, "status", lambda self: status)
    assert cli.main(["status"]) == 0
    assert capsys.readouterr().out == (
        "node9 waits to be let into the cluster; if it is refused, its log says why\n"
    )


@pytest.mark.parametrize(("verb", "status"), [("status", 1), ("master", 2)])
def test_a_host_that_nobody_could_resolve_is_one_line(verb, status, capsys):
    arguments = [verb, "--connect", f"{'a' * 64}:1"]
    assert cli.main([*arguments, "-c", "RING"] if verb == "master" else arguments) == status
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "above 63 characters" in err


@pytest.mark.parametrize(
    "write",
    [
        lambda host: {"client": f"{host}:1"},
        lambda host: {"peer": f"{host}:2"},
        lambda host: {"join": f"{host}:3"},
    ],
    ids=["client", "peer", "join"],
)
def test_a_host_in_a_file_that_nobody_could_resolve_is_one_line(write, tmp_path, capsys):
    row = {"client": "127.0.0.1:1", "peer": "127.0.0.1:2", "join": "127.0.0.1:3"}
    row |= write("a" * 64)
    file = tmp_path / "slave.toml"
    file.write_text(
        f"""
        node = {{ id = "a", directory = "data", join = ["{row["join"]}"] }}
        cluster.nodes = [{{ id = "a", client = "{row["client"]}", peer = "{row["peer"]}" }}]
        cluster.id = "x"
        """
    )
    assert cli.main(["slave", str(file)]) == 2
    assert "above 63 characters" in one_line(capsys)


def test_status_without_a_slave_is_one_line(capsys, free_port):
    assert cli.main(["status", "--connect", f"127.0.0.1:{free_port}"]) == 1
    assert f"no slave is reachable at 127.0.0.1:{free_port}" in one_line(capsys)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--nodes", "0"], "--nodes 0: use 1 to 64"),
        (["--nodes", "65"], "--nodes 65: use 1 to 64"),
        (["--partitions", "0"], "--partitions 0: use 1 to 16384"),
        (["--partitions", "16385"], "--partitions 16385: use 1 to 16384"),
        (["--base-port", "0"], "--base-port 0: no ports for 5 slaves; use 1 to 62530"),
        (["--base-port", "62531"], "--base-port 62531: no ports for 5 slaves; use 1 to 62530"),
        (["--populate", "absent"], "--populate absent: cannot be read; name a text file"),
    ],
)
def test_local_refuses_what_cannot_be(tmp_path, capsys, arguments, expected):
    home = tmp_path / "home"
    assert cli.main(["local", "--dir", str(home), *arguments]) == 2
    assert one_line(capsys) == expected
    assert not home.exists()


def test_local_leaves_no_files_when_a_port_is_in_use(tmp_path, capsys, monkeypatch, free_port):
    monkeypatch.setattr(ports, "HELD_S_MAX", 0.0)
    home = tmp_path / "home"
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port))
        other.listen()
        assert cli.main(["local", "--dir", str(home), "--base-port", str(free_port)]) == 2
    assert one_line(capsys).startswith(f"127.0.0.1:{free_port} is in use")
    assert not home.exists(), "another --base-port would not count any more"


@pytest.mark.parametrize(("option", "there"), [("--partitions", 4), ("--base-port", None)])
def test_a_directory_keeps_the_shape_it_was_made_with(tmp_path, capsys, free_port, option, there):
    LocalCluster(2, directory=tmp_path, base_port=free_port)
    assert cli.main(["local", "--dir", str(tmp_path), option, "7"]) == 2
    made = f"{tmp_path}: holds a cluster made with {option} {there or free_port}, not 7; "
    assert one_line(capsys).startswith(made)


class Unstarted(LocalCluster):
    """Its slaves are files only; node2 was removed."""

    pids = {f"node{n}": n for n in range(1, 9)}

    def start(self, node):
        pass

    def wait_ready(self, timeout_s=0.0):
        pass

    def ended(self):
        return {"node2": 0}

    def last_words(self, node):
        return "removed"

    def running(self):
        return [node for node in self.nodes if node not in self.ended()]

    def wait_joined(self, timeout_s=0.0):
        raise UnavailableError("far enough")


def test_local_has_as_many_slaves_run_as_are_wanted(tmp_path, capsys, monkeypatch, free_port):
    monkeypatch.setattr("distrodb.local.LocalCluster", Unstarted)
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    Unstarted(3, directory=tmp_path, base_port=free_port)
    assert cli.main(["local", "--dir", str(tmp_path), "--nodes", "4"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == [f"node{n}" for n in (1, 2, 3, 2, 4, 5)]
    assert lines[3] == "slave node2 ended: removed"
    assert f"clients 127.0.0.1:{free_port + 4} " in lines[5]


def test_local_does_not_remove_slaves(tmp_path, capsys, monkeypatch, free_port):
    monkeypatch.setattr("distrodb.local.LocalCluster", Unstarted)
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    Unstarted(3, directory=tmp_path, base_port=free_port)
    assert cli.main(["local", "--dir", str(tmp_path), "--nodes", "1"]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert line.startswith(f"distrodb: {tmp_path}: holds a cluster of 2 slaves, not 1; REMOVE")


def test_a_slave_that_is_added_knows_the_others_and_has_their_options(tmp_path):
    cluster = Unstarted(2, directory=tmp_path, raft_heartbeat_ms=33, cluster_secret="s")
    assert cluster.add() == "node3"
    again = Unstarted(directory=tmp_path)
    assert again.nodes == cluster.nodes == ["node1", "node2", "node3"]
    joiner = again.configs["node3"]
    assert [str(peer) for peer in joiner.join] == [again.peer_address(n) for n in again.nodes[:2]]
    assert [row.id for row in joiner.nodes] == ["node3"]
    assert (joiner.raft, joiner.secret) == (again.configs["node1"].raft, "s")
    assert again.add() == "node4"
    assert len(set(again.addresses.values())) == 4


def test_a_slave_that_is_added_passes_over_a_port_in_use(tmp_path, free_port):
    cluster = Unstarted(2, directory=tmp_path, base_port=free_port)
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port + 2))
        node = cluster.add()
    assert int(cluster.addresses[node].split(":")[1]) > free_port + 2


def test_a_removed_slave_s_file_may_be_deleted_and_its_id_is_not_given_again(tmp_path):
    cluster = Unstarted(3, directory=tmp_path)
    (tmp_path / "conf" / "node3.toml").unlink()
    with pytest.raises(ConfigError, match="not one file for each slave"):
        Unstarted(directory=tmp_path)  # such a cluster is never born
    for node in cluster.nodes:
        (tmp_path / node / "journal").mkdir(parents=True)
    again = Unstarted(directory=tmp_path)
    assert again.nodes == ["node1", "node2"]
    assert again.add() == "node4"


def test_local_says_when_its_slaves_still_run(tmp_path, capsys, monkeypatch, free_port):
    monkeypatch.setattr(ports, "HELD_S_MAX", 0.0)
    LocalCluster(1, directory=tmp_path, base_port=free_port)
    with socket.socket() as slave:
        slave.bind(("127.0.0.1", free_port))
        slave.listen()
        assert cli.main(["local", "--dir", str(tmp_path), "--no-shell"]) == 2
    message = one_line(capsys)
    assert f"127.0.0.1:{free_port} is in use, perhaps by a slave that still runs" in message


def test_the_home_of_local(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert cli._home() == tmp_path / "distrodb" / "local"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/h")
    assert cli._home() == Path("/h/.local/share/distrodb/local")


def test_files_that_are_there_are_kept(tmp_path, free_port):
    LocalCluster(1, directory=tmp_path, base_port=free_port)
    file = tmp_path / "conf" / "node1.toml"
    file.write_text(file.read_text().replace('level = "info"', 'level = "debug"'))
    again = LocalCluster(5, directory=tmp_path)
    assert again.nodes == ["node1"]
    assert again.configs["node1"].log_level == "debug"


def test_ports_that_are_chosen_do_not_collide():
    cluster = LocalCluster(7)
    addresses = [*cluster.addresses.values(), *map(cluster.peer_address, cluster.nodes)]
    assert len(set(addresses)) == 14
    cluster.close()
    assert not cluster.directory.exists()


def test_a_cluster_of_none_and_an_unknown_option():
    with pytest.raises(DistrodbError, match="0 slaves make no cluster"):
        LocalCluster(0)
    with pytest.raises(TypeError, match="raft_timeout"):
        LocalCluster(1, raft_timeout=5)


@pytest.mark.parametrize(
    "arguments", [[], ["bogus"], ["slave"], ["local", "--nodes", "x"], ["status", "x"]]
)
def test_wrong_arguments_are_status_2(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: distrodb" in capsys.readouterr().err


def test_the_package_can_be_run():
    result = python("-m", "distrodb", "--version")
    version = f"distrodb {distrodb.__version__} ({BUILD})\n"
    assert (result.returncode, result.stdout) == (0, version)
    assert python("-m", "distrodb", "slave", "absent").returncode == 2


def loaded_by(*modules: str) -> set[str]:
    done = python("-c", f"import sys, {', '.join(modules)}; print(*sys.modules)")
    loaded = set(done.stdout.split())
    assert set(modules) <= loaded, done.stderr
    return loaded


SERVING = {"uvloop", "pysyncobj", "lmdb", "msgpack", "sortedcontainers", "anycrc"}
SERVING |= {f"distrodb.{name}" for name in ("slave", "raft", "storage", "commands", "keyspace")}
ASKING = {"redis", "cmd2", "prompt_toolkit", "rich", "distrodb.master", "distrodb.local"}


@pytest.mark.parametrize(
    "modules, unneeded",
    [
        (["distrodb", "distrodb.cli"], SERVING | ASKING | {"distrodb.config", "asyncio"}),
        (["distrodb.master.shell"], SERVING | {"distrodb.local", "rich.progress"}),
        (["distrodb.master.client"], SERVING | {"cmd2", "prompt_toolkit", "rich"}),
        (["distrodb.local"], SERVING | {"cmd2", "prompt_toolkit", "rich", "distrodb.master"}),
        (["distrodb.slave.process"], ASKING | {"matplotlib", "distrodb.bench"}),
    ],
    ids=lambda names: names[-1] if isinstance(names, list) else "",
)
def test_nothing_is_loaded_that_is_not_needed(modules, unneeded):
    """What a person waits for at a start is mostly imports."""
    assert sorted(unneeded & loaded_by(*modules)) == []


def test_what_was_imported_is_no_garbage_to_look_for():
    """Looking through it again and again takes a tenth of a start."""
    script = (
        "import gc, sys; from distrodb import cli\n"
        "counts = []\n"
        "gc.callbacks.append(lambda phase, info: counts.append(phase))\n"
        "with cli._importing(): import distrodb.master.shell\n"
        "print(len(counts), gc.isenabled(), gc.get_freeze_count() > 10_000)"
    )
    assert python("-c", script).stdout.split() == ["0", "True", "True"]


def test_what_is_public_is_there():
    assert distrodb.LocalCluster is LocalCluster
    assert {"LocalCluster", "__version__"} <= set(distrodb.__all__)
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = distrodb.absent


def test_a_start_that_takes_its_time_says_what_it_waits_for(monkeypatch, capsys):
    monkeypatch.setattr(patience, "SILENCE_S_MAX", 0.01)
    for is_terminal in (True, False):
        monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal, raising=False)  # noqa: B023
        with patience.patience(lambda: "every partition to have a leader"):
            sleep(0.3)
        told = "waiting for every partition to have a leader …\n" if is_terminal else ""
        assert capsys.readouterr().err == told


@pytest.fixture
def interrupts():
    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    yield cli._Interrupts()
    for name, handler in before.items():
        signal.signal(name, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_falls_into_a_destructor_is_not_lost(interrupts, number):
    class Dying:
        def __del__(self) -> None:
            signal.raise_signal(number)

    interrupts.pause(0.0)
    Dying()
    with pytest.raises(KeyboardInterrupt):
        interrupts.pause(0.0)


def test_a_signal_is_raised_where_it_falls_while_people_wait(interrupts):
    with pytest.raises(KeyboardInterrupt), interrupts.raised():
        signal.raise_signal(signal.SIGINT)
    interrupts.pause(0.0)


def test_a_directory_that_is_named_twice_is_not_said_to_be_used(tmp_path, capsys):
    (tmp_path / "node1").mkdir()
    names = [str(tmp_path / "node1"), f"{tmp_path}/./node1"]
    assert cli.main(["recover", str(tmp_path / "b"), *names, "--yes"]) == 2
    assert "node1: is named twice; name each directory once" in one_line(capsys)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["doctor", "--conect", "x"], "--conect x (did you mean --connect?)"),
        (["backup", "file", "--paswordfile=x"], "(did you mean --password-file?)"),
        (["status", "x", "y"], "unrecognized arguments: x y\n"),
    ],
)
def test_a_mistyped_option_is_told_with_its_own_command_s_usage(words, said, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    told = capsys.readouterr().err
    assert (
        ended.value.code == 2 and told.startswith(f"usage: distrodb {words[0]} ") and said in told
    )
