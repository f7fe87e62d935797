"""All partitions of a running cluster, one after another, into an output that can go back.

A partition whose picture is lost (its slave died) is taken back and begun anew, with whoever leads
it then; those before it stay as they are.
"""

from collections.abc import Callable, Iterator

from distrodb.backup.files import Output
from distrodb.backup.pictures import TRIES_MAX, PictureLost, gives_up, take
from distrodb.backup.records import Code, Record
from distrodb.errors import CorruptionError
from distrodb.master.client import Cluster

Show = Callable[[float, str], None]  # partitions that are done, and what to say of them
# Of one partition: its number and its pieces, into the output; and how many keys it has.
Copy = Callable[[int, Iterator[bytes]], int]


def told_of(partition: int, records: Iterator[Record | Code]) -> Iterator[Record | Code]:
    """The same; what is wrong with a piece is an error of one line."""
    try:
        yield from records
    except ValueError as problem:
        raise CorruptionError(
            f"partition {partition}: a slave sent a piece that cannot be read: {problem}"
        ) from None


class Copying:
    def __init__(self, cluster: Cluster, output: Output, copy: Copy, show: Show):
        self._cluster, self._output, self._copy, self._show = cluster, output, copy, show
        self.keys = 0

    def run(self, partitions: int) -> None:
        for number in range(partitions):
            self._show(number, f"{self.keys:,} keys")
            self._partition(number)
            self._output.settle()

    def _partition(self, number: int) -> None:
        mark, why = self._output.mark(), PictureLost()
        for _ in range(TRIES_MAX):
            try:
                self.keys += self._copy(number, self._pieces(number))
                return
            except PictureLost as lost:
                why = lost
                self._output.back_to(mark)
        raise gives_up(number, why)

    def _pieces(self, number: int) -> Iterator[bytes]:
        picture, done = take(self._cluster, number), 0
        for piece in picture.pieces():
            yield piece
            done += len(piece)
            share = min(0.99, done / max(1, picture.size))
            self._show(number + share, f"{self.keys:,} keys")
