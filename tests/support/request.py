"""The one stand-in for what a client asks of a partition (``raft.interfaces.Request``).

It is answered once or never; a second answer fails the test at the place that gives it.
"""

from distrodb.resp.reply import ErrorReply, Reply

READS = (b"GET", b"READ")


class Asked:
    def __init__(
        self, *args: bytes, slot: int = 0, size: int = 64, is_write: bool | None = None
    ) -> None:
        self.args, self.slot, self.size = args, slot, size
        self.place = slot  # of database 0
        self.is_write = args[0] not in READS if is_write is None else is_write
        self.reply: Reply | None = None  # a read's may be None, too; see ``is_answered``
        self.is_answered = False
        self.was_handed_back = False  # surely not proposed, said the group

    def resolve(self, reply: Reply) -> None:
        assert not self.is_answered, f"{self.args!r} is answered twice: {self.reply!r}, {reply!r}"
        self.reply, self.is_answered = reply, True

    @property
    def is_unknown(self) -> bool:
        return isinstance(self.reply, ErrorReply) and self.reply.code == "UNKNOWN"
