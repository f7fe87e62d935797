"""``distrodb certs``, and what a slave makes of its certificates."""

import os
import shutil
import ssl
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from distrodb import certs
from distrodb.cli import main
from distrodb.clock import wall_ms
from distrodb.config import Address, NodeAddress, load, render
from distrodb.errors import ConfigError
from distrodb.slave.tls import DAY_S, Tls

NOW_MS = 1_800_000_000_000


def a_file(folder: Path, host: str = "node1.example", **options: object) -> Path:
    row = NodeAddress(
        "node1",
        Address(host, 1),
        Address("10.0.0.1", 2),
        Address("0.0.0.0", 1),
        gateway_bind=Address("::", 3),
    )
    file = folder / "node1.toml"
    file.write_text(render("node1", "data", [row], **options))
    return file


def with_tls(folder: Path, **options: object) -> Path:
    authority = certs.Authority(folder / "certs", NOW_MS)
    authority.sign("node1", ["10.0.0.1"], 365, is_slave=True)
    paths = {f"tls_{n}": f"certs/{f}" for n, f in NAMES.items()}
    return a_file(folder, **{"tls_peers": True, "tls_clients": "on", **paths, **options})


NAMES = {"certificate": "node1.crt", "key": "node1.key", "ca": "ca.crt"}


def mode(file: Path) -> int:
    return stat.S_IMODE(os.stat(file).st_mode)


def test_a_slave_s_certificate_has_the_hosts_of_its_row_and_no_wildcard(tmp_path: Path) -> None:
    assert main(["certs", str(tmp_path / "c"), str(a_file(tmp_path)), "--host", "other"]) == 0
    made = x509.load_pem_x509_certificate((tmp_path / "c" / "node1.crt").read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each) for each in names.get_values_for_type(x509.DNSName)] == [
        *("node1.example", "localhost", "other")
    ]
    addresses = {str(each) for each in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"10.0.0.1", "127.0.0.1", "::1"}


