"""How a wrong configuration is told: one line with the file, the key, what is wrong, the remedy.
Pure."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from distrodb.config.address import Address, parse
from distrodb.config.options import OPTIONS
from distrodb.errors import ConfigError


def problem(file: Path, key: str, what: str, remedy: str) -> ConfigError:
    """The one form in which a wrong configuration is reported."""
    return ConfigError(f"{file}: {key}: {what}; {remedy}".replace("\n", " "))


def unknown(file: Path, key: str, name: str, known: Sequence[str]) -> ConfigError:
    close = difflib.get_close_matches(name.lower(), known, 1)
    elsewhere = [option.section for option in OPTIONS if option.name == name]
    if close:
        remedy = f"did you mean {close[0]}?"
    elif elsewhere and "." in key:
        remedy = f"it belongs in [{elsewhere[0]}]"
    else:
        remedy = f"use one of {', '.join(known)}"
    return problem(file, key, "is unknown", remedy)


def shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes no whole number of more than 4300 digits
        return "a very long number"
    return text if len(text) <= 60 else text[:57] + "..."


def address(file: Path, key: str, text: str) -> Address:
    """Raises ``ConfigError`` for what is none."""
    try:
        return parse(text)
    except ValueError as error:
        what = f"{shown(text)} is not an address ({error})"
        raise problem(file, key, what, 'write it as "host:port"') from None
