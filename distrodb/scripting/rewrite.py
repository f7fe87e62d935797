"""A script's text, with what Lua itself does not count or bound handed to functions of ours.  Pure.

Four things that a Lua program can do take time or memory without a bound for each instruction, or
differ between two processes; each is written in one way only, so a look at the tokens finds it:

    a .. b     a .. CONCAT .. b    strings grow: the bytes are counted (lua/prelude.lua)
    t[k]       t[KEY(k)]           what has no value but its address (a table, a function) is no
                                   key: the order of ``pairs`` would follow the address
    ...        REST(...)           all arguments are copied: they are counted
    #t         LEN ^ #t            a table that is no list is searched: counted

All else of the text stays, also its lines.  ``CONCAT`` is an object whose ``__concat`` keeps its
right side for a moment, and ``LEN`` one whose ``__pow`` gives it, so operators keep their
precedence: no other one binds tighter than ``^``, on whose right there may be a ``#``.

What always holds: a text that Lua might take otherwise than it is read here is refused: an
unfinished string, bytes beyond ASCII outside of strings and comments.  It is given back with why,
and as it is from there on, since Lua may find another error before.
"""

import re

from distrodb.scripting.errors import CompileError

PREFIX = b"__distrodb_"  # of the names that are ours, which no script may use
CONCAT, KEY, REST, LEN = PREFIX + b"concat", PREFIX + b"key", PREFIX + b"rest", PREFIX + b"len"
WEIGHT = PREFIX + b"weight"  # is called first by a text whose instructions count as more
# Keys of metatables that let the collector of garbage be seen.
_FORBIDDEN = frozenset({b"__mode", b"__gc"})
_TOKEN = re.compile(
    rb"""
      (?P<space>[ \t\v\f\r\n]+)
    | (?P<comment>--(?!\[=*\[)[^\r\n]*)
    | (?P<long>(?:--)?\[(?P<level>=*)\[)
    | (?P<name>[A-Za-z_][A-Za-z_0-9]*)
    | (?P<number>\.?[0-9](?:[0-9.]*)(?:[eE][+-]?)?[A-Za-z_0-9]*)
    | (?P<string>"(?:[^"\\\r\n]|\\\r\n|\\\n\r|\\[\x00-\xff])*"
        |'(?:[^'\\\r\n]|\\\r\n|\\\n\r|\\[\x00-\xff])*')
    | (?P<dots>\.\.\.|\.\.)
    | (?P<other>[\x21\x23-\x26\x28-\x7e])
    """,
    re.VERBOSE | re.DOTALL,
)
_SMALL = re.compile(rb"[0-9]{1,5}")  # a number that is a key of a list
_NEWLINE = re.compile(rb"\r\n|\n\r|\n|\r")
_ESCAPE = re.compile(rb"\\([0-9]{1,3}|\r\n|\n\r|[\x00-\xff])", re.DOTALL)
_ESCAPED = {
    b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"
}  # fmt: skip
_PLAIN_KEY = re.compile(rb"[A-Za-z0-9_:. -]*")  # a literal that is no metamethod's name


class _Index:
    """A ``[`` that is not closed yet."""

    __slots__ = ("at", "tokens")

    def __init__(self, at: int):
        self.at = at  # of it in the pieces
        self.tokens: list[tuple[str, bytes]] = []  # the first two within


def rewrite(
    text: bytes, name: str = "user_script", strings: set[bytes] | None = None
) -> tuple[bytes, CompileError | None]:
    """The text to be compiled; and why it must not run, though it may be compiled.  ``name`` is how
    errors call it.  ``strings`` gets all names and strings in it.  Raises ``CompileError``."""
    pieces: list[bytes] = []
    indexes: list[_Index] = []
    in_parameters = awaits_parameters = False
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            return b"".join([*pieces, text[at:]]), _problem(text, at, name)
        kind, token = match.lastgroup or "", match[0]
        if kind == "level":
            kind = "long"
        at = match.end()
        if kind == "long":
            closing = b"]" + match["level"] + b"]"
            end = text.find(closing, at)
            if end < 0:
                what = "comment" if token.startswith(b"--") else "string"
                where = f"{name}:{_line(text, at)}"
                problem = CompileError(f"{where}: unfinished long {what} near '<eof>'")
                return b"".join([*pieces, text[match.start() :]]), problem
            at = end + len(closing)
            whole = text[match.start() : at]
            kind = "comment" if token.startswith(b"--") else "string"
            token = whole
        if kind in ("space", "comment"):
            pieces.append(token)
            continue
        if token == b"]" and indexes:
            _close(pieces, indexes.pop())
            pieces.append(token)
            if indexes:
                indexes[-1].tokens.append((kind, token))
            continue
        for index in indexes[-1:]:
            if len(index.tokens) < 2:
                index.tokens.append((kind, token))
        if strings is not None and kind in ("name", "string"):
            strings.add(_value(token))
        if kind == "name":
            if token.startswith(PREFIX) or token in _FORBIDDEN:
                what = f"'{token.decode()}' cannot be used here"
                raise CompileError(f"{name}:{_line(text, at)}: {what}")
            if token == b"function":
                awaits_parameters = True
        elif token == b"(" and awaits_parameters:
            awaits_parameters, in_parameters = False, True
        elif token == b")" and in_parameters:
            in_parameters = False
        elif token == b"[":
            indexes.append(_Index(len(pieces)))
        elif kind == "dots":
            if token == b"..":
                token = b" .." + CONCAT + b".. "
            elif not in_parameters:
                token = REST + b"(...)"
        elif token == b"#":
            token = b" " + LEN + b"^#"
        pieces.append(token)
    return b"".join(pieces), None


def _close(pieces: list[bytes], index: _Index) -> None:
    if len(index.tokens) == 1:
        kind, token = index.tokens[0]
        if kind == "number" and _SMALL.fullmatch(token):
            return
        inner = token[1:-1]
        if kind == "string" and _PLAIN_KEY.fullmatch(inner) and not inner.startswith(b"__"):
            return
    pieces[index.at] = b"[" + KEY + b"("
    pieces.append(b")")


def _value(token: bytes) -> bytes:
    """Of a name or a string."""
    if token.startswith(b"["):
        inner = token[token.index(b"[", 1) + 1 : -token.index(b"[", 1) - 1]
        inner = _NEWLINE.sub(b"\n", inner)
        return inner[1:] if inner.startswith(b"\n") else inner
    if not token.startswith((b'"', b"'")):
        return token
    inner = token[1:-1]
    return _ESCAPE.sub(_escaped, inner) if b"\\" in inner else inner


def _escaped(match: "re.Match[bytes]") -> bytes:
    what = match[1]
    if what.isdigit():
        return bytes((int(what) & 0xFF,))
    return _ESCAPED.get(what, b"\n" if what[:1] in b"\r\n" else what)


def _line(text: bytes, at: int) -> int:
    before = text[:at]
    return 1 + len(re.findall(rb"\r\n|\n\r|\n|\r", before))


def _problem(text: bytes, at: int, name: str) -> CompileError:
    line, near = _line(text, at), text[at : at + 1]
    what = "unfinished string" if near in (b'"', b"'") else "unexpected symbol"
    return CompileError(f"{name}:{line}: {what}")
