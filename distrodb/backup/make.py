"""``distrodb backup``: a running cluster into one file."""

import secrets
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from distrodb import __version__
from distrodb.backup.copying import Copying, told_of
from distrodb.backup.files import NewFile, made
from distrodb.backup.format import Encoder, Facts
from distrodb.backup.pictures import PictureLost, status_of
from distrodb.backup.progress import bar, bytes_of, plural
from distrodb.backup.records import Code, Picture, Record
from distrodb.clock import monotonic, wall_ms
from distrodb.errors import ConfigError
from distrodb.master.client import Cluster


def run(options: Namespace) -> int:
    began, cluster = monotonic(), Cluster(options.connect)
    status = status_of(cluster)
    made_ms, partitions = wall_ms(), len(status["partitions"])
    facts = Facts(secrets.randbits(64), made_ms, __version__, sorted(status["nodes"]), partitions)
    path = place_of(Path(options.file), made_ms)
    with made(path) as file, bar("Backing up", partitions) as show:
        backup = _Backup(file, facts)
        copying = Copying(cluster, file, backup.copy, show)
        file.write(backup.encoder.begin())
        copying.run(partitions)
        file.write(backup.encoder.end(partitions, copying.keys))
        size = file.mark()
        show(partitions, "syncing")
    print(
        f"{path}: {plural(partitions, 'partition')}, {plural(copying.keys, 'key')},"
        f" {bytes_of(backup.plain_bytes)} ({bytes_of(size)} in the file),"
        f" in {monotonic() - began:.1f} s"
    )
    return 0


def place_of(path: Path, made_ms: int) -> Path:
    """In a directory the file gets a name by its time."""
    if str(path) == "-":
        raise ConfigError("a backup goes into a file or a directory; `export -` writes to a pipe")
    if not path.is_dir():
        return path
    return path / f"distrodb-{datetime.fromtimestamp(made_ms / 1000, UTC):%Y%m%dT%H%M%SZ}.backup"


class _Backup:
    def __init__(self, file: NewFile, facts: Facts):
        self._file, self.encoder = file, Encoder(facts)
        self.plain_bytes = 0  # of all pieces

    def copy(self, number: int, pieces: Iterator[bytes]) -> int:
        """What comes is decoded too: what a backup has can be read again."""
        encoder, picture = self.encoder, Picture()
        position, plain_bytes = encoder.position, self.plain_bytes
        try:
            self._file.write(encoder.partition(number))
            for piece in pieces:
                read_through(number, picture.add(piece))
                self._file.write(encoder.chunk(piece))
                self.plain_bytes += len(piece)
            read_through(number, picture.finish())
        except PictureLost:
            encoder.position, self.plain_bytes = position, plain_bytes
            raise
        return picture.keys


def read_through(number: int, records: Iterator[Record | Code]) -> None:
    for _ in told_of(number, records):
        pass
