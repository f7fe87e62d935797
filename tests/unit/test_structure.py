"""What the design says about the house, read from the code."""

import ast
import configparser
import io
import re
import sys
from pathlib import Path

import cmd2
import pytest
from cmd2.parsing import StatementParser
from hypothesis import settings

from distrodb.config import Address, NodeAddress, load, render
from tests.sim.seeds import CHAOS, HEALING

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
PACKAGE = ROOT / "distrodb"
PURE = ("resp", "keyspace", "commands", "ring", "scripting")
MAY_IMPORT = {
    "commands": ("keyspace", "ring", "resp", "scripting"),
    "keyspace": ("resp", "ring"),
    "scripting": ("resp",),
}
NOT_PURE = {"asyncio", "uvloop", "socket", "time", "random", "os", "threading", "lmdb", "pathlib"}
NOT_PURE |= {"selectors", "select", "ssl", "signal", "subprocess", "multiprocessing", "concurrent"}
NOT_PURE |= {"secrets", "uuid", "datetime", "logging", "shutil", "tempfile", "queue"}
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


def test_what_is_imported_is_installed():
    """The tests' environment has more than a user's."""
    options = configparser.ConfigParser()
    options.read(ROOT / "setup.cfg")
    lines = options["options"]["install_requires"].splitlines()
    required = {
        re.split(r"[<>=]", line)[0].replace("-", "_") for line in lines if line and line[0] != "#"
    }
    imported = {name.split(".")[0] for path in SOURCES for name in imports(path)}
    assert (
        imported - set(sys.stdlib_module_names) - {"distrodb", "matplotlib", "pytest"} == required
    )
    assert importers("pytest") == {"pytest_plugin.py"}  # which pytest itself imports
    extras = options["options.extras_require"]
    assert "matplotlib" in extras["plot"] and importers("matplotlib") == {"bench/plot.py"}


def test_nothing_is_unpickled():
    assert importers("pickle") == importers("marshal") == set()


@pytest.mark.parametrize("package", PURE)
def test_pure_packages_do_no_io(package):
    for path in (PACKAGE / package).glob("*.py"):
        names = {name.split(".")[0] for name in imports(path)}
        assert not names & NOT_PURE, path
        inner = {name.split(".")[1] for name in imports(path) if name.startswith("distrodb.")}
        assert inner <= {package, *MAY_IMPORT.get(package, ()), "errors", "compiled"}, path


def test_what_is_compiled_does_no_io_and_knows_no_other_part():
    """``compiled`` itself reads one word of the environment and one file when it is imported."""
    text = (PACKAGE / "compiled.py").read_text()
    assert text.count("os.environ") == text.count("os.") == text.count("Path(") == 1
    names = {name for name in imports(PACKAGE / "compiled.py") if name.startswith("distrodb")}
    assert importers("distrodb.hot") == set()  # ``compiled`` does it by name
    source = (PACKAGE / "hot.pyx").read_text()
    lines = {line for line in source.splitlines() if re.match(r" *(from|import|cimport) ", line)}
    assert names == set() and lines == {
        "from binascii import crc_hqx",
        "from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize",
    }
    assert source.count("\n") <= 300


def test_what_counts_and_draws_for_the_bench_does_no_io():
    """Except that it may be handed chance: only ``Random`` with a seed, made by ``run``."""
    pure = "arguments books chart histogram render schedule slot_map workload"
    for path in (PACKAGE / "bench" / f"{name}.py" for name in pure.split()):
        found = imports(path)
        names = {name.split(".")[0] for name in found} - {"random"}
        assert not names & NOT_PURE and "distrodb.clock" not in found, path
        assert {n for n in found if n.startswith("random.")} <= {"random.Random"}, path


def test_the_bytes_of_a_backup_are_made_and_read_without_io():
    for name in ["arguments", "format", "json_lines", "records", "writes"]:
        found = imports(PACKAGE / "backup" / f"{name}.py")
        assert not {each.split(".")[0] for each in found} & NOT_PURE, name
        assert not any(each.startswith("distrodb.clock") for each in found), name


# Of a slave: its sockets, threads, loop; and the logger that asks the clock.
SHELLS = {
    "worker.py",
    "client_server.py",
    "disk_space.py",
    "disk_threads.py",
    "doors.py",
    "tls.py",
    "process.py",
    "http/server.py",
    "links/dial.py",
    "links/link.py",
    "links/links.py",
    "links/lookups.py",
    "log_output.py",
    "logging_limit.py",
    "machine_memory.py",
    "own_ports.py",
    "own_process.py",
    "service_manager.py",
}


