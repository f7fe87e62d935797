"""How far a restore is: the note comes back as it went, and is nothing where it makes no sense."""

import pytest

from distrodb.backup import note as notes
from distrodb.backup.note import EXPIRES_S, Note, Sample
from distrodb.errors import StorageError

SAMPLES = [Sample(0, b"\xff", None), Sample(3, b"a", 1_700_000_000_000)]
NOTE = Note(1 << 63, frozenset({"5f3a", "17bc"}), 7, 1234, SAMPLES)


def test_a_note_comes_back_as_it_went(tmp_path):
    path = notes.place_of(tmp_path / "a.backup")
    assert path.name == "a.backup.restoring" and notes.read(path) is None
    notes.write(path, NOTE)
    assert notes.read(path) == NOTE
    notes.write(path, Note(2, frozenset(), 8, 2, []))
    assert notes.read(path) == Note(2, frozenset(), 8, 2, []) and len(list(tmp_path.iterdir())) == 1
    notes.remove(path)
    notes.remove(path)
    assert list(tmp_path.iterdir()) == []


def test_one_cannot_be_written_where_there_is_no_place(tmp_path):
    with pytest.raises(StorageError, match=r"^/nosuch/a: how far the restore is cannot be noted: "):
        notes.write(tmp_path.__class__("/nosuch/a"), NOTE)


def test_a_note_that_was_cut_or_changed_is_none(tmp_path):
    path = tmp_path / "note"
    notes.write(path, NOTE)
    whole = path.read_text()
    for length in range(len(whole)):
        path.write_text(whole[:length])
        assert notes.read(path) is None
    for text in ("[]", "1", "{}", whole.replace('"frame"', '"fram"'), whole.replace("7,", '"x",')):
        path.write_text(text)
        assert notes.read(path) is None


def test_it_speaks_of_one_backup_and_one_cluster():
    assert NOTE.speaks_of(1 << 63, {"17bc", "new"}), "one slave at least is still there"
    assert not NOTE.speaks_of(1 << 63, {"new", "newer"})
    assert not NOTE.speaks_of(1, {"17bc"})


def test_only_keys_that_cannot_have_expired_show_something():
    stays, expires = SAMPLES
    at_ms = expires.expires_at_ms
    assert stays.must_be_there(at_ms)
    assert expires.must_be_there(at_ms - 1000 * EXPIRES_S - 1)
    assert not expires.must_be_there(at_ms - 1000 * EXPIRES_S)
