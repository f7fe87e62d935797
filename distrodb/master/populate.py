"""Fill the store from a text file: every word becomes a key, its value the word that follows.

A word is what stands between ASCII white space, as bytes: any encoding goes in as it is. The last
word has no follower, its value is the empty string. A word that comes again takes the value of its
last place; that is settled here before anything is sent, so each key is written once, and a chunk
that is sent again after a failure cannot undo a later one.

Caveat: all distinct words are held in memory.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Column

from distrodb.errors import DistrodbError
from distrodb.master.client import Cluster
from distrodb.master.render import is_live

TITLE = "Populating Worker Processes..."

# Keys a round trip: enough to fill a batch on every slave, few enough for the bar to move.
CHUNK_KEYS = 2000
READ_BYTES = 1 << 20
# No word of a text is longer; without a limit a binary file without white space fills the memory.
WORD_BYTES_MAX = 65536


def populate(cluster: Cluster, pairs: Mapping[bytes, bytes], console: Console) -> None:
    """Raises DistrodbError: the cluster failed."""
    live = is_live(console)
    if not live:
        console.print(TITLE)
    count = MofNCompleteColumn(table_column=Column(no_wrap=True))  # in its place the bar is cut
    columns = TextColumn(TITLE), BarColumn(), TaskProgressColumn(), count
    with Progress(*columns, console=console, disable=not live) as progress:
        task = progress.add_task(TITLE, total=len(pairs))
        items = iter(pairs.items())
        while chunk := list(islice(items, CHUNK_KEYS)):
            cluster.set_many(chunk)
            progress.advance(task, len(chunk))


def word_pairs(path: str | Path) -> dict[bytes, bytes]:
    """Of a text file. Raises DistrodbError: it cannot be read. A large one takes seconds."""
    try:
        with open(path, "rb") as file:
            return dict(pairwise(chain(_words(file), [b""])))
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        reason = getattr(error, "strerror", None) or str(error)
        raise DistrodbError(f"{path}: {reason}; give the path of a readable text file") from error


def _words(file: BinaryIO) -> Iterator[bytes]:
    rest = b""
    while block := file.read(READ_BYTES):
        # The last word may go on in the next block; it is empty if the block ends with a space.
        *words, rest = re.split(rb"\s+", rest + block)
        if len(rest) > WORD_BYTES_MAX:
            raise DistrodbError(
                f"{file.name}: a word is longer than {WORD_BYTES_MAX} bytes; give a text file"
            )
        yield from filter(None, words)
    yield from filter(None, [rest])
