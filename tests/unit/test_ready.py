"""``distrodb ready``: asked of a server that answers as a slave's HTTP port does."""

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from distrodb import ready_token
from distrodb.cli import main
from distrodb.config import Address, NodeAddress, render


class Answers(http.server.BaseHTTPRequestHandler):
    statuses: list[int]  # the last one for good
    words = b"not ready\n"
    asked_with: str | None = None

    def do_GET(self) -> None:
        assert self.path == "/readyz"
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        Answers.asked_with = self.headers.get("Authorization")
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"ok\n" if status == 200 else self.words)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def a_file(folder: Path, bind: Address | None) -> str:
    row = NodeAddress("a", Address("10.0.0.1", 1), Address("10.0.0.1", 2), http_bind=bind)
    file = folder / "slave.toml"
    file.write_text(render("a", "data", [row]))
    return str(file)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_its_status_says_it(
    tmp_path: Path, port: int, host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = a_file(tmp_path, Address(host, port))
    Answers.statuses = [200]
    assert main(["ready", file]) == 0 and capsys.readouterr().out == "a is ready\n"
    Answers.statuses = [503]
    assert main(["ready", file]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"distrodb: a at 127.0.0.1:{port}: not ready; run this as the slave's")
    assert Answers.asked_with is None


def test_who_may_read_the_slave_s_directory_is_told_why(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = a_file(tmp_path, Address("127.0.0.1", port))
    (tmp_path / "data").mkdir()
    token = ready_token.renewed(tmp_path / "data")
    assert (tmp_path / "data" / ready_token.FILE).stat().st_mode & 0o777 == 0o600
    Answers.statuses = [503]
    monkeypatch.setattr(Answers, "words", b"it waits for b\nwithout a leader: partition 1\n")
    assert main(["ready", file]) == 1
    assert Answers.asked_with == f"Distrodb {token}"
    why = "not ready: it waits for b; without a leader: partition 1"
    assert capsys.readouterr().err == f"distrodb: a at 127.0.0.1:{port}: {why}\n"


def test_a_token_that_cannot_be_written_or_is_none_costs_only_the_reasons(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    assert ready_token.renewed(tmp_path / "data") == ready_token.read(tmp_path / "data") == ""
    for spoilt in (b"", b"\r\nX: y", b"\xff" * 32):
        (tmp_path / ready_token.FILE).write_bytes(spoilt)
        assert ready_token.read(tmp_path) == ""


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"\x16\x03\x01\0", "is no HTTP"),
        (b"", "is no HTTP"),
        (b"HTTP/1.1 404 X\r\n\r\n", "404; is"),
    ],
)
def test_a_port_that_is_another_one_is_not_called_not_ready(
    said: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            link, _ = listener.accept()
            with link:
                link.recv(1000)
                link.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        assert main(["ready", a_file(tmp_path, Address(*listener.getsockname()))]) == 1
        thread.join()
    assert words in capsys.readouterr().err


def test_it_waits(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # is not asked
    file = a_file(tmp_path, Address("127.0.0.1", port))
    Answers.statuses = [503, 503, 200]
    assert main(["ready", file, "--wait", "60"]) == 0


def test_one_that_does_not_listen_is_not_ready(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ready", a_file(tmp_path, Address("127.0.0.1", 1))]) == 1
    assert capsys.readouterr().err.startswith("distrodb: a at 127.0.0.1:1: nothing listens")


def test_without_an_http_port_nobody_can_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ready", a_file(tmp_path, None)]) == 2
    assert "cluster.nodes.http: is missing; write" in capsys.readouterr().err
