"""What scripts fail by."""


class CompileError(Exception):
    """A text that is no script; its own says why, as Lua does."""
