"""A simulated file system under the write-ahead log, which loses what was not synced.

``SimulatedFolder`` is ``Folder`` (distrodb/storage/segment_files.py).  After ``power_cut`` each
sector that was written since the file's last sync holds any of its contents since then, each for
itself; a file's size is the synced one or the newest; and each name stands for any of the files
that it stood for since the last sync of the names.  That is more than a disk does, and never less.

``countdown``: so many calls go well, then ``Crash`` is raised, in the middle of what the call does.
"""

import random
from collections.abc import Callable
from concurrent.futures import Executor, Future

SECTOR = 512


class Crash(BaseException):
    """The process ends here."""


class File:
    def __init__(self) -> None:
        self.sectors: dict[int, list[bytes]] = {}  # contents since the last sync, the newest last
        self.size = self.synced_size = 0

    def content(self) -> bytes:
        whole = b"".join(
            self.sectors[number][-1] if number in self.sectors else bytes(SECTOR)
            for number in range(-(-self.size // SECTOR))
        )
        return whole[: self.size]


class SimulatedFolder:
    def __init__(self, generator: random.Random):
        self.random = generator
        self.countdown: int | None = None
        self.fails: Callable[[str], OSError | None] = lambda call: None
        self.files: dict[str, list[File | None]] = {}  # by name, since the last sync of names
        self._opened: dict[int, File] = {}
        self._handles = 0
        self.calls: list[str] = []

    def __str__(self) -> str:
        return "/sim/journal"

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if (problem := self.fails(name)) is not None:
            raise problem
        if self.countdown is not None:
            self.countdown -= 1
            if self.countdown < 0:
                raise Crash

    def _file(self, name: str) -> File | None:
        return self.files.get(name, [None])[-1]

    def _set(self, name: str, file: File | None) -> None:
        self.files.setdefault(name, [None]).append(file)

    # -- Folder ------------------------------------------------------------------------------

    def names(self) -> list[str]:
        return [name for name in self.files if self._file(name) is not None]

    def open(self, name: str) -> int:
        file = self._file(name)
        if file is None:
            raise FileNotFoundError(2, "No such file or directory")
        self._handles += 1
        self._opened[self._handles] = file
        return self._handles

    def create(self, name: str) -> int:
        self._set(name, File())
        self._call("create")
        return self.open(name)

    def size(self, handle: int) -> int:
        return self._opened[handle].size

    def read(self, handle: int, length: int, offset: int) -> bytes:
        return self._opened[handle].content()[offset : offset + length]

    def write(self, handle: int, content: bytes, offset: int) -> None:
        file = self._opened[handle]
        file.size = max(file.size, offset + len(content))
        whole = bytearray(file.content())
        whole[offset : offset + len(content)] = content
        for number in range(offset // SECTOR, -(-(offset + len(content)) // SECTOR)):
            sector = bytes(whole[number * SECTOR : (number + 1) * SECTOR]).ljust(SECTOR, b"\0")
            file.sectors.setdefault(number, [bytes(SECTOR)]).append(sector)
        self._call("write")

    def sync(self, handle: int) -> None:
        self._call("sync")
        file = self._opened[handle]
        file.synced_size = file.size
        file.sectors = {number: contents[-1:] for number, contents in file.sectors.items()}

    def close(self, handle: int) -> None:
        del self._opened[handle]

    def rename(self, old: str, new: str) -> None:
        self._set(new, self._file(old))
        self._set(old, None)
        self._call("rename")

    def unlink(self, name: str) -> None:
        self._set(name, None)
        self._call("unlink")

    def sync_names(self) -> None:
        self._call("sync_names")
        self.files = {name: files[-1:] for name, files in self.files.items()}

    def salt(self) -> bytes:
        return self.random.randbytes(8)

    # -- faults ------------------------------------------------------------------------------

    def kill(self) -> None:
        """The process ends, the machine stays up: nothing is lost, nothing is synced."""
        self._opened.clear()
        self.countdown = None

    def power_cut(self) -> None:
        self.kill()
        choice = self.random.choice
        chosen = {name: choice(files) for name, files in self.files.items()}
        for file in {id(file): file for file in chosen.values() if file is not None}.values():
            likely = self.random.random()  # mostly all, mostly none, and what is between
            file.size = file.synced_size = choice([file.size, file.synced_size])
            for number, contents in file.sectors.items():
                newest = self.random.random() < likely
                file.sectors[number] = [contents[-1] if newest else choice(contents)]
            file.sectors = {n: c for n, c in file.sectors.items() if n * SECTOR < file.size}
        self.files = {name: [file] for name, file in chosen.items()}

    def raw(self) -> dict[str, bytes]:
        return {name: file.content() for name in self.files if (file := self._file(name))}

    @classmethod
    def holding(cls, contents: dict[str, bytes]) -> "SimulatedFolder":
        folder = cls(random.Random(1))
        for name, content in contents.items():
            handle = folder.create(name)
            folder.write(handle, content, 0)
            folder.sync(handle)
            folder.close(handle)
        folder.sync_names()
        return folder


class Later(Executor):
    """Runs tasks in order, some at once, others when somebody waits for them or asks again."""

    is_working = False  # a task runs

    def __init__(self, generator: random.Random):
        self._random = generator
        self._waiting: list[tuple[_Task, Callable[[], object]]] = []

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        task = _Task(self)
        self._waiting.append((task, lambda: fn(*args, **kwargs)))
        if self._random.random() < 0.5:
            self.work()
        return task

    def work(self) -> None:
        while self._waiting:
            task, run = self._waiting.pop(0)
            Later.is_working = True
            try:
                task.set_result(run())
            except Exception as problem:
                task.set_exception(problem)
            finally:
                Later.is_working = False

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.work()


class _Task(Future):
    def __init__(self, later: Later):
        super().__init__()
        self._later = later

    def result(self, timeout=None):
        self._later.work()
        return super().result(timeout)

    def exception(self, timeout=None):
        self._later.work()
        return super().exception(timeout)
