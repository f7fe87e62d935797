"""The replies to the parts of one command, until all are there.  Pure."""

from collections.abc import Callable, Sequence

from distrodb.resp.reply import ErrorReply, Reply


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


def worst(replies: Sequence[Reply]) -> ErrorReply | None:
    """What is answered if a part has failed: the error that leaves most open."""
    failed = [reply for reply in replies if isinstance(reply, ErrorReply)]
    return min(failed, key=lambda reply: reply.code != "UNKNOWN", default=None)
