"""A port that somebody else holds: waited for, and named with its likely holder."""

import dataclasses
import errno
import json
import socket
import struct
from typing import Any

import pytest

from distrodb import LocalCluster, local, ports
from distrodb.config import Address, NodeAddress, load, render
from distrodb.errors import ConfigError
from distrodb.slave import own_ports, process
from distrodb.slave.map_keeper import map_of
from distrodb.storage.directory import Directory
from distrodb.storage.records import MAP_KEY, sealed


@pytest.fixture
def outgoing():
    """A connection of ours to somewhere, whose own port is nobody else's.

    Not one that the kernel gives: connections to different addresses may share that, and one of
    another program, or one that has just ended, would hold it still when ours is gone.
    """
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), source_address=own_address()) as connection,
    ):
        yield connection


def own_address() -> tuple[str, int]:
    """One that is free, and that the kernel gives to nobody."""
    [(port, *_)] = local._ports(1, None)
    return "127.0.0.1", port


def port_of(connection: socket.socket) -> int:
    return connection.getsockname()[1]


def address_of(connection: socket.socket) -> Address:
    return Address("127.0.0.1", port_of(connection))


def end_at_once(connection: socket.socket) -> None:
    """With a reset, so that nothing of it stays."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_who_holds_a_port(outgoing):
    assert ports.holder(outgoing.getpeername()[1]) == ports.PERHAPS_A_SLAVE
    assert ports.holder(port_of(outgoing)).startswith("by an outgoing connection of another")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert ports.holder(port_of(bound)) == "by another program"


def test_one_whose_connection_has_just_ended_is_held_for_a_while():
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = socket.create_connection(server.getsockname(), source_address=own_address())
        port = port_of(connection)
        accepted, _ = server.accept()
        connection.close()
        accepted.close()
    assert "that has just ended" in ports.holder(port)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", "nobody.invalid"])
def test_only_what_somebody_has_is_not_free(host):
    """A host that is none is for the slave to complain of, not to be waited for."""
    assert ports.is_free(Address(host, 0))


NO_ONE_S = "192.0.2.1"  # for documentation only


@pytest.mark.parametrize("other", ["127.0.0.1", NO_ONE_S])
def test_all_that_a_host_stands_for_is_looked_at(other, monkeypatch):
    """A slave listens at each of them; one that cannot be had hides none that is held."""
    with socket.create_server(("127.0.0.2", 0)) as server:
        held, port = server.getsockname()
        rows = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, port)) for host in (other, held)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: rows)
        assert not ports.is_free(Address("both", port))


@pytest.fixture
def privileged(monkeypatch):
    """Ports below 1024, whoever runs this; which of them somebody tried."""
    tried = []

    class Socket(socket.socket):
        def bind(self, address: Any) -> None:
            if address[1] < 1024:
                tried.append(address[1])
                raise PermissionError(errno.EACCES, "Permission denied")
            super().bind(address)

    monkeypatch.setattr(socket, "socket", Socket)
    return tried


def test_ports_that_may_not_be_had_are_refused_before_a_file_fixes_them(tmp_path, privileged):
    with pytest.raises(ConfigError) as refused:
        LocalCluster(1, directory=tmp_path / "new", base_port=80)
    assert str(refused.value) == (
        "a slave cannot listen at 127.0.0.1:80 (Permission denied);"
        " use another --base-port, from 1024 on"
    )
    assert privileged and not (tmp_path / "new").exists()


def test_a_slave_that_is_added_gets_none_that_may_not_be_had(first, privileged, monkeypatch):
    monkeypatch.setattr(first, "start", lambda _: None)
    me = first.configs["node1"].me
    low = Address(me.client.host, 79), Address(me.peer.host, 1079)
    row = dataclasses.replace(me, client=low[0], peer=low[1])
    first.configs["node1"] = dataclasses.replace(first.configs["node1"], nodes=(row,))
    added = first.configs[first.add()].me
    assert 80 in privileged and min(added.client.port, added.peer.port) >= 1024


def test_a_port_that_is_held_for_a_moment_is_waited_for(outgoing):
    looks = []

    def idle(seconds: float) -> None:
        looks.append(seconds)
        end_at_once(outgoing)

    address = address_of(outgoing)
    assert not ports.is_free(address)
    assert ports.held([Address("127.0.0.1", 0), address], idle) is None
    assert len(looks) == 1


def test_one_that_stays_held_is_named(outgoing, monkeypatch):
    monkeypatch.setattr(ports, "HELD_S_MAX", 0.0)
    assert ports.held([address_of(outgoing)], lambda _: None) == address_of(outgoing)


@pytest.fixture
def first(tmp_path):
    """A slave that is not started yet."""
    return LocalCluster(1, directory=tmp_path)


@pytest.fixture
def on_its_port(first, request):
    """Another program's connection goes out from there."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as connection:
        me = getattr(first.configs["node1"].me, request.param)
        connection.bind((me.host, me.port))
        connection.connect(server.getsockname())
        yield me, connection