def test_only_its_owner_may_read_a_key_and_a_client_s_is_for_dialling(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    old = os.umask(0)
    try:
        assert main(["certs", str(folder), "--client", "app", "--client", "other"]) == 0
    finally:
        os.umask(old)
    assert mode(folder) == 0o700
    assert [mode(folder / f"{name}.key") for name in ("ca", "app", "other")] == [0o600] * 3
    made = x509.load_pem_x509_certificate((folder / "app.crt").read_bytes())
    uses = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [use._name for use in uses] == ["clientAuth"]


def test_the_authority_stays_and_what_is_asked_for_is_new(tmp_path: Path) -> None:
    def made() -> list[bytes]:
        assert main(["certs", str(tmp_path), "--client", "app", "--days", "3"]) == 0
        return [(tmp_path / f"{name}.crt").read_bytes() for name in ("ca", "app")]

    (authority, first), (same, second) = made(), made()
    assert authority == same and first != second
    certificate = x509.load_pem_x509_certificate(second)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name slaves' files, or --client NAME"),
        (["--client", "../x"], "use letters, digits"),
        (["--client", "ca"], "use letters, digits"),
        (["--client", "x", "--days", "0"], "--days 0: use 1 to 3650"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, capsys, arguments, words) -> None:
    assert main(["certs", str(tmp_path / "c"), *arguments]) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1
    assert not (tmp_path / "c").exists()


def test_half_an_authority_is_not_made_anew(tmp_path: Path) -> None:
    certs.Authority(tmp_path, NOW_MS)
    (tmp_path / "ca.key").unlink()
    with pytest.raises(ConfigError, match="cannot be read .*bring both back"):
        certs.Authority(tmp_path, NOW_MS)
    certs.Authority(tmp_path / "other", NOW_MS)
    shutil.copy(tmp_path / "other" / "ca.key", tmp_path)
    with pytest.raises(ConfigError, match="is not the key of ca.crt"):
        certs.Authority(tmp_path, NOW_MS)


# -- a slave ---------------------------------------------------------------------------------------


def test_a_slave_without_tls_reads_no_file(tmp_path: Path) -> None:
    tls = Tls(load(a_file(tmp_path, tls_certificate="none.crt")))
    assert not tls.is_on and tls.clients is None and tls.peers is None
    tls.read_again()
    assert tls.warning(2e9) == ""


@pytest.mark.parametrize(
    ("peer", "hosts", "is_taken"),
    [
        ("10.0.0.1", ["10.0.0.1"], True),
        ("10.0.0.1", ["10.0.0.2", "node1.example"], False),
        ("node1.example", ["node1.example"], True),
        ("node1.db.example", ["*.db.example"], True),
        ("node1.example", ["node2.example", "10.0.0.1"], False),
        ("::1", ["::1"], True),
        ("::1", ["127.0.0.1"], False),
    ],
)
@pytest.mark.parametrize("days", [1, -1])
def test_another_slave_s_certificate_is_refused_at_start_and_at_a_renewal(
    tmp_path: Path, peer: str, hosts: list[str], is_taken: bool, days: int
) -> None:
    """Others would let it in if it only dials, and clients could not connect.  That one has ended
    is no obstacle to a start."""
    config = load(with_tls(tmp_path))
    me = replace(config.me, peer=Address(peer, 2))
    config = replace(config, nodes=(me,))
    own = certs.Authority(tmp_path / "certs", NOW_MS)
    own.sign("node1", [peer], 365, is_slave=True)
    tls = Tls(config)
    before = tls.clients
    real_ms = wall_ms() if days > 0 else wall_ms() - 10 * 86_400_000
    shutil.rmtree(tmp_path / "certs")
    certs.Authority(tmp_path / "certs", real_ms).sign("node1", hosts, 2, is_slave=True)
    if is_taken:
        tls.read_again()
        Tls(config)
        assert tls.clients is not before
        return
    for call in (tls.read_again, lambda: Tls(config)):
        with pytest.raises(ConfigError, match=f"others find this slave at {peer}, and .*mismatch"):
            call()
    assert tls.clients is before
    Tls(replace(config, tls=replace(config.tls, peers=False)))  # clients may look at no name


def test_what_is_of_no_use_is_named(tmp_path: Path) -> None:
    config = load(with_tls(tmp_path))
    folder = tmp_path / "certs"
    tls = Tls(config)
    before = tls.clients
    certs.Authority(folder, NOW_MS).sign("other", [], 1, is_slave=False)
    kept = (folder / "node1.key").read_bytes()
    for name, data, words in (
        (
            "node1.key",
            (folder / "other.key").read_bytes(),
            "the key is that of another certificate",
        ),
        ("node1.key", b"", "node1.key: "),
        ("node1.crt", b"nonsense", "tls.certificate: "),
        ("ca.crt", b"nonsense", "tls.ca: "),
    ):
        good = (folder / name).read_bytes()
        (folder / name).write_bytes(data)
        with pytest.raises(ConfigError, match=words):
            tls.read_again()
        with pytest.raises(ConfigError, match="distrodb certs"):
            Tls(config)
        (folder / name).write_bytes(good)
    assert tls.clients is before and (folder / "node1.key").read_bytes() == kept
    tls.read_again()
    assert tls.clients is not before


def test_a_key_with_a_password_does_not_stop_at_a_terminal(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    config = load(with_tls(tmp_path))
    file = tmp_path / "certs" / "node1.key"
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    encrypted = serialization.BestAvailableEncryption(b"x")
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file.write_bytes(key.private_bytes(*pem, encrypted))
    with pytest.raises(ConfigError, match="the key is encrypted"):
        Tls(config)


def test_the_end_of_a_certificate_is_told_of_before_it_comes(tmp_path: Path) -> None:
    tls = Tls(load(with_tls(tmp_path)))
    end = NOW_MS / 1000 + 365 * DAY_S
    assert abs(tls.ends_at - end) < 2
    assert tls.warning(end - 31 * DAY_S) == ""
    assert "ends in 29.0 days" in tls.warning(end - 29 * DAY_S)
    assert "has ended" in tls.warning(end + 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tls_clients": "on"}, "tls.certificate: is empty"),
        ({"tls_clients": "on", "tls_certificate": "x"}, "tls.key: is empty"),
        ({"tls_peers": True, "tls_certificate": "x", "tls_key": "x"}, "tls.ca: is empty"),
        (
            {"tls_clients": "certificate", "tls_certificate": "x", "tls_key": "x"},
            "tls.ca: is empty",
        ),
        ({"tls_clients": "yes"}, "use one of off, on, certificate"),
        ({"tls_http": "on"}, "tls.certificate: is empty"),
        ({"tls_http": "certificate", "tls_certificate": "x", "tls_key": "x"}, "tls.ca: is empty"),
    ],
)
def test_a_section_that_is_half_written_is_refused(tmp_path: Path, options, words) -> None:
    with pytest.raises(ConfigError, match=words):
        load(a_file(tmp_path, **options))


@pytest.mark.parametrize(
    ("clients", "http", "is_asked_for"),
    [
        ("off", "clients", None),
        ("on", "clients", False),
        ("certificate", "clients", True),
        ("on", "off", None),
        ("off", "on", False),
        ("off", "certificate", True),
        ("certificate", "on", False),
    ],
)
def test_the_http_port_is_as_the_client_port_is_or_as_it_is_told(
    tmp_path: Path, clients, http, is_asked_for
) -> None:
    """``is_asked_for``: a client's certificate; None: there is no TLS."""
    config = load(with_tls(tmp_path))
    config = replace(config, tls=replace(config.tls, clients=clients, http=http, peers=False))
    tls = Tls(config)
    told = None if tls.http is None else tls.http.verify_mode is ssl.CERT_REQUIRED
    assert told is is_asked_for and tls.is_on == (clients != "off" or http != "clients")
