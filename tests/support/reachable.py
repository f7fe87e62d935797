"""All that an object keeps alive, counted: what leaks is more after the same was done again.

No clock and no allocator is in it, so a test can hold it exactly.  Functions, classes and modules
are passed over with all that they refer to, and so is whatever belongs to the tests: what the
simulator remembers for its judges grows as it should.
"""

import gc
from collections import Counter
from collections.abc import Iterable
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    ModuleType,
)

_NOT_KEPT = (type, ModuleType, CodeType, BuiltinFunctionType)


def reachable(roots: Iterable[object]) -> Counter[str]:
    """How many of each type; each object once."""
    seen: set[int] = set()
    found: Counter[str] = Counter()
    waiting = list(roots)
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, _NOT_KEPT):
            continue
        seen.add(id(one))
        kind = type(one)
        if kind.__module__.startswith("tests."):
            continue
        if isinstance(one, FunctionType):  # what it has closed over, not its module's names
            waiting += one.__closure__ or ()
            continue
        found[kind.__qualname__] += 1
        waiting += gc.get_referents(one)
    return found
