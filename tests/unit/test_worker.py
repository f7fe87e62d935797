"""A thread that does one thing after the other."""

import gc
import weakref
from queue import SimpleQueue

from distrodb.slave.worker import Worker


class Loop:
    """In place of an event loop: what is told waits until somebody turns it."""

    def __init__(self):
        self.told = SimpleQueue()
        self.failed = []
        self.worker = Worker("test", self.told.put, self.failed.append)

    def turn(self):
        """What was told next, in order; waits for it."""
        self.told.get(timeout=30)()


def test_what_is_done_is_told_in_the_order_in_which_it_was_given():
    loop, done = Loop(), []
    for number in range(100):
        loop.worker.give(lambda n=number: lambda: done.append(n))
    for _ in range(100):
        loop.turn()
    loop.worker.close()
    assert done == list(range(100)) and not loop.failed


def test_what_a_work_raises_is_told_and_the_next_one_is_done():
    loop, done = Loop(), []
    loop.worker.give(lambda: 1 // 0)
    loop.worker.give(lambda: lambda: done.append(True))
    loop.turn()
    loop.turn()
    assert [type(error) for error in loop.failed] == [ZeroDivisionError] and done == [True]
    loop.worker.close()


def test_closing_waits_for_what_was_given():
    loop, gate = Loop(), SimpleQueue()
    loop.worker.give(lambda: gate.get(timeout=30))
    loop.worker.give(lambda: lambda: None)
    gate.put(lambda: None)
    loop.worker.close()
    assert loop.told.qsize() == 2


def test_what_is_done_is_not_kept_until_the_next_one_comes():
    class Large(list):
        """Weak references to it are possible."""

    loop, large = Loop(), Large()
    known = weakref.ref(large)
    loop.worker.give(lambda large=large: lambda: None)
    del large
    loop.turn()
    loop.worker.give(lambda: lambda: None)  # it is at ``get`` again, or behind it
    loop.turn()
    gc.collect()
    assert known() is None
    loop.worker.close()