def test_a_slave_s_duties_know_no_socket_clock_or_thread():
    for path in (PACKAGE / "slave").rglob("*.py"):
        names = {name.split(".")[0] for name in imports(path)}
        clocks = {name for name in imports(path) if name.startswith("distrodb.clock.")}
        if str(path.relative_to(PACKAGE / "slave")) not in SHELLS:
            assert not names & NOT_PURE - {"random"} and not clocks, path


def test_imports_point_one_way():
    order = {
        "resp": 0,
        "ring": 0,
        "keyspace": 1,
        "scripting": 1,
        "commands": 2,
        "storage": 2,
        "raft": 3,
        "slave": 4,
        "master": 4,
        "bench": 5,
        "backup": 5,
        "client": 5,
        "cli.py": 6,
    }
    for path in SOURCES:
        place = order.get(path.relative_to(PACKAGE).parts[0])
        for name in imports(path):
            parts = name.split(".")
            if place is not None and parts[0] == "distrodb" and len(parts) > 1:
                assert order.get(parts[1], 0) <= place, f"{path} imports {name}"


def test_packages_import_in_no_circle():
    known: dict[str, set[str]] = {}
    for path in SOURCES:
        package = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        names = {name.split(".")[1] for name in imports(path) if name.startswith("distrodb.")}
        known.setdefault(package, set()).update(names - {package})
    below = {package: _reached(known, package) for package in known}
    circles = {
        (one, other)
        for one in below
        for other in below[one]
        if one < other and one in below.get(other, set())
    }
    assert not circles


def _reached(known: dict[str, set[str]], package: str) -> set[str]:
    seen, ahead = set(), [package]
    while ahead:
        for name in known.get(ahead.pop(), set()) - seen:
            seen.add(name)
            ahead.append(name)
    return seen


def test_raft_knows_the_bytes_of_records_and_no_disk():
    for path in SOURCES:
        package, name = path.relative_to(PACKAGE).parts[0], path.name
        inner = {n.split(".")[1] for n in imports(path) if n.startswith("distrodb.")}
        if package == "storage":
            assert inner <= {"storage", "errors"}, path
        if package == "raft" or (package, name) == ("storage", "records.py"):
            disk = {n for n in imports(path) if n.startswith("distrodb.storage.")}
            assert all(n.startswith("distrodb.storage.records") for n in disk), path
            assert not {n.split(".")[0] for n in imports(path)} & (NOT_PURE - {"random"}), path
    assert all(name.startswith("storage/") for name in importers("lmdb"))


def test_the_layout_of_keys_is_in_one_place():
    packers = {name for name in importers("struct") if name.startswith(("raft/", "storage/"))}
    others = {"storage/snapshot_files.py", "storage/lmdb_check.py", "storage/segment.py"}
    assert packers == {"storage/records.py", *others}


def test_each_error_stands_once():
    """Two of one text drift apart: clients and tests look for the words of one of them."""
    places: dict[str, list[str]] = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Name("error"), args=[_, ast.Constant() | ast.JoinedStr() as text]
                ):
                    places.setdefault(ast.unparse(text), []).append(f"{path}:{node.lineno}")
    assert len(places) > 100
    assert [at for at in places.values() if len(at) > 1] == []


def test_the_election_deadline_is_set_in_one_method():
    setters = set()
    for path in (PACKAGE / "raft").glob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                if _sets(function, "deadline"):
                    setters.add((path.name, function.name))
    # In the constructor it gets its type.
    assert setters == {("elections.py", "__init__"), ("elections.py", "set_deadline")}


def _sets(function: ast.FunctionDef, attribute: str) -> bool:
    for node in ast.walk(function):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Attribute) and t.attr == attribute for t in targets):
            return True
    return False


