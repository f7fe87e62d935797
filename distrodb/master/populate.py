"""Fill the store from a text file: every word becomes a key, its value the word that follows.

A word is what stands between ASCII white space, as bytes: any encoding goes in as it is. The last
word has no follower, its value is the empty string. A word that comes again takes the value of its
last place; that is settled here before anything is sent, so each key is written once, and a chunk
that is sent again after a failure cannot undo a later one.

Caveat: all distinct words are held in memory.
"""

from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn

from distrodb.errors import DistrodbError
from distrodb.master.client import Cluster
from distrodb.master.render import is_live

TITLE = "Populating Worker Processes..."

# Keys a round trip: enough to fill a batch on every slave, few enough for the bar to move.
CHUNK_KEYS = 2000
READ_BYTES = 1 << 20
# No word of a text is longer; without a limit a binary file without white space fills the memory.
WORD_BYTES_MAX = 65536


def populate_file(cluster: Cluster, path: str | Path, console: Console) -> int:
    """Write the file's words; the number of keys. Raises DistrodbError: file or cluster failed."""
    pairs = word_pairs(path)
    live = is_live(console)
    if not live:
        console.print(TITLE)
    progress = Progress(
        TextColumn(TITLE),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        console=console,
        disable=not live,
    )
    with progress:
        task = progress.add_task(TITLE, total=len(pairs))
        items = iter(pairs.items())
        while chunk := list(islice(items, CHUNK_KEYS)):
            cluster.set_many(chunk)
            progress.advance(task, len(chunk))
    return len(pairs)


def word_pairs(path: str | Path) -> dict[bytes, bytes]:
    pairs: dict[bytes, bytes] = {}
    previous: bytes | None = None
    rest = b""
    try:
        with open(path, "rb") as file:
            while block := file.read(READ_BYTES):
                block = rest + block
                words = block.split()
                # The last word may go on in the next block.
                rest = words.pop() if words and not block[-1:].isspace() else b""
                if len(rest) > WORD_BYTES_MAX:
                    raise DistrodbError(
                        f"{path}: a word is longer than {WORD_BYTES_MAX} bytes; give a text file"
                    )
                for word in words:
                    if previous is not None:
                        pairs[previous] = word
                    previous = word
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        reason = getattr(error, "strerror", None) or str(error)
        raise DistrodbError(f"{path}: {reason}; give the path of a readable text file") from error
    for word in [rest] if rest else []:
        if previous is not None:
            pairs[previous] = word
        previous = word
    if previous is not None:
        pairs[previous] = b""
    return pairs
