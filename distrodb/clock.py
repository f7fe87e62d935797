"""The only importer of ``time``.  Everything pure takes the time as an argument."""

import time


def monotonic() -> float:
    """Seconds that never go back; their zero means nothing."""
    return time.monotonic()


def wall_ms() -> int:
    """Milliseconds since the epoch, as the machine's clock has it; it may jump."""
    return time.time_ns() // 1_000_000


def wall_us() -> int:
    """The same in microseconds."""
    return time.time_ns() // 1000


def sleep(seconds: float) -> None:
    """For people's programs that wait on a condition outside this process."""
    time.sleep(seconds)
