"""Places on the earth (https://redis.io/docs/latest/commands/?group=geo): members of a sorted set
whose scores say where they are (keyspace/geohash.py).

GEORADIUS and its kind are older names of what GEOSEARCH does.

Caveat: how many members a search looks at is bounded (``SEARCHED_MAX``), since nobody else is
served while it runs; Redis has no bound.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import islice

from distrodb.commands.command import Command, data_row
from distrodb.commands.costs import Cost, Sizes
from distrodb.commands.error_replies import SYNTAX, shown
from distrodb.commands.key_specs import READS, KeySpec, one
from distrodb.commands.numbers import (
    BAD_COUNT,
    NOT_A_FLOAT,
    NOT_AN_INTEGER,
    parse_integer,
    show_long_double,
)
from distrodb.commands.scores import parse_score
from distrodb.commands.sorted_set_ranges import STORED_US, store
from distrodb.commands.sorted_sets import add_scores, members_in
from distrodb.keyspace import geohash
from distrodb.keyspace.containers.sorted_set import Entry, SortedSet
from distrodb.keyspace.context import Context
from distrodb.keyspace.geohash import Place, Shape, is_place
from distrodb.keyspace.keys import Keys
from distrodb.resp.reply import NULL_ARRAY, ErrorReply, NumberText, Reply, error

SEARCHED_MAX = 1 << 20  # members that one command looks at
SEARCHED_US = 8.0  # each

TOO_MANY = error("ERR", f"more than {SEARCHED_MAX} members would be looked at by one command")
_NO_UNIT = error("ERR", "unsupported unit provided. please use M, KM, FT, MI")
_NO_MEMBER = error("ERR", "could not decode requested zset member")
_NOT_STORED = "WITHDIST, WITHHASH and WITHCOORD options"
_NEAR = "Members near a place; deprecated, for GEOSEARCH."
_UNITS = {b"M": 1.0, b"KM": 1000.0, b"FT": 0.3048, b"MI": 1609.34}


# -- what is read ----------------------------------------------------------------------------------


def _place(words: Sequence[bytes]) -> Place | ErrorReply:
    """Two words."""
    longitude, latitude = parse_score(words[0]), parse_score(words[1])
    if longitude is None or latitude is None:
        return NOT_A_FLOAT
    if not is_place(longitude, latitude):
        return error("ERR", f"invalid longitude,latitude pair {longitude:f},{latitude:f}")
    return longitude, latitude


def _metres(words: Sequence[bytes], names: Sequence[str], negative: str) -> "_Lengths | ErrorReply":
    """Lengths and their unit."""
    lengths: list[float] = []
    for word, name in zip(words[:-1], names, strict=True):
        number = parse_score(word)
        if number is None:
            return error("ERR", f"need numeric {name}")
        lengths.append(number)
    if min(lengths) < 0:
        return error("ERR", f"{negative} cannot be negative")
    unit_m = _UNITS.get(words[-1].upper())
    return _NO_UNIT if unit_m is None else _Lengths(lengths, unit_m)


@dataclass(frozen=True, slots=True)
class _Lengths:
    lengths: Sequence[float]
    unit_m: float


# Options with how many words follow each: of GEORADIUS' kind and of GEOSEARCH's.
_SHOWN = (b"WITHDIST", b"WITHHASH", b"WITHCOORD")
_COMMON = dict.fromkeys((*_SHOWN, b"ANY", b"ASC", b"DESC"), 0) | {b"COUNT": 1}
_OF_RADIUS = _COMMON | {b"STORE": 1, b"STOREDIST": 1}
_OF_SEARCH = _COMMON | {b"FROMMEMBER": 1, b"FROMLONLAT": 2, b"BYRADIUS": 2, b"BYBOX": 3}
_OF_SEARCH_STORE = _OF_SEARCH | {b"STOREDIST": 0}


def _needs(which: str, name: bytes) -> ErrorReply:
    return error("ERR", f"exactly one of {which} can be specified for {shown(name)}")


@dataclass(slots=True)
class _Search:
    """What a command of GEOSEARCH's kind asks for, read word by word."""

    found: SortedSet | None
    begins: bytes = b""  # the option that says where: FROMMEMBER or FROMLONLAT
    middle: Place = (0.0, 0.0)
    is_by: bytes = b""  # BYRADIUS or BYBOX
    lengths: _Lengths = _Lengths((0.0,), 1.0)  # a radius, or width and height
    shown: set[bytes] = field(default_factory=set)
    order: bytes = b""  # ASC or DESC
    count: int = 0  # 0: all
    is_any: bool = False
    store_at: bytes | None = None
    stores_distances: bool = False

    def read(self, words: deque[bytes], options: Mapping[bytes, int]) -> ErrorReply | None:
        while words:
            option = words.popleft().upper()
            if option not in options or options[option] > len(words):
                return SYNTAX
            values = [words.popleft() for _ in range(options[option])]
            problem = self._where(option, values) or self._how(option, values)
            if problem is not None:
                return problem
        return None

    def _where(self, option: bytes, values: list[bytes]) -> ErrorReply | None:
        if option in (b"FROMMEMBER", b"FROMLONLAT"):
            if self.begins not in (b"", option):
                return SYNTAX
            self.begins = option
            return self.from_member(values[0]) if len(values) == 1 else self.from_place(values)
        if option in (b"BYRADIUS", b"BYBOX"):
            if self.is_by not in (b"", option):
                return SYNTAX
            self.is_by = option
            return self.by_lengths(values)
        return None

    def from_member(self, member: bytes) -> ErrorReply | None:
        score = None if self.found is None else self.found.score(member)
        if self.found is not None and score is None:
            return _NO_MEMBER
        if score is not None:
            self.middle = geohash.decode(score)
        return None

    def from_place(self, words: Sequence[bytes]) -> ErrorReply | None:
        place = _place(words)
        if isinstance(place, ErrorReply):
            return place
        self.middle = place
        return None

    def by_lengths(self, words: Sequence[bytes]) -> ErrorReply | None:
        """A radius or a width and a height, and the unit."""
        is_box = len(words) == 3
        names = ("width", "height") if is_box else ("radius",)
        lengths = _metres(words, names, "height or width" if is_box else "radius")
        if isinstance(lengths, ErrorReply):
            return lengths
        self.lengths = lengths
        return None

    def _how(self, option: bytes, values: list[bytes]) -> ErrorReply | None:
        if option in _SHOWN:
            self.shown.add(option)
        elif option in (b"ASC", b"DESC"):
            self.order = option
        elif option == b"ANY":
            self.is_any = True
        elif option == b"COUNT":
            count = parse_integer(values[0])
            if count is None:
                return NOT_AN_INTEGER
            if count <= 0:
                return BAD_COUNT
            self.count = count
        elif option in (b"STORE", b"STOREDIST"):
            self.stores_distances = option == b"STOREDIST"
            self.store_at = values[0] if values else self.store_at
        return None

    def problem(self, name: bytes, is_search: bool) -> ErrorReply | None:
        """Of all options together."""
        if self.store_at is not None and self.shown:
            what = "GEOSEARCHSTORE" if is_search else "STORE option in GEORADIUS"
            return error("ERR", f"{what} is not compatible with {_NOT_STORED}")
        if is_search and not self.begins:
            return _needs("FROMMEMBER or FROMLONLAT", name)
        if is_search and not self.is_by:
            return _needs("BYRADIUS and BYBOX", name)
        if self.is_any and not self.count:
            return error("ERR", "the ANY argument requires COUNT argument")
        return None

    @property
    def shape(self) -> Shape:
        lengths = [each * self.lengths.unit_m for each in self.lengths.lengths]
        return Shape(self.middle, lengths[0], lengths[-1], len(lengths) == 2)


