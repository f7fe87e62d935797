import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from distrodb.errors import DistrodbError, UnavailableError
from distrodb.master import populate
from distrodb.master.populate import word_pairs


class Writer:
    def __init__(self) -> None:
        self.data: dict[bytes, bytes] = {}
        self.chunks: list[int] = []

    def set_many(self, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        self.chunks.append(len(pairs))
        self.data.update(pairs)


def run(path: Path, terminal: bool = False) -> tuple[int, Writer, str]:
    writer, out = Writer(), io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100)
    pairs = word_pairs(path)
    populate.populate(writer, pairs, console)
    return len(pairs), writer, out.getvalue()


def test_every_word_is_a_key_and_the_next_one_its_value(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("to be or\nnot  to\tbe\n")
    count, writer, out = run(tmp_path / "t")
    assert writer.data == {b"to": b"be", b"be": b"", b"or": b"not", b"not": b"to"}
    assert count == 4
    assert out == "Populating Worker Processes...\n"


@pytest.mark.parametrize(
    ("content", "pairs"),
    [
        (b"", {}),
        (b" \n ", {}),
        (b"one", {b"one": b""}),
        (b"a a", {b"a": b""}),
        (b"a b a c", {b"a": b"c", b"b": b"a", b"c": b""}),
        (b"caf\xc3\xa9 \xff\n", {b"caf\xc3\xa9": b"\xff", b"\xff": b""}),
    ],
)
def test_words(tmp_path: Path, content: bytes, pairs: dict[bytes, bytes]) -> None:
    (tmp_path / "t").write_bytes(content)
    assert word_pairs(tmp_path / "t") == pairs


@pytest.mark.parametrize("size", range(1, 9))
def test_blocks_may_end_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    (tmp_path / "t").write_bytes(b"  ab cde f  a ghij ab  x")
    whole = word_pairs(tmp_path / "t")
    monkeypatch.setattr(populate, "READ_BYTES", size)
    assert word_pairs(tmp_path / "t") == whole
    assert whole[b"ab"] == b"x"


def test_in_chunks_with_a_bar_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(populate, "CHUNK_KEYS", 10)
    (tmp_path / "t").write_text(" ".join(map(str, range(25))))
    count, writer, out = run(tmp_path / "t", terminal=True)
    assert (count, writer.chunks) == (25, [10, 10, 5])
    assert "Populating Worker Processes..." in out
    assert "25/25" in out


def test_in_a_narrow_terminal_the_count_is_whole() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=60, _environ={"TERM": "xterm"})
    populate.populate(Writer(), {b"%d" % n: b"" for n in range(100_000)}, console)
    assert "100000/100000" in out.getvalue()


@pytest.mark.parametrize("name", ["absent", ".", "a\0b"])
def test_an_unreadable_file_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(DistrodbError) as caught:
        run(tmp_path / name)
    assert "readable text file" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_no_words_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(populate, "READ_BYTES", 1000)
    (tmp_path / "t").write_bytes(bytes(populate.WORD_BYTES_MAX + 5000))
    with pytest.raises(DistrodbError, match="longer than"):
        word_pairs(tmp_path / "t")


def test_the_clusters_failure_is_passed_on(tmp_path: Path) -> None:
    class Down(Writer):
        def set_many(self, pairs: Sequence[tuple[bytes, bytes]]) -> None:
            raise UnavailableError("gone")

    (tmp_path / "t").write_text("a b")
    with pytest.raises(UnavailableError, match="gone"):
        populate.populate(Down(), word_pairs(tmp_path / "t"), Console(file=io.StringIO()))
