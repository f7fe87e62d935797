"""SORT's order: by what, how, and which part of it.  Pure, of any elements.

As in Redis: numbers are compared as doubles, and what is equal in them, or in what BY names, by its
bytes; elements whose BY names nothing count as zero, or with ALPHA come first.
"""

import math
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, cast

Weigh = Callable[[bytes], bytes | None]  # what BY names for an element; None: nothing

_FLOAT = re.compile(
    rb"\s*[+-]?(inf(inity)?|0x([0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(p[+-]?[0-9]+)?"
    rb"|([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?)",
    re.IGNORECASE,
)
_DIGITS = re.compile(rb"[-+.0-9\n]*")


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
    """As C's ``strtod`` reads it, which ends at a NUL; nothing at all is zero."""
    text = text.partition(b"\0")[0]
    if not text:
        return 0.0
    if _FLOAT.fullmatch(text) is None:
        raise NotANumber
    digits = text.strip().lower()
    try:
        number = float.fromhex(digits.decode()) if b"x" in digits else float(digits)
    except OverflowError:
        raise NotANumber from None
    if math.isinf(number) and b"inf" not in digits:  # too large for a double
        raise NotANumber
    if not number and digits.partition(b"e" if b"x" not in digits else b"p")[0].strip(b"+-0x."):
        raise NotANumber  # too small for one
    return number


def numbers_of(texts: Sequence[bytes | None]) -> list[float]:
    """Of each; a text that is not there is zero."""
    if None not in texts:
        plain = cast(Sequence[bytes], texts)
        if _DIGITS.fullmatch(b"\n".join(plain)):  # mostly; a million take a tenth of the time
            with suppress(ValueError):
                numbers = list(map(float, plain))
                if math.inf not in numbers and -math.inf not in numbers:
                    return numbers
    return [0.0 if text is None else number_of(text) for text in texts]


def arranged(items: Sequence[bytes], order: Order, weigh: Weigh | None) -> list[bytes]:
    """Raises ``NotANumber``."""
    ranked = list(items)
    if not order.is_kept:
        ranked.sort(reverse=order.is_descending)
        if weigh is not None or not order.is_alpha:
            ranked = _by_weight(ranked, order, weigh)
    begin = max(0, order.offset)
    return ranked[begin:] if order.count < 0 else ranked[begin : begin + order.count]


def _by_weight(items: list[bytes], order: Order, weigh: Weigh | None) -> list[bytes]:
    """Those that weigh the same stay in their order."""
    texts = items if weigh is None else [weigh(item) for item in items]
    ranks: Sequence[Any]
    if order.is_alpha:
        ranks = [(text is not None, text or b"") for text in texts]
    else:
        ranks = numbers_of(texts)
    both = sorted(zip(ranks, items, strict=True), key=itemgetter(0), reverse=order.is_descending)
    return [item for _, item in both]
