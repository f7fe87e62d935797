"""What our own commands say of a slave that they do not get through to for TLS."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from distrodb.certs import Authority
from distrodb.cli import main
from distrodb.clock import wall_ms
from distrodb.login import NOBODY
from distrodb.master.connections import log_in_as

Serve = Callable[[ssl.SSLContext | None], str]


@pytest.fixture(autouse=True)
def login() -> Iterator[None]:
    """Who this process is, is said once; others go on as nobody."""
    yield
    log_in_as(NOBODY)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server that takes connections and answers an error to whatever is said."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run(context: ssl.SSLContext | None) -> None:
            with suppress(OSError):  # until it is closed
                while True:
                    link, _ = listener.accept()
                    with suppress(OSError), link:
                        link.settimeout(5)
                        if context is not None:
                            link = context.wrap_socket(link, server_side=True)
                        link.recv(1000)
                        link.sendall(b"-ERR no\r\n")

        threads = []

        def begin(context: ssl.SSLContext | None) -> str:
            threads.append(threading.Thread(target=run, args=(context,), daemon=True))
            threads[-1].start()
            return f"127.0.0.1:{listener.getsockname()[1]}"

        yield begin
        listener.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(10)


def context_of(folder: Path, host: str = "127.0.0.1") -> ssl.SSLContext:
    certificate, key = Authority(folder, wall_ms()).sign("n", [host], 1, is_slave=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["status", *arguments]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    return told


def test_one_that_speaks_tls_is_not_said_to_be_down(tmp_path: Path, serve: Serve, capsys) -> None:
    at = serve(context_of(tmp_path))
    told = said(capsys, "--connect", at)
    assert f"no slave is reachable at {at}: it speaks TLS; name its authority with --ca" in told


@pytest.mark.parametrize(
    ("host", "is_other", "words"),
    [("127.0.0.1", True, "unable to get local issuer"), ("10.0.0.1", False, "IP address mismatch")],
)
def test_a_certificate_that_is_not_taken_is_named(
    tmp_path: Path, serve: Serve, capsys, host: str, is_other: bool, words: str
) -> None:
    at = serve(context_of(tmp_path, host))
    if is_other:
        Authority(tmp_path / "other", wall_ms())
    ca = tmp_path / ("other/ca.crt" if is_other else "ca.crt")
    told = said(capsys, "--connect", at, "--ca", str(ca))
    assert "its certificate is not taken (" in told and words in told


def test_one_without_tls_is_named_as_that(tmp_path: Path, serve: Serve, capsys) -> None:
    Authority(tmp_path, wall_ms())
    told = said(capsys, "--connect", serve(None), "--ca", str(tmp_path / "ca.crt"))
    assert "it does not speak TLS" in told


def test_nobody_there_is_nobody_there(capsys) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert "; start one with" in said(capsys, "--connect", f"127.0.0.1:{port}")
