"""A timer of Linux that the event loop can wait for, finer than the loop's own millisecond.

An open loop with the loop's own timers would send up to a millisecond late, and count that among
the latencies of the server.
"""

import contextlib
import ctypes
import os

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK, _TFD_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
_NS = 1_000_000_000


class _Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class _Setting(ctypes.Structure):
    _fields_ = [("interval", _Timespec), ("first", _Timespec)]


class Metronome:
    """Becomes readable every ``interval_s``; ``clear`` makes it wait for the next time."""

    def __init__(self, interval_s: float):
        library = ctypes.CDLL(None, use_errno=True)
        self.fd = library.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        each = _Timespec(*divmod(max(1, int(interval_s * _NS)), _NS))
        if library.timerfd_settime(self.fd, 0, ctypes.byref(_Setting(each, each)), None) < 0:
            number = ctypes.get_errno()
            self.close()
            raise OSError(number, "timerfd_settime")

    def clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 8)

    def close(self) -> None:
        os.close(self.fd)
