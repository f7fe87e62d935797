"""What is done and told when elements of a container were taken away: one that is empty goes."""

from distrodb.keyspace.keys import GENERIC, Keys


def taken_away(keys: Keys, key: bytes, kind: str, event: bytes) -> None:
    keys.event(kind, event, key)
    drop_if_empty(keys, key)


def drop_if_empty(keys: Keys, key: bytes) -> None:
    keys.drop_if_empty(key)
    if key not in keys:
        keys.event(GENERIC, b"del", key)
