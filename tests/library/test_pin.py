"""The evidence in this package is about one release; another one must be read anew."""

from importlib.metadata import requires, version

from tests.library import plain


def test_the_release_that_was_read_is_the_one_installed():
    assert version("pysyncobj") == "0.3.17" == plain.syncobj.VERSION


def test_it_is_pinned():
    assert "pysyncobj==0.3.17" in [line.replace(" ", "") for line in requires("distrodb") or []]


def test_plain_members_are_not_the_ones_that_the_product_has_changed():
    from distrodb.raft import engine

    assert plain.syncobj is not engine.syncobj
    assert plain.syncobj.createJournal(None).__class__.__name__ == "MemoryJournal"
    assert plain.syncobj.createPoller("auto").__class__.__module__ == "pysyncobj.poller"
    assert not issubclass(engine.Engine, plain.syncobj.SyncObj)
