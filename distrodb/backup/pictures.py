"""Pictures of a running cluster's partitions, piece by piece (slave/pictures.py is the other end).

Each is taken by the partition's leader when it is asked for, so it holds whatever was acknowledged
before.  It stays with the slave that took it: when that one is gone the picture is, and whoever
reads begins that partition anew.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError, ResponseError

from distrodb.clock import monotonic, sleep
from distrodb.config.address import Address
from distrodb.errors import DistrodbError, UnavailableError
from distrodb.master.client import BIRTH_S_MAX, REPLY_S_MAX, Cluster, Status
from distrodb.master.connections import one_line, slave_at
from distrodb.master.healing_status import unborn
from distrodb.patience import patience

BREAKS_MAX = 3  # of the connection, one after another; then the slave is taken for gone
BREAK_PAUSE_S = 0.2
TRIES_MAX = 10  # of one partition


class PictureLost(Exception):
    """The slave that had it is gone, or has dropped it: begin the partition anew."""


@dataclass(frozen=True, slots=True)
class Picture:
    token: bytes
    at: Address
    keys: int
    size: int  # bytes, about

    def pieces(self) -> Iterator[bytes]:
        """Raises ``PictureLost``."""
        number = 0
        with slave_at(self.at, REPLY_S_MAX) as slave:
            try:
                while (piece := self._piece(slave, number)) is not None:
                    yield piece
                    number += 1
            finally:
                with suppress(RedisError, OSError):
                    slave.execute_command("DISTRODB", "BACKUP", "END", self.token)

    def _piece(self, slave: Any, number: int) -> bytes | None:
        for breaks in range(BREAKS_MAX + 1):
            try:
                piece: bytes | None = slave.execute_command(
                    "DISTRODB", "BACKUP", "READ", self.token, number
                )
                return piece
            except ResponseError as error:
                if one_line(error).startswith("NOBACKUP"):
                    raise PictureLost(one_line(error)) from error
                raise DistrodbError(f"refused: {one_line(error)}") from error
            except (RedisError, OSError) as error:
                if breaks == BREAKS_MAX:
                    raise PictureLost(f"{self.at} does not answer: {one_line(error)}") from error
                sleep(BREAK_PAUSE_S)
        raise AssertionError("unreachable")


def status_of(cluster: Cluster) -> Status:
    """Of a cluster that is born: before, a slave knows nothing of what others hold."""
    until = monotonic() + BIRTH_S_MAX
    with patience(lambda: cluster.awaited or "a slave that answers"):
        while why := unborn(status := cluster.status()):
            if monotonic() > until:
                raise UnavailableError(why)
            sleep(BREAK_PAUSE_S)
    return status


def take(cluster: Cluster, partition: int) -> Picture:
    """A picture of a partition as it is now.  Raises ``DistrodbError``."""
    words = "DISTRODB", "BACKUP", "BEGIN", partition
    (token, _, _, keys, size), at = cluster.ask_leader(partition, *words)
    return Picture(token, at, keys, size)


def key_count(cluster: Cluster, partitions: int) -> int:
    """Of the whole cluster, in all databases."""
    count = 0
    for number in range(partitions):
        picture = take(cluster, number)
        count += picture.keys
        with suppress(RedisError, OSError), slave_at(picture.at, REPLY_S_MAX) as slave:
            slave.execute_command("DISTRODB", "BACKUP", "END", picture.token)
    return count


def gives_up(partition: int, why: PictureLost) -> UnavailableError:
    return UnavailableError(
        f"partition {partition} could not be read to its end {TRIES_MAX} times ({why}); begin anew"
        " when its slaves stay up"
    )
