"""A checksum over what a store holds, equal for equal states however they came about."""

import hashlib
from collections.abc import Mapping

import msgpack

from distrodb.keyspace.origins import Origins
from distrodb.keyspace.place import Place
from distrodb.keyspace.scripts import Scripts
from distrodb.keyspace.values import STRING


def digest_of(now_ms: int, places: Mapping[int, Place], origins: Origins, scripts: Scripts) -> str:
    digest = hashlib.sha256(b"%d" % now_ms)
    for number in sorted(places):
        values, expiries = places[number].copy()
        for key, value in sorted(values.items(), key=lambda item: item[0]):
            tag = STRING if isinstance(value, bytes) else value.tag
            data = value if isinstance(value, bytes) else value.canonical()
            at_ms = expiries.get(key, -1)
            digest.update(b"%d %d %d %d %d " % (number, tag, at_ms, len(key), len(data)))
            digest.update(key + data)
    for origin in origins.canonical():
        digest.update(msgpack.packb(origin))
    for script in scripts.canonical():
        digest.update(msgpack.packb(script))
    return digest.hexdigest()
