import io
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cmd2
import pytest
from cmd2.pt_utils import Cmd2Completer
from prompt_toolkit.document import Document

from distrodb import patience
from distrodb.errors import DistrodbError, UnavailableError
from distrodb.master import populate, shell

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


COMMANDS = [
    "BALANCE",
    "DEL",
    "DOCTOR",
    "EXIT",
    "GET",
    "HELP",
    "HISTORY",
    "KEEP",
    "KILL",
    "MOVE",
    "NODES",
    "OPTION",
    "PARTITIONS",
    "POPULATE",
    "QUIT",
    "REMOVE",
    "REPLICAS",
    "RING",
    "SET",
    "WATCH-RING",
    "WHERE",
]


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
        self.awaited = ""
        self.connected: str | None = "h:1"

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

    def running(self) -> dict[str, Any]:
        self._maybe_fail()
        return {"node1": None, "node2": None}

    def where(self, key: bytes) -> tuple[int, dict[str, Any]]:
        return 42, self.status()["partitions"][0]

    def get(self, key: bytes) -> tuple[bytes | None, str | None]:
        self._maybe_fail()
        return self.data.get(key), self.stale

    def set(self, key: bytes, value: bytes) -> None:
        self._maybe_fail()
        self.data[key] = value

    def set_many(self, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        self.data.update(pairs)

    def delete(self, key: bytes) -> bool:
        return self.data.pop(key, None) is not None

    def keys(self, prefix: bytes, limit: int) -> list[bytes]:
        return [key for key in sorted(self.data) if key.startswith(prefix)][:limit]

    def kill(self, node_id: str) -> None:
        if node_id not in STATUS["nodes"]:
            raise DistrodbError(f"unknown node {node_id}; the nodes are node1")
        self.killed.append(node_id)

    def quit(self) -> list[str]:
        self._maybe_fail()
        self.ended = True
        return ["node1", "node2"]

    def ask(self, *words: str) -> bool:
        self._maybe_fail()
        self.asked.append(" ".join(words))
        return self.changes


class FakeLocal:
    """`distrodb local`'s cluster, which has started node1 only."""

    nodes = ("node1", "node2")

    def __init__(self) -> None:
        self.revived: list[str] = []

    def is_own(self, node: str) -> bool:
        return node == "node1"

    def revive(self, node: str) -> None:
        if node not in self.nodes:
            raise DistrodbError(f"unknown node {node}; the nodes are node1, node2")
        self.revived.append(node)


class Session:
    """A shell that is spoken to line by line."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.cluster = FakeCluster()
        self.out = io.StringIO()
        self.shell = shell.Shell(self.cluster, stdout=self.out)
        self.capsys = capsys
        self.errors = ""

    def run(self, *lines: str) -> str:
        self.out.seek(0)
        self.out.truncate()
        self.capsys.readouterr()
        self.shell.failed = False
        self.exit_status = shell.run_lines(self.shell, lines)
        self.errors = self.capsys.readouterr().err
        assert "Traceback" not in self.errors
        return self.out.getvalue()

    def complete(self, line: str) -> list[str]:
        """The lines that Tab at the end of this one leads to, by cmd2's completer."""
        found = Cmd2Completer(self.shell).get_completions(Document(line), None)
        return [line[: len(line) + each.start_position] + each.text for each in found]


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
        ("SET k \u00a0\u2003", b"k", "\u00a0\u2003".encode()),
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
    ["GET\u00a0k", 'REMOVE "\\xff', "MOVE \udcff", "POPULATE \udcff",
     "FOO", "GET", "GET a b", "SET k", "SET a b c", "KILL", "KILL node9", "QUIT now", 'GET "a',
     "HELP FOO", "REMOVE", "MOVE 0", "BALANCE now", "RING node1", "RING --x", "WATCH-RING x",
     "POPULATE /no/such/file", "|", "!ls", "?", "@f", "[red]", "NODES x", "START", "OPTION x",
     "MOVE 0 x y", "SET k 'a", "QUIT " + 1000 * "x", 'GET a "b\x1b[31m"', "REPLICAS",
     "REPLICAS 3 5"],
)  # fmt: skip
def test_a_mistake_is_one_line_and_the_rest_is_run(session: Session, line: str) -> None:
    assert session.run(line, "SET k v") == "OK\n"
    assert len(session.errors.splitlines()) == 1
    assert session.exit_status == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('SET k "abc d\\e', 'must follow it): "abc d\\e'),
        ("GET 'don\"t é", "must follow it): 'don\"t é"),
        ('GET "a"b', 'must follow it): "a"b'),
        (f"GET '{'a' * 39}b", f"must follow it): '{'a' * 39}…"),
        ('GET a "b\\t" c', 'unrecognized arguments: "b\\t" c; put'),
        ('"GET\\" k', 'unknown command "GET\\"; HELP'),
        ('KILL "a\\\\\\"b"', 'unknown node a\\"b; the nodes'),
        # What a terminal would act on is all that is escaped.
        ('GET "a\x1b[31m\u202e\udcff', 'must follow it): "a\\x1b[31m\\u202e\\xff'),
        ('START "\\x1b[2J\\n"', "unknown node \\x1b[2J\\n; the nodes"),
    ],
)
def test_a_mistake_is_shown_as_it_was_typed(session: Session, line: str, said: str) -> None:
    session.shell = shell.Shell(session.cluster, local=FakeLocal(), stdout=session.out)
    session.run(line)
    assert said in session.errors
    assert len(session.errors.splitlines()) == 1


