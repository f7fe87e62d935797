"""One thing that is wrong, or worth knowing: what is seen, and what to do.  Pure."""

from dataclasses import asdict, dataclass

ERROR, WARNING, NOTE = "error", "warning", "note"
SEVERITIES = (ERROR, WARNING, NOTE)  # worst first


@dataclass(frozen=True, slots=True)
class Finding:
    """``code`` is its name, for programs; one of a code and an ``about`` is told once."""

    code: str
    severity: str
    about: str  # slaves or partitions, or "cluster"
    seen: str  # a sentence: what is so, with names and numbers
    do: str  # a sentence

    def to_plain(self) -> dict[str, str]:
        return asdict(self)


def worst_first(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda each: SEVERITIES.index(each.severity))
