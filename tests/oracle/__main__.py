"""python -m tests.oracle [--family NAME] [--sequences N] [--seed N]: all differences at once.

With --pages DIRECTORY instead: the examples of Redis' documentation (pages.py); with --count: how
many examples and differences there are (docs/testing.md has that).

The tests stop at the first difference and shrink it; this goes on, and prints one example, the
shortest, of each command and pair of replies, most frequent first.  For whoever writes a family.
"""

import argparse
import contextlib
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from distrodb.commands.table import DISPATCHED
from tests.oracle import compare, conversations, examples, pages
from tests.oracle.compare import Difference, Words
from tests.oracle.conversations import OurClients, TheirClients
from tests.oracle.families import (
    CONVERSATIONS,
    FAMILIES,
    Family,
    of_both_kinds,
)
from tests.oracle.frames import Frame, is_error, shown
from tests.oracle.ours import PureServer
from tests.oracle.redis_server import RedisServer, redis_server

SIZE = 12  # commands of a sequence: a short one is its own example
SHOWN_MAX = 20  # kinds of a family


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle")
    parser.add_argument("--family", default="", help="only those whose names begin so")
    parser.add_argument("--sequences", type=int, default=1000, help="of each family")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pages", type=Path, help="a directory with Redis' documentation")
    parser.add_argument("--count", action="store_true", help="what is compared, in numbers")
    options = parser.parse_args()
    if options.count:
        print(examples.count())
        return
    with contextlib.ExitStack() as stack:
        servers = {kind: stack.enter_context(redis_server(kind)) for kind in (True, False)}
        if options.pages is not None:
            print(pages.run(options.pages, servers).story())
            return
        for family, kind in of_both_kinds([*FAMILIES, *CONVERSATIONS]):
            if family.name.startswith(options.family):
                chance = random.Random(options.seed)
                ask = _asker(family, kind, servers[kind], chance)
                print(f"== {family.name}, {'cluster' if kind else 'gateway'}:", end=" ")
                _run(family, ask, options.sequences, chance)
    print(compare.summary())


Ask = Callable[[list[Words]], Difference | None]


def _asker(family: Family, kind: bool, server: RedisServer, chance: random.Random) -> Ask:
    if family.clients == 1:
        one, pure = server.connect(), PureServer(kind)
        return lambda asked: compare.first_difference(
            one, pure, chance.choice([2, 3]), asked, DISPATCHED, family.keys
        )
    theirs, ours = (
        TheirClients(server, family.clients),
        OurClients(family.clients, kind),
    )
    return lambda asked: conversations.first_difference(
        theirs,
        ours,
        [chance.choice([2, 3]) for _ in range(family.clients)],
        [(chance.randrange(family.clients), words) for words in asked],
    )


def _run(family: Family, ask: Ask, sequences: int, chance: random.Random) -> None:
    commands = compare.of_table(family, DISPATCHED)
    found: Counter[tuple[bytes, str, str]] = Counter()
    shortest: dict[tuple[bytes, str, str], str] = {}
    for _ in range(sequences if commands else 0):
        asked = compare.by_chance(family, DISPATCHED, SIZE, chance)
        if difference := ask(asked):
            kind = (difference.words[0].upper(), _kind(difference.theirs), _kind(difference.ours))
            found[kind] += 1
            text = difference.story()
            if len(text) < len(shortest.get(kind, text + " ")):
                shortest[kind] = text
    missing = sorted({c.name.decode() for c in family.commands} - {n.decode() for n in DISPATCHED})
    print(f"{len(found)} kinds of differences; not there: {' '.join(missing)}")
    for kind, count in found.most_common(SHOWN_MAX):
        print(f"-- {count} times{shortest[kind]}\n")


def _kind(frames: Sequence[Frame]) -> str:
    frame = frames[0] if len(frames) == 1 else (b"*", [])
    return re.sub("'.*'", "''", shown(frame)[2:])[:40] if is_error(frame) else frame[0].decode()


if __name__ == "__main__":
    main()
