"""``distrodb recover``: what the directories that are left of a cluster hold, as a backup.

For a cluster that has lost a majority for good, of a partition or as a whole.  Nothing is rewritten
in the directories: to make a group believe that who is gone never was would be final, and who came
back with its old directory could undo it.  What they hold is restored into a new cluster, with an
id of its own, which no old directory can come back into.
"""

import contextlib
import os
import secrets
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

from distrodb import __version__
from distrodb.backup.files import NewFile, made
from distrodb.backup.format import Encoder, Facts
from distrodb.backup.losses import Verdict, judge
from distrodb.backup.progress import bar, plural
from distrodb.backup.survivors import Survivor, check_together, newest
from distrodb.clock import wall_ms
from distrodb.errors import ConfigError, DistrodbError
from distrodb.ring.clustermap import ClusterMap, Partition
from distrodb.slave.machine_factory import new_store


def run(options: Namespace) -> int:
    path, users_path = Path(options.file), Path(f"{options.file}.users")
    for each in (path, users_path):
        if os.path.lexists(each):
            raise ConfigError(f"{each}: is there already; name another file, or move it away")
    with contextlib.ExitStack() as stack:
        survivors = _opened(options.directories, stack)
        cluster_map, of_map = newest(survivors)
        verdicts = _judged(survivors, cluster_map)
        print("\n".join(explained(survivors, cluster_map, of_map, verdicts)))
        lost = [number for number, verdict in enumerate(verdicts) if verdict.best is None]
        if lost and not options.accept_lost_partitions:
            count = plural(len(lost), "partition")
            what = f"no copy of {count} is in these directories; name more of them,"
            raise DistrodbError(f"{what} or go on without by --accept-lost-partitions")
        _ask(options.yes)
        users = users_of(cluster_map)
        with made(path) as file:
            keys = _write_all(file, survivors, cluster_map, verdicts)
            if users:  # is there before the backup is: none is ever taken for all that there was
                with made(users_path) as users_file:
                    users_file.write(users)
    print("\n".join(_next_steps(path, users_path if users else None, keys)))
    return 0


def _opened(names: Sequence[str], stack: contextlib.ExitStack) -> list[Survivor]:
    places = [Path(name).resolve() for name in names]
    for name, place in zip(names, places, strict=True):
        if places.count(place) > 1:
            raise ConfigError(f"{name}: is named twice; name each directory once")
    survivors = []
    for name in names:
        survivors.append(Survivor(Path(name)))
        stack.callback(survivors[-1].close)
    check_together(survivors)
    return survivors


def _judged(survivors: list[Survivor], cluster_map: ClusterMap) -> list[Verdict]:
    return [
        judge([copy for each in survivors if (copy := each.copy_of(partition.id)) is not None])
        for partition in cluster_map.partitions
    ]


def explained(
    survivors: Sequence[Survivor],
    cluster_map: ClusterMap,
    of_map: Verdict,
    verdicts: Sequence[Verdict],
) -> Iterator[str]:
    here = [each.node for each in survivors]
    absent = [node for node in cluster_map.nodes if node not in here]
    yield (
        f"cluster {survivors[0].cluster}, as of epoch {cluster_map.epoch}: here"
        f" {_are(here)}, missing {_are(absent) if absent else 'nobody'}"
    )
    if not of_map.is_whole:
        yield "may lack its last changes: the cluster map, which has the users"
    whole = [number for number, verdict in enumerate(verdicts) if verdict.is_whole]
    if whole:
        numbers = " ".join(map(str, whole))
        yield (
            f"whole: {plural(len(whole), 'partition')} ({numbers}): a majority of their slaves is"
            " here, so all that was acknowledged is"
        )
    for partition, verdict in zip(cluster_map.partitions, verdicts, strict=True):
        where = f"partition {partition.id} (slots {partition.first}-{partition.last})"
        if verdict.best is None:
            yield f"LOST: {where}: nobody here has a copy; all of its keys are gone"
        elif not verdict.is_whole:
            yield (
                f"may lack its last writes: {where}: {_are(verdict.here) or 'an old copy'} of"
                f" {_are([*verdict.here, *verdict.missing])} here; what only"
                f" {_are(verdict.missing)} had acknowledged is gone"
            )


def _are(nodes: Sequence[str]) -> str:
    return " ".join(nodes)


def _ask(is_agreed: bool) -> None:
    if is_agreed:
        return
    if not sys.stdin.isatty():
        raise ConfigError("recover: asks before it writes; --yes says that you agree")
    if input("Write the backup? The directories stay as they are. [y/N] ").strip().lower() != "y":
        raise DistrodbError("nothing was written")


def _write_all(
    file: NewFile,
    survivors: Sequence[Survivor],
    cluster_map: ClusterMap,
    verdicts: Sequence[Verdict],
) -> int:
    """How many keys there are."""
    keys, by_member = 0, {each.member: each for each in survivors}
    count = len(cluster_map.partitions)
    facts = Facts(secrets.randbits(64), wall_ms(), __version__, sorted(cluster_map.nodes), count)
    encoder = Encoder(facts)
    with bar("Recovering", count) as show:
        file.write(encoder.begin())
        has_scripts = True  # until the first partition that is left has given them
        for partition, verdict in zip(cluster_map.partitions, verdicts, strict=True):
            show(partition.id, f"{keys:,} keys")
            holder = None if verdict.best is None else by_member[verdict.best.holder]
            keys += _write(partition, holder, has_scripts, encoder, file)
            has_scripts = has_scripts and holder is None
        file.write(encoder.end(count, keys))
    return keys


def _write(
    partition: Partition,
    holder: Survivor | None,
    has_scripts: bool,
    encoder: Encoder,
    file: NewFile,
) -> int:
    if holder is None:
        store = new_store(partition.first, partition.last)
    else:
        store = holder.store_of(partition)
    file.write(encoder.partition(partition.id))
    for chunk in store.picture(has_scripts):
        file.write(encoder.chunk(chunk))
    return store.key_count()


def users_of(cluster_map: ClusterMap) -> bytes:
    """A line of ``ACL SETUSER`` for each, as redis-cli reads them."""
    return b"".join(
        b" ".join([b"ACL", b"SETUSER", *map(_quoted, [name, "reset", *text.split(" ")])]) + b"\n"
        for name, text in cluster_map.users.items()
    )


def _quoted(word: str) -> bytes:
    plain = word.encode("latin-1")
    return b'"' + b"".join(_escaped(byte) for byte in plain) + b'"'


def _escaped(byte: int) -> bytes:
    if byte in b'"\\' or not 32 <= byte < 127:
        return b"\\x%02x" % byte
    return bytes([byte])


def _next_steps(path: Path, users: Path | None, keys: int) -> Iterator[str]:
    yield f"{path}: {plural(keys, 'key')}. Now:"
    yield "1. Move the directories away, and keep them."
    yield (
        "2. Write another id under [cluster] in every file, the same in all, so that no slave can"
        " come back with an old directory; start all with empty ones."
    )
    yield f"3. distrodb restore {path}"
    if users is not None:
        yield f"4. redis-cli … < {users}: the cluster's users; the file has hashes of passwords."
