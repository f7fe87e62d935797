"""Inputs by coverage: what an input reaches says which are changed next.  Outside of the gate.

    pip install atheris
    python -m tests.fuzz.guided parse FOLDER -max_total_time=600    (further words: libFuzzer's)

FOLDER keeps the inputs that reach something new.  The targets are those of targets.py, with the
same promises.  Of the compiled part nothing is seen: there the parser in Python is the guide, and
the target compares both.
"""

import importlib
import sys
from pathlib import Path

atheris = importlib.import_module("atheris")  # not a requirement of the tests

with atheris.instrument_imports(include=["distrodb", "msgpack"]):
    from tests.fuzz.fuzzing import tried
    from tests.fuzz.targets import TARGETS


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    target = TARGETS[name]
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (folder / f"seed{number}").write_bytes(seed)

    def one(data: bytes) -> None:
        if target.repair is not None and data and data[-1] & 7:
            data = target.repair(data)
        if what := tried(target, data, is_measured=False):
            raise AssertionError(f"{name}: {what}")

    atheris.Setup([sys.argv[0], str(folder), *sys.argv[3:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
