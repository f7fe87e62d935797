"""The replies to the parts of one command, until all are there.  Pure."""

from collections.abc import Callable, Sequence

from distrodb.resp.reply import ErrorReply, Reply

# By which a partition says that it has done nothing, whatever the words of the command.
REFUSALS = ("MOVED", "CLUSTERDOWN", "TRYAGAIN", "OOM")
IN_PART = b"UNKNOWN this write was done in part, and not where it was answered "


class Gathering:
    def __init__(self, count: int, finish: Callable[[Sequence[Reply]], None]):
        """``finish`` is called once, with all of them in the order of the parts."""
        self._replies: list[Reply] = [None] * count
        self._missing = count
        self._finish = finish

    def taker(self, number: int) -> Callable[[Reply], None]:
        def take(reply: Reply) -> None:
            self._replies[number] = reply
            self._missing -= 1
            if not self._missing:
                self._finish(self._replies)

        return take


def worst(replies: Sequence[Reply], is_write: bool) -> ErrorReply | None:
    """What is answered if a part has failed: the error that leaves most open.

    One that says that nothing was done is not true of a write of which other parts were done.
    """
    failed = [reply for reply in replies if isinstance(reply, ErrorReply)]
    found = min(failed, key=lambda reply: reply.code != "UNKNOWN", default=None)
    if found is None or not is_write or len(failed) == len(replies) or found.code not in REFUSALS:
        return found
    return ErrorReply(IN_PART + found.text)
