"""What setup.cfg cannot say: the compiled part (distrodb/compiled.py), which may be left out.

It is built where there are Cython, which pip brings (pyproject.toml), and a C compiler.  Where it
cannot be built the installation goes on without it, and notes that (``pip -v`` shows it).
``DISTRODB_PURE=1`` leaves it out.
``DISTRODB_CFLAGS``: for the compiler, beside its own, such as ``-fsanitize=address``.
"""

import os
from binascii import crc32
from pathlib import Path

from setuptools import Extension, setup

SOURCE = Path("distrodb/hot.pyx")


def extensions() -> list[Extension]:
    if os.environ.get("DISTRODB_PURE", "0") not in ("", "0"):
        print("distrodb: DISTRODB_PURE is set: without the compiled part")
        return []
    try:
        from Cython.Build import cythonize
        from Cython.Compiler.Errors import CompileError
    except ImportError:
        print("distrodb: there is no Cython: without the compiled part")
        return []
    source = crc32(SOURCE.read_bytes())
    flags = os.environ.get("DISTRODB_CFLAGS", "").split()
    hot = Extension(
        "distrodb.hot",
        [str(SOURCE)],
        define_macros=[("DISTRODB_SOURCE", f'"{source}"')],
        extra_compile_args=flags,
        extra_link_args=flags,
    )
    try:
        found = cythonize([hot], build_dir="build", force=True)
    except CompileError as problem:
        print(f"distrodb: {problem}: without the compiled part")
        return []
    for each in found:  # cythonize makes new ones, which have lost it if it was said above
        each.optional = True  # where it cannot be compiled, setuptools notes that and goes on
    return found


setup(ext_modules=extensions())
