"""Reads a script and plays it on the simulator.

A script is a file of lines; what stands behind a ``#`` is for people.  Its first line says how
large the cluster is, each further line is a verb (verbs.py).  A line that nobody understands is
refused before anything is played, and every complaint begins with file:line.
"""

from dataclasses import dataclass
from pathlib import Path

from tests.scripts.verbs import TAKES, VERBS, NotSo, Refused, Stage, Verb
from tests.sim.simulation import Simulation

BEGIN = "cluster COUNT slaves COUNT partitions [OPTION=NUMBER ...]"
# Lines that claim something; a script without any would show nothing.
CLAIMS = ("get", "find", "answer", "expect", "judge", "until")


@dataclass(frozen=True)
class Line:
    place: str  # file:line
    text: str
    verb: Verb
    taken: list[tuple[str, str]]


@dataclass(frozen=True)
class Script:
    nodes: int
    partitions: int
    options: dict[str, int]  # of the [raft] section
    lines: list[Line]


def parse(path: Path) -> Script:
    """Raises ``Refused``."""
    lines = []
    for number, text in enumerate(path.read_text().splitlines(), 1):
        words = text.partition("#")[0].split()
        if words:
            lines.append((f"{path.name}:{number}", words))
    if not lines:
        raise Refused(f"{path.name}:1: the file is empty; it begins with: {BEGIN}")
    place, words = lines.pop(0)
    nodes, partitions, options = _beginning(place, words)
    found = [_line(place, words) for place, words in lines]
    if not any(line.verb.pattern[0] in CLAIMS for line in found):
        raise Refused(f"{path.name}:1: nothing is claimed; add one of {', '.join(CLAIMS)}")
    return Script(nodes, partitions, options, found)


def _beginning(place: str, words: list[str]) -> tuple[int, int, dict[str, int]]:
    match words:
        case ["cluster", nodes, "slaves", partitions, "partitions", *rest] if (
            nodes.isdecimal() and partitions.isdecimal() and int(nodes) and int(partitions)
        ):
            options = {}
            for option in rest:
                name, _, number = option.partition("=")
                if not number.isdecimal():
                    raise Refused(f"{place}: {option!r} is not OPTION=NUMBER")
                options[name] = int(number)
            return int(nodes), int(partitions), options
    raise Refused(f"{place}: a script begins with: {BEGIN}")


def _line(place: str, words: list[str]) -> Line:
    same = [verb for verb in VERBS if verb.pattern[0] == words[0]]
    if not same:
        known = sorted({verb.pattern[0] for verb in VERBS})
        raise Refused(f"{place}: unknown verb {words[0]!r}; there are {' '.join(known)}")
    for verb in same:
        taken = verb.match(words)
        if taken is not None:
            return Line(place, " ".join(words), verb, taken)
    usages = " | ".join(verb.usage for verb in same)
    raise Refused(f"{place}: {' '.join(words)!r} is not one of: {usages}")


def play(script: Script, seed: int) -> Stage:
    """Raises ``Refused``, or ``AssertionError`` when something that is claimed does not hold."""
    try:
        cluster = Simulation(seed, script.nodes, script.partitions, **script.options)
    except TypeError as problem:
        raise Refused(f"{_file(script)}:1: {problem}") from problem
    stage = Stage(cluster)
    stage.watch()
    for line in script.lines:
        try:
            line.verb.do(stage, *[TAKES[kind](stage, word) for kind, word in line.taken])
        except Refused as problem:
            raise Refused(f"{line.place}: {line.text}: {problem}") from problem
        except AssertionError as problem:
            what = f"{line.place}: {line.text}: {problem} (seed {seed})"
            raise NotSo(what) from problem
        except Exception as problem:
            problem.add_note(f"{line.place}: {line.text} (seed {seed})")
            raise
    cluster.checks.all_digests()
    return stage


def _file(script: Script) -> str:
    return script.lines[0].place.partition(":")[0]
