"""Who our own commands say that they are."""

import argparse

import pytest

from distrodb.cli import main
from distrodb.errors import ConfigError
from distrodb.login import Login, add_to, from_environment, given


def asked(*words: str, **environment: str) -> Login:
    parser = argparse.ArgumentParser()
    add_to(parser)
    return given(parser.parse_args(words), environment, asks=False)


def test_without_anything_nobody_logs_in() -> None:
    assert asked() == from_environment({}) == Login()
    assert Login().options == {} and Login().greeting == b"" and Login().context() is None


def test_a_password_comes_from_the_environment_or_a_file(tmp_path) -> None:
    file = tmp_path / "p"
    file.write_text("from a file\n")
    assert asked(DISTRODB_PASSWORD="p").greeting == b"*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n"
    login = asked("--user", "u", "--password-file", str(file), DISTRODB_PASSWORD="p")
    assert login.options == {"username": b"u", "password": b"from a file"}
    assert login.greeting == b"*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$11\r\nfrom a file\r\n"
    assert from_environment({"DISTRODB_USER": "u", "DISTRODB_PASSWORD": "p"}).user == "u"


def test_there_is_no_argument_that_holds_a_password() -> None:
    with pytest.raises(ConfigError, match="everybody on this machine sees"):
        asked("--password", "x")
    assert "p" * 9 not in repr(Login("u", "p" * 9))


def test_mistakes_are_one_line(tmp_path, capsys) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for words, told in (
        (["--user", "u"], "there is no password"),
        (["--password-file", str(empty)], "it is empty"),
        (["--password-file", str(tmp_path)], "name a text file"),
        (["--cert", "x"], "give both"),
        (["--ca", str(tmp_path / "none.crt")], "No such file"),
        (["--ca", str(empty)], "name PEM files"),
    ):
        with pytest.raises(ConfigError, match=told):
            asked(*words)
        assert main(["status", *words]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_names_and_passwords_may_be_any_bytes() -> None:
    login = asked(DISTRODB_USER="\udcff", DISTRODB_PASSWORD="\udcfe")
    assert login.greeting == b"*3\r\n$4\r\nAUTH\r\n$1\r\n\xff\r\n$1\r\n\xfe\r\n"
    assert (login.options["username"], login.options["password"]) == (b"\xff", b"\xfe")
