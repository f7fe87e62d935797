"""``distrodb restore``: a backup into a running cluster, of whatever size.

The whole file is checked before anything is written.  Every key goes to whoever leads its slot now,
with the expiry it had.  What is interrupted goes on where it was (note.py); a key may be written
twice then, which makes no difference.
"""

import math
from argparse import Namespace
from pathlib import Path

from distrodb.backup import note as notes
from distrodb.backup.files import opened
from distrodb.backup.format import Decoder
from distrodb.backup.loading import Loader, again
from distrodb.backup.note import Note, Sample
from distrodb.backup.pictures import key_count, status_of
from distrodb.backup.progress import bar, plural
from distrodb.backup.records import Code, Reading
from distrodb.backup.verify import Checked, check
from distrodb.clock import monotonic, wall_ms
from distrodb.errors import DistrodbError
from distrodb.master.client import Cluster
from distrodb.patience import patience

NOTE_S = 1.0  # seconds between two notes
SAMPLE_KEYS = 4  # of the first that are written, and of the newest


def run(options: Namespace) -> int:
    began, path = monotonic(), Path(options.file)
    cluster = Cluster(options.connect)
    status = status_of(cluster)
    checked = check(path)
    with patience(lambda: cluster.awaited or "the cluster to say how many keys it has"):
        there = key_count(cluster, len(status["partitions"]))
    slaves = frozenset(node["incarnation"] for node in status["nodes"].values())
    loader = Loader(options.connect)
    place = Path(options.note) if options.note else notes.place_of(path)
    begun = _begun(place, checked, slaves, loader) if there else None
    if there and begun is None and not options.overwrite:
        raise DistrodbError(
            f"the cluster is not empty: it has {plural(there, 'key')}; with --overwrite keys of the"
            " backup take the place of those of the same name, and the others stay"
        )
    first = begun or Note(checked.facts.id, slaves, 0, 0, [])
    if begun is not None:
        print(f"goes on behind {plural(begun.keys, 'key')} that are there already", flush=True)
    try:
        _Restore(path, place, loader, first).run(checked)
    except DistrodbError as error:
        raise again(error) from error
    print(f"{path}: {plural(checked.keys, 'key')} restored, in {monotonic() - began:.1f} s")
    return 0


def _begun(place: Path, checked: Checked, slaves: frozenset[str], loader: Loader) -> Note | None:
    """What an earlier restore of this backup into this cluster has noted, if that is still so."""
    note = notes.read(place)
    if note is None or not note.speaks_of(checked.facts.id, slaves):
        return None
    now_ms = wall_ms()
    shown = [(each.database, each.key) for each in note.samples if each.must_be_there(now_ms)]
    return note if shown and loader.are_there(shown) else None


class _Restore:
    def __init__(self, path: Path, place: Path, loader: Loader, first: Note):
        self._path, self._place, self._loader, self._first = path, place, loader, first
        self._oldest = first.samples[:SAMPLE_KEYS]
        self._newest: list[Sample] = []

    def run(self, checked: Checked) -> None:
        loader, first, noted_at = self._loader, self._first, -math.inf
        with opened(self._path) as file, bar("Restoring", checked.keys) as show:
            reading = Reading(Decoder(str(self._path), file.read), first.frame)
            self._note(reading)  # before anything is written: it may be that it cannot be
            flushed = 0
            for record in reading.records():
                loader.add(record)
                if isinstance(record, Code):
                    continue
                sample = Sample(record.database, record.key, record.expires_at_ms)
                self._newest = [*self._newest[1 - SAMPLE_KEYS :], sample]
                if loader.written != flushed:
                    flushed = loader.written
                    show(first.keys + flushed, f"{first.keys + flushed:,} keys")
                    if monotonic() - noted_at >= NOTE_S:
                        loader.flush()
                        self._note(reading)
                        noted_at = monotonic()
            loader.flush()
        notes.remove(self._place)
        if first.keys + loader.written < checked.keys:
            raise DistrodbError(
                f"{self._place}: it said that more was restored than was; restore anew, with"
                " --overwrite"
            )

    def _note(self, reading: Reading) -> None:
        """All records that were read are written."""
        first, written = self._first, self._loader.written
        self._oldest = (self._oldest + self._newest)[:SAMPLE_KEYS]
        samples = [*self._oldest, *self._newest]
        note = Note(first.backup, first.slaves, reading.safe_frame, first.keys + written, samples)
        notes.write(self._place, note)
