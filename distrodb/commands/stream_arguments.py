"""What commands on streams take: numbers of entries, ranges of them, how to trim.  Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from distrodb.commands.error_replies import SYNTAX
from distrodb.commands.numbers import (
    BAD_TIMEOUT,
    INT_MAX,
    NEGATIVE_TIMEOUT,
    NOT_AN_INTEGER,
    parse_integer,
)
from distrodb.keyspace.containers.stream_block import ENTRIES_MAX
from distrodb.keyspace.containers.stream_trimming import References
from distrodb.keyspace.stream_ids import ID_MAX, SEQUENCE_MAX, parse_id
from distrodb.resp.reply import ErrorReply, error

INVALID_ID = error("ERR", "Invalid stream ID specified as stream command argument")
_NO_FIRST = error("ERR", "invalid start ID for the interval")
_NO_LAST = error("ERR", "invalid end ID for the interval")
_TWO_STRATEGIES = error(
    "ERR", "syntax error, MAXLEN and MINID options at the same time are not compatible"
)
_NEGATIVE_LENGTH = error("ERR", "The MAXLEN argument must be >= 0.")
_NEGATIVE_LIMIT = error("ERR", "The LIMIT argument must be >= 0.")
_NOTHING_TO_LIMIT = error(
    "ERR", "syntax error, LIMIT cannot be used without specifying a trimming strategy"
)
_NO_STRATEGY = error("ERR", "syntax error, XTRIM must be called with trimming strategy")
_EXACT_LIMIT = error("ERR", "syntax error, LIMIT cannot be used without the special ~ option")
_UNBALANCED = error(  # also of XREADGROUP
    "ERR",
    "Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
)
_NO_BLOCK = b" command is not allowed with BLOCK option from scripts"
REFERENCES = {each.value: each for each in References}
LIMIT = 100 * ENTRIES_MAX  # of what is trimmed "about" where nobody says


class Wrong(Exception):
    """The arguments; the one argument of this is the reply."""

    def __init__(self, reply: ErrorReply):
        super().__init__(reply)
        self.reply = reply


def integer(text: bytes, problem: ErrorReply = NOT_AN_INTEGER) -> int:
    number = parse_integer(text)
    if number is None:
        raise Wrong(problem)
    return number


def strict_id(text: bytes) -> int:
    number = parse_id(text)
    if number is None:
        raise Wrong(INVALID_ID)
    return number


def id_or_end(text: bytes, sequence: int = 0) -> int:
    """Also the first one there could be, and the last one."""
    if text in (b"-", b"+"):
        return 0 if text == b"-" else ID_MAX
    number = parse_id(text, sequence)
    if number is None:
        raise Wrong(INVALID_ID)
    return number


def first_of_range(text: bytes) -> int:
    if not _is_exclusive(text):
        return id_or_end(text)
    number = strict_id(text[1:])
    if number == ID_MAX:
        raise Wrong(_NO_FIRST)
    return number + 1


def last_of_range(text: bytes) -> int:
    if not _is_exclusive(text):
        return id_or_end(text, SEQUENCE_MAX)
    number = parse_id(text[1:], SEQUENCE_MAX)
    if number is None:
        raise Wrong(INVALID_ID)
    if number == 0:
        raise Wrong(_NO_LAST)
    return number - 1


def _is_exclusive(text: bytes) -> bool:
    return len(text) > 1 and text.startswith(b"(")


@dataclass(slots=True)
class Trimming:
    """What stands before the entry of XADD, and is all that XTRIM takes."""

    length: int = INT_MAX  # that is left
    first: int = 0  # that is left
    is_about: bool = False  # whole blocks alone
    limit: int = 0
    is_asked: bool = False  # else nothing is trimmed
    no_stream: bool = False  # NOMKSTREAM
    references: References | None = None  # None: kept
    end: int = 0  # the position of what is no option


def parse_trimming(args: Sequence[bytes], is_adding: bool) -> Trimming:
    """Raises ``Wrong``.  For XADD it ends at whatever is no option: the number of the entry."""
    found, limit = Trimming(), -1
    place = 2
    while place < len(args):
        word, more = args[place].upper(), len(args) - 1 - place
        if word in (b"MAXLEN", b"MINID") and more:
            place = _parse_strategy(found, args, place)
        elif word == b"LIMIT" and more:
            limit = integer(args[place + 1])
            if limit < 0:
                raise Wrong(_NEGATIVE_LIMIT)
            place += 1
        elif is_adding and word == b"NOMKSTREAM":
            found.no_stream = True
        elif word in REFERENCES:
            if found.references is not None:
                raise Wrong(SYNTAX)
            found.references = REFERENCES[word]
        elif is_adding:
            parse_new_id(args[place])
            break
        else:
            raise Wrong(SYNTAX)
        place += 1
    found.end = place
    if limit > 0 and not found.is_asked:
        raise Wrong(_NOTHING_TO_LIMIT)
    if not is_adding and not found.is_asked:
        raise Wrong(_NO_STRATEGY)
    if limit >= 0 and not found.is_about:
        raise Wrong(_EXACT_LIMIT)
    found.limit = LIMIT if limit < 0 and found.is_about else max(limit, 0)
    return found


def _parse_strategy(found: Trimming, args: Sequence[bytes], place: int) -> int:
    """The position of its last word."""
    if found.is_asked:
        raise Wrong(_TWO_STRATEGIES)
    found.is_asked = True
    is_length = args[place].upper() == b"MAXLEN"
    place += 1
    if args[place] in (b"~", b"=") and len(args) - 1 > place:
        found.is_about = args[place] == b"~"
        place += 1
    if is_length:
        found.length = integer(args[place])
        if found.length < 0:
            raise Wrong(_NEGATIVE_LENGTH)
    else:
        found.first = strict_id(args[place])
    return place


def parse_new_id(text: bytes) -> tuple[int, bool] | None:
    """Of an entry that is added, and whether its sequence is given; None: all is to be chosen.
    Raises ``Wrong``."""
    if text == b"*":
        return None
    ms, _, sequence = text.partition(b"-")
    if sequence == b"*":
        return strict_id(ms + b"-0"), False
    return strict_id(text), True


@dataclass(slots=True)
class Reading:
    """What XREAD and XREADGROUP ask for."""

    keys: Sequence[bytes] = ()
    ids: Sequence[bytes] = ()  # as many
    count: int = 0  # 0: all
    timeout_ms: int | None = None  # None: it does not wait
    group: tuple[bytes, bytes] | None = None  # and the consumer
    no_ack: bool = False
    streams: int = 0  # the position of the first key


def parse_reading(args: Sequence[bytes], may_wait: bool = True) -> Reading:
    """Raises ``Wrong``."""
    of_group = args[0].upper() == b"XREADGROUP"
    found = Reading()
    words = enumerate(args)
    next(words)
    for place, word in words:
        option, more = word.upper(), len(args) - 1 - place
        if option == b"BLOCK" and more:
            if not may_wait:
                raise Wrong(ErrorReply(b"ERR " + args[0] + _NO_BLOCK))
            found.timeout_ms = _timeout(next(words)[1])
        elif option == b"COUNT" and more:
            found.count = max(0, integer(next(words)[1]))
        elif option == b"STREAMS" and more:
            if more % 2:
                raise Wrong(_UNBALANCED)
            found.streams, half = place + 1, more // 2
            found.keys, found.ids = args[place + 1 : place + 1 + half], args[place + 1 + half :]
            break
        elif option == b"GROUP" and more >= 2:
            if not of_group:
                raise Wrong(_only_groups("GROUP"))
            found.group = next(words)[1], next(words)[1]
        elif option == b"NOACK":
            if not of_group:
                raise Wrong(_only_groups("NOACK"))
            found.no_ack = True
        else:
            raise Wrong(SYNTAX)
    if not found.keys:
        raise Wrong(SYNTAX)
    if of_group and found.group is None:
        raise Wrong(error("ERR", "Missing GROUP option for XREADGROUP"))
    return found


def _timeout(text: bytes) -> int:
    ms = integer(text, BAD_TIMEOUT)
    if ms < 0:
        raise Wrong(NEGATIVE_TIMEOUT)
    return ms


def _only_groups(option: str) -> ErrorReply:
    return error(
        "ERR", f"The {option} option is only supported by XREADGROUP. You called XREAD instead."
    )
