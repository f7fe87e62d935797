"""A thread that does one thing after the other."""

import gc
import threading
import weakref
from queue import SimpleQueue

from distrodb.slave.worker import TurnWorker, Worker


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


# -- one step of each in turn --------------------------------------------------------------------


class Told(list):
    """What was told, in order, as the loop would call it."""

    def __call__(self, done) -> None:
        done()


def steps(log: list, name: str, count: int):
    for number in range(count):
        log.append(f"{name}{number}")
        yield
    return lambda: log.append(f"{name} is done")


def blocked(gate: threading.Event):
    gate.wait(10)
    yield
    return lambda: None


def test_what_is_short_waits_for_one_step_of_each_other():
    log, gate = [], threading.Event()
    worker = TurnWorker("test", Told(), log.append)
    worker.give(blocked(gate))  # so that all are there before the first begins
    worker.give(steps(log, "a", 4))
    worker.give(steps(log, "b", 1))
    worker.give(steps(log, "c", 2))
    gate.set()
    worker.close()
    assert log == ["a0", "b0", "c0", "a1", "b is done", "c1", "a2", "c is done", "a3", "a is done"]


def test_a_work_of_steps_that_fails_is_told_and_the_others_go_on():
    log, failed = [], []

    def failing():
        yield
        raise OSError("no disk")

    worker = TurnWorker("test", Told(), failed.append)
    worker.give(failing())
    worker.give(steps(log, "a", 3))
    worker.close()
    assert [str(problem) for problem in failed] == ["no disk"] and log[-1] == "a is done"
