"""``distrodb export``: keys, scripts and functions as lines of JSON, from a running cluster or a
backup."""

import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from distrodb.backup.copying import Copying, told_of
from distrodb.backup.files import NewFile, Output, Spool, made, opened
from distrodb.backup.format import Decoder
from distrodb.backup.json_lines import line_of
from distrodb.backup.pictures import status_of
from distrodb.backup.progress import bar, plural
from distrodb.backup.records import Code, Picture, Reading, Record
from distrodb.master.client import Cluster

LINES = 1000  # that are written at once


def run(options: Namespace) -> int:
    target: AbstractContextManager[NewFile | Spool]
    target = nullcontext(Spool()) if options.file == "-" else made(Path(options.file))
    with target as output:
        if options.source is not None:
            keys = _from_backup(Path(options.source), output)
        else:
            keys = _from_cluster(Cluster(options.connect), output)
    is_piped = options.file == "-"
    where = "standard output" if is_piped else options.file
    print(f"{where}: {plural(keys, 'key')}", file=sys.stderr if is_piped else sys.stdout)
    return 0


def _from_cluster(cluster: Cluster, output: Output) -> int:
    partitions = len(status_of(cluster)["partitions"])

    def copy(number: int, pieces: Iterator[bytes]) -> int:
        picture = Picture()
        for piece in pieces:
            _write(output, told_of(number, picture.add(piece)))
        _write(output, told_of(number, picture.finish()))
        return picture.keys

    with bar("Exporting", partitions) as show:
        copying = Copying(cluster, output, copy, show)
        copying.run(partitions)
        return copying.keys


def _from_backup(path: Path, output: Output) -> int:
    with opened(path) as file, bar("Exporting", path.stat().st_size) as show:
        decoder = Decoder(str(path), file.read)
        reading = Reading(decoder)

        def shown() -> Iterator[Record | Code]:
            for number, record in enumerate(reading.records()):
                if number % LINES == 0:
                    show(decoder.at, f"{number:,} keys")
                yield record

        _write(output, shown())
        output.settle()
        return reading.keys


def _write(output: Output, records: Iterable[Record | Code]) -> None:
    lines: list[str] = []
    for record in records:
        lines.append(line_of(record))
        if len(lines) == LINES:
            output.write(("\n".join(lines) + "\n").encode())
            lines.clear()
    if lines:
        output.write(("\n".join(lines) + "\n").encode())
