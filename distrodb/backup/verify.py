"""``distrodb verify``: whether a backup is whole, from its first byte to its last.  Nothing but the
file is looked at.
"""

from argparse import Namespace
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from distrodb.backup.files import opened
from distrodb.backup.format import Decoder, Facts
from distrodb.backup.progress import bar, bytes_of, plural
from distrodb.backup.records import Code, Reading


@dataclass(frozen=True, slots=True)
class Checked:
    facts: Facts
    keys: int
    containers: int
    databases: int
    expiring: int
    libraries: int  # of functions
    scripts: int
    size: int  # bytes of the file


def check(path: Path) -> Checked:
    """Raises ``DistrodbError`` if anything is wrong with it."""
    with opened(path) as file, bar("Checking", path.stat().st_size) as show:
        decoder = Decoder(str(path), file.read)
        reading = Reading(decoder)
        databases, containers, expiring = set(), 0, 0
        libraries = scripts = 0
        for number, record in enumerate(reading.records()):
            if isinstance(record, Code):
                libraries += record.is_library
                scripts += not record.is_library
                continue
            databases.add(record.database)
            containers += not isinstance(record.value, bytes)
            expiring += record.expires_at_ms is not None
            if number % 10_000 == 0:
                show(decoder.at, f"{number:,} keys")
        show(decoder.at, f"{reading.keys:,} keys")
    return Checked(
        decoder.facts,
        reading.keys,
        containers,
        len(databases),
        expiring,
        libraries,
        scripts,
        decoder.at,
    )


def told(checked: Checked) -> str:
    facts = checked.facts
    made = f"{datetime.fromtimestamp(facts.made_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    code = ""
    if checked.libraries or checked.scripts:
        libraries = f"{checked.libraries:,} librar{'y' if checked.libraries == 1 else 'ies'}"
        code = f", {libraries} of functions, {plural(checked.scripts, 'script')}"
    return (
        f"{plural(facts.partitions, 'partition')}, {plural(checked.keys, 'key')}"
        f" ({checked.expiring:,} with an expiry, {checked.containers:,} that are no strings) in"
        f" {plural(checked.databases, 'database')}{code}, {bytes_of(checked.size)}; made {made} by"
        f" distrodb {facts.made_by} of {', '.join(facts.slaves)}"
    )


def run(options: Namespace) -> int:
    path = Path(options.file)
    print(f"{path}: whole: {told(check(path))}")
    return 0
