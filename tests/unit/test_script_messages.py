"""What scripts publish is told by the leader, at the end of its turn."""

from distrodb.slave.script_messages import ScriptMessages
from distrodb.slave.subscriptions import CHANNEL, SHARD


class Pubsub:
    def __init__(self) -> None:
        self.told: list[tuple[bytes, bytes, int]] = []

    def publish(self, channel: bytes, message: bytes, kind: int) -> int:
        self.told.append((channel, message, kind))
        return 0


def test_the_leader_tells_and_no_other_copy() -> None:
    pubsub = Pubsub()
    messages = ScriptMessages(pubsub, lambda slot: slot == 5)  # type: ignore[arg-type]
    messages.publish(5, b"c", b"m", False)
    messages.publish(6, b"c", b"n", False)
    messages.publish(5, b"s", b"o", True)
    assert pubsub.told == [] and messages.gathered
    messages.send()
    assert pubsub.told == [(b"c", b"m", CHANNEL), (b"s", b"o", SHARD)] and not messages.gathered
