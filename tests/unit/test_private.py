"""What is for its owner alone."""

import os
import stat
from pathlib import Path

from distrodb import private


def mode(path: Path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def test_a_file_is_written_whole_and_for_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "f"
    old = os.umask(0)
    try:
        private.write(file, b"1")
        private.write(file, b"2")
        private.write(tmp_path / "open", b"3", 0o644)
        with open(tmp_path / "log", "ab", opener=private.opener) as log:
            log.write(b"4")
    finally:
        os.umask(old)
    assert file.read_bytes() == b"2" and mode(file) == mode(tmp_path / "log") == 0o600
    assert mode(tmp_path / "open") == 0o644
    assert sorted(each.name for each in tmp_path.iterdir()) == ["f", "log", "open"]


def test_what_an_older_version_left_is_closed_and_nothing_else(tmp_path: Path) -> None:
    inside, outside = tmp_path / "d" / "journal", tmp_path / "outside"
    inside.mkdir(parents=True)
    outside.write_text("not ours")
    (inside / "log").write_text("data")
    (inside / "link").symlink_to(outside)
    for path in (inside.parent, inside):
        path.chmod(0o755)
    for path in (outside, inside / "log"):
        path.chmod(0o644)
    private.close_to_others(inside.parent)
    assert [mode(inside.parent), mode(inside), mode(inside / "log")] == [0o700, 0o700, 0o600]
    assert mode(outside) == 0o644
    assert private.is_open_to_others(outside) and not private.is_open_to_others(inside / "log")
    assert not private.is_open_to_others(tmp_path / "none")
