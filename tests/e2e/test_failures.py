"""What a user sees while slaves are gone: in the shell, in redis-cli, at the command line."""

import os
import signal
import subprocess

import pytest

from distrodb import LocalCluster
from distrodb.ring.slots import slot_of
from tests.e2e.test_commands import (
    DISTRODB,
    distrodb,
    free_base_port,
    home,
    local,
    slaves_of,
    wait_until_gone,
)

__all__ = ["home"]


def answers(done: subprocess.CompletedProcess) -> list[str]:
    """What the shell said after its greeting."""
    lines = done.stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("ready"))
    return lines[start + 1 :]


def test_the_scenario_of_the_issue_from_a_pipe(home, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("the quick brown fox\njumps over the lazy dog\n")
    shell = f"""\
populate {words}
GET quick
GET absent
SET new 1
SET quick "very slow"
KILL node3
GET new
GET quick
GET fox
set new 2
GET new
GET dog
QUIT
"""
    done = local(home, lines=shell)
    assert done.returncode == 0 and done.stderr == ""
    assert answers(done) == [
        "Populating Worker Processes...",
        "8 keys",
        'Just "brown"',
        "Nothing",
        "OK",
        "OK",
        "Killed node3",
        'Just "1"',
        'Just "very slow"',
        'Just "jumps"',
        "OK",
        'Just "2"',
        'Just ""',
        "Ended node1 node2 node4 node5",
    ]
    wait_until_gone(home)


@pytest.mark.parametrize("killed", ["node1", "node4"])
def test_every_word_is_there_right_after_a_kill(home, tmp_path, killed):
    """No pause between the kill and the reads, so that elections are still under way."""
    words = [f"word{number}" for number in range(60)]
    file = tmp_path / "words.txt"
    file.write_text(" ".join(words))
    shell = [f"KILL {killed}"]
    shell += [line for word in words for line in (f"GET {word}", f"SET {word} again")]
    done = local(home, "--populate", str(file), lines="\n".join([*shell, "QUIT"]) + "\n")
    assert done.returncode == 0 and done.stderr == ""
    said = answers(done)[2:-1]
    follow = [*words[1:], ""]
    assert said == [line for word in follow for line in (f'Just "{word}"', "OK")]
    wait_until_gone(home)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_all_is_ready_leaves_nothing(home, number):
    arguments = ["local", "--no-shell", "--dir", str(home), "--base-port", str(free_base_port())]
    process = subprocess.Popen(
        [*DISTRODB, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().startswith("slave node1")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130) and err == "", (process.returncode, err)
    assert "Traceback" not in out
    wait_until_gone(home)


def test_no_shell_killed_takes_its_slaves_along(home):
    arguments = ["local", "--no-shell", "--nodes", "3", "--dir", str(home)]
    arguments += ["--base-port", str(free_base_port())]
    with subprocess.Popen([*DISTRODB, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert any(line.startswith("ready") for line in process.stdout)
        process.kill()
    wait_until_gone(home)


def test_no_shell_ends_when_all_its_slaves_have(home):
    arguments = ["local", "--no-shell", "--nodes", "2", "--dir", str(home)]
    arguments += ["--base-port", str(free_base_port())]
    with subprocess.Popen([*DISTRODB, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert any(line.startswith("ready") for line in process.stdout)
        for pid in slaves_of(home):
            os.kill(pid, signal.SIGKILL)
        rest = process.stdout.read().splitlines()
        assert sorted(rest) == [f"slave node{n} ended by signal 9" for n in (1, 2)]
        assert process.wait(30) == 1


@pytest.fixture(scope="module")
def shared():
    with LocalCluster(nodes=3, raft_dead_after_s=0.5) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared):
    yield shared
    for node in shared.nodes:  # a test that failed may have left it down
        if shared.status(node) is None:
            shared.kill(node)
            shared.start(node)
    shared.wait_ready()
    # A slave that was down before may be listed so for a moment more.
    shared.wait_until(lambda: all_up(shared), "every slave is up again for every other")


def all_up(cluster: LocalCluster) -> bool:
    statuses = [cluster.status(node) or {"nodes": {"?": {"status": "?"}}} for node in cluster.nodes]
    return all(row["status"] == "up" for each in statuses for row in each["nodes"].values())


def redis_cli(cluster: LocalCluster, node: str, *arguments: str) -> str:
    port = cluster.addresses[node].rpartition(":")[2]
    done = subprocess.run(
        ["redis-cli", "-c", "-p", port, *arguments], capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


def test_redis_cli_goes_on_in_the_middle_of_an_election(cluster):
    def leader() -> str | None:
        slot = slot_of(b"key")
        rows = cluster.status()["partitions"]
        return next(p["leader"] for p in rows if p["slots"][0] <= slot <= p["slots"][1])

    for value in ("1", "2", "3"):
        assert redis_cli(cluster, "node1", "set", "key", value) == "OK"
        killed = leader()
        other = next(node for node in cluster.nodes if node != killed)
        cluster.kill(killed)
        seen = []

        def answered(seen=seen, other=other) -> bool:
            seen.append(redis_cli(cluster, other, "get", "key"))
            return not seen[-1].startswith("CLUSTERDOWN")

        cluster.wait_until(answered, "redis-cli has an answer")
        assert seen[-1] == value, seen
        assert redis_cli(cluster, other, "set", "key", value + "again") == "OK"
        assert redis_cli(cluster, other, "get", "key") == value + "again"
        cluster.start(killed)
        cluster.wait_ready()


def test_status_names_a_slave_that_is_gone(cluster):
    cluster.kill("node3")
    cluster.wait_until(
        lambda: cluster.status()["nodes"]["node3"]["status"] == "down", "node3 is marked down"
    )
    for verb in (["status"], ["master", "-c", "NODES"]):
        done = distrodb(verb[0], "--connect", cluster.addresses["node1"], *verb[1:])
        rows = [line for line in done.stdout.splitlines() if cluster.addresses["node3"] in line]
        assert done.returncode == 0 and len(rows) == 1 and "down" in rows[0], done.stdout
    done = distrodb("master", "--connect", cluster.addresses["node1"], "-c", "KILL node3")
    assert done.returncode == 1 and "node3 is not running" in done.stderr
    cluster.start("node3")
    cluster.wait_until(
        lambda: cluster.status("node1")["nodes"]["node3"]["status"] == "up", "node3 is up again"
    )


def test_without_a_majority_the_shell_says_so(cluster):
    cluster.client().set("kept", "value")
    with cluster.connection("node3") as slave:
        slave.execute_command("READONLY")
        cluster.wait_until(lambda: slave.get("kept") == b"value", "the copy at node3 has it")
    commands = [f"-c{line}" for line in ("KILL node1", "KILL node2", "GET kept", "GET absent")]
    commands += ["-cSET kept other", "-cDEL kept"]
    done = distrodb("master", "--connect", cluster.addresses["node3"], *commands)
    assert done.returncode == 1
    said, refused = done.stdout.splitlines(), done.stderr.splitlines()
    assert said[:2] == ["Killed node1", "Killed node2"]
    assert said[2].startswith('Just "value" ') and "stale" in said[2] and "node3" in said[2]
    assert said[3].startswith("Nothing ") and "stale" in said[3] and len(said) == 4
    assert len(refused) == 2 and all("has no majority" in line for line in refused), refused
    for node in ("node1", "node2"):
        cluster.kill(node)
        cluster.start(node)
    cluster.wait_ready()
    assert cluster.client().get("kept") in (b"value", b"other", None)


def test_the_shell_finds_its_way_when_it_is_told_of_a_dead_slave_only(cluster):
    cluster.kill("node2")
    done = distrodb("master", "--connect", cluster.addresses["node2"], "-c", "GET a")
    assert done.returncode == 1 and "no slave is reachable" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    cluster.start("node2")
    cluster.wait_ready()


def test_commands_after_one_that_failed_are_still_run(cluster):
    connect = ["--connect", cluster.addresses["node1"]]
    done = distrodb("master", *connect, lines="SET x 1\nBREW\nGET x\n")
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["OK", 'Just "1"']
    assert len(done.stderr.splitlines()) == 1 and "unknown command BREW" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["local", "--nodes", "0"],
        ["local", "--partitions", "16385"],
        ["local", "--base-port", "65535"],
        ["local", "--populate", "/no/such/file"],
        ["local", "--dir", "/proc/no/such"],
        ["slave", "/no/such/file"],
        ["slave", "/proc/self/mem"],
        ["master", "--connect", "nonsense"],
        ["status", "--connect", "127.0.0.1:99999"],
    ],
)
def test_wrong_arguments_are_one_line(arguments):
    done = distrodb(*arguments)
    assert done.returncode in (1, 2) and done.returncode == (2 if arguments[0] != "status" else 1)
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and "Traceback" not in lines[0], lines
    assert done.stdout == ""
