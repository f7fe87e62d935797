"""Is a journal's file what LMDB left there?  Asked before LMDB maps it.

LMDB trusts its file: it maps it and follows the page numbers in it.  Where the file was cut off,
reading ends by SIGBUS; where pages are damaged, by SIGABRT, by an exception, or in nothing at all.
So the whole structure is read here first, by ``lmdb.verify``, which never maps the file: every
page in use is there, says what it must, and is in use once.

What remains for others: damage inside a record keeps the structure, and the record's own checksum
tells (records.py).  Cost, measured: 0.16 s for 100,000 entries, 1.6 s for 1,000,000.

The length alone tells nothing: LMDB does not write a last page that the same transaction took and
gave back, so a sound file is often shorter than its meta page says.

Caveat: a state that LMDB left earlier is as sound as the newest.  A disk that loses a whole synced
commit, or one changed bit in the right meta page's transaction number, may go back by a commit, and
this cannot be told from never having made it.
"""

import mmap
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import lmdb.verify

from distrodb.errors import CorruptionError

MAGIC = struct.pack("=I", 0xBEEFC0DE)
HEADER_BYTES_MAX = 64  # of a page; LMDB 0.9 has 16, 1.0 has 24
PAGE_BYTES_MAX = 1 << 16
FILE_BYTES_MAX = 1 << 40  # a meta page that speaks of more is itself damaged

# An MDB_meta: magic, version, address, map size, two MDB_db (48 bytes each; the first one begins
# with the page size), last page, transaction.
_META = struct.Struct("=IIQQ I 44x 48x QQ")


_ROOMY = re.compile(r"overflow page \d+ header mp_pages (\d+) != OVPAGES\(\d+\)=(\d+)$")
_MISCOUNTED = re.compile(r"walked (\d+) overflow pages, record says (\d+)$")
_LEAKED = re.compile(r"^(\d+) page\(s\) are neither reachable nor in the freeDB")


class _Meta(NamedTuple):
    page_bytes: int
    last_page: int
    transaction: int


def check(file: Path, map_bytes: int = FILE_BYTES_MAX) -> None:
    """Raise ``CorruptionError`` with what is wrong and what to do; remove a file never used.

    Raises ``OSError`` when it cannot be read.
    """
    try:
        size = file.stat().st_size
    except FileNotFoundError:
        return
    with open(file, "rb") as opened:
        head = opened.read(2 * PAGE_BYTES_MAX)
    metas = _metas(head)
    if _is_unused(head, size, metas):
        file.unlink()  # LMDB would take a half of its first two pages for damage
        return
    problem = _problem(file, metas)
    newest = max(metas, key=lambda meta: meta.transaction, default=_Meta(0, 0, 0))
    needed = (newest.last_page + 1) * newest.page_bytes
    is_short = size < needed <= map_bytes
    if problem is None:
        if is_short:
            # The end of a large record is not looked at above.  Of zeros it has a wrong checksum;
            # not there at all it would be the SIGBUS.
            os.truncate(file, needed)
        return
    if is_short:
        problem = f"was cut off: {size} of {needed} bytes are left"
    raise CorruptionError(f"{file}: {problem}")


def _metas(head: bytes) -> list[_Meta]:
    """The meta pages that can be read, none, one or both."""
    metas: list[_Meta] = []
    offset = head.find(MAGIC, 0, HEADER_BYTES_MAX + len(MAGIC))
    if offset >= 0:
        page_bytes = 0
        for _ in range(2):
            position = len(metas) * page_bytes + offset
            content = head[position : position + _META.size]
            if len(content) < _META.size or not content.startswith(MAGIC):
                break
            _, _, _, _, page_bytes, last_page, transaction = _META.unpack(content)
            metas.append(_Meta(page_bytes, last_page, transaction))
    return metas


def _is_unused(head: bytes, size: int, metas: list[_Meta]) -> bool:
    """A power cut came before the first commit: LMDB does not sync its first two pages.

    The first commit makes a third page, so nothing can be lost here.
    """
    if not head.strip(b"\0"):
        return size <= 2 * mmap.PAGESIZE
    if not metas or any(meta.transaction for meta in metas):
        return False
    page_bytes = metas[0].page_bytes
    is_second_whole = len(metas) == 2 or not head[page_bytes:].strip(b"\0")
    return size <= 2 * page_bytes and is_second_whole


def _problem(file: Path, metas: list[_Meta]) -> str | None:
    try:
        verify: Callable[[str], list[str]] = lmdb.verify.verify  # it has no annotations
        found = _damage(verify(str(file)))
    except lmdb.verify.VerifyError as error:
        return f"is damaged ({error})"
    except OSError:
        raise
    except Exception as error:  # led astray by what it read
        return f"is damaged ({error!r})"
    # Each commit writes the older of the two; one that was changed could hide the newer one.
    numbers = sorted(meta.transaction for meta in metas)
    if not found and (len(numbers) < 2 or numbers[1] - numbers[0] > 1):
        found = [f"its meta pages are of transactions {numbers}"]
    if not found:
        return None
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return f"is damaged ({found[0]}{more})"


def _damage(found: list[str]) -> list[str]:
    """The findings without those that are no damage.

    Pages that nobody uses and nobody may take are lost space, not lost data.  And a large record
    that one transaction writes twice keeps the pages of its first, larger value: LMDB counts them,
    rightly, and the verifier does not.  Who damages that number has no such count beside it.
    """
    rest: list[str] = []
    spare = miscounted = leaked = 0
    for text in found:
        if match := _ROOMY.search(text):
            spare += int(match[1]) - int(match[2])
        elif match := _MISCOUNTED.search(text):
            miscounted += int(match[2]) - int(match[1])
        elif match := _LEAKED.search(text):
            leaked += int(match[1])
        else:
            rest.append(text)
    return rest if spare == miscounted <= leaked else found
