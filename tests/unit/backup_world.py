"""Backups that are made without a cluster."""

import io

from distrodb.backup.format import Decoder, Encoder, Facts
from distrodb.backup.records import Code, Reading, Record
from distrodb.keyspace.store import Store

FACTS = Facts(id=0x1234567890ABCDEF, made_ms=1, made_by="0", slaves=["node1"], partitions=2)


def backup_of(stores: list[Store], facts: Facts = FACTS) -> bytes:
    encoder = Encoder(facts)
    parts = [encoder.begin()]
    for number, store in enumerate(stores):
        parts.append(encoder.partition(number))
        parts += map(encoder.chunk, store.picture())
    parts.append(encoder.end(len(stores), sum(store.key_count() for store in stores)))
    return b"".join(parts)


def reading_of(data: bytes, from_frame: int = 0) -> Reading:
    return Reading(Decoder("a.backup", io.BytesIO(data).read), from_frame)


def records_of(data: bytes) -> list[Record]:
    return [each for each in reading_of(data).records() if not isinstance(each, Code)]


def code_of(data: bytes) -> list[Code]:
    return [each for each in reading_of(data).records() if isinstance(each, Code)]
