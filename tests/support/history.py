"""A linearizability checker for what Redis clients saw: Wing and Gong's search, with a memory.

A history is linearizable when every operation can be given one moment between its call and its
answer such that a single Redis, given the commands at these moments, would have answered the same.
``check`` searches for such an order and raises ``NotLinearizable`` when there is none.

An operation whose outcome is unknown (the connection broke, ``UNKNOWN``) may take effect at any
moment after its call, or never.  One that surely did not happen is not recorded at all.

A key with an expiry may go at any moment behind the command that set it: that is one more operation
of unknown outcome (``VANISHES``).  Once it was seen gone it must not come back.  Caveats: what is
copied must not expire; that a key goes in time, and not too early, is for other tests to judge.

A transaction is one operation, made by ``transaction``: of commands of the model, and of values
that watched keys must have at its moment.  One that was answered with null did not happen, and is
not recorded.  Whoever watches a key must write values to it that are never written twice.

Keys are independent of each other, so each is searched alone, but those that appear together in
one command are searched together.  The model below, and that of containers and scripts
(containers_model.py), are written anew, on purpose: they share nothing with ``distrodb.keyspace``.

What chance decides (SPOP) is what was answered, if that is possible at its moment; of an unknown
outcome it is one of several commands, of which one at most took place.

What keeps the search small (each keeps at least one valid order, if there is any):
- what was tried once, the same operations in any order leading to the same values, is not tried
  again (Lowe, "Testing for linearizability", 2017), nor with more unknown operations used up;
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
from typing import Any, NamedTuple

from tests.support import containers_model as containers
from tests.support.containers_model import ERROR, NEVER, Expiring, plain

# Of one component.  Far above what a linearizable history of thousands of operations takes (a few
# for each operation), and some 20 s of work.
CONFIGURATIONS_MAX = 1_000_000
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
    """The search grew beyond ``CONFIGURATIONS_MAX``; the text says what it could not get past.

    Most likely the history is not linearizable: to know that, all orders have to be ruled out, and
    unknown operations of several kinds that counteract each other (INCR, DECRBY, DEL) leave many.
    """


def check(operations: Iterable[Operation]) -> None:
    """Raises ``NotLinearizable``, or returns when the history is linearizable."""
    for keys, related in _components(with_vanishing(operations)):
        _Search(keys, related).run()


_BLANK = "\x1f"  # between the words of a command within a transaction
_IF = "(if)"  # in place of a command's name: a key, and what it must hold: nothing, a value, or
# the elements of a list


def transaction(
    commands: Iterable[tuple[str, ...]], conditions: Iterable[tuple[str, ...]] = ()
) -> tuple[str, ...]:
    """The command of a transaction's operation; a condition is a key and its value, or elements, or
    a key alone that must not be there."""
    words = [(_IF, *condition) for condition in conditions] + list(commands)
    return ("EXEC", *(_BLANK.join(each) for each in words))


def queued(operation: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The commands of a transaction, without its conditions."""
    return [each for each in _within(operation) if each[0] != _IF]


