"""What scripts publish: told by who leads their partition, once, at the end of the turn.  Pure.

Each copy of a partition runs a script, and the leader alone tells of what it publishes.  As with
all messages one may be lost: what an entry publishes that a leader has not applied when it loses
the lead, and what reads publish that are asked of a copy.
"""

from collections.abc import Callable

from distrodb.slave.pubsub import Pubsub
from distrodb.slave.subscriptions import CHANNEL, SHARD


class ScriptMessages:
    def __init__(self, pubsub: Pubsub, is_led: Callable[[int], bool]):
        """``is_led``: whether this slave answers for a place."""
        self._pubsub, self._is_led = pubsub, is_led
        self.gathered: list[tuple[bytes, bytes, int]] = []

    def publish(self, slot: int, channel: bytes, message: bytes, is_sharded: bool) -> None:
        """By a script of the partition of that slot."""
        if self._is_led(slot):
            self.gathered.append((channel, message, SHARD if is_sharded else CHANNEL))

    def send(self) -> None:
        gathered, self.gathered = self.gathered, []
        for channel, message, kind in gathered:
            self._pubsub.publish(channel, message, kind)
