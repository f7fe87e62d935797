"""Scripts that were loaded, and libraries of functions, are in backups and in lines of JSON."""

import pytest

from distrodb.backup.json_lines import line_of, record_of
from distrodb.backup.records import Code
from distrodb.errors import CorruptionError
from distrodb.keyspace import snapshot
from distrodb.keyspace.scripts import LIBRARY, LOADED, SCRIPT, sha_of
from tests.unit.backup_world import backup_of, code_of, records_of
from tests.unit.test_functions import MYLIB
from tests.unit.test_scripts import ask, new_store

LOADS = "return 1"


def stores(texts: int = 1):  # type: ignore[no-untyped-def]
    found = [new_store(0, 8191), new_store(8192, 16383)]
    for store in found:
        for number in range(texts):
            ask(store, "SCRIPT", "LOAD", f"{LOADS} -- {number}" if number else LOADS)
        ask(store, "FUNCTION", "LOAD", MYLIB)
    ask(found[0], "EVAL", "return 2", "0")
    ask(found[1], "SET", "a", "1")
    return found


def test_the_first_partition_gives_what_all_have() -> None:
    data = backup_of(stores())
    assert code_of(data) == [Code(False, LOADS.encode()), Code(True, MYLIB.encode())]
    assert [record.key for record in records_of(data)] == [b"a"]
    assert code_of(backup_of([new_store(0, 8191), new_store(8192, 16383)])) == []


def test_another_one_gives_it_if_it_is_asked_to() -> None:
    _, second = stores()
    assert not any(b"mylib" in chunk for chunk in second.picture())
    assert any(b"mylib" in chunk for chunk in second.picture(has_scripts=True))
    assert not any(b"mylib" in chunk for chunk in stores()[0].picture(has_scripts=False))


def test_many_come_in_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "CHUNK_BYTES", 200)
    data = backup_of(stores(texts=50))
    assert len(code_of(data)) == 51


@pytest.mark.parametrize(
    "row",
    [
        [1, snapshot.SCRIPTS, SCRIPT, sha_of(b"x"), b"x"],
        [2, snapshot.SCRIPTS, LOADED, sha_of(b"x"), b"x"],
        [1, snapshot.SCRIPTS, LIBRARY, b"l", 5],
    ],
)
def test_what_makes_no_sense_is_damage(row: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    store, other = stores()
    chunks = [next(iter(store.picture())), snapshot._pack([row])]
    monkeypatch.setattr(store, "picture", lambda: iter(chunks))
    with pytest.raises(CorruptionError, match="script"):
        records_of(backup_of([store, other]))


@pytest.mark.parametrize(
    "code, line",
    [
        (Code(True, b"#!lua name=l\n"), '{"function_library": "#!lua name=l\\n"}'),
        (Code(False, b"\xff"), '{"script": {"base64": "/w=="}}'),
    ],
)
def test_they_are_lines_of_their_own(code: Code, line: str) -> None:
    assert line_of(code) == line and record_of(line) == code
    for bad in ('{"script": 1}', '{"script": "a", "key": "a"}', '{"script": "a", "value": "1"}'):
        with pytest.raises(ValueError):
            record_of(bad)
