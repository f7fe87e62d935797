"""python -m tests.fuzz TARGET --inputs N --seed S     TARGET: a row of targets.py, or all

Prints one line a target, and one a find; finds are written to tests/fuzz/corpus/TARGET, one of a
kind.  The process may have 2 GiB, so that what asks for more fails.
"""

import argparse
import hashlib
import re
import resource
import sys
import time

from tests.fuzz.fuzzing import CORPUS, run
from tests.fuzz.targets import TARGETS, Target

MEMORY_BYTES = 2 << 30


def fuzz(target: Target, count: int, seed: int) -> int:
    started, kinds = time.monotonic(), dict[str, bytes]()
    found = 0
    for find in run(target, count, seed):
        found += 1
        kind = re.sub(r"\d+|'.*'|\".*\"", "…", find.what)[:60]
        if kind not in kinds or len(find.data) < len(kinds[kind]):
            if kind not in kinds:
                print(f"  {target.name}: {find.what} ({find.data[:80]!r})", flush=True)
            kinds[kind] = find.data
    for data in kinds.values():
        folder = CORPUS / target.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
    took = time.monotonic() - started
    print(f"{target.name}: {count} inputs, seed {seed}, {found} finds, {took:.0f} s", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    names = [*TARGETS] if options.target == "all" else [options.target]
    found = sum(fuzz(TARGETS[name], options.inputs, options.seed) for name in names)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
