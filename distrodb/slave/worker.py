"""Threads that do what they are given, and say when each is done.

What always holds of ``Worker``: works end in the order in which they were given, and what is to be
told of each is told in the loop, in that order.  ``close`` waits until all that was given is done.
``TurnWorker`` does a step of each in turn, so what is short waits for a step of each other at most.

Why not ``concurrent.futures``: a future for each work, its locks and its wake-ups took 6 % of the
CPU of a slave that writes, one command at a time from 50 clients.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

Work = Callable[[], Callable[[], None]]  # what it returns is called in the loop
Steps = Generator[None, None, Callable[[], None]]  # the same
G = TypeVar("G")  # what is given


class _Thread(ABC, Generic[G]):
    def __init__(
        self,
        name: str,
        tell: Callable[[Callable[[], None]], object],
        failed: Callable[[BaseException], None],
    ):
        """``tell``: have something called in the loop, from this thread.  ``failed`` is called
        there with what a work raised; the thread goes on with the next one."""
        self._tell, self._failed = tell, failed
        self._given: SimpleQueue[G | None] = SimpleQueue()
        # One that is never closed, since its process ends by an error, must not keep that alive.
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def give(self, work: G) -> None:
        self._given.put(work)

    def close(self) -> None:
        self._given.put(None)
        self._thread.join()

    @abstractmethod
    def _run(self) -> None:
        """Until None was given."""

    def _fail(self, error: BaseException) -> None:
        self._tell(lambda: self._failed(error))


class Worker(_Thread[Work]):
    def _run(self) -> None:
        while (work := self._given.get()) is not None:
            try:
                done = work()
            except BaseException as error:
                self._fail(error)
            else:
                self._tell(done)
            del work  # a write set may be large: it is not kept until the next one comes


class TurnWorker(_Thread[Steps]):
    def _run(self) -> None:
        works: deque[Steps] = deque()
        is_closing = False
        while works or not is_closing:
            while not is_closing and not (works and self._given.empty()):
                steps = self._given.get()
                if steps is None:
                    is_closing = True
                else:
                    works.append(steps)
            if works:
                self._step(works)

    def _step(self, works: deque[Steps]) -> None:
        steps = works.popleft()
        try:
            next(steps)
        except StopIteration as done:
            self._tell(done.value)
        except BaseException as error:
            self._fail(error)
        else:
            works.append(steps)
