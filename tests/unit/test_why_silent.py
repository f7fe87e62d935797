"""What our own commands say of a slave that they do not get through to for TLS."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from redis.exceptions import AuthenticationError, NoPermissionError

from distrodb.certs import Authority
from distrodb.cli import main
from distrodb.clock import wall_ms
from distrodb.login import NOBODY, Login
from distrodb.master import connections
from distrodb.master.connections import log_in_as

LOGIN = Login("app", "secret")
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


@pytest.mark.parametrize(
    ("error", "login", "words"),
    [
        (AuthenticationError("HELLO must be called with"), NOBODY, "it asks for a password; log"),
        (AuthenticationError("Authentication required."), NOBODY, "it asks for a password; log in"),
        (AuthenticationError("invalid username-password pair or"), LOGIN, "does not know the user"),
        (AuthenticationError("AUTH <password> called without any password c"), LOGIN, "leave it"),
        (AuthenticationError("something"), LOGIN, "something"),
        (NoPermissionError("this user has no"), NOBODY, "(this user has no); log in with --user"),
        (NoPermissionError("this user has no"), LOGIN, "the user app may not ask for this (this"),
    ],
)
def test_who_is_refused_is_told_what_helps(error, login, words):
    """Who has logged in need not be told to."""
    log_in_as(login)
    said = connections.why_refused(error)
    assert words in said and "HELLO" not in said
    assert ("log in" in said) is (login is NOBODY)


@pytest.mark.parametrize("answer", [b"\0\0\0\x13????", b"HTTP/1.1 400 Bad\r\n\r\n"])
def test_a_port_that_is_not_for_clients_is_taken_for_none(answer, capsys):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            with suppress(OSError):
                while True:
                    link, _ = listener.accept()
                    with link:
                        link.recv(1000)
                        link.sendall(answer)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        assert main(["status", "--connect", f"127.0.0.1:{listener.getsockname()[1]}"]) == 1
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    assert "is this the client port?" in capsys.readouterr().err


def test_a_peer_port_asks_for_a_certificate_of_the_slave(tmp_path, serve, capsys):
    context = context_of(tmp_path)
    context.load_verify_locations(tmp_path / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    arguments = ["status", "--connect", serve(context), "--ca", str(tmp_path / "ca.crt")]
    assert main(arguments) == 1
    assert "is this the client port?" in capsys.readouterr().err
