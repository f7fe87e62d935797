"""The options of ``distrodb bench``: a mistake is one line and exit status 2."""

from argparse import ArgumentParser, Namespace

import pytest

from distrodb import cli
from distrodb.bench import plot
from distrodb.bench.arguments import add_to
from distrodb.bench.options import checked, sizes
from distrodb.config import Address
from distrodb.master import client


def given_by(*arguments: str) -> Namespace:
    parser = ArgumentParser()
    add_to(parser)
    return parser.parse_args(arguments)


def test_what_holds_if_nothing_is_said():
    options = checked(given_by())
    assert (options.at, options.config, options.is_cluster) == (None, None, True)
    assert (options.clients, options.seconds, options.requests, options.rate) == (
        50,
        10,
        None,
        None,
    )
    assert (options.shape.pipeline, options.shape.sizes, options.shape.keys) == (1, (64,), 100_000)


def test_a_port_is_one_server_unless_it_is_said_to_be_a_cluster():
    one = checked(given_by("--port", "6379"))
    assert one.at == Address("127.0.0.1", 6379) and not one.is_cluster
    assert checked(given_by("-p", "6379", "--cluster")).is_cluster
    assert checked(given_by("--host", "::1", "-p", "6379")).at == Address("::1", 6379)
    assert checked(given_by("-n", "5")).seconds is None


def test_sizes():
    assert sizes("64,4k, 1M,2kb,0") == (64, 4096, 1 << 20, 2048, 0)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("--clients 0", "--clients 0"),
        ("--clients 10001", "--clients 10001"),
        ("--pipeline 0", "--pipeline"),
        ("--keys 0", "--keys"),
        ("--requests 0", "--requests"),
        ("--seconds 0", "--seconds"),
        ("--seconds nan", "--seconds"),
        ("--seconds 1 --requests 1", "--seconds and --requests"),
        ("--rate 0", "--rate"),
        ("--rate inf", "--rate"),
        ("--gets 101", "--gets"),
        ("--timeout 0", "--timeout"),
        ("--size x", "--size x"),
        ("--size 513m", "--size"),
        ("--size 1,", "--size"),
        ("--size -1", "--size"),
        ("--port 0", "--port 0"),
        ("--port 1 --host a/b", "--host a/b"),
        ("--host a", "--host a"),
        ("--config x --port 1", "--config"),
        ("--config absent.toml", "absent.toml"),
        ("--plot a.pdf", "--plot a.pdf"),
        ("--plot absent/a.png", "absent"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments, named, capsys):
    words = arguments.split()
    try:
        assert cli.main(["bench", *words]) == 2
    except SystemExit as ended:  # argparse' own: what looks like an option is none
        assert ended.code == 2
    out, err = capsys.readouterr()
    assert out == "" and named in err.splitlines()[-1]


def test_nobody_to_ask_is_one_line_and_status_1(capsys):
    assert cli.main(["bench", "--port", "1", "--seconds", "1"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "Connection refused" in err
    assert cli.main(["bench", "--port", "1", "--cluster"]) == 1
    assert "127.0.0.1:1: " in capsys.readouterr().err


def test_no_cluster_where_the_shell_looks_is_one_line_with_this_command_s_options(
    monkeypatch, capsys
):
    monkeypatch.setattr(client, "DEFAULT_ADDRESSES", (Address("127.0.0.1", 1),))
    assert cli.main(["bench"]) == 1
    assert capsys.readouterr().err == (
        "distrodb: no slave is reachable at 127.0.0.1:1;"
        " name a slave's file with --config, or a server with --port\n"
    )


def test_a_plot_without_its_library_is_said_before_the_load(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    assert cli.main(["bench", "--port", "1", "--plot", str(tmp_path / "a.png")]) == 2
    assert capsys.readouterr().err == f"distrodb: {plot.MISSING}\n"
