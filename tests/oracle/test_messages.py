"""Whole conversations with what is pushed in them, byte by byte beside a real Redis: subscriptions,
keyspace notifications, client-side caching."""

import pytest

from tests.oracle.frames import Frame, pack, read_frames
from tests.oracle.ours import PureServer
from tests.oracle.redis_server import RedisServer

END = b"the end"

SUBSCRIPTIONS = """
SUBSCRIBE a b a | GET x | PUBSUB NUMPAT | NOSUCH | GET | PING | PING x | UNSUBSCRIBE b | UNSUBSCRIBE
UNSUBSCRIBE | PING | PUNSUBSCRIBE | SUNSUBSCRIBE | PSUBSCRIBE a* ? | SSUBSCRIBE z | PUBLISH a 1
SUNSUBSCRIBE | SUNSUBSCRIBE z | PUNSUBSCRIBE x | PUNSUBSCRIBE a* | UNSUBSCRIBE x | RESET | PING
SUBSCRIBE | PUBLISH a | PUBSUB | PUBSUB NOSUCH | PUBSUB CHANNELS | PUBSUB CHANNELS a b
PUBSUB NUMSUB | PUBSUB NUMSUB a b | PUBSUB NUMPAT | PUBSUB NUMPAT x | PUBSUB SHARDCHANNELS
PUBSUB SHARDNUMSUB a
"""
PUSHES = """
SUBSCRIBE a b | PSUBSCRIBE ?* zz* | PUBLISH a m | PUBLISH b m | PUBLISH c m | SSUBSCRIBE a
SPUBLISH a m | PUBLISH [a m | PUBSUB CHANNELS a | PUBSUB NUMSUB a c | PUBSUB NUMPAT
PUBSUB SHARDCHANNELS * | PUBSUB SHARDNUMSUB a b | GET x | PING | UNSUBSCRIBE a b | PUBLISH a m
PUNSUBSCRIBE ?* zz* | PUBLISH a m | SUNSUBSCRIBE a | SPUBLISH a m | GET x | PING
"""
TRACKING_WORDS = """
CLIENT TRACKINGINFO | CLIENT GETREDIR | CLIENT CACHING YES | CLIENT TRACKING | CLIENT TRACKING MAYBE
CLIENT TRACKING ON PREFIX a | CLIENT TRACKING ON BCAST OPTIN | CLIENT TRACKING ON OPTIN OPTOUT
CLIENT TRACKING ON REDIRECT x | CLIENT TRACKING ON REDIRECT 99999999 | CLIENT TRACKING ON REDIRECT
CLIENT TRACKING ON NONSENSE | CLIENT TRACKING ON PREFIX | CLIENT TRACKING OFF | CLIENT TRACKING ON
CLIENT TRACKINGINFO | CLIENT GETREDIR | CLIENT CACHING YES | CLIENT CACHING NO | CLIENT CACHING X
CLIENT TRACKING ON BCAST | CLIENT TRACKING ON OPTIN | CLIENT TRACKINGINFO | CLIENT CACHING YES
CLIENT TRACKINGINFO | PING | CLIENT TRACKINGINFO | CLIENT CACHING NO | CLIENT TRACKING ON OPTOUT
CLIENT TRACKING OFF | CLIENT TRACKING ON OPTOUT NOLOOP | CLIENT CACHING NO | CLIENT TRACKINGINFO
CLIENT CACHING YES | CLIENT TRACKING OFF | CLIENT TRACKING ON BCAST PREFIX ab PREFIX b
CLIENT TRACKING ON BCAST PREFIX abc | CLIENT TRACKING ON BCAST PREFIX c PREFIX cd
CLIENT TRACKING ON BCAST PREFIX c | CLIENT TRACKINGINFO | CLIENT TRACKING ON | RESET
CLIENT TRACKINGINFO
"""
TRACKING = """
CLIENT TRACKING ON | SET a 1 | GET a | SET a 2 | SET a 3 | MGET {a}b a | DEL a | SET {a}b 1
GET {a}b | GET {a}b | EXPIRE {a}b 1000 | TTL {a}b | PERSIST {a}b | FLUSHALL
CLIENT TRACKING ON OPTIN | SET a 1 | GET a | SET a 2 | CLIENT CACHING YES | GET a | GET x | SET a 3
SET x 1 | CLIENT TRACKING OFF | CLIENT TRACKING ON OPTOUT | CLIENT CACHING NO | GET a | SET a 1
GET a | SET a 2 | CLIENT TRACKING OFF | CLIENT TRACKING ON NOLOOP | GET a | SET a 3
CLIENT TRACKING OFF | CLIENT TRACKING ON BCAST PREFIX a PREFIX b | SET a 1 | SET ab 1 | SET c 1
DEL ab | DEL c | FLUSHALL | CLIENT TRACKING OFF | SET a 1
CLIENT TRACKING ON | MULTI | GET a | GET {a}b | SET a 9 | EXEC | SET a 8 | SET {a}b 3 | GET a
MULTI | SET a 1 | GET a | EXEC | SET a 2 | MULTI | GET a | MGET a {a}b | EXEC | SET a 3 | DEL {a}b
CLIENT TRACKING OFF | CLIENT TRACKING ON OPTIN | MULTI | GET a | EXEC | SET a 1
"""


def commands(script: str) -> list[list[bytes]]:
    lines = " | ".join(script.strip().splitlines()).split(" | ")
    return [line.encode().split() for line in lines]


def theirs(server: RedisServer, asked: list[list[bytes]]) -> list[list[Frame]]:
    """What comes to each command, pushes included."""
    connection = server.connect()
    replies, is_queued = [], False
    for words in asked:
        is_queued = words == [b"MULTI"] or (is_queued and words != [b"EXEC"])
        if is_queued or words[:2] == [b"CLIENT", b"CACHING"]:  # that is of the very next command
            replies.append(connection.ask_all([words]))
            continue
        first = connection.ask(*words)  # some pushes come at the end of their turn
        connection._socket.sendall(pack([b"PING", END]))
        replies.append([first, *_until_end(connection.read)])
    connection.close()
    return replies


def _until_end(read):
    found = []
    while True:
        frame = read()
        if _is_end(frame):
            return found
        found.append(frame)


def _is_end(frame: Frame) -> bool:
    _, content = frame
    return content == END or (isinstance(content, list) and (b"$", END) in content)


def ours(asked: list[list[bytes]]) -> list[list[Frame]]:
    world, replies = PureServer(), []
    world.session.address = "x"
    for words in asked:
        data = world.ask(pack(words))
        world.tell_clients()
        replies.append(read_frames(data + world.take()))
    return replies


@pytest.mark.parametrize(
    ("script", "protocol"),
    [
        (SUBSCRIPTIONS, 2),
        (PUSHES, 3),
        (TRACKING_WORDS, 2),
        (TRACKING_WORDS, 3),
        (TRACKING, 3),
        (TRACKING, 2),
    ],
    ids=["subscriptions", "pushes", "tracking words", "tracking words 3", "tracking", "tracking 2"],
)
def test_a_conversation_is_as_with_redis(single: RedisServer, script: str, protocol: int) -> None:
    asked = [[b"FLUSHALL"], [b"HELLO", b"%d" % protocol], *commands(script)]
    both = zip(asked, theirs(single, asked), ours(asked), strict=True)
    for number, (words, their, our) in enumerate(both):
        if number > 1:  # what HELLO says differs
            assert our == their, f"{number}: {b' '.join(words).decode()}"