# A class over 250 lines, or a constructor with more than seven arguments, and why it stands.
LARGE = {
    "Core": "a short method an event, which tells the duties that it concerns; no rules of its own",
    "LocalCluster": "a cluster's whole life in one place, for people and for tests",
    "Store": "what a partition's machine is asked, a few lines each; what they ask is elsewhere",
    "Place": "all that can be done with a key, a few lines each: what changes one stands together",
    "Session": "what a handler may ask of its connection; what is more than a line is elsewhere",
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


# Fresh seeds are for soaks: who may ask the system for chance.
SOAKS = {
    "sim/__main__.py",
    "sim/test_random_faults.py",
    "sim/test_leases.py",
    "sim/test_replicas.py",
    "sim/test_moving.py",
    "faults/recording.py",
}


def test_the_gate_repeats():
    """No test but a soak draws from the system's chance; hypothesis derives its examples."""
    fresh = {"urandom", "SystemRandom", "getrandbits", "randbytes", "secrets", "uuid4"}
    found = set()
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                # random.Random() without a seed, and the functions of the module itself
                case ast.Call(func=ast.Attribute(value=ast.Name("random"), attr=name)) if (
                    "random" in imports(path)
                ):
                    is_fresh = name != "Random" or not (node.args or node.keywords)
                case ast.Attribute(value=ast.Name("os" | "uuid" | "secrets"), attr=name):
                    is_fresh = name in fresh
                case _:
                    continue
            if is_fresh:
                found.add(str(path.relative_to(TESTS)))
    assert found == SOAKS
    assert settings.default.derandomize or settings.get_current_profile_name() == "soak"


def test_every_fixed_seed_has_a_reason():
    """A list of seeds has a comment above it; a table of them has one beside each."""
    for path in TESTS.rglob("*.py"):
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            if re.match(r"[A-Z_]*SEEDS? = |@pytest.mark.parametrize..seed., range", line):
                assert lines[number - 1].startswith("#"), f"{path}:{number + 1} says no reason"
    assert all(reason.strip() for table in (CHAOS, HEALING) for reason in table.values())


def test_ci_runs_the_readmes_command():
    """It evaluates the one line of the README that installs what the tests need, as it stands."""
    mark = "'.[test]'"
    (line,) = [line for line in (ROOT / "README.md").read_text().splitlines() if mark in line]
    assert line.startswith("    python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && ")
    assert " -m pytest" in line
    run = (ROOT / ".ci/run").read_text()
    assert f'grep -F "{mark}" README.md' in run and 'eval "$test_command"' in run
    assert "pytest" not in run


def test_the_shell_uses_cmd2_by_its_public_names():
    """No `._x` that is not the file's own, and none of its own that is one of cmd2's."""
    users = [path for path in SOURCES if any("cmd2" in name for name in imports(path))]
    assert {path.name for path in users} >= {"shell.py", "commands.py", "language.py"}
    theirs = {*dir(cmd2.Cmd), *vars(cmd2.Cmd(stdout=io.StringIO())), *dir(StatementParser)}
    theirs |= {*dir(cmd2.CommandSet), *dir(cmd2.Cmd2ArgumentParser), *dir(cmd2.Completions)}
    for path in users:
        tree = ast.parse(path.read_text())
        own, used = set(), set()
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                own.add(node.name)
            elif isinstance(node, ast.Attribute):
                (own if isinstance(node.ctx, ast.Store) else used).add(node.attr)
            elif isinstance(node, ast.ImportFrom) and "cmd2" in str(node.module):
                used |= {alias.name for alias in node.names} | set(str(node.module).split("."))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id in ("getattr", "setattr", "delattr", "hasattr"):
                    used |= {a.value for a in node.args if isinstance(a, ast.Constant)}
        assert {name for name in used - own if _is_private(name)} == set(), path
        assert {name for name in own & theirs if _is_private(name)} == set(), path


def _is_private(name):
    return name.startswith("_") and not name.endswith("__")


def test_one_module_has_private_names_of_pysyncobj():
    named = {str(path.relative_to(PACKAGE)) for path in SOURCES if "_SyncObj__" in path.read_text()}
    assert named == {"raft/library.py"}


def test_words_of_a_client_are_not_taken_from_the_head_of_a_list():
    """Which moves all others: 65,000 options took half a second."""
    for path in (PACKAGE / "commands").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                is_first = [getattr(each, "value", None) for each in node.args] == [0]
                assert not (node.func.attr == "pop" and is_first), path


def test_the_tests_of_a_file_stay_with_one_worker(request):
    """Else each worker sets up what a file shares, and the whole run takes half as long again."""
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("without --dist loadgroup")
    assert request.node.nodeid.endswith("@test_structure")