@pytest.mark.parametrize("on_its_port", ["client", "peer"], indirect=True)
def test_a_cluster_says_who_is_on_a_slave_s_port(first, on_its_port, tmp_path, monkeypatch):
    monkeypatch.setattr(ports, "HELD_S_MAX", 0.0)
    address, _ = on_its_port
    with pytest.raises(ConfigError, match=f"{address} is in use, by an outgoing .*; end what uses"):
        first.start("node1")
    with pytest.raises(ConfigError, match="is in use, by an outgoing connection") as refused:
        LocalCluster(1, directory=tmp_path / "new", base_port=address.port)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("on_its_port", ["client", "peer"], indirect=True)
def test_a_slave_waits_for_its_ports(first, on_its_port, monkeypatch, caplog):
    _, connection = on_its_port
    config = first.configs["node1"]
    monkeypatch.setattr(own_ports, "sleep", lambda _: end_at_once(connection))
    caplog.set_level("INFO")
    own_ports.wait_for_ports(config)
    assert [record.getMessage() for record in caplog.records] == [
        "one of its ports is in use; it waits for up to 5 s"
    ]
    own_ports.wait_for_ports(config)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("host", [NO_ONE_S, "nobody.invalid"])
@pytest.mark.parametrize("is_born", [False, True])
def test_a_slave_that_cannot_have_its_address_is_not_told_to_free_its_port(host, is_born, tmp_path):
    rows = [NodeAddress("a", Address(host, 7), Address(host, 8))]
    text = render("a", "data", rows, node_protected_mode=False)
    (tmp_path / "a.toml").write_text(text)
    if is_born:
        config = load(tmp_path / "a.toml")
        before = Directory(config.directory)
        before.identify(f"{config.cluster_id} a")
        born = map_of(config, {"a": "1"}).to_plain()
        before.journal.commit([sealed(MAP_KEY, json.dumps(born).encode())])
        before.close()
    with pytest.raises(ConfigError, match=f"cannot listen at {host}:8: ") as refused:
        process.run(load(tmp_path / "a.toml"))
    _, _, said = str(refused.value).partition(f"cannot listen at {host}:8: ")
    why, _, remedy = said.rpartition("; ")
    if host != NO_ONE_S:  # the system's own words
        assert remedy == "name one where it may"
    else:
        assert why == "this machine has no such address"
        assert remedy == "see whether this is another machine's file, or name one that it has"


@pytest.mark.parametrize("on_its_port", ["client"], indirect=True)
def test_a_slave_that_waits_in_vain_says_who_is_there(first, on_its_port, monkeypatch):
    monkeypatch.setattr(process, "wait_for_ports", lambda _: None)
    config = first.configs["node1"]
    config.directory.mkdir()
    with pytest.raises(ConfigError, match=f"cannot listen at {config.me.client}: it is in use, by"):
        process.run(config)


@pytest.mark.parametrize("on_its_port", ["client"], indirect=True)
def test_a_port_that_is_taken_in_between_is_named_too(first, on_its_port, monkeypatch):
    monkeypatch.setattr(process, "wait_for_ports", lambda _: None)
    monkeypatch.setattr(process, "check_ports", lambda *_, **__: None)
    config = first.configs["node1"]
    config.directory.mkdir()
    with pytest.raises(ConfigError, match=f"cannot listen at {config.me.client}: it is in use, by"):
        process.run(config)


def _has_no_such_address(rows: dict[str, Any]) -> dict[str, Any]:
    return {**rows, "peer_bind": Address(NO_ONE_S, 8)}


def _needs_a_password(rows: dict[str, Any]) -> dict[str, Any]:
    return {**rows, "client_bind": Address("0.0.0.0", rows["client"].port)}


@pytest.mark.parametrize(
    ("spoil", "options", "words"),
    [
        (_has_no_such_address, {}, "cannot listen at"),
        (_needs_a_password, {}, "clients.requirepass: is empty"),
        (dict, {"tls_peers": True}, "tls.certificate: "),
    ],
)
def test_a_start_that_fails_leaves_a_new_directory_to_whoever_is_right(
    spoil, options, words, tmp_path
):
    [(client, peer, *_)] = local._ports(1, None)
    rows = {"client": Address("127.0.0.1", client), "peer": Address("127.0.0.1", peer)}
    if options:
        for name in ("certificate", "key", "ca"):
            (tmp_path / f"{name}.crt").write_text("none")
            options = {**options, f"tls_{name}": f"{name}.crt"}
    (tmp_path / "a.toml").write_text(
        render("a", "data", [NodeAddress("a", **spoil(rows))], **options)
    )
    with pytest.raises(ConfigError, match=words):
        process.run(load(tmp_path / "a.toml"))
    left = Directory(tmp_path / "data")
    assert left.owner() is None
    left.identify("another cluster and slave")
    left.close()
