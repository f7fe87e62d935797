"""Random runs in which much is large: entries are written beside the commits, and groups apart."""

from tests.sim.chaos import Chaos

EVERYTHING = 1 << 30


class LargeChaos(Chaos):
    """Entries of some tens of bytes: all of them in files of their own, or some; or a commit is so
    small that few groups have room in it."""

    WRITE_BYTES = [(1, 256), (60, 256), (EVERYTHING, 64)]