def _within(command: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The commands of a transaction, and its conditions; or the command itself."""
    if command[0] != "EXEC":
        return [command]
    return [tuple(each.split(_BLANK)) for each in command[1:]]


def with_vanishing(operations: Iterable[Operation]) -> list[Operation]:
    """The operations, and that each key with an expiry may go."""
    operations = list(operations)
    keys = [
        Operation(operation.process, operation.called, None, (VANISHES, operation.command[1]))
        for operation in operations
        if _lets_expire(operation.command) and not _changes_nothing(operation)
    ]
    fields = [
        Operation(operation.process, operation.called, None, (VANISHES, key, field))
        for operation in operations
        if not _changes_nothing(operation)
        for key in operation.command[1:2]
        for field in containers.expiring_fields(operation.command)
    ]
    return operations + keys + fields


# -- the model: what a single Redis answers ------------------------------------------------------

Value = bytes | tuple[Any, ...] | Expiring | None  # Expiring is a tuple too: ask for it first
Values = tuple[Value, ...]  # one for each key of a component
Step = Callable[[Values], tuple[Values, object]]  # new values, reply

_OK = "OK"
_HOLDS = object()  # of a condition
_SOME = object()  # any number from 0 on
VANISHES = "(vanishes)"  # in place of a command's name
_READS = {"GET", "MGET", "EXISTS", "TOUCH", "STRLEN", "TTL", "PTTL", "PEXPIRETIME"}
_READS |= containers.READS
_TTLS = ("TTL", "PTTL", "PEXPIRETIME")
_EXPIRING = {"EXPIRE", "PEXPIRE"}
_COUNTING = {"INCR", "INCRBY", "DECRBY"}
_OF_MANY = {"MGET", "DEL", "UNLINK", "EXISTS", "TOUCH"}


def keys_of(command: tuple[str, ...]) -> tuple[str, ...]:
    name = command[0].upper()
    if name == "EXEC":
        return tuple(dict.fromkeys(key for each in _within(command) for key in keys_of(each)))
    if name == "MSET":
        return command[1::2]
    if name == "COPY":
        return command[1:3]
    if name in _OF_MANY:
        return command[1:]
    return containers.keys_of(command) or command[1:2]


def _lets_expire(command: tuple[str, ...]) -> bool:
    options = {option.upper() for option in command[2:]}
    name = command[0].upper()
    return name in _EXPIRING or (name in ("SET", "GETEX") and "PX" in options)


def _step(command: tuple[str, ...], places: dict[str, int]) -> Step:
    """The command as a function of the values before it."""
    name = command[0].upper()
    if name == "EXEC":
        return _transaction_step([_step(each, places) for each in _within(command)])
    at = [places[key] for key in keys_of(command)]
    first = at[0]

    def put(values: Values, place: int, value: Value) -> Values:
        return (*values[:place], value, *values[place + 1 :])

    def update(values: Values, value: bytes) -> Values:
        """The key still expires, if it did."""
        return put(values, first, Expiring(value) if _expires(values[first]) else value)

    if containers.is_modelled(name):
        return _container_step(name, command, at)
    if name in _EXPIRING or name in ("PERSIST", *_TTLS, VANISHES.upper()):
        return _expiry_step(name, command, first, put)
    if command[0] == _IF:
        wanted = tuple(word.encode() for word in command[2:])
        return lambda v: (v, _HOLDS if _contents(plain(v[first])) == wanted else NEVER)
    if name == "GET":
        return lambda values: (values, plain(values[first]))
    if name == "MGET":
        return lambda values: (values, [plain(values[place]) for place in at])
    if name in ("EXISTS", "TOUCH"):
        return lambda values: (values, sum(values[place] is not None for place in at))
    if name == "STRLEN":
        return lambda values: (values, len(plain(values[first]) or b""))
    if name in ("DEL", "UNLINK"):

        def delete(values: Values) -> tuple[Values, object]:
            gone = {place for place in at if values[place] is not None}
            return tuple(None if n in gone else v for n, v in enumerate(values)), len(gone)

        return delete
    if name == "COPY":
        source, target = at
        may_replace = command[3:] == ("REPLACE",)

        def copy(values: Values) -> tuple[Values, object]:
            if values[source] is None or (values[target] is not None and not may_replace):
                return values, 0
            return put(values, target, values[source]), 1

        return copy
    if name == "GETEX":

        def get_and_expire(values: Values) -> tuple[Values, object]:
            value = plain(values[first])
            if value is None:
                return values, None
            return put(
                values, first, value if command[2:] == ("PERSIST",) else Expiring(value)
            ), value

        return get_and_expire
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
            value = (plain(values[first]) or b"") + tail
            return update(values, value), len(value)

        return append
    if name in _COUNTING:
        delta = int(command[2]) if name != "INCR" else 1
        delta = -delta if name == "DECRBY" else delta

        def count(values: Values) -> tuple[Values, object]:
            number = _integer(b"0" if values[first] is None else plain(values[first]))
            if number is None or not -(2**63) <= number + delta < 2**63:
                return values, ERROR
            return update(values, b"%d" % (number + delta)), number + delta

        return count
    if name == "SETNX":
        new = command[2].encode()
        return lambda v: (put(v, first, new), 1) if v[first] is None else (v, 0)
    if name == "SET":
        new, options = command[2].encode(), {option.upper() for option in command[3:]}
        expires, keeps = "PX" in options, "KEEPTTL" in options
        if options - {"NX", "XX", "GET", "PX", "KEEPTTL", *command[-1:]}:
            raise ValueError(f"SET with {sorted(options)}: not in the model")

        def set_(values: Values) -> tuple[Values, object]:
            before = plain(values[first])
            blocked = "NX" in options if before is not None else "XX" in options
            reply = before if "GET" in options else None if blocked else _OK
            if blocked:
                return values, reply
            is_to_go = expires or (keeps and _expires(values[first]))
            return put(values, first, Expiring(new) if is_to_go else new), reply

        return set_
    raise ValueError(f"{name}: not in the model")


def _contents(value: Any) -> tuple[bytes, ...]:
    return (value,) if isinstance(value, bytes) else value or ()


def _transaction_step(steps: list[Step]) -> Step:
    def run(values: Values) -> tuple[Values, object]:
        before, replies = values, []
        for step in steps:
            values, reply = step(values)
            if reply is NEVER:
                return before, NEVER
            if reply is not _HOLDS:
                replies.append(reply)
        return values, replies

    return run


def _expires(value: Value) -> bool:
    return isinstance(value, Expiring)


def _container_step(name: str, command: tuple[str, ...], at: list[int]) -> Step:
    step, may_keep = containers.step_of(command), containers.keeps_expiry(name)

    def run(values: Values) -> tuple[Values, object]:
        before = [plain(values[place]) for place in at]
        after, reply = step(before)
        new = list(values)
        for place, was, value in zip(at, before, after, strict=False):
            if value != was:
                keeps = may_keep and _expires(values[place])
                new[place] = (Expiring(value) if keeps else value) if value else None
        return tuple(new), reply

    return run


def _expiry_step(
    name: str, command: tuple[str, ...], first: int, put: Callable[[Values, int, Value], Values]
) -> Step:
    def _without_field(values: Values, value: Value, field: bytes) -> Values:
        fields = dict(plain(value) or ())
        if not _expires(fields.get(field)):
            return values
        del fields[field]
        left = tuple(sorted(fields.items())) or None
        return put(values, first, Expiring(left) if left and _expires(value) else left)

    def step(values: Values) -> tuple[Values, object]:
        value = values[first]
        if name == VANISHES.upper():
            if len(command) > 2:
                return _without_field(values, value, command[2].encode()), None
            return (put(values, first, None) if _expires(value) else values), None
        if name in _TTLS:
            return values, -2 if value is None else _SOME if _expires(value) else -1
        if name == "PERSIST":
            return put(values, first, plain(value)), int(_expires(value))
        if value is None:
            return values, 0
        after = Expiring(plain(value)) if int(command[2]) > 0 else None
        return put(values, first, after), 1

    return step


def _integer(text: bytes) -> int | None:
    try:
        number = int(text)
    except ValueError:
        return None
    return number if b"%d" % number == text and -(2**63) <= number < 2**63 else None


def _fits(expected: object, reply: object) -> bool:
    if isinstance(expected, list):
        replies = reply if isinstance(reply, list) else []
        return len(expected) == len(replies) and all(map(_fits, expected, replies))
    if isinstance(expected, containers.OneOf):
        return reply in expected or (reply is None and not expected)
    if isinstance(expected, frozenset):
        members = reply if isinstance(reply, (list, set)) else [None]
        return len(members) == len(expected) and expected == {*members}
    if expected is NEVER:
        return False
    if expected is ERROR:
        return isinstance(reply, Exception)
    if expected is _OK:  # redis-py makes True of it
        return reply is True or reply in ("OK", b"OK")
    if expected is None or reply is None:
        return expected is reply
    if expected is _SOME or expected is containers.EACH_ANY:
        return type(reply) is int and reply >= 0
    if isinstance(expected, dict) and isinstance(reply, list):  # RESP2
        return len(reply) == 2 * len(expected) and expected == dict(
            zip(reply[::2], reply[1::2], strict=True)
        )
    return expected == reply


def _changes_nothing(operation: Operation) -> bool:
    """Whatever the values were: reads, and writes whose reply says that they had no effect."""
    name, reply = operation.command[0].upper(), operation.reply
    if name in _READS:
        return True
    if name == "EXEC":
        return all(each[0].upper() in _READS for each in _within(operation.command))
    if operation.returned is None:
        return False
    if containers.changes_nothing(name, reply):
        return True
    if name in ("SETNX", "DEL", "UNLINK", "PERSIST", "COPY", *_EXPIRING):
        return reply == 0
    if name == "GETEX":
        return reply is None
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
        first, *others = keys_of(operation.command)
        for other in others:
            parent[root(other)] = root(first)
    related: dict[str, list[Operation]] = defaultdict(list)
    keys: dict[str, set[str]] = defaultdict(set)
    for operation in kept:
        name = root(keys_of(operation.command)[0])
        related[name].append(operation)
        keys[name].update(keys_of(operation.command))
    for name, members in related.items():
        yield tuple(sorted(keys[name])), members


def _blurred(operations: list[Operation]) -> list[tuple[str, ...]]:
    """The commands, with values that no reply showed made one and the same of their length.

    With APPEND a value may be shown as a part of another one.  Where values are counted up, those
    that are integers, or may become a part of one, matter by themselves.
    """
    names = {each[0].upper() for o in operations for each in _within(o.command)}
    shown = {text for operation in operations for text in _texts(operation.reply)}
    shown |= {
        word.encode()
        for operation in operations
        for each in _within(operation.command)
        if each[0] == _IF
        for word in each[2:]
    }
    shown |= {
        word.encode()
        for operation in operations
        for each in _within(operation.command)
        for word in containers.mentioned(each)
    }
    representatives: dict[int, str] = {}
    cache: dict[str, str] = {}

    def blur(value: str) -> str:
        if value not in cache:
            data = value.encode()
            matters = data in shown or ("APPEND" in names and any(data in one for one in shown))
            if names & _COUNTING and set(value) <= set("-0123456789"):
                matters = True
            cache[value] = value if matters else representatives.setdefault(len(data), value)
        return cache[value]

    result = []
    for operation in operations:
        command, name = list(operation.command), operation.command[0].upper()
        if name == "MSET":
            command[2::2] = [blur(value) for value in command[2::2]]
        elif name == "HSET":
            command[3::2] = [blur(value) for value in command[3::2]]
        elif name in ("LPUSH", "RPUSH"):
            command[2:] = [blur(value) for value in command[2:]]
        elif name in ("SET", "SETNX", "APPEND"):
            command[2] = blur(command[2])
        result.append(tuple(command))
    return result


def _members_of_sets(operations: Iterable[Operation]) -> set[str]:
    """That any of them can have."""
    added = [each for o in operations for each in _within(o.command) if each[0] == "SADD"]
    return {member for command in added for member in command[2:]} | {*containers.ROLLED}


def _texts(reply: object) -> Iterator[bytes]:
    if isinstance(reply, bytes):
        yield reply
    elif isinstance(reply, (list, dict)):
        for each in reply if isinstance(reply, list) else reply.values():
            yield from _texts(each)


# -- the search ----------------------------------------------------------------------------------


class _Configuration(NamedTuple):
    """What was placed so far, and what it led to.

    ``first`` known operations are placed, and of those behind them the ones in ``others`` (a bit
    each); ``unknown`` are the unknown ones that are placed.  ``late`` is the kind of the unknown
    operation that was placed last, if nothing was placed behind it, with the values before it: what
    follows must need it.
    """

    first: int
    others: int
    unknown: int
    values: Values
    late: tuple[int, Values] | None = None


class _Tried:
    """The configurations that were tried, to tell which others can only fail too."""

    def __init__(self) -> None:
        self.count = 0
        self._unknown: dict[tuple[object, ...], list[int]] = defaultdict(list)

    def covers(self, new: _Configuration) -> bool:
        """Whether one was tried that differs only in having more freedom, or none; else note it.

        Unknown operations that are used up are freedom lost, and so is having to need ``late``.
        """
        first, others, unknown, values, late = new
        for key in {(first, others, values, None), (first, others, values, late)}:
            if any(tried & ~unknown == 0 for tried in self._unknown.get(key, ())):
                return True
        self._unknown[first, others, values, late].append(unknown)
        self.count += 1
        return False


class _Path(NamedTuple):
    """How a configuration was reached."""

    placed: Operation
    before: "_Path | None"


class _Search:
    def __init__(self, keys: tuple[str, ...], operations: list[Operation]):
        self._keys = keys
        operations = sorted(operations, key=lambda operation: operation.called)
        members = _members_of_sets(operations)
        places = {key: place for place, key in enumerate(keys)}
        self._known: list[Operation] = []
        self._unknown: list[Operation] = []
        self._known_steps: list[Step] = []
        # Unknown operations that are the same are of one kind; the one called first goes first.
        self._kinds: list[int] = []  # of each unknown one
        self._kind_steps: list[Step] = []
        # For each unknown one: bits for the same before it, and for what else it can have been; one
        # of each is placed at most.  Those of the same before it count as one.
        self._same_before: list[int] = []
        self._instead: list[int] = []
        kinds: dict[tuple[str, ...], int] = {}
        last: dict[tuple[str, ...], int] = {}
        for operation, command in zip(operations, _blurred(operations), strict=True):
            if operation.returned is not None:
                (command,) = containers.with_choice(command, operation.reply, True, members)
                self._known.append(operation)
                self._known_steps.append(_step(command, places))
                continue
            choices = containers.with_choice(command, None, False, members)
            together = ((1 << len(choices)) - 1) << len(self._unknown)
            for choice in choices:
                if choice not in kinds:
                    kinds[choice] = len(kinds)
                    self._kind_steps.append(_step(choice, places))
                self._kinds.append(kinds[choice])
                self._same_before.append(last.get(choice, 0))
                self._instead.append(together)
                self._unknown.append(operation)
            last.update(dict.fromkeys(choices, together))
        self._returned = [operation.returned or 0.0 for operation in self._known]
        self._is_read = [_changes_nothing(operation) for operation in self._known]

    def run(self) -> None:
        start = _Configuration(0, 0, 0, (None,) * len(self._keys))
        path: _Path | None = None
        horizon, following = self._following(start)
        furthest = (horizon, 0, start, path)
        stack = [(start, path, iter(following))]
        tried = _Tried()
        while stack:
            configuration, path, untried = stack[-1]
            if configuration.first == len(self._known):
                return
            for placed, new in untried:
                if tried.covers(new):
                    continue
                if tried.count > CONFIGURATIONS_MAX:
                    raise Undecided(self._explanation("undecided", *furthest))
                horizon, following = self._following(new)
                reached = _Path(placed, path)
                progress = (horizon, new.first + new.others.bit_count())
                if progress > furthest[:2]:
                    furthest = (*progress, new, reached)
                stack.append((new, reached, iter(following)))
                break
            else:
                stack.pop()
        raise NotLinearizable(self._explanation("not linearizable", *furthest))

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
            if unknown & self._instead[n] or (before and not unknown & before):
                continue
            kind = self._kinds[n]
            after, _ = self._kind_steps[kind](values)
            if after != values and (late is None or not self._out_of_order(late, kind, after)):
                new = _Configuration(first, others, unknown | 1 << n, after, (kind, values))
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
        """Peers ``n`` would have fitted before ``late``, or without it, with the same result."""
        kind, before = late
        alone, reply = self._known_steps[n](before)
        if not _fits(reply, self._known[n].reply):
            return False
        return alone == after or self._kind_steps[kind](alone)[0] == after

    def _out_of_order(self, late: tuple[int, Values], kind: int, after: Values) -> bool:
        """One of ``kind`` undoes ``late``, or could as well be first and is of a lower kind."""
        late_kind, before = late
        alone = self._kind_steps[kind](before)[0]
        if alone == after:
            return True
        return kind < late_kind and self._kind_steps[late_kind](alone)[0] == after

    def _explanation(
        self,
        verdict: str,
        horizon: float,
        count: int,
        configuration: _Configuration,
        path: _Path | None,
    ) -> str:
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
            f"{verdict}: {', '.join(self._keys)}",
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
        return "\n".join(lines)


def _short(value: object) -> str:
    text = value.replace(_BLANK, " ") if isinstance(value, str) else repr(value)
    if len(text) <= SHOWN_CHARACTERS_MAX:
        return text
    return f"{text[: SHOWN_CHARACTERS_MAX - 10]}…({len(text)})"
