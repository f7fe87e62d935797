"""What a slave tells of its own condition to all others, with each gossip, so that any of them can
say what is wrong with the cluster (doctor/).  Pure.

A slave of a version before tells nothing; what one of a later version tells beyond this is left
out.  Nothing here is secret: of a password it is told only that there is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

NUMBER_MAX = 1 << 63
WORDS_MAX, LENGTH_MAX = 32, 256  # settings or flags, and bytes of each text, that a peer may tell

# Flags.
NO_SECRET, SHORT_SECRET = "no_secret", "short_secret"
NO_PASSWORD = "no_password"
UNPROTECTED = "unprotected"  # protected_mode is off
REACHED = "reached"  # some of its ports are reached by others than its machine
PEERS_REACHED = "peers_reached"  # its peer port is


@dataclass(frozen=True, slots=True)
class Condition:
    """Bytes, or numbers of connections, and 0 for what is not known or not bounded."""

    version: str = ""
    certificate_ends_s: int = 0  # since 1970; 0: it has none
    disk_free: int = 0
    disk_total: int = 0
    data: int = 0
    data_max: int = 0
    clients: int = 0
    clients_max: int = 0
    connections: int = 0
    connections_max: int = 0
    connections_wanted: int = 0  # by its file, if the system allowed fewer when it began
    flags: frozenset[str] = frozenset()
    settings: Mapping[str, str] = field(default_factory=dict)  # that should be the same everywhere

    def to_plain(self) -> dict[str, Any]:
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**plain, "flags": sorted(self.flags), "settings": dict(self.settings)}

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> "Condition":
        """Raises ``ValueError``, ``TypeError`` or ``AttributeError`` for what is none."""
        numbers = {name: _number(plain.get(name, 0)) for name in _NUMBERS}
        flags, settings = plain.get("flags", []), plain.get("settings", {})
        if type(flags) is not list or len(flags) > WORDS_MAX or len(settings) > WORDS_MAX:
            raise ValueError("too many flags or settings")
        return Condition(
            version=_text(plain.get("version", "")),
            flags=frozenset(map(_text, flags)),
            settings={_text(name): _text(value) for name, value in settings.items()},
            **numbers,
        )


_NUMBERS = [each.name for each in fields(Condition) if each.type in (int, "int")]


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < NUMBER_MAX:
        raise ValueError(f"{value!r:.80} is no number, or out of range")
    return value


def _text(value: object) -> str:
    if type(value) is not str or len(value) > LENGTH_MAX or not value.isprintable():
        raise ValueError(f"{value!r:.80} is no text, or too long")
    return value
