"""The settings that docs/applications.md shows, run for the server that a test has."""

import re
from typing import Any

from tests.support.pages import ROOT, blocks

SHOWN = "127.0.0.1:57551"  # the page's gateway, also as a host and `port=57551`


def block(words: str) -> str:
    """The page's one block of code with these words in it."""
    page = blocks(ROOT / "docs" / "applications.md")
    (text,) = {block.text for block in page if words in block.text}
    return text


def set_up(words: str, url: str) -> dict[str, Any]:
    """The names that this block gives, run for the server at `redis://HOST:PORT`."""
    names: dict[str, Any] = {"__name__": "application"}
    exec(_at(block(words), url), names)
    return names


def environment(words: str, url: str) -> dict[str, str]:
    """The variables that this block, lines of NAME=VALUE, sets."""
    return dict(line.split("=", 1) for line in _at(block(words), url).split())


def _at(text: str, url: str) -> str:
    address = url.removeprefix("redis://")
    text = text.replace(SHOWN, address)
    text = re.sub(r"\bport=57551\b", f"port={address.rpartition(':')[2]}", text)
    assert "57551" not in text
    return text
