"""SORT's order: by what, how, and which part of it.  Pure, of any elements.

As in Redis: numbers are compared as doubles, and what is equal in them, or in what BY names, by its
bytes; elements whose BY names nothing count as zero, or with ALPHA come first.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Weigh = Callable[[bytes], bytes | None]  # what BY names for an element; None: nothing

_FLOAT = re.compile(
    rb"\s*[+-]?(inf(inity)?|0x[0-9a-f]+|([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?)", re.IGNORECASE
)


class NotANumber(ValueError):
    """An element, or what BY names for it, is no number, and ALPHA was not asked for."""


@dataclass(slots=True)
class Order:
    is_alpha: bool = False
    is_descending: bool = False
    is_kept: bool = False  # BY without a star: the order is that of the container
    offset: int = 0
    count: int = -1  # of elements; negative: all


def number_of(text: bytes) -> float:
    """As C's ``strtod`` reads it."""
    if _FLOAT.fullmatch(text) is None:
        raise NotANumber
    digits = text.strip().lower()
    return float(int(digits, 16)) if b"0x" in digits else float(digits)


def arranged(items: Sequence[bytes], order: Order, weigh: Weigh | None) -> list[bytes]:
    """Raises ``NotANumber``."""
    ranked = list(items)
    if not order.is_kept:
        ranked.sort(key=_key(order, weigh), reverse=order.is_descending)
    begin = max(0, order.offset)
    return ranked[begin:] if order.count < 0 else ranked[begin : begin + order.count]


def _key(order: Order, weigh: Weigh | None) -> Callable[[bytes], tuple[object, ...]]:
    def by_bytes(item: bytes) -> tuple[object, ...]:
        if weigh is None:
            return (item,)
        weight = weigh(item)
        return (weight is not None, weight or b"", item)

    def by_number(item: bytes) -> tuple[object, ...]:
        weight = item if weigh is None else weigh(item)
        number = 0.0 if weight is None else number_of(weight)
        if math.isnan(number):
            raise NotANumber
        return (number, item)

    return by_bytes if order.is_alpha else by_number
