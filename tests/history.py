"""A linearizability checker for what Redis clients saw: Wing and Gong's search, with a memory.

A history is linearizable when every operation can be given one moment between its call and its
answer such that a single Redis, given the commands at these moments, would have answered the same.
``check`` searches for such an order and raises ``NotLinearizable`` when there is none.

An operation whose outcome is unknown (the connection broke, ``UNKNOWN``) may take effect at any
moment after its call, or never.  One that surely did not happen is not recorded at all.

Keys are independent of each other, so each is searched alone, but those that appear together in
one command are searched together.  The model below is written anew, on purpose: it shares nothing
with ``distrodb.store``.

What keeps the search small (each keeps at least one valid order, if there is any):
- what was tried once, the same operations in any order leading to the same values, is not tried
  again (Lowe, "Testing for linearizability", 2017);
- a read that fits now is placed now: no other operation depends on it;
- an unknown operation is placed as late as it can be: not before an operation that would have
  fitted without it and leads to the same values;
- of unknown operations that are the same the one called first is placed first;
- written values that no reply ever showed are made one value of that length, so that it does not
  matter which of them it was.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

# Far above what a history of thousands of operations takes; a search beyond it would not end.
CONFIGURATIONS_MAX = 3_000_000
SHOWN_MAX = 6  # operations in each list of an explanation
SHOWN_CHARACTERS_MAX = 40  # of a value in an explanation


@dataclass(frozen=True)
class Operation:
    """One command of one client; ``returned`` is None when nobody knows whether it happened."""

    process: int
    called: float
    returned: float | None
    command: tuple[str, ...]
    reply: object = None

    def __str__(self) -> str:
        command = " ".join(_short(word) for word in self.command)
        if self.returned is None:
            return f"client {self.process}: {command} -> unknown [{self.called:.6f}, …]"
        times = f"[{self.called:.6f}, {self.returned:.6f}]"
        return f"client {self.process}: {command} -> {_short(self.reply)} {times}"


class NotLinearizable(AssertionError):
    """No order of the operations explains the replies; the text says from where on."""


class Undecided(AssertionError):
    """The search grew beyond ``CONFIGURATIONS_MAX``; this says nothing about the history."""


def check(operations: Iterable[Operation]) -> None:
    """Raises ``NotLinearizable``, or returns when the history is linearizable."""
    for keys, related in _components(operations):
        _Search(keys, related).run()


# -- the model: what a single Redis answers ------------------------------------------------------

Values = tuple[bytes | None, ...]  # one for each key of a component
Step = Callable[[Values], tuple[Values, object]]  # new values, reply

_OK = "OK"
_ERROR = object()  # any error reply that a command deserves by itself (not an integer)
_READS = {"GET", "MGET", "EXISTS", "STRLEN"}
_COUNTING = {"INCR", "INCRBY", "DECRBY"}


def _keys_of(command: tuple[str, ...]) -> tuple[str, ...]:
    name = command[0].upper()
    if name == "MSET":
        return command[1::2]
    return command[1:] if name in ("MGET", "DEL", "EXISTS") else command[1:2]


def _step(command: tuple[str, ...], places: dict[str, int]) -> Step:
    """The command as a function of the values before it."""
    name = command[0].upper()
    at = [places[key] for key in _keys_of(command)]
    first = at[0]

    def put(values: Values, place: int, value: bytes | None) -> Values:
        return (*values[:place], value, *values[place + 1 :])

    if name == "GET":
        return lambda values: (values, values[first])
    if name == "MGET":
        return lambda values: (values, [values[place] for place in at])
    if name == "EXISTS":
        return lambda values: (values, sum(values[place] is not None for place in at))
    if name == "STRLEN":
        return lambda values: (values, len(values[first] or b""))
    if name == "DEL":

        def delete(values: Values) -> tuple[Values, object]:
            gone = {place for place in at if values[place] is not None}
            return tuple(None if n in gone else v for n, v in enumerate(values)), len(gone)

        return delete
    if name == "MSET":
        pairs = list(zip(at, (value.encode() for value in command[2::2]), strict=True))

        def set_many(values: Values) -> tuple[Values, object]:
            for place, value in pairs:
                values = put(values, place, value)
            return values, _OK

        return set_many
    if name == "APPEND":
        tail = command[2].encode()

        def append(values: Values) -> tuple[Values, object]:
            value = (values[first] or b"") + tail
            return put(values, first, value), len(value)

        return append
    if name in _COUNTING:
        delta = int(command[2]) if name != "INCR" else 1
        delta = -delta if name == "DECRBY" else delta

        def count(values: Values) -> tuple[Values, object]:
            number = _integer(values[first] if values[first] is not None else b"0")
            if number is None or not -(2**63) <= number + delta < 2**63:
                return values, _ERROR
            return put(values, first, b"%d" % (number + delta)), number + delta

        return count
    if name == "SETNX":
        new = command[2].encode()
        return lambda v: (put(v, first, new), 1) if v[first] is None else (v, 0)
    if name == "SET":
        new, options = command[2].encode(), {option.upper() for option in command[3:]}
        if options - {"NX", "XX", "GET"}:
            raise ValueError(f"SET with {sorted(options)}: not in the model")

        def set_(values: Values) -> tuple[Values, object]:
            before = values[first]
            blocked = "NX" in options if before is not None else "XX" in options
            reply = before if "GET" in options else None if blocked else _OK
            return (values if blocked else put(values, first, new)), reply

        return set_
    raise ValueError(f"{name}: not in the model")


def _integer(text: bytes) -> int | None:
    try:
        number = int(text)
    except ValueError:
        return None
    return number if b"%d" % number == text and -(2**63) <= number < 2**63 else None


def _fits(expected: object, reply: object) -> bool:
    if expected is _ERROR:
        return isinstance(reply, Exception)
    if expected is _OK:  # redis-py makes True of it
        return reply is True or reply in ("OK", b"OK")
    if expected is None or reply is None:
        return expected is reply
    return expected == reply


def _changes_nothing(operation: Operation) -> bool:
    """Whatever the values were: reads, and writes whose reply says that they had no effect."""
    name, reply = operation.command[0].upper(), operation.reply
    if name in _READS:
        return True
    if operation.returned is None:
        return False
    if name in ("SETNX", "DEL"):
        return reply == 0
    options = {option.upper() for option in operation.command[3:]} if name == "SET" else set()
    if "GET" in options:  # the value before: there was one for NX, none for XX
        return ("NX" in options and reply is not None) or ("XX" in options and reply is None)
    return name == "SET" and reply is None


# -- parts that can be searched alone ------------------------------------------------------------


def _components(
    operations: Iterable[Operation],
) -> Iterator[tuple[tuple[str, ...], list[Operation]]]:
    """Keys that appear together in a command, directly or by way of others, with their operations.

    Unknown reads say nothing and are left out.
    """
    kept = [o for o in operations if o.returned is not None or not _changes_nothing(o)]
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = key = parent[parent[key]]
        return key

    for operation in kept:
        first, *others = _keys_of(operation.command)
        for other in others:
            parent[root(other)] = root(first)
    related: dict[str, list[Operation]] = defaultdict(list)
    keys: dict[str, set[str]] = defaultdict(set)
    for operation in kept:
        name = root(_keys_of(operation.command)[0])
        related[name].append(operation)
        keys[name].update(_keys_of(operation.command))
    for name, members in related.items():
        yield tuple(sorted(keys[name])), members


def _blurred(operations: list[Operation]) -> list[tuple[str, ...]]:
    """The commands, with values that no reply showed made one and the same of their length.

    With APPEND a value may be shown as a part of another one.  Where values are counted up, those
    that are integers matter by themselves; with both, all may.
    """
    names = {operation.command[0].upper() for operation in operations}
    if "APPEND" in names and names & _COUNTING:
        return [operation.command for operation in operations]
    shown: set[bytes] = set()
    for operation in operations:
        replies = operation.reply if isinstance(operation.reply, list) else [operation.reply]
        shown.update(reply for reply in replies if isinstance(reply, bytes))
    representatives: dict[int, str] = {}
    cache: dict[str, str] = {}

    def blur(value: str) -> str:
        if value not in cache:
            data = value.encode()
            matters = data in shown or ("APPEND" in names and any(data in one for one in shown))
            if names & _COUNTING and _integer(data) is not None:
                matters = True
            cache[value] = value if matters else representatives.setdefault(len(data), value)
        return cache[value]

    result = []
    for operation in operations:
        command, name = list(operation.command), operation.command[0].upper()
        if name == "MSET":
            command[2::2] = [blur(value) for value in command[2::2]]
        elif name in ("SET", "SETNX", "APPEND"):
            command[2] = blur(command[2])
        result.append(tuple(command))
    return result


# -- the search ----------------------------------------------------------------------------------


class _Configuration(NamedTuple):
    """What was placed so far, and what it led to.

    ``first`` known operations are placed, and of those behind them the ones in ``others`` (a bit
    each); ``unknown`` are the unknown ones that are placed.  ``late`` is the unknown operation that
    was placed last, if nothing was placed behind it, with the values before it: what follows must
    need it.
    """

    first: int
    others: int
    unknown: int
    values: Values
    late: tuple[int, Values] | None = None


class _Path(NamedTuple):
    """How a configuration was reached."""

    placed: Operation
    before: "_Path | None"


class _Search:
    def __init__(self, keys: tuple[str, ...], operations: list[Operation]):
        self._keys = keys
        operations = sorted(operations, key=lambda operation: operation.called)
        places = {key: place for place, key in enumerate(keys)}
        self._known: list[Operation] = []
        self._unknown: list[Operation] = []
        self._known_steps: list[Step] = []
        self._unknown_steps: list[Step] = []
        self._same_before: list[int | None] = []  # for each unknown one: the same, called before
        last_same: dict[tuple[str, ...], int] = {}
        for operation, command in zip(operations, _blurred(operations), strict=True):
            if operation.returned is not None:
                self._known.append(operation)
                self._known_steps.append(_step(command, places))
                continue
            self._same_before.append(last_same.get(command))
            last_same[command] = len(self._unknown)
            self._unknown.append(operation)
            self._unknown_steps.append(_step(command, places))
        self._returned = [operation.returned or 0.0 for operation in self._known]
        self._is_read = [_changes_nothing(operation) for operation in self._known]

    def run(self) -> None:
        start = _Configuration(0, 0, 0, (None,) * len(self._keys))
        path: _Path | None = None
        horizon, following = self._following(start)
        furthest = (horizon, 0, start, path)
        stack = [(start, path, iter(following))]
        seen = {start}
        while stack:
            configuration, path, untried = stack[-1]
            if configuration.first == len(self._known):
                return
            for placed, new in untried:
                if new in seen:
                    continue
                seen.add(new)
                if len(seen) > CONFIGURATIONS_MAX:
                    raise Undecided(f"{', '.join(self._keys)}: the search has grown too large")
                horizon, following = self._following(new)
                reached = _Path(placed, path)
                progress = (horizon, new.first + new.others.bit_count())
                if progress > furthest[:2]:
                    furthest = (*progress, new, reached)
                stack.append((new, reached, iter(following)))
                break
            else:
                stack.pop()
        self._explain(*furthest)

    def _following(
        self, configuration: _Configuration
    ) -> tuple[float, list[tuple[Operation, _Configuration]]]:
        """What can be placed next; and the time of the answer that nothing can be placed behind."""
        first, others, unknown, values, late = configuration
        horizon = math.inf
        candidates = []
        for n in range(first, len(self._known)):
            if self._known[n].called > horizon:
                break
            if not others >> (n - first) & 1:
                candidates.append(n)
                horizon = min(horizon, self._returned[n])
        candidates.sort(key=self._returned.__getitem__)
        following = []
        for n in candidates:
            after, reply = self._known_steps[n](values)
            if not _fits(reply, self._known[n].reply):
                continue
            if self._is_read[n]:
                return horizon, [(self._known[n], self._placed(configuration, n, after))]
            if late is None or not self._needless(late, n, after):
                following.append((self._known[n], self._placed(configuration, n, after)))
        for n, operation in enumerate(self._unknown):
            if operation.called > horizon:
                break
            before = self._same_before[n]
            if unknown >> n & 1 or (before is not None and not unknown >> before & 1):
                continue
            after, _ = self._unknown_steps[n](values)
            if after != values and (late is None or not self._out_of_order(late, n, after)):
                new = _Configuration(first, others, unknown | 1 << n, after, (n, values))
                following.append((operation, new))
        return horizon, following

    def _placed(self, configuration: _Configuration, n: int, values: Values) -> _Configuration:
        first, others, unknown, _, _ = configuration
        others |= 1 << (n - first)
        while others & 1:
            others >>= 1
            first += 1
        return _Configuration(first, others, unknown, values)

    def _needless(self, late: tuple[int, Values], n: int, after: Values) -> bool:
        """Known ``n`` would have fitted before ``late``, or without it, with the same result."""
        unknown, before = late
        alone, reply = self._known_steps[n](before)
        if not _fits(reply, self._known[n].reply):
            return False
        return alone == after or self._unknown_steps[unknown](alone)[0] == after

    def _out_of_order(self, late: tuple[int, Values], n: int, after: Values) -> bool:
        """Unknown ``n`` undoes ``late``, or does not care which is first and is the lower one."""
        unknown, before = late
        alone = self._unknown_steps[n](before)[0]
        if alone == after:
            return True
        return n < unknown and self._unknown_steps[unknown](alone)[0] == after

    def _explain(
        self, horizon: float, count: int, configuration: _Configuration, path: _Path | None
    ) -> None:
        placed: list[Operation] = []
        while path is not None and len(placed) < SHOWN_MAX:
            placed.insert(0, path.placed)
            path = path.before
        open_ = [
            operation
            for n, operation in enumerate(self._known[configuration.first :])
            if not configuration.others >> n & 1 and operation.called <= horizon
        ]
        stuck = [operation for operation in open_ if operation.returned == horizon]
        beside = [operation for operation in open_ if operation.returned != horizon]
        unused = [
            operation
            for n, operation in enumerate(self._unknown)
            if not configuration.unknown >> n & 1 and operation.called <= horizon
        ]
        values = ", ".join(
            f"{key} = {_short(value)}"
            for key, value in zip(self._keys, configuration.values, strict=True)
        )
        lines = [
            f"not linearizable: {', '.join(self._keys)}",
            f"{count} of {len(self._known)} answered operations can be put in an order, at most;"
            " it ends with",
            *(f"    {operation}" for operation in placed),
            f"which leaves {values}",
            "and there is no moment for",
            *(f"    {operation}" for operation in stuck[:SHOWN_MAX]),
        ]
        if beside:
            lines.append("while these were under way")
            lines += (f"    {operation}" for operation in beside[:SHOWN_MAX])
        if unused:
            lines.append("and the outcome of these is unknown")
            lines += (f"    {operation}" for operation in unused[-SHOWN_MAX:])
        raise NotLinearizable("\n".join(lines))


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    if len(text) <= SHOWN_CHARACTERS_MAX:
        return text
    return f"{text[: SHOWN_CHARACTERS_MAX - 10]}…({len(text)})"
