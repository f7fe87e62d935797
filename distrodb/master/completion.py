"""What Tab may put in place of the argument that is being typed (pure)."""

from collections.abc import Iterable

from cmd2.completion import CompletionItem, Completions

from distrodb.master import quoting


def as_argument(value: bytes, mark: str) -> str:
    """`value` as it can go on after the quote `mark` that the person typed, if one."""
    text = quoting.escape(value)
    if mark == '"':
        return f'"{text}"'
    if mark == "'" and text.encode() == value and "'" not in text:
        return f"'{text}'"
    return quoting.quote(value)


def completions(offers: Iterable[tuple[str, str]], raw: str, skip: int) -> Completions:
    """Offers are (what to type for the whole argument, what to show).

    `raw` is the argument as typed so far; its first `skip` characters are not going to be replaced,
    so an offer that would change them cannot be made.
    """
    kept = raw[:skip] if skip > 0 else ""
    items = [
        CompletionItem(typed[len(kept) :], display=shown)
        for typed, shown in offers
        if typed.startswith(kept)
    ]
    return Completions(items=items)
