"""The command line and the shell, as a user runs them."""

import json
import os
import signal
import subprocess
import sys

import pytest

from distrodb import LocalCluster
from distrodb.clock import monotonic, sleep
from distrodb.config import Address
from distrodb.ports import is_free

DISTRODB = [sys.executable, "-m", "distrodb"]


def free_base_port() -> int:
    """A port with room above it, for clients and, each 1000 higher, peers, gateways and HTTP; each
    worker looks in a range of its own, since what is free now is not taken yet; each run begins
    somewhere else in it."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 20000 + worker % 3 * 4000
    bases = range(first, first + 1000, 20)
    begin = os.getpid() % len(bases)
    for base in [*bases[begin:], *bases[:begin]]:
        ports = [port + by for by in range(10) for port in range(base, base + 3001, 1000)]
        if all(is_free(Address("127.0.0.1", port)) for port in ports):
            return base
    raise AssertionError("no free port")


def distrodb(*arguments: str, lines: str = "") -> subprocess.CompletedProcess:
    return subprocess.run(
        [*DISTRODB, *arguments], input=lines, capture_output=True, text=True, timeout=120
    )


def slaves_of(directory) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline") as file:
                    if f"{directory}/conf/" in file.read():
                        found.append(int(entry))
            except OSError:
                continue
    return found


def wait_until_gone(directory) -> None:
    until = monotonic() + 30
    while slaves_of(directory):
        assert monotonic() < until, "slaves are still there"
        sleep(0.05)


@pytest.fixture
def home(tmp_path):
    yield tmp_path / "cluster"
    for pid in slaves_of(tmp_path / "cluster"):
        os.kill(pid, signal.SIGKILL)


def local(home, *arguments: str, lines: str = ""):
    base = ["local", "--dir", str(home), "--base-port", str(free_base_port())]
    return distrodb(*base, *arguments, lines=lines)


def test_the_first_session(home, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("the quick brown fox\njumps over the lazy dog\n")
    lines = [
        "GET quick",
        "GET absent",
        "SET new 1",
        "SET quick slow",
        "KILL node2",
        "GET new",
        "GET quick",
        "SET new 2",
        "GET new",
        "QUIT",
    ]
    done = local(home, "--populate", str(words), lines="\n".join(lines) + "\n")
    output = [line.strip() for line in done.stdout.splitlines()]
    assert output[0].startswith("slave node1 pid ")
    assert output[5].startswith("ready")
    answers = output[output.index('Just "brown"') :]
    assert answers[:9] == [
        'Just "brown"',
        "Nothing",
        "OK",
        "OK",
        "Killed node2",
        'Just "1"',
        'Just "slow"',
        "OK",
        'Just "2"',
    ]
    assert done.returncode == 0 and done.stderr == ""
    wait_until_gone(home)


def test_exit_leaves_the_slaves_and_their_data(home):
    done = local(home, "--nodes", "3", lines="SET kept yes\nEXIT\n")
    assert done.returncode == 0 and len(slaves_of(home)) == 3
    connect = done.stdout.splitlines()[-1].split()[-1]
    assert f"{sys.executable} -m distrodb master --connect {connect}" in done.stdout
    assert 'Just "yes"' in distrodb("master", "--connect", connect, "-c", "GET kept").stdout
    assert distrodb("master", "--connect", connect, "-c", "QUIT").returncode == 0
    wait_until_gone(home)
    again = distrodb("local", "--dir", str(home), lines="GET kept\nQUIT\n")
    assert 'Just "yes"' in again.stdout
    wait_until_gone(home)


def test_local_takes_up_what_runs_and_starts_what_is_missing(home):
    first = local(home, "--nodes", "3", lines="SET kept yes\nKILL node2\nEXIT\n")
    assert first.returncode == 0, first.stderr
    before = set(slaves_of(home))
    assert len(before) == 2
    again = distrodb("local", "--dir", str(home), "--nodes", "4", lines="GET kept\nNODES\n")
    assert again.returncode == 0 and again.stderr == ""
    said = again.stdout.splitlines()
    assert [line.endswith(" (runs)") for line in said[:3]] == [True, False, True]
    assert said[3].startswith("slave node4 pid ")  # it joins
    assert said[4].startswith("ready: 4 slaves")
    assert 'Just "yes"' in said
    assert before < set(slaves_of(home)) and len(slaves_of(home)) == 4
    assert distrodb("local", "--dir", str(home), lines="QUIT\n").returncode == 0
    wait_until_gone(home)


def test_local_that_fails_leaves_what_it_took_up(home):
    local(home, "--nodes", "3", lines="EXIT\n")
    before = slaves_of(home)
    failed = distrodb("local", "--dir", str(home), "--nodes", "2", lines="GET kept\n")
    assert failed.returncode == 2 and "not 2; REMOVE some" in failed.stderr
    assert slaves_of(home) == before


def test_a_killed_slave_is_started_again_in_the_shell_of_local(home):
    shell = (
        "KILL node2\nSTART node2\nSTART node2\nSTART node9\nKILL node1 node2\nSTART node1 node2\n"
    )
    done = local(home, "--nodes", "3", lines=f"SET a 1\n{shell}GET a\nQUIT\n")
    said = done.stdout.splitlines()
    start = said.index("Killed node2")
    assert said[start : start + 7] == [
        "Killed node2",
        "Started node2",
        "Killed node1",
        "Killed node2",
        "Started node1",
        "Started node2",
        'Just "1"',
    ]
    refused = done.stderr.splitlines()
    assert len(refused) == 2 and refused[0].startswith("node2 runs already, its pid is ")
    assert refused[1] == "unknown node node9; the nodes are node1, node2, node3"
    wait_until_gone(home)


def test_nothing_of_a_slave_is_tied_to_the_terminal(home):
    local(home, "--nodes", "1", lines="EXIT\n")
    (pid,) = slaves_of(home)
    log = str(home / "node1" / "slave.log")
    assert [os.readlink(f"/proc/{pid}/fd/{n}") for n in (0, 1, 2)] == ["/dev/null", log, log]
    assert os.getsid(pid) == pid


def test_no_shell_takes_its_slaves_along(home):
    arguments = ["local", "--no-shell", "--nodes", "3", "--dir", str(home)]
    arguments += ["--base-port", str(free_base_port())]
    with subprocess.Popen([*DISTRODB, *arguments], stdout=subprocess.PIPE, text=True) as process:
        lines = iter(process.stdout.readline, "")
        assert any(line.startswith("ready") for line in lines)
        os.kill(slaves_of(home)[0], signal.SIGKILL)
        assert "ended by signal 9" in next(lines)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    wait_until_gone(home)


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(nodes=3) as cluster:
        yield cluster


def test_status_for_programs(cluster):
    address = cluster.addresses["node2"]
    done = distrodb("status", "--json", "--connect", address)
    status = json.loads(done.stdout)
    assert {"asked", "epoch", "ring", "nodes", "partitions", "replicas"} < set(status)
    assert status["controller"] in status["map_group"] and status["moves"] == []
    assert status["healing"]["is_done"]
    assert status["ring"] == ["node1", "node2", "node3"]
    assert set(status["nodes"]["node1"]) == {
        "status", "client", "gateway", "http", "peer", "incarnation", "slow_disk", "sync_ms",
        "commands_per_s", "write_us", "read_us", "level",
    }  # fmt: skip
    assert status["asked"]["node"] == "node2" and status["asked"]["not_yet_in"] == []
    assert len(status["partitions"]) == 6
    assert set(status["partitions"][0]) == {
        "id", "slots", "owner", "group", "leader", "term", "members"
    }  # fmt: skip
    people = distrodb("status", "--connect", address)
    assert people.returncode == 0 and "node3" in people.stdout


@pytest.mark.parametrize("line", ["BREW tea", "GET", "SET a", "KILL node9", "POPULATE /no/such"])
def test_a_wrong_line_is_one_line_and_fails(cluster, line):
    done = distrodb("master", "--connect", cluster.addresses["node1"], "-c", line)
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr


def test_no_slave_reachable_is_one_line(cluster):
    for verb in (["master", "-c", "GET a"], ["status"]):
        done = distrodb(verb[0], "--connect", "127.0.0.1:1", *verb[1:])
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1 and "no slave is reachable" in done.stderr


def test_quoted_values_come_back_as_they_were(cluster):
    commands = ["-c", 'SET "a key" "b  | c > d # é"', "-c", 'GET "a key"', "-c", 'SET empty ""']
    done = distrodb("master", "--connect", cluster.addresses["node1"], *commands, "-c", "get empty")
    assert done.stdout.splitlines() == ["OK", 'Just "b  | c > d # é"', "OK", 'Just ""']


def test_values_as_large_as_they_may_be_and_larger(cluster):
    """What fits comes back whole; what does not is refused by the name of the limit."""
    limit = cluster.configs["node1"].limits.value_bytes_max
    lines = [
        f"SET big {'x' * limit}",
        "GET big",
        f"SET larger {'y' * (limit + 4_000_000)}",
        "GET b",
    ]
    done = distrodb(
        "master", "--connect", cluster.addresses["node1"], lines="\n".join([*lines, ""])
    )
    assert done.stdout == f'OK\nJust "{"x" * limit}"\nNothing\n'
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert f"exceed value_bytes_max ({limit})" in done.stderr


def test_a_wrong_file_is_one_line_with_status_2(cluster, tmp_path):
    text = cluster.configs["node1"].file.read_text()
    for wrong, key in (
        (text.replace("replicas = 3", "replicas = 4"), "cluster.replicas"),
        (text.replace("heartbeat_ms", "hartbeat_ms"), "raft.hartbeat_ms"),
        (text.replace('id = "node2"', 'id = "node1"'), "cluster.nodes[1].id"),
        (text.replace('client = "127.0.0.1:', 'client = "127.0.0.1'), "cluster.nodes[0].client"),
        (text.replace('"../node1"', '"/proc/nowhere"'), "node.directory"),
    ):
        file = tmp_path / "wrong.toml"
        file.write_text(wrong)
        done = distrodb("slave", str(file))
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1 and str(file) in done.stderr
        assert key in done.stderr
