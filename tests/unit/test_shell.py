import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from distrodb.errors import DistrodbError, UnavailableError
from distrodb.master import app
from distrodb.master.client import Read

STATUS: dict[str, Any] = {
    "epoch": 1,
    "ring": ["node1", "node2", "node3"],
    "nodes": {
        f"node{n}": {"status": "up", "client": f"127.0.0.1:5555{n}", "peer": f"127.0.0.1:5655{n}"}
        for n in (1, 2, 3)
    },
    "partitions": [
        {
            "id": 0,
            "slots": [0, 16383],
            "owner": "node1",
            "group": ["node3", "node1", "node2"],
            "leader": "node1",
            "term": 2,
        }
    ],
}


class FakeCluster:
    def __init__(self) -> None:
        self.data: dict[bytes, bytes] = {}
        self.killed: list[str] = []
        self.ended = False
        self.failure: Exception | None = None
        self.stale: str | None = None
        # What the ring looks like from one look to the next; the last one stays. An exception is
        # raised once.
        self.statuses: list[dict[str, Any] | Exception] = [STATUS]
        self.asked: list[str] = []
        self.changes = True

    def _maybe_fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    def status(self) -> dict[str, Any]:
        self._maybe_fail()
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if isinstance(status, BaseException):
            raise status
        return status

    def answering(self, status: dict[str, Any]) -> set[str]:
        return {"node1"}

    def node_ids(self) -> list[str]:
        return sorted(self.status()["nodes"])

    def where(self, key: bytes) -> tuple[int, dict[str, Any]]:
        return 42, self.status()["partitions"][0]

    def get(self, key: bytes) -> Read:
        self._maybe_fail()
        return Read(self.data.get(key), self.stale)

    def set(self, key: bytes, value: bytes) -> None:
        self._maybe_fail()
        self.data[key] = value

    def set_many(self, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        self.data.update(pairs)

    def delete(self, key: bytes) -> bool:
        return self.data.pop(key, None) is not None

    def keys(self, prefix: bytes, limit: int) -> list[bytes]:
        self._maybe_fail()
        return [key for key in sorted(self.data) if key.startswith(prefix)][:limit]

    def kill(self, node_id: str) -> None:
        if node_id not in STATUS["nodes"]:
            raise DistrodbError(f"unknown node {node_id}; the nodes are node1")
        self.killed.append(node_id)

    def quit(self) -> list[str]:
        self._maybe_fail()
        self.ended = True
        return ["node1", "node2"]

    def _ask(self, *words: str) -> bool:
        self._maybe_fail()
        self.asked.append(" ".join(words))
        return self.changes

    def remove(self, node_id: str) -> None:
        self._ask("REMOVE", node_id)

    def keep(self, node_id: str) -> None:
        self._ask("KEEP", node_id)

    def move(self, partition: str, node_id: str) -> bool:
        return self._ask("MOVE", partition, node_id)

    def balance(self) -> bool:
        return self._ask("BALANCE")


class Session:
    """A shell that is spoken to line by line."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.cluster = FakeCluster()
        self.out = io.StringIO()
        self.shell = app.Shell(self.cluster, stdout=self.out)
        self.capsys = capsys
        self.errors = ""

    def run(self, *lines: str) -> str:
        self.out.seek(0)
        self.out.truncate()
        self.capsys.readouterr()
        self.shell.failed = False
        self.exit_status = app.run_lines(self.shell, lines)
        self.errors = self.capsys.readouterr().err
        assert "Traceback" not in self.errors
        return self.out.getvalue()

    def complete(self, line: str) -> list[str]:
        """The lines that Tab at the end of this one leads to; word breaks as cmd2 finds them."""
        begin = max((line.rfind(mark) for mark in " \t\n\"'|<>"), default=-1) + 1
        found = self.shell.complete(line[begin:], line, begin, len(line))
        assert not found.error
        return [line[:begin] + text for text in found.to_strings()]


@pytest.fixture
def session(capsys: pytest.CaptureFixture[str]) -> Session:
    return Session(capsys)


def test_get_set_del(session: Session) -> None:
    out = session.run("GET k", "SET k v", "GET k", "DEL k", "DEL k", 'SET k ""', "GET k")
    assert out.splitlines() == ["Nothing", "OK", 'Just "v"', "OK", "Nothing", "OK", 'Just ""']
    assert session.exit_status == 0
    assert session.errors == ""


def test_verbs_in_any_case(session: Session) -> None:
    assert session.run("set k v", "gEt k").splitlines() == ["OK", 'Just "v"']


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ('SET "a key" "b  c"', b"a key", b"b  c"),
        ("SET k a|b", b"k", b"a|b"),
        ("SET k |", b"k", b"|"),
        ("SET > >>", b">", b">>"),
        ("SET k ;", b"k", b";"),
        ("SET k v;", b"k", b"v;"),
        ("SET # #x", b"#", b"#x"),
        ("SET ! @", b"!", b"@"),
        ('SET k "a | b > c ; # d"', b"k", b"a | b > c ; # d"),
        ("SET k [red]:smile:", b"k", b"[red]:smile:"),
        ("SET -h --help", b"-h", b"--help"),
        ("SET k \udcff", b"k", b"\xff"),
        ("  SET\tk   v  ", b"k", b"v"),
        ("SET k ~", b"k", b"~"),
    ],
)
def test_values_are_taken_literally(session: Session, line: str, key: bytes, value: bytes) -> None:
    assert session.run(line) == "OK\n"
    assert session.cluster.data == {key: value}


def test_values_are_printed_literally_and_on_one_line(session: Session) -> None:
    session.cluster.data[b"k"] = b"[red]x[/red] :smile: \x1b[31m " + b"y" * 500
    assert session.run("GET k") == f'Just "[red]x[/red] :smile: \\x1b[31m {"y" * 500}"\n'


def test_a_stale_answer_is_marked(session: Session) -> None:
    session.cluster.data[b"k"] = b"v"
    session.cluster.stale = "partition 3 has no majority, answered by node2"
    expected = 'Just "v"  (stale: partition 3 has no majority, answered by node2)\n'
    assert session.run("GET k") == expected


@pytest.mark.parametrize(
    "line",
    ["FOO", "GET", "GET a b", "SET k", "SET a b c", "KILL", "KILL node9", "QUIT now", 'GET "a',
     "HELP FOO", "REMOVE", "MOVE 0", "BALANCE now", "RING node1", "RING --x", "WATCH-RING x",
     "POPULATE /no/such/file", "# comment", "|", "!ls", "?", "@f", "[red]", "NODES x"],
)  # fmt: skip
def test_a_mistake_is_one_line_and_the_rest_is_run(session: Session, line: str) -> None:
    assert session.run(line, "SET k v") == "OK\n"
    assert len(session.errors.splitlines()) == 1
    assert session.exit_status == 1


@pytest.mark.parametrize(
    "verb",
    ["alias", "macro", "shell", "run_pyscript", "run_script", "edit", "py", "ipy", "shortcuts",
     "history", "_eof", "_relative_run_script", "__class__"],
)  # fmt: skip
def test_the_built_in_verbs_of_cmd2_are_gone(session: Session, verb: str) -> None:
    session.run(f"{verb} ls")
    assert "unknown verb" in session.errors


def test_an_unavailable_cluster_is_one_line(session: Session) -> None:
    session.cluster.failure = UnavailableError("no slave is reachable")
    session.run("GET k", "SET k v", "NODES", "WHERE k")
    assert session.errors == "no slave is reachable\n" * 4
    assert session.exit_status == 1


def test_a_bug_is_one_line(session: Session) -> None:
    session.cluster.failure = ZeroDivisionError("two\nlines")
    session.run("GET k")
    assert session.errors == "internal error: ZeroDivisionError: two lines; please report it\n"
    assert session.exit_status == 1


def test_quit_ends_the_slaves_and_leaves(session: Session) -> None:
    assert session.run("quit", "SET k v") == "Ended node1 node2\n"
    assert session.cluster.ended
    assert session.cluster.data == {}


def test_quit_leaves_even_if_it_fails(session: Session) -> None:
    session.cluster.failure = UnavailableError("no slave is reachable")
    session.run("QUIT", "SET k v")
    assert session.errors == "no slave is reachable\n"
    assert session.exit_status == 1


@pytest.mark.parametrize("line", ["EXIT", "exit", app.END_OF_INPUT])
def test_exit_and_ctrl_d_leave_the_slaves_alone(session: Session, line: str) -> None:
    assert session.run(line, "SET k v") == ""
    assert not session.cluster.ended
    assert session.cluster.data == {}
    assert session.exit_status == 0


def test_kill(session: Session) -> None:
    assert session.run("KILL node2") == "Killed node2\n"
    assert session.cluster.killed == ["node2"]


def test_populate(session: Session, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("to be or not to be")
    out = session.run(f'POPULATE "{tmp_path}/a file"')
    assert out.splitlines() == ["Populating Worker Processes...", "4 keys"]
    assert session.cluster.data[b"or"] == b"not"


@pytest.mark.parametrize("line", ["NODES", "RING", "PARTITIONS", "WHERE k"])
def test_tables_without_colour_when_not_on_a_terminal(session: Session, line: str) -> None:
    out = session.run(line)
    assert "node1" in out
    assert "\x1b" not in out


def test_help(session: Session) -> None:
    listing = session.run("HELP")
    for verb in app.VERBS.values():
        assert verb.usage in listing
        assert session.run(f"help {verb.name.lower()}").startswith(f"{verb.usage}\n{verb.summary}")


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("", list(app.VERBS)),
        ("P", ["PARTITIONS", "POPULATE"]),
        ("p", ["partitions", "populate"]),
        ("REMOVE ", ["REMOVE node1", "REMOVE node2", "REMOVE node3"]),
        ("MOVE ", ["MOVE 0"]),
        ("MOVE 0 node2", ["MOVE 0 node2"]),
        ("MOVE 0 ", ["MOVE 0 node1", "MOVE 0 node2", "MOVE 0 node3"]),
        ("RING ", ["RING --follow"]),
        ("w", ["watch-ring", "where"]),
        ("KILL ", ["KILL node1", "KILL node2", "KILL node3"]),
        ("kill node2", ["kill node2"]),
        ("GET ap", ["GET apple", "GET apricot"]),
        ("GET b", ['GET "b c"']),
        ('GET "b ', ['GET "b c"']),
        ("GET 'b ", ["GET 'b c'"]),
        ("GET x|", ["GET x|y"]),
        ("GET apple ", []),
        ("SET apple ", []),
        ("FOO ", []),
        ("HELP ge", ["HELP GET"]),
        ("QUIT ", []),
    ],
)
def test_completion(session: Session, line: str, completed: list[str]) -> None:
    session.cluster.data = dict.fromkeys([b"apple", b"apricot", b"b c", b"x|y"], b"")
    assert sorted(session.complete(line)) == sorted(completed)


def test_completion_is_silent_without_a_cluster(session: Session) -> None:
    session.cluster.failure = UnavailableError("no slave is reachable")
    assert session.complete("KILL ") == []
    assert session.complete("GET ") == []


def test_history_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    file = Path(app.history_path())
    assert file == tmp_path / "distrodb" / "history"
    assert file.stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("XDG_STATE_HOME", str(file / "below-a-file"))
    assert app.history_path() == ""


def test_run_with_nothing_to_reach(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run("127.0.0.1:1", ["GET k", "NODES"]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert all("no slave is reachable at 127.0.0.1:1;" in line for line in errors)
    assert app.run("nonsense", ["GET k"]) == 2
