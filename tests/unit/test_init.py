"""``distrodb init``: the files of a cluster on several machines."""

import hashlib
import stat
from pathlib import Path

import pytest
from cryptography import x509

from distrodb.cli import main
from distrodb.config import SlaveConfig, load
from distrodb.slave.startup import check_protected, warnings
from distrodb.slave.tls import Tls

THREE = ["--node", "a=10.0.0.1", "--node", "b=10.0.0.2", "--node", "c=10.0.0.3"]


def init(folder: Path, *arguments: str) -> list[SlaveConfig]:
    assert main(["init", str(folder), *arguments]) == 0
    return [load(file) for file in sorted(folder.glob("*/slave.toml"))]


def test_slaves_are_told_the_same_and_nobody_else_anything(tmp_path: Path) -> None:
    target = tmp_path / "made"
    configs = init(target, *THREE, "--partitions", "12", "--replicas", "5", "--id", "shop")
    assert [config.id for config in configs] == ["a", "b", "c"]
    assert {config.nodes for config in configs} == {configs[0].nodes}
    assert {(c.cluster_id, c.partitions, c.replicas) for c in configs} == {("shop", 12, 5)}
    (secret,) = {config.secret for config in configs}
    password = (target / "client" / "password").read_text().strip()
    digest = "#" + hashlib.sha256(password.encode()).hexdigest()
    assert {config.clients.requirepass for config in configs} == {digest}
    assert len(secret) == 32 and len(password) == 32
    for config in configs:
        check_protected(config, needs_no_password=False)
        assert warnings(config, may_others_read=False) == []
        assert config.directory == (target / config.id / "data").resolve()
    for path in [target, *target.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert password not in "".join(config.file.read_text() for config in configs)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_two_clusters_share_no_secret(tmp_path: Path) -> None:
    one, other = (init(tmp_path / name, *THREE)[0] for name in "xy")
    assert one.secret != other.secret
    assert one.cluster_id != other.cluster_id  # a slave that meets the other one is told of that
    assert {c.cluster_id for c in init(tmp_path / "x", "--add", "d=10.0.0.4")} == {one.cluster_id}
    assert one.clients.requirepass != other.clients.requirepass


def test_a_folder_with_tls_works_wherever_it_is_brought(tmp_path: Path) -> None:
    init(tmp_path / "made", *THREE, "--tls", "--http", "--gateway")
    (tmp_path / "made" / "b").rename(tmp_path / "etc")
    config = load(tmp_path / "etc" / "slave.toml")
    assert config.tls.clients == "on" and config.tls.peers
    Tls(config)  # reads them: the key fits, and the authority is there
    assert config.me.listens.keys() == {"client", "peer", "gateway"} and config.me.http is not None
    assert {path.parent for path in (config.tls.certificate, config.tls.ca)} == {tmp_path / "etc"}
    made = x509.load_pem_x509_certificate(config.tls.certificate.read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "10.0.0.2" in map(str, names.get_values_for_type(x509.IPAddress))


def test_the_authority_s_key_goes_to_no_slave(tmp_path: Path) -> None:
    init(tmp_path / "made", *THREE, "--tls")
    found = [path.parent.name for path in (tmp_path / "made").rglob("ca.key")]
    assert found == ["authority"]


def test_behind_a_name_it_listens_everywhere(tmp_path: Path) -> None:
    """On its own machine a name is often the loopback address'."""
    (config,) = init(tmp_path / "made", "--node", "a=a.example", "--http", "--gateway")
    assert str(config.me.client) == "a.example:15551"
    assert {at.host for at in config.me.listens.values()} == {"0.0.0.0"}
    assert str(config.me.http) == "a.example:18551"


def test_slaves_of_one_machine_have_ports_in_a_row(tmp_path: Path) -> None:
    rows = ["--node", "a=::1", "--node", "b=::1", "--base-port", "7000"]
    configs = init(tmp_path / "made", *rows)
    assert [str(config.me.client) for config in configs] == ["[::1]:7000", "[::1]:7001"]
    *_, added = init(tmp_path / "made", "--add", "c=::1")
    assert str(added.me.client) == "[::1]:7002"


def test_slaves_that_may_be_lost_together_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"--node={name}={host}" for name, host in zip("abc", "hhi", strict=True)]
    init(tmp_path / "one", *rows)
    assert "\ncaution: a b are on one machine, h: " in capsys.readouterr().out
    init(tmp_path / "two", *THREE)
    init(tmp_path / "own", "--node", "a=::1", "--node", "b=::1")
    assert "caution" not in capsys.readouterr().out


def test_data_may_be_elsewhere(tmp_path: Path) -> None:
    configs = init(tmp_path / "made", *THREE, "--data", "/var/lib/distrodb")
    assert [str(c.directory) for c in configs] == [f"/var/lib/distrodb/{n}" for n in "abc"]
    *_, added = init(tmp_path / "made", "--add", "d=10.0.0.4")
    assert str(added.directory) == "/var/lib/distrodb/d"
    *_, added = init(tmp_path / "made", "--add", "e=10.0.0.5", "--data", "/srv")
    assert str(added.directory) == "/srv/e"


@pytest.mark.parametrize("tls", [[], ["--tls"]])
def test_one_that_joins_has_what_the_others_have(tmp_path: Path, tls: list[str]) -> None:
    target = tmp_path / "made"
    first, *_ = init(target, *THREE, "--http", *tls)
    text = first.file.read_text().replace("\nheartbeat_ms = 100\n", "\nheartbeat_ms = 50\n")
    first.file.write_text(text)
    *_, added = init(target, "--add", "d=10.0.0.4")
    assert [str(at) for at in added.join] == [f"10.0.0.{n}:16551" for n in (1, 2, 3)]
    assert added.secret == first.secret and added.clients == first.clients
    assert added.raft.heartbeat_ms == 50 and added.partitions_wanted == 0
    assert [node.id for node in added.nodes] == ["d"] and str(added.me.http) == "10.0.0.4:18551"
    if tls:
        Tls(added)
    assert sorted(path.name for path in target.iterdir()) == [
        *("a", *(["authority"] if tls else []), "b", "c", "client", "d")
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name the slaves"),
        (["--node", "a"], "write it as ID=HOST"),
        (["--node", "=h"], "--node '': use letters"),
        (["--node", "../a=h"], "use letters"),
        (["--node", "client=h"], "use another id"),
        (["--node", "a="], "is no host"),
        (["--node", "a=10.0.0.1:7000"], "without a port"),
        (["--node", "a=-oX"], "is no name of a machine"),
        (["--node", "a=300.1.1.1"], "is no address of IPv4"),
        (["--node", "a=0.0.0.0"], "others cannot be sent there"),
        (["--node", "a=h", "--node", "a=i"], "two slaves have the id a"),
        (["--node", "a=127.0.0.1", "--node", "b=10.0.0.2"], "only its own machine can go there"),
        (["--node", "a=h", "--base-port", "0"], "use 1 to 62535"),
        (["--node", "a=h", "--base-port", "62536"], "use 1 to 62535"),
        (["--node", "a=h", "--partitions", "0"], "use 1 to 16384"),
        (["--node", "a=h", "--data", "data"], "is not absolute"),
        (["--add", "a=h"], "name the directory that init has made"),
        (["--add", "a=h", "--tls"], "--tls: --add takes it from the cluster"),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["init", str(tmp_path / "made"), *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--node", "d=10.0.0.4"], "is there, and not empty"),
        (["--add", "b=10.0.0.4"], "b is there; give it another id"),
        (["--add", "d=127.0.0.1"], "only its own machine can go there"),
        (["--add", "d=10.0.0.4"], "d needs a certificate of its own"),
    ],
)
def test_nothing_that_is_there_is_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    init(tmp_path / "made", *THREE, "--tls")
    (tmp_path / "made" / "authority" / "ca.key").unlink()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert main(["init", str(tmp_path / "made"), *arguments]) == 2
    assert words in capsys.readouterr().err
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_another_authority_signs_nobody_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    init(one, *THREE, "--tls")
    init(other, *THREE, "--tls")
    for name in ("ca.crt", "ca.key"):
        (other / "authority" / name).replace(one / "authority" / name)
    assert main(["init", str(one), "--add", "d=10.0.0.4"]) == 2
    assert "is not among the authorities" in capsys.readouterr().err
    assert not (one / "d").exists()


def test_the_next_steps_name_what_was_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "a cluster"
    init(target, "--node", "a=10.0.0.1", "--node", "b=fe80::1", "--tls")
    said = capsys.readouterr().out
    assert f"  scp -rp '{target}/a' 10.0.0.1:\n  ssh 10.0.0.1 distrodb slave a/slave.toml\n" in said
    assert f"  scp -rp '{target}/b' [fe80::1]:\n" in said
    assert (
        f"  distrodb status --connect 10.0.0.1:15551 --password-file '{target}/client/password'"
        f" --ca '{target}/client/ca.crt'\n" in said
    )
