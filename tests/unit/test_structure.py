"""What the design says about the house, read from the code."""

import ast
from pathlib import Path

import pytest

from distrodb.config import Address, NodeAddress, load, render

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "distrodb"
PURE = ("resp", "keyspace", "commands", "ring")
MAY_IMPORT = {"commands": ("keyspace", "ring", "resp"), "keyspace": ("commands", "resp")}
NOT_PURE = {"asyncio", "uvloop", "socket", "time", "random", "os", "threading", "lmdb", "pathlib"}
SOURCES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def importers(module: str) -> set[str]:
    return {
        str(path.relative_to(PACKAGE))
        for path in SOURCES
        if any(name == module or name.startswith(module + ".") for name in imports(path))
    }


def test_one_module_imports_pysyncobj_and_one_the_time():
    assert importers("pysyncobj") == {"raft/library.py"}
    assert importers("time") == {"clock.py"}


def test_nothing_is_unpickled():
    assert importers("pickle") == importers("marshal") == set()


@pytest.mark.parametrize("package", PURE)
def test_pure_packages_do_no_io(package):
    for path in (PACKAGE / package).glob("*.py"):
        names = {name.split(".")[0] for name in imports(path)}
        assert not names & NOT_PURE, path
        inner = {name.split(".")[1] for name in imports(path) if name.startswith("distrodb.")}
        assert inner <= {package, *MAY_IMPORT.get(package, ()), "errors"}, path


SHELLS = {"client_server.py", "node.py", "peers.py"}  # of a slave: its sockets, threads, loop


def test_a_slave_s_duties_know_no_socket_clock_or_thread():
    for path in (PACKAGE / "slave").glob("*.py"):
        names = {name.split(".")[0] for name in imports(path)}
        clocks = {name for name in imports(path) if name.startswith("distrodb.clock.")}
        if path.name not in SHELLS:
            assert not names & NOT_PURE - {"random"} and not clocks, path


def test_imports_point_one_way():
    order = {
        "resp": 0,
        "keyspace": 0,
        "commands": 0,
        "ring": 0,
        "raft": 1,
        "storage": 1,
        "slave": 2,
        "master": 2,
        "cli.py": 3,
    }
    for path in SOURCES:
        place = order.get(path.relative_to(PACKAGE).parts[0])
        for name in imports(path):
            parts = name.split(".")
            if place is not None and parts[0] == "distrodb" and len(parts) > 1:
                assert order.get(parts[1], 0) <= place, f"{path} imports {name}"


# A class over 250 lines, or a constructor with more than seven arguments, and why it stands.
LARGE = {
    "LocalCluster": "a cluster's whole life in one place, for people and for tests",
    "Cluster": "the shell's client still has retries of its own",
    "Member": "routes what comes in to elections, replication and membership; no rules of its own",
}


def test_a_large_class_has_a_reason():
    large = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and _is_large(node):
                large.add(node.name)
    assert large == set(LARGE)


def _is_large(node: ast.ClassDef) -> bool:
    for inner in node.body:
        if isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
            if len(inner.args.args) - 1 + len(inner.args.kwonlyargs) > 7:
                return True
    return (node.end_lineno or 0) - node.lineno >= 250


def test_the_files_in_conf_are_as_rendered():
    nodes = [
        NodeAddress(f"node{n}", Address("127.0.0.1", 55550 + n), Address("127.0.0.1", 56550 + n))
        for n in range(1, 6)
    ]
    for node in nodes:
        file = ROOT / "conf" / f"{node.id}.toml"
        text = render(node.id, f"../data/{node.id}", nodes, cluster_id="example")
        assert file.read_text() == text
        assert load(file).id == node.id


def test_ci_runs_the_readmes_command():
    command = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]'"
    assert command in (ROOT / "README.md").read_text()


def test_one_module_has_private_names_of_pysyncobj():
    named = {str(path.relative_to(PACKAGE)) for path in SOURCES if "_SyncObj__" in path.read_text()}
    assert named == {"raft/library.py"}
