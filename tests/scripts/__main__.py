"""What scripts can say, and one script played by hand.

python -m tests.scripts                    prints the verbs
python -m tests.scripts FILE [--seed N]    plays a script
"""

import argparse
import sys
from pathlib import Path

from tests.scripts.runner import BEGIN, parse, play
from tests.scripts.verbs import Refused, vocabulary


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.scripts", description=__doc__)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.file is None:
        print(BEGIN, *vocabulary(), sep="\n")
        return 0
    try:
        stage = play(parse(options.file), options.seed)
    except (Refused, AssertionError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"holds, after {stage.cluster.now:.1f} virtual seconds")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
