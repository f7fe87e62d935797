"""RQ's jobs: plain functions."""

from tests.apps.jobs import book


def square(number: int) -> int:
    book.write(number)
    return number * number


def fail_once(path: str) -> str:
    """Fails the first time: RQ runs it again."""
    book.write("try")
    with open(path, "a+") as tries:
        tries.write("x")
        tries.seek(0)
        if tries.read() == "x":
            raise ValueError("the first time")
    return "done"
