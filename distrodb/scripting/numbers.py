"""Numbers as Lua writes them, and the random numbers of scripts.  Pure."""

_LOW, _MASK = 0x330E, (1 << 48) - 1


def text_of(number: int | float) -> bytes:
    """As ``tostring``: 14 digits."""
    if number != number:
        return b"-nan" if str(number) == "-nan" else b"nan"
    return b"%b" % (b"%.14g" % number)


def whole(number: int | float) -> int:
    """As Redis makes an integer of a reply: cut off, and the least one beyond 64 bits."""
    if isinstance(number, float):
        if number != number or not -(2.0**63) <= number < 2.0**63:
            return -(1 << 63)
        return int(number)
    return number if -(1 << 63) <= number < 1 << 63 else -(1 << 63)


class Random:
    """drand48, as in Redis."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self.seed(0)

    def seed(self, seed: int | float) -> None:
        number = whole(seed) % (1 << 32)
        self._state = number << 16 | _LOW

    def next(self) -> int:
        """31 bits."""
        self._state = (self._state * 0x5DEECE66D + 0xB) & _MASK
        return self._state >> 17