def test_a_usage_is_said_once_in_colour_too(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cmd2.rich_utils, "ALLOW_STYLE", cmd2.rich_utils.AllowStyle.ALWAYS)
    session.run("SET a b c")
    said = cmd2.string_utils.strip_style(session.errors)
    assert said.endswith("spaces; usage: SET key value\n")


@pytest.mark.parametrize(
    "verb",
    ["alias", "macro", "shell", "run_pyscript", "run_script", "edit", "py", "ipy", "shortcuts",
     "_relative_run_script", "__class__"],
)  # fmt: skip
def test_the_built_in_verbs_of_cmd2_are_gone(session: Session, verb: str) -> None:
    session.run(f"{verb} ls")
    assert session.errors.startswith(f"unknown command {verb}")
    assert verb.upper() not in session.run("HELP").split()


@pytest.mark.parametrize(
    "line", ["HISTORY -e 1", "HISTORY -r 1", "HISTORY -o /tmp", "OPTION editor vi"]
)
def test_no_way_leads_around_them(
    session: Session, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_nothing(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr("subprocess.Popen.__init__", run_nothing)
    session.run(line)
    assert session.exit_status == 1


@pytest.mark.parametrize(
    ("typed", "meant"), [("GETT k", "GET"), ("popluate f", "POPULATE"), ("WATCHRING", "WATCH-RING")]
)
def test_a_slip_of_the_finger_has_a_suggestion(session: Session, typed: str, meant: str) -> None:
    session.run(typed)
    assert session.errors == f"unknown command {typed.split()[0]}; did you mean {meant}?\n"


def test_comments_and_empty_lines_are_passed_over(session: Session) -> None:
    assert session.run("# SET k v", "", "   ", "GET k") == "Nothing\n"
    assert (session.errors, session.exit_status) == ("", 0)


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


@pytest.mark.parametrize("line", ["EXIT", "exit", "_eof"])
def test_exit_and_ctrl_d_leave_the_slaves_alone(session: Session, line: str) -> None:
    assert session.run(line, "SET k v") == ""
    assert not session.cluster.ended
    assert session.cluster.data == {}
    assert session.exit_status == 0


def test_an_id_is_text_whatever_was_typed(session: Session) -> None:
    session.run('MOVE \udcff "\\x00\u00e9"')
    assert session.cluster.asked == ["MOVE \\xff \0\u00e9"]


def test_kill_takes_several(session: Session) -> None:
    assert (
        session.run("KILL node2", "KILL node1 node3")
        == "Killed node2\nKilled node1\nKilled node3\n"
    )
    assert session.cluster.killed == ["node2", "node1", "node3"]


def test_start_in_the_shell_of_local(session: Session) -> None:
    session.run("START node2")
    assert session.errors.startswith("START works where `distrodb local` opened the shell")
    local = FakeLocal()
    session.shell = shell.Shell(session.cluster, local=local, stdout=session.out)
    assert session.run("start node2 node1", "START node9") == "Started node2\nStarted node1\n"
    assert local.revived == ["node2", "node1"]
    assert session.errors == "unknown node node9; the nodes are node1, node2\n"
    assert session.complete("START ") == ["START node1", "START node2"]


@pytest.mark.parametrize(
    ("answer", "own", "ended"),
    [("n", False, False), ("", False, False), (EOFError, False, False), ("Yes", False, True)],
)
def test_quit_asks_before_it_ends_what_others_started(
    session: Session, monkeypatch: pytest.MonkeyPatch, answer: Any, own: bool, ended: bool
) -> None:
    asked = []

    def read_input(question: str) -> str:
        asked.append(question)
        if answer is EOFError:
            raise EOFError
        return str(answer)

    session.shell = shell.Shell(session.cluster, local=FakeLocal(), stdout=session.out)
    session.shell.is_asking = True
    monkeypatch.setattr(session.shell, "read_input", read_input)
    session.run("QUIT")
    assert asked == ["End node1 node2? This shell did not start node2. [y/N] "]
    assert session.cluster.ended == ended


def test_quit_does_not_ask_about_its_own_slaves(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.shell = shell.Shell(session.cluster, local=FakeLocal(), stdout=session.out)
    session.shell.is_asking = True
    monkeypatch.setattr(session.cluster, "running", lambda: {"node1": None})
    session.run("QUIT")
    assert session.cluster.ended


def test_the_prompt_says_where_one_is_connected(session: Session) -> None:
    session.run("GET k")
    assert session.shell.prompt == "h:1> "
    session.cluster.connected = None
    session.run("GET k")
    assert session.shell.prompt == "not connected> "


def test_a_wait_has_a_sign_of_life(
    session: Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(patience, "SILENCE_S_MAX", 0.01)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    told = threading.Event()

    def get(key: bytes) -> tuple[bytes | None, str | None]:
        session.cluster.awaited = "a leader of partition 3"
        assert told.wait(10)
        return None, None

    tell = patience._tell
    monkeypatch.setattr(patience, "_tell", lambda awaited: (tell(awaited), told.set()))
    monkeypatch.setattr(session.cluster, "get", get)
    assert session.run("GET k") == "Nothing\n"
    assert session.errors == "waiting for a leader of partition 3 …\n"
    assert session.exit_status == 0


def test_a_large_value_is_printed_at_once(session: Session) -> None:
    """No function of Python's for each character: with one 16 MB take up to a minute."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    session.cluster.data[b"k"] = b"\n\xff\x00x" * 250_000
    sys.setprofile(count)
    try:
        out = session.run("GET k")
    finally:
        sys.setprofile(None)
    assert len(out) == len('Just ""\n') + 250_000 * len("\\n\\xff\\x00x")
    assert calls < 5000


def test_populate(session: Session, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("to be or not to be")
    out = session.run(f'POPULATE "{tmp_path}/a file"')
    assert out.splitlines() == ["Populating Worker Processes...", "4 keys"]
    assert session.cluster.data[b"or"] == b"not"


def test_a_large_text_is_waited_for_aloud(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until there is a bar to draw."""
    waiting: list[tuple[str, bool]] = []

    def read(file: Path) -> dict[bytes, bytes]:
        waiting.append((session.cluster.awaited, session.shell.reminder.finished.is_set()))
        return {}

    monkeypatch.setattr(populate, "word_pairs", read)
    session.run("POPULATE words")
    assert waiting == [("the words of words", False)]


def test_populate_that_is_ended_says_what_became_of_it(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "words").write_text("to be")
    monkeypatch.setattr(session.cluster, "set_many", interrupted)
    out = session.run(f"POPULATE {tmp_path}/words")
    assert out.splitlines()[-1] == "what is written stays; POPULATE again to write the rest"
    assert session.exit_status == shell.INTERRUPTED_STATUS


@pytest.mark.parametrize("line", ["NODES", "RING", "PARTITIONS", "WHERE k"])
def test_tables_without_colour_when_not_on_a_terminal(session: Session, line: str) -> None:
    out = session.run(line)
    assert "node1" in out
    assert "\x1b" not in out


def test_help(session: Session) -> None:
    listing = session.run("HELP -v")
    assert {*session.run("HELP").split()} >= {*COMMANDS}
    assert [session.shell.statement_parser.parse(word).command for word in COMMANDS] == COMMANDS
    for command in COMMANDS:
        line = next(line for line in listing.splitlines()[3:] if line.split()[:1] == [command])
        explained = session.run(f"help {command.lower()}")
        assert line.split()[1] in explained
        if command not in ("HELP", "HISTORY", "OPTION"):  # cmd2's own
            assert explained.startswith(f"Usage: {command}")
    for category in ("Keys", "Slaves", "Ring", "Shell"):
        assert category in listing


def test_options(session: Session) -> None:
    assert "max_completion_table_items" in session.run("OPTION")
    session.run("OPTION max_completion_table_items 7")
    assert session.shell.max_completion_table_items == 7
    session.run("OPTION colour never")
    assert session.errors == "unknown option colour; OPTION lists them\n"


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("", COMMANDS),
        ("P", ["PARTITIONS", "POPULATE"]),
        ("p", ["partitions", "populate"]),
        ("get", ["get "]),
        ("  wat", ["  watch-ring "]),
        ("REMOVE ", ["REMOVE node1", "REMOVE node2", "REMOVE node3"]),
        ("MOVE ", ["MOVE 0 "]),
        ("MOVE 0 node2", ["MOVE 0 node2 "]),
        ("MOVE 0 ", ["MOVE 0 node1", "MOVE 0 node2", "MOVE 0 node3"]),
        ("RING --", ["RING --follow "]),
        ("w", ["watch-ring", "where"]),
        ("KILL ", ["KILL node1", "KILL node2", "KILL node3"]),
        ("kill node2", ["kill node2 "]),
        ("KILL node2 node3", ["KILL node2 node3 "]),
        ("GET ap", ["GET apple", "GET apricot"]),
        ('GET "b', ['GET "b c" ']),
        ('GET "b ', ['GET "b c" ']),
        ("GET 'b ", ["GET 'b c' "]),
        ("GET x", ["GET x|y "]),
        ("GET x|", []),  # cmd2 begins a word there
        ("GET q", []),  # what needs escapes is not offered
        ("GET apple ", []),
        ("SET apple ", []),
        ("FOO ", []),
        ("HELP ge", ["HELP GET "]),
        ("QUIT ", []),
    ],
)
def test_completion(session: Session, line: str, completed: list[str]) -> None:
    names = [b"apple", b"apricot", b"b c", b"x|y", b'q"', b"q\n", b"q\xff"]
    session.cluster.data = dict.fromkeys(names, b"")
    assert sorted(session.complete(line)) == sorted(completed)


def test_completion_is_silent_without_a_cluster(session: Session) -> None:
    session.cluster.failure = UnavailableError("no slave is reachable")
    assert session.complete("KILL ") == []
    assert session.complete("MOVE ") == []


def test_history_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    file = Path(shell.history_path())
    assert file == tmp_path / "distrodb" / "history"
    assert file.stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("XDG_STATE_HOME", str(file / "below-a-file"))
    assert shell.history_path() == ""


def test_what_libraries_log_stays_out_of_the_prompt() -> None:
    program = (
        "import logging, distrodb.master.shell as shell\n"
        "shell.run('nobody.invalid:1', ['HELP'])\n"
        "logging.getLogger('redis').error('spilt')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr.startswith("no slave is reachable at nobody.invalid:1;")
    assert done.stderr.count("\n") == 1


def test_run_with_nothing_to_reach(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        for lines in (["GET k", "NODES"], ["HELP"]):
            assert shell.run(address, lines) == 1
            out, error = capsys.readouterr()
            assert out == ""
            assert error.startswith(f"no slave is reachable at {address};")
            assert error.count("\n") == 1
    assert shell.run("nonsense", ["GET k"]) == 2
