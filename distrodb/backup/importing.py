"""``distrodb import``: keys from lines of JSON, a running Redis, or an RDB file.

Keys take the place of those of the same name; all others stay.  So it can be run again, as often as
one likes: what was interrupted is done anew, and what has changed at the source comes over.
"""

import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from distrodb.backup import rdb
from distrodb.backup.files import opened
from distrodb.backup.json_lines import record_of
from distrodb.backup.loading import Loader
from distrodb.backup.progress import bar, plural
from distrodb.backup.records import Code, Record
from distrodb.backup.redis_source import SCHEMES, RedisSource, name_of
from distrodb.clock import monotonic
from distrodb.errors import ConfigError, DistrodbError, UnavailableError
from distrodb.master.quoting import shown

# Of a line: the largest value as Base64 in JSON, and room.  Beyond it this is no such file.
LINE_BYTES_MAX = 512 << 20


def run(options: Namespace) -> int:
    began, loader = monotonic(), Loader(options.connect)
    left_out = Counter[bytes]()
    first: bytes | None = None
    try:
        if options.source.startswith(SCHEMES):
            source = RedisSource(options.source)
            _load(loader, source.records(), source.key_count())
            left_out, first = source.left_out, source.left_out_first
        else:
            left_out, first = _from_file(options.source, loader)
    except UnavailableError as error:
        came = f"{plural(loader.written, 'key')} came over; the same command may run again"
        raise UnavailableError(f"{error}; {came}") from error
    name = "standard input" if options.source == "-" else options.source
    name = name_of(name) if "://" in name else name
    took_s = monotonic() - began
    print(f"{name}: {plural(loader.written, 'key')} imported, in {took_s:.1f} s")
    if left_out and first is not None:
        kinds = ", ".join(f"{kind.decode()}: {count:,}" for kind, count in sorted(left_out.items()))
        raise DistrodbError(
            f"left out, since distrodb does not hold such: {plural(left_out.total(), 'key')}"
            f" ({kinds}), {shown(first.decode(errors='replace'))} among them"
        )
    return 0


def _load(loader: Loader, records: Iterable[Record | Code], total: int | None) -> None:
    with bar("Importing", total) as show:
        for number, record in enumerate(records):
            loader.add(record)
            if number % 500 == 0:
                show(number, f"{number:,} keys")
        loader.flush()
        show(loader.written, f"{loader.written:,} keys")


def _from_file(name: str, loader: Loader) -> tuple[Counter[bytes], bytes | None]:
    if name == "-":
        _load(loader, lines_of("standard input", sys.stdin.buffer), None)
        return Counter(), None
    if "://" in name:
        raise ConfigError(f"{name_of(name)}: a server is named as {' or '.join(SCHEMES)}…")
    path = Path(name)
    with ExitStack() as stack:
        file = stack.enter_context(opened(path))
        if file.peek(len(rdb.MAGIC)).startswith(rdb.MAGIC):
            source = RedisSource(stack.enter_context(rdb.served(path)))
            _load(loader, source.records(), source.key_count())
            return source.left_out, source.left_out_first
        _load(loader, lines_of(name, file), None)
    return Counter(), None


def lines_of(name: str, file: BinaryIO) -> Iterator[Record | Code]:
    """Raises ``ConfigError`` with the number of a line that is wrong."""
    number = 0
    while line := file.readline(LINE_BYTES_MAX):
        number += 1
        if not line.strip():
            continue
        try:
            if len(line) == LINE_BYTES_MAX:
                raise ValueError(f"it is longer than {LINE_BYTES_MAX} bytes")
            yield record_of(line.decode())
        except UnicodeDecodeError:
            raise ConfigError(f"{name}:{number}: this is no UTF-8 text") from None
        except ValueError as problem:
            raise ConfigError(f"{name}:{number}: {problem}") from None
