"""The evidence in this package is about one release; another one must be read anew."""

import re
from importlib.metadata import requires, version
from pathlib import Path

from tests.library import plain


def test_the_release_that_was_read_is_the_one_installed():
    assert version("pysyncobj") == "0.3.17" == plain.syncobj.VERSION


def test_it_is_pinned():
    assert "pysyncobj==0.3.17" in [line.replace(" ", "") for line in requires("distrodb") or []]


def test_the_product_replaces_nothing_of_the_library_for_the_whole_process():
    from distrodb.raft import library

    assert library.syncobj is plain.syncobj
    assert plain.syncobj.createJournal(None).__class__.__name__ == "MemoryJournal"
    assert plain.syncobj.createPoller("auto").__class__.__module__ == "pysyncobj.poller"
    assert not any(name.startswith("_SyncObj__raft") for name in vars(library.Library))


def test_the_table_names_every_fault_and_no_test_that_does_not_exist():
    here = Path(__file__).parent
    code = "".join(file.read_text() for file in here.glob("test_*.py"))
    table = (here.parents[1] / "docs" / "pysyncobj.md").read_text()
    named = set(re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+){3,})`", table))
    plain_ones = set(re.findall(r"^def test_plain_(?!and_ours|members_are)(\w+)", code, re.M))
    ours_ones = set(re.findall(r"^def test_ours_(\w+)", code, re.M))
    slaves_ones = set(re.findall(r"^def test_(\w+)", (here / "test_reads.py").read_text(), re.M))
    assert named <= plain_ones | ours_ones | slaves_ones and plain_ones <= named