@dataclass(frozen=True, slots=True)
class _Found:
    member: bytes
    score: float
    place: Place
    metres: float


def _search(asked: _Search) -> list[_Found] | ErrorReply:
    """In the order of the cells that are looked through, unless another one is asked for."""
    if asked.found is None:
        return []
    ranges = [_ranks(asked.found, *scores) for scores in asked.shape.score_ranges()]
    if sum(stop - start for start, stop in ranges) > SEARCHED_MAX:
        return TOO_MANY
    found = list(islice(_inside(asked, ranges), asked.count if asked.is_any else None))
    if asked.order or (asked.count and not asked.is_any):
        found.sort(key=lambda each: each.metres, reverse=asked.order == b"DESC")
    return found[: asked.count] if asked.count else found


def _ranks(of: SortedSet, first: int, behind: int) -> tuple[int, int]:
    return of.rank_of_score(float(first), False), of.rank_of_score(float(behind), False)


def _inside(asked: _Search, ranges: Sequence[tuple[int, int]]) -> Iterator[_Found]:
    shape = asked.shape
    for start, stop in ranges:
        for score, member in asked.found.between(start, stop) if asked.found else ():
            place = geohash.decode(score)
            metres = shape.distance(place)
            if metres is not None:
                yield _Found(member, score, place, metres)


