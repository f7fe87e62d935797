"""What a slave promises by its messages, and whether its disk keeps the promise.

A vote, an acknowledgement and whatever else speaks of state that must outlive a crash may leave
only when that state is on the disk (``Core``'s contract).  This looks at the real slave's messages
at the moment they leave, and at what its disk would give back after a power cut at that moment.

- A vote for somebody in a term, also the one for oneself that a request for votes speaks of:
  the disk says so, or a later term.
- An acknowledgement up to an index: the disk has the log up to there, or a snapshot.
- All these, a leader's appends and the word that one's term is newer: the disk has the term.
"""

from distrodb.errors import CorruptionError
from distrodb.raft import messages as m
from distrodb.storage.records import JournalStore, entry_key, load_meta, load_tombstone

SPEAK_OF_A_TERM = (m.VOTE_REQUEST, m.VOTE, m.APPEND, m.ACK, m.TIMEOUT_NOW, m.STALE, m.LEAVE_REQUEST)


def broken_promise(disk: JournalStore, me: str, receiver: str, message: m.Message) -> str:
    """What is not on the disk though the message speaks of it; empty when all is well.  ``me`` and
    ``receiver`` are names of members."""
    group, kind, term = message[:3]
    if kind not in SPEAK_OF_A_TERM:
        return ""
    try:
        known = load_meta(disk, group) or load_tombstone(disk, group)
    except CorruptionError:
        return ""  # a bit was flipped since
    what = f"{me} sends {receiver} {m.KIND_NAMES[kind]} {message[2:5]} of group {group}"
    if known is None or known.term < term:
        return f"{what}, and the term on its disk is {known and known.term}"
    if kind in (m.VOTE, m.VOTE_REQUEST) and known.term == term:
        candidate = receiver if kind == m.VOTE else me
        if known.voted_for != candidate:
            return f"{what}, and its disk knows of a vote for {known.voted_for}"
    if kind == m.ACK and message[3]:
        index = message[4]
        is_there = any(disk.scan(entry_key(group, index), entry_key(group, index)))
        if not is_there and getattr(known, "snapshot_index", 0) < index:
            return f"{what}, and its disk has neither that entry nor a snapshot with it"
    return ""
