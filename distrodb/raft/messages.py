"""What Raft members say to each other, and how it looks on a peer link.

A message is a flat list whose first two fields are the group's id and the kind; the rest are
integers, booleans, byte strings and lists of them, so that one ``msgpack`` call encodes a whole
frame.  ``check`` is the border: what passes it has the right shape, and what does not closes the
link (``PeerError``).  Nothing from a peer is ever unpickled.

Where this departs from the Raft paper: an ACK carries its term and the round of the append that it
answers, so that a stale one can be told (pysyncobj's carries neither); STALE answers any message of
an older term, so that a leader that was cut off learns of its successor; PREVOTE is the thesis'
9.6; by LEAVE a leader lets go of one that is no member (membership.py); HEARTBEAT is of no group,
but speaks for all that two slaves share (slave/heartbeats.py).
"""

from typing import Any

from msgpack import UnpackException

from distrodb.errors import PeerError
from distrodb.raft.log import Configuration, is_configuration

VOTE_REQUEST = 1  # term, last index, last term, is this a leadership transfer?
VOTE = 2  # term
PREVOTE_REQUEST = 3  # proposed term, last index, last term
PREVOTE = 4  # proposed term
APPEND = 5  # term, previous index, previous term, commit index, round, [[term, command], ...]
ACK = 6  # term, success, index, round (success: matches up to index; else: try from index)
TIMEOUT_NOW = 7  # term
# term, transfer, sequence, index, term of index, [epoch, members] there, chunk, is it the last one?
SNAPSHOT = 8
SNAPSHOT_ACK = 9  # term, transfer, next sequence (0: all of it came, and it is damaged)
STALE = 10  # term
LEAVE_REQUEST = 11  # term, number
LEAVE = 12  # term, number, index of the configuration without the one that asked
HEARTBEAT = 13  # stamp, asks, echo, versions, held versions, lease, [table led], [table followed]

SLAVE = 0xFFFF  # in place of a group's number: a message between slaves

KIND_NAMES = {
    VOTE_REQUEST: "vote request",
    VOTE: "vote",
    PREVOTE_REQUEST: "pre-vote request",
    PREVOTE: "pre-vote",
    APPEND: "append",
    ACK: "ack",
    TIMEOUT_NOW: "timeout now",
    SNAPSHOT: "snapshot",
    SNAPSHOT_ACK: "snapshot ack",
    STALE: "stale",
    LEAVE_REQUEST: "leave request",
    LEAVE: "leave",
    HEARTBEAT: "heartbeat",
}

_SHAPES: dict[int, tuple[type, ...]] = {
    VOTE_REQUEST: (int, int, int, bool),
    VOTE: (int,),
    PREVOTE_REQUEST: (int, int, int),
    PREVOTE: (int,),
    APPEND: (int, int, int, int, int, list),
    ACK: (int, bool, int, int),
    TIMEOUT_NOW: (int,),
    SNAPSHOT: (int, int, int, int, int, list, bytes, bool),
    SNAPSHOT_ACK: (int, int, int),
    STALE: (int,),
    LEAVE_REQUEST: (int, int),
    LEAVE: (int, int, int),
    HEARTBEAT: (int, bool, int, list, list, int, list, list),
}

NUMBER_MAX = 1 << 62  # terms and indexes never get there; sums of them still fit 64 bits

Message = list[Any]  # [group, kind, *fields]


def check(message: object) -> Message:
    """Return the message if its shape is right; raise ``PeerError`` if it is not."""
    if not isinstance(message, list) or len(message) < 3:
        raise PeerError("a Raft message is not a list of at least three fields")
    if type(message[0]) is not int or type(message[1]) is not int:
        raise PeerError("a Raft message does not begin with a group and a kind")
    shape = _SHAPES.get(message[1])
    if shape is None:
        raise PeerError(f"unknown kind of Raft message: {message[1]!r}")
    fields = message[2:]
    if tuple(map(type, fields)) != shape:
        raise PeerError(f"a {KIND_NAMES[message[1]]} message has the wrong fields")
    for field in fields:
        if type(field) is int and not 0 <= field < NUMBER_MAX:
            raise PeerError(f"a {KIND_NAMES[message[1]]} message has a number out of range")
    if (message[0] == SLAVE) != (message[1] == HEARTBEAT):
        raise PeerError(f"a {KIND_NAMES[message[1]]} message of no group, or a heartbeat of one")
    if message[1] == APPEND:
        for entry in message[7]:
            if type(entry) is not list or tuple(map(type, entry)) != (int, bytes) or not entry[1]:
                raise PeerError("an append message holds something that is not a log entry")
            if not 0 <= entry[0] < NUMBER_MAX:
                raise PeerError("an append message has an entry with a term out of range")
            if is_configuration(entry[1]):
                _check_configuration(entry[1])
    elif message[1] == SNAPSHOT:
        configuration = message[7]
        if len(configuration) != 2 or not _are_members(*configuration):
            raise PeerError("a snapshot message has no configuration")
    return message


def _check_configuration(command: bytes) -> None:
    try:
        configuration = Configuration.unpack(0, command)
        is_one = _are_members(configuration.epoch, list(configuration.members))
    except (ValueError, TypeError, OverflowError, UnpackException):
        is_one = False
    if not is_one:
        raise PeerError("an append message holds a damaged membership entry")


def _are_members(epoch: object, members: object) -> bool:
    """As in the gossip that tells others of them (slave/gossip.py), which would be refused else."""
    return (
        type(epoch) is int
        and 0 <= epoch < NUMBER_MAX
        and isinstance(members, list)
        and all(isinstance(member, str) for member in members)
        and 0 < len(members) == len(set(members))
    )