# -- what is told ----------------------------------------------------------------------------------


def _shown_distance(metres: float, unit_m: float) -> bytes:
    return b"%.4f" % (metres / unit_m)


def _shown_place(place: Place) -> Reply:
    return [NumberText(show_long_double(Fraction(each))) for each in place]


def _told(found: Sequence[_Found], asked: _Search) -> Reply:
    if not asked.shown:
        return [each.member for each in found]
    told: list[Reply] = []
    for each in found:
        line: list[Reply] = [each.member]
        if b"WITHDIST" in asked.shown:
            line.append(_shown_distance(each.metres, asked.lengths.unit_m))
        if b"WITHHASH" in asked.shown:
            line.append(int(each.score))
        if b"WITHCOORD" in asked.shown:
            line.append(_shown_place(each.place))
        told.append(line)
    return told


def _end(
    keys: Keys, asked: _Search, name: bytes, event: bytes, context: Context, is_search: bool
) -> Reply:
    """What is asked for is read: look, and answer or store."""
    if problem := asked.problem(name, is_search):
        return problem
    found = _search(asked)
    if isinstance(found, ErrorReply):
        return found
    if asked.store_at is None:
        return _told(found, asked)
    unit_m = asked.lengths.unit_m if asked.stores_distances else 0.0
    scores = {each.member: each.metres / unit_m if unit_m else each.score for each in found}
    return store(keys, asked.store_at, scores, event, context)


# -- commands --------------------------------------------------------------------------------------


