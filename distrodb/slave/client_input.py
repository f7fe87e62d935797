"""What a client has sent and what is not begun yet: bytes, and the commands in them.  Pure.

Bytes are parsed a slice at a time (``PARSED_BYTES``), since the rest of the slave waits meanwhile.
``commands`` are those that are whole, in order; behind the last of them may stand the error of a
stream that cannot be followed any further.

Caveat: ``memory`` of commands that wait is measured when there are more of them than before, so
until the last one of them has begun it may say too much.
"""

from collections import deque
from collections.abc import Sequence

from distrodb.resp.parse import ARGUMENT_BYTES, CommandParser, ParserLimits, ProtocolError
from distrodb.resp.reply import ErrorReply, error

# Parsed at a time: of arguments of one byte each it is some 10,000, which take 20 ms.  The rest of
# what has come waits for the next turn.
PARSED_BYTES = 65536
COMMAND_BYTES = 100  # that a command takes in memory beside its arguments, about


def size_of_command(args: Sequence[bytes]) -> int:
    """Bytes that it takes in memory, about."""
    return COMMAND_BYTES + sum(map(len, args)) + ARGUMENT_BYTES * len(args)


class ClientInput:
    def __init__(self, limits: ParserLimits):
        self.commands: deque[list[bytes] | ErrorReply] = deque()
        self.unparsed = b""  # it has come in one piece with what was parsed last
        self.fault = ""  # why the stream cannot be followed
        self._parser = CommandParser(limits)
        self._counted, self._counted_bytes = 0, 0  # commands that were measured

    def receive(self, data: bytes) -> bool:
        """True: it is parsed; else that is to be gone on with later (``parse``)."""
        if self.unparsed or len(data) > PARSED_BYTES:
            self.unparsed += data
            return False
        try:
            self.commands += self._parser.feed(data)
        except ProtocolError as problem:
            self.fault = str(problem)
            self.commands += problem.commands
            self.commands.append(error("ERR", self.fault))
            self._forget()
        return True

    def parse(self) -> None:
        """The next slice."""
        rest, self.unparsed = self.unparsed, b""
        self.receive(rest[:PARSED_BYTES])
        if not self.fault:
            self.unparsed = rest[PARSED_BYTES:]

    def clear(self) -> None:
        """Nothing more of it is wanted."""
        self.commands.clear()
        self._forget()

    def _forget(self) -> None:
        self.unparsed = b""
        self._parser.clear()

    @property
    def is_empty(self) -> bool:
        """But for the beginning of a command."""
        return not (self.commands or self.unparsed)

    @property
    def half_command(self) -> int:
        """The number of the command whose end is awaited from the client; 0 if there is none."""
        return self._parser.begun if self._parser.held and self.is_empty else 0

    @property
    def memory(self) -> int:
        """Bytes that all of this takes, about."""
        count = len(self.commands)
        if not count:
            if not (self._parser.held or self.unparsed):  # of nearly all, nearly always
                return 0
            self._counted = self._counted_bytes = 0
        elif count > self._counted:
            self._counted = count
            waiting = [args for args in self.commands if not isinstance(args, ErrorReply)]
            self._counted_bytes = sum(map(size_of_command, waiting))
        return self._counted_bytes + len(self.unparsed) + self._parser.memory
