"""python -m tests.oracle [--family NAME] [--sequences N] [--seed N]: all differences at once.

The tests stop at the first difference and shrink it; this goes on, and prints one example, the
shortest, of each command and pair of replies, most frequent first.  For whoever writes a family.
"""

import argparse
import contextlib
import random
import re
from collections import Counter

from distrodb.commands.table import DISPATCHED
from tests.oracle.compare import COUNTED, Server, Words, first_difference, story
from tests.oracle.families import COMING, FAMILIES, Family
from tests.oracle.frames import Frame, is_error, shown
from tests.oracle.ours import PureServer
from tests.oracle.redis_server import redis_server

SIZE = 12  # commands of a sequence: a short one is its own example
SHOWN_MAX = 20  # kinds of a family


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle")
    parser.add_argument("--family", default="", help="only those whose names begin so")
    parser.add_argument("--sequences", type=int, default=1000, help="of each family")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        servers = {kind: stack.enter_context(redis_server(kind)) for kind in (True, False)}
        for family in [*FAMILIES, *COMING]:
            if family.name.startswith(options.family):
                theirs = servers[family.is_cluster].connect()
                _run(family, theirs, PureServer(), options.sequences, options.seed)
    print(f"{COUNTED['compared']} replies compared, {COUNTED['meant']} differ and are meant to")


def _run(family: Family, theirs: Server, ours: Server, sequences: int, seed: int) -> None:
    chance = random.Random(seed)
    commands = [command for command in family.commands if command.name in DISPATCHED]
    found: Counter[tuple[bytes, str, str]] = Counter()
    shortest: dict[tuple[bytes, str, str], str] = {}
    for _ in range(sequences):
        asked: list[Words] = [
            chance.choice(commands).words(chance.randrange) for _ in range(chance.randint(1, SIZE))
        ]
        if difference := first_difference(theirs, ours, chance.choice([2, 3]), asked, DISPATCHED):
            words, their, our = difference.words, difference.theirs, difference.ours
            kind = (words[0].upper(), _kind(their), _kind(our))
            found[kind] += 1
            text = story(difference)
            if len(text) < len(shortest.get(kind, text + " ")):
                shortest[kind] = text
    missing = sorted({c.name.decode() for c in family.commands} - {n.decode() for n in DISPATCHED})
    print(f"== {family.name}: {len(found)} kinds of differences; not there: {' '.join(missing)}")
    for kind, count in found.most_common(SHOWN_MAX):
        print(f"-- {count} times{shortest[kind]}\n")


def _kind(frame: Frame) -> str:
    return re.sub("'.*'", "''", shown(frame)[2:])[:40] if is_error(frame) else frame[0].decode()


if __name__ == "__main__":
    main()