def geoadd(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """GEOADD key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]"""
    position = 2
    while position < len(args) and args[position].upper() in (b"NX", b"XX", b"CH"):
        position += 1
    options = frozenset(word.upper() for word in args[2:position])
    words = args[position:]
    if not words or len(words) % 3 or {b"NX", b"XX"} <= options:
        return SYNTAX
    entries: list[Entry] = []
    for number in range(0, len(words), 3):
        place = _place(words[number : number + 2])
        if isinstance(place, ErrorReply):
            return place
        entries.append((float(geohash.encode(place)), words[number + 2]))
    return add_scores(keys, args[1], entries, options, context)


def geodist(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """GEODIST key member1 member2 [M | KM | FT | MI]"""
    if len(args) > 5:
        return SYNTAX
    unit_m = _UNITS.get(args[4].upper()) if len(args) == 5 else 1.0
    if unit_m is None:
        return _NO_UNIT
    found = keys.container(args[1], SortedSet)
    scores = [None if found is None else found.score(member) for member in args[2:4]]
    places = [geohash.decode(score) for score in scores if score is not None]
    if len(places) != 2:
        return None
    return _shown_distance(geohash.distance(*places), unit_m)


def geohash_(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    places = _places(keys, args)
    return [None if place is None else geohash.text(place) for place in places]


def geopos(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    places = _places(keys, args)
    return [NULL_ARRAY if place is None else _shown_place(place) for place in places]


def _places(keys: Keys, args: Sequence[bytes]) -> list[Place | None]:
    found = keys.container(args[1], SortedSet)
    scores = [None if found is None else found.score(member) for member in args[2:]]
    return [None if score is None else geohash.decode(score) for score in scores]


def _georadius(
    keys: Keys, args: Sequence[bytes], context: Context, is_by_member: bool, may_store: bool
) -> Reply:
    """GEORADIUS key longitude latitude radius unit [options], or with a member in the place of the
    coordinates."""
    asked = _Search(keys.container(args[1], SortedSet))
    begin = 3 if is_by_member else 4
    problem = asked.from_member(args[2]) if is_by_member else asked.from_place(args[2:4])
    if problem is None and not (is_by_member and asked.found is None):
        problem = asked.by_lengths(args[begin : begin + 2])
    options = _OF_RADIUS if may_store else _COMMON
    problem = problem or asked.read(deque(args[begin + 2 :]), options)
    return problem or _end(keys, asked, args[0], b"georadiusstore", context, False)


georadius = partial(_georadius, is_by_member=False, may_store=True)
georadius_ro = partial(_georadius, is_by_member=False, may_store=False)
georadiusbymember = partial(_georadius, is_by_member=True, may_store=True)
georadiusbymember_ro = partial(_georadius, is_by_member=True, may_store=False)


def geosearch(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    asked = _Search(keys.container(args[1], SortedSet))
    problem = asked.read(deque(args[2:]), _OF_SEARCH)
    return problem or _end(keys, asked, args[0], b"", context, True)


def geosearchstore(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    asked = _Search(keys.container(args[2], SortedSet), store_at=args[1])
    problem = asked.read(deque(args[3:]), _OF_SEARCH_STORE)
    return problem or _end(keys, asked, args[0], b"geosearchstore", context, True)


# -- where keys are, and what they take ------------------------------------------------------------


def _find_keys(args: Sequence[bytes], begin: int) -> list[int]:
    """The key that is searched, and the one that is written to: the last STORE counts."""
    stored = 0
    position = begin
    while position < len(args) - 1:
        if args[position].upper() in (b"STORE", b"STOREDIST"):
            position += 1
            stored = position
        position += 1
    return [1, stored] if stored else [1]


def _searched_us(sizes: Sizes, args: Sequence[bytes], at: int = 1) -> float:
    return min(SEARCHED_MAX, members_in(sizes, args[at])) * SEARCHED_US


def _stored_us(sizes: Sizes, args: Sequence[bytes], at: int, stored: int) -> float:
    if stored:
        sizes.grow(args[stored], sizes.size(args[at]))
    return _searched_us(sizes, args, at) + members_in(sizes, args[at]) * STORED_US


def _radius_us(sizes: Sizes, args: Sequence[bytes], begin: int) -> float:
    stored = _find_keys(args, begin)[1:]
    return _stored_us(sizes, args, 1, stored[0]) if stored else _searched_us(sizes, args)


_row = partial(data_row, level=2)
_GROUP = "geo"
_STORES = tuple(KeySpec("OW update", 6, word=word) for word in (b"STORE", b"STOREDIST"))


def _radius_row(name: str, handler: Callable[..., Reply], begin: int, since: str) -> Command:
    """``begin``: where options do."""
    keys = (*READS, *(replace(spec, at=begin) for spec in _STORES))
    return _row(
        name,
        handler,
        -begin,
        "write denyoom movablekeys",
        keys,
        _GROUP,
        _NEAR,
        since,
        find_keys=partial(_find_keys, begin=begin),
        cost=partial(_radius_us, begin=begin),
    )


def _read_row(
    name: str,
    handler: Callable[..., Reply],
    arity: int,
    summary: str,
    since: str,
    cost: Cost | None = None,
) -> Command:
    return _row(name, handler, arity, "readonly", READS, _GROUP, summary, since, cost=cost)


COMMANDS = (
    _row(
        "geoadd",
        geoadd,
        -5,
        "write denyoom",
        one("RW update"),
        _GROUP,
        "Adds members by where they are.",
        "3.2.0",
    ),
    _read_row("geodist", geodist, -4, "How far two members are from each other.", "3.2.0"),
    _read_row("geohash", geohash_, -2, "Where members are, as geohashes.", "3.2.0"),
    _read_row("geopos", geopos, -2, "Where members are.", "3.2.0"),
    _radius_row("georadius", georadius, 6, "3.2.0"),
    _radius_row("georadiusbymember", georadiusbymember, 5, "3.2.0"),
    _read_row("georadius_ro", georadius_ro, -6, _NEAR, "3.2.10", _searched_us),
    _read_row("georadiusbymember_ro", georadiusbymember_ro, -5, _NEAR, "3.2.10", _searched_us),
    _read_row("geosearch", geosearch, -7, "Members in a circle or a box.", "6.2.0", _searched_us),
    _row(
        "geosearchstore",
        geosearchstore,
        -8,
        "write denyoom",
        (*one("OW update"), *one("RO access", 2)),
        _GROUP,
        "Stores members in a circle or a box.",
        "6.2.0",
        cost=partial(_stored_us, at=2, stored=1),
    ),
)
