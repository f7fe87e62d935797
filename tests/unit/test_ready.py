"""``distrodb ready``: asked of a server that answers as a slave's HTTP port does."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from distrodb.cli import main
from distrodb.config import Address, NodeAddress, render


class Answers(http.server.BaseHTTPRequestHandler):
    statuses: list[int]  # the last one for good

    def do_GET(self) -> None:
        assert self.path == "/readyz"
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"ok\n" if status == 200 else b"not\nready\n")

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
    assert capsys.readouterr().err == f"distrodb: a at 127.0.0.1:{port}: not ready\n"


def test_it_waits(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # is not asked
    file = a_file(tmp_path, Address("127.0.0.1", port))
    Answers.statuses = [503, 503, 200]
    assert main(["ready", file, "--wait", "60"]) == 0


def test_one_that_does_not_listen_is_not_ready(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ready", a_file(tmp_path, Address("127.0.0.1", 1))]) == 1
    assert capsys.readouterr().err == "distrodb: a at 127.0.0.1:1: Connection refused\n"


def test_without_an_http_port_nobody_can_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ready", a_file(tmp_path, None)]) == 2
    assert "cluster.nodes.http: is missing; write" in capsys.readouterr().err
