"""The compiled part (distrodb/compiled.py) and what it stands for, side by side in one process."""

import contextlib
import sys
from collections.abc import Iterator

import pytest

from distrodb import compiled

BUILDS = ("pure", "compiled")


@contextlib.contextmanager
def using(build: str) -> Iterator[None]:
    """Everywhere, also in the tests, its functions are those of this build."""
    if compiled.hot is None:
        if build == "compiled":
            pytest.skip("the compiled part is not there: pip install -e '.[test]' builds it")
        yield
        return
    modules = [m for name, m in list(sys.modules.items()) if name.startswith(("distrodb", "tests"))]
    with pytest.MonkeyPatch.context() as patch:
        for name, reference in compiled.pure.items():
            ours = dict(zip(BUILDS, (reference, getattr(compiled.hot, name)), strict=True))
            for module in modules:
                is_ours = any(vars(module).get(name) is one for one in ours.values())
                if is_ours and module is not compiled.hot:
                    patch.setattr(module, name, ours[build])
        yield
