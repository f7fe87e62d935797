"""The compiled part: a few functions that every command of a pipeline passes through.

``@compiled`` marks each of them.  Where ``hot`` was built (setup.py: with a compiler), its namesake
there takes its place; else the function as it stands in Python runs, which is the reference.
``DISTRODB_PURE=1`` in the environment leaves the compiled part out.  What was built from another
``hot.pyx`` than the one that is here, as after a ``git pull``, is left out too.

The functions are small, deal with plain values only and change nothing but what they are given; so
that the two do the same can be tested one by one (tests/unit/test_hot.py).
"""

import importlib
import os
from binascii import crc32
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar, cast

F = TypeVar("F", bound=Callable[..., object])


def _load() -> ModuleType | None:
    if os.environ.get("DISTRODB_PURE", "0") not in ("", "0"):
        return None
    try:
        found = importlib.import_module("distrodb.hot")
        source = Path(__file__).with_name("hot.pyx").read_bytes()
    except (ImportError, OSError):  # it was not built
        return None
    return found if found.source == str(crc32(source)) else None


hot = _load()
BUILD = "pure" if hot is None else "compiled"
pure: dict[str, Callable[..., object]] = {}  # the references, by their names


def compiled(function: F) -> F:
    """That of the compiled part, if there is one, in place of this one."""
    pure[function.__name__] = function
    return function if hot is None else cast(F, getattr(hot, function.__name__))
