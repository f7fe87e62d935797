"""Judges locks: who believed to hold one, when, and with which token."""

import itertools
from typing import NamedTuple


class Held(NamedTuple):
    who: str
    token: int
    since: float  # when it was told that it holds the lock
    until: float  # when it last looked and still believed so


def wrong(held: list[Held]) -> list[str]:
    """What must not be: two at once, or a token that is not greater than those of all before."""
    found = []
    order = sorted(held, key=lambda each: each.since)
    for before, after in itertools.pairwise(order):
        if after.since < before.until:
            found.append(f"two at once: {before} and {after}")
        if after.token <= before.token:
            found.append(f"the token has not grown: {before} and {after}")
    return found
