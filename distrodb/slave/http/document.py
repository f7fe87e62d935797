"""An answer that takes time to make: in slices, and not more often than it is worth.  Pure.

What always holds: however many ask for it, and however large it is, it takes at most one part in
``SHARE`` of the loop's time, and no longer at once than its longest slice.
"""

import math
from collections.abc import Callable, Iterator

from distrodb.errors import invariant
from distrodb.slave.http.conversation import Answer

Make = Callable[[], Iterator[bytes]]

KEPT_S = 0.25  # so old it may be at least; half of what a page waits between two looks
SHARE = 20  # it is kept for so many times what it took to make


class Document:
    def __init__(
        self,
        make: Make | None,
        kind: str,
        status: Callable[[bytes], int] = lambda body: 200,
        load: Callable[[], Make] | None = None,
    ):
        """``make``: its pieces; each takes a millisecond or few.  ``status``: of HTTP, for the
        whole.  ``load`` finds ``make``, which takes so long that it needs a thread."""
        self._make, self._kind, self._status, self.load = make, kind, status, load
        self._answer: Answer | None = None
        self._kept_until = -math.inf  # seconds
        self._pieces: Iterator[bytes] | None = None  # it is being made
        self._made: list[bytes] = []
        self._took_s = 0.0

    def loaded(self, make: Make) -> None:
        self._make, self.load = make, None

    def kept(self, now: float) -> Answer | None:
        """It, if it may still be given."""
        return self._answer if now < self._kept_until else None

    def make_on(self, clock: Callable[[], float]) -> Answer | None:
        """One slice; the whole when it was the last one.  What goes wrong is raised; then it begins
        anew."""
        began = clock()
        try:
            if self._pieces is None:
                self._begin()
            piece = next(self._pieces or iter(()), None)
        except BaseException:
            self._pieces, self._made = None, []
            raise
        now = clock()
        self._took_s += now - began
        if piece is not None:
            self._made.append(piece)
            return None
        body, self._made, self._pieces = b"".join(self._made), [], None
        self._answer = Answer(self._status(body), body, self._kind)
        self._kept_until = now + max(KEPT_S, SHARE * self._took_s)
        return self._answer

    def _begin(self) -> None:
        invariant(self._make is not None, "a document is made before it is loaded")
        self._pieces, self._made, self._took_s = self._make and self._make(), [], 0.0
