"""Which features a cluster may use: a number in the cluster map that only grows.

Slaves of two versions run side by side while a cluster is upgraded, one slave after another.  What
one of them writes into a group's log the others must know: a slave stops at an entry that it does
not know (``VersionError``).  So what older versions do not know is written only when every slave of
the map knows it.  Each slave tells the level that its version knows (slave/gossip.py); when all of
the map have told a higher one than the map's, the controller raises that.

    1   0.6.0 and before
    2   the changes ``set_level``, ``set_replicas`` and ``set_addresses`` of the map; lists, sets;
        all commands on hashes;
        scripts (``EVAL`` and its like); sorted sets; streams; slaves ask each other how many copies
        have a write

What always holds:

- the level of a map never gets lower, and every slave of the map knew it when it was raised;
- who knows less than the map's level is not let in, nor counted again with another directory, and a
  version that goes by levels does not run on such a map.

A cluster is born with the least that its founders' directories were made with: the level stands in
the incarnation (``5f3a09c2.2``), the one thing on which all agree before there is a map.

Caveat: what raises it is for good; the version before cannot come back afterwards (it stops at the
first entry that it does not know; nothing is lost by that).
"""

from collections.abc import Iterable

from distrodb.errors import VersionError

LEVEL = 2  # that this version knows
OF_REPLICAS = 2  # of maps that say how many copies there should be, and of smaller groups
OF_MOVES = 2  # of addresses that change
OF_COPIES = 2  # of slaves that ask each other how many copies have a write
_FIRST = 1  # of who tells none
_LEVEL_MAX = 999  # that is read


def level_of(incarnation: str) -> int:
    """With which a directory was made."""
    return read_level(incarnation.rpartition(".")[2]) if "." in incarnation else _FIRST


def read_level(text: str) -> int:
    """1 for what is no level."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(_LEVEL_MAX))):
        return _FIRST
    return max(_FIRST, int(text))


def born_with(incarnations: Iterable[str]) -> int:
    """By the founders' directories; 1 if there are none."""
    return min(map(level_of, incarnations), default=_FIRST)


def check_known(level: int) -> None:
    """Raises ``VersionError``."""
    if level > LEVEL:
        raise VersionError(
            f"the cluster uses features of level {level}, and this version of distrodb knows those"
            f" up to {LEVEL}; upgrade this slave, its data is kept"
        )
