"""The units of systemd and the container file in conf/: what they call is there, and systemd
itself, where it is installed, has nothing against them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from distrodb.cli import _parser

CONF = Path(__file__).parents[2] / "conf"
UNITS = sorted([*CONF.glob("*.service"), *CONF.glob("*.timer")])
HANDED_OVER_S = 3.0 + 10.0  # a slave's HAND_OVER_S_MAX, and what its threads may still write


def analyze(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With a program that is there in the place of ours, which need not be installed here."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    for unit in UNITS:
        text = unit.read_text().replace("/opt/distrodb/bin/distrodb", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    return subprocess.run(
        ["systemd-analyze", *arguments, *(str(tmp_path / unit.name) for unit in UNITS)],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_systemd_reads_the_units_and_knows_every_word(tmp_path: Path) -> None:
    done = analyze(tmp_path, "verify", "--man=no")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_slave_may_do_little_else_than_serve(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    unit = CONF / "distrodb@.service"
    done = subprocess.run(
        [
            "systemd-analyze",
            "security",
            "--offline=true",
            "--threshold=20",
            "--no-pager",
            str(unit),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout[-300:]  # 2.0 of 10 at most


def test_what_they_call_is_there() -> None:
    unit, container = (CONF / "distrodb@.service").read_text(), (CONF / "Containerfile").read_text()
    calls = re.findall(r"^ExecStart=\S*/distrodb (.*)$", unit, re.M)
    (kept,) = re.findall(r'^CMD \["(.*)"\]$', container, re.M)
    (asked,) = re.findall(r'^ *CMD \["distrodb", "(.*)"\]$', container, re.M)
    calls += [kept.replace('", "', " "), asked.replace('", "', " ")]
    assert [_parser().parse_args(call.split()).file for call in calls] == [
        "/etc/distrodb/%i/slave.toml",
        *["/etc/distrodb/slave.toml"] * 2,
    ]
    backup = (CONF / "distrodb-backup.service").read_text()
    (call,) = re.findall(r"^ExecStart=\S*/distrodb (.*)$", backup, re.M)
    assert _parser().parse_args(call.split()).connect == "${CONNECT}"


def test_it_has_the_time_to_hand_over_and_the_files_for_its_clients() -> None:
    unit = (CONF / "distrodb@.service").read_text()
    (stop_s,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.M)
    (files,) = re.findall(r"^LimitNOFILE=(\d+)$", unit, re.M)
    assert int(stop_s) > HANDED_OVER_S and int(files) >= 10000 + 512


def test_a_container_is_built_from_what_is_there_and_from_nothing_compiled() -> None:
    root = CONF.parent
    text = (CONF / "Containerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.M)
    names = " ".join(copied).split()
    assert names and all((root / name).exists() for name in names)
    let_in = {line[1:] for line in (root / ".dockerignore").read_text().split() if line[0] == "!"}
    assert let_in == set(names)
    assert "**/*.so" in (root / ".dockerignore").read_text()
    assert re.search(r"^USER (?!root|0)", text, re.M) and "STOPSIGNAL SIGTERM" in text


def test_the_compose_example_names_the_container_file_and_what_init_makes() -> None:
    text = (CONF / "compose.yaml").read_text()
    (container,) = re.findall(r"dockerfile: (\S+)}", text)
    assert (CONF.parent / container).exists()
    (init,) = re.findall(r"^#     distrodb (init .*?[^\\])$", text, re.M | re.S)
    options = _parser().parse_args(re.sub(r"\\\n# *", "", init).split())
    assert options.node == ["node1=node1", "node2=node2", "node3=node3"] and options.http
    for n in (1, 2, 3):
        assert f'["./cluster/node{n}:/etc/distrodb:ro", "node{n}:/var/lib/distrodb"]' in text
