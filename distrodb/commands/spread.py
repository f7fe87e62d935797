"""A command whose keys lie in several partitions, shared out: what cluster clients do by
themselves, done by a gateway for those that do not.

Which commands, and how their replies add up, is in their rows as it is in Redis', by the tips for
cluster clients (https://redis.io/docs/latest/develop/reference/command-tips/).  Such a command has
nothing but keys, each with as many words behind it as the next one.
"""

from collections.abc import Callable, Sequence

from distrodb.commands.combine import ALL_OK, TOTAL, Part, does_not_add_up
from distrodb.commands.command import Command
from distrodb.resp.reply import Reply

MULTI_SHARD = "request_policy:multi_shard"
_FOLDS = {
    "response_policy:agg_sum": TOTAL.fold,
    "response_policy:all_succeeded": ALL_OK.fold,
}


def may_be_spread(row: Command) -> bool:
    """Not one whose replies add up in another way: MSETNX, which must be atomic."""
    policies = [tip for tip in row.tips if tip.startswith("response_policy:")]
    adds_up = all(policy in _FOLDS for policy in policies)
    return MULTI_SHARD in row.tips and adds_up and len(row.keys) == 1


class Spread:
    """One command, shared out."""

    def __init__(self, row: Command, args: Sequence[bytes], partition_of: Callable[[bytes], int]):
        self._folds = [fold for tip, fold in _FOLDS.items() if tip in row.tips]
        step = row.keys[0].step
        self.makes_sense = (len(args) - 1) % step == 0  # each key has its words
        self._numbers: dict[int, list[int]] = {}  # partition: its keys, by their number
        words: dict[int, list[bytes]] = {}
        for number, position in enumerate(range(1, len(args), step)):
            partition = partition_of(args[position])
            self._numbers.setdefault(partition, []).append(number)
            words.setdefault(partition, [args[0]]).extend(args[position : position + step])
        self.parts: list[Part] = list(words.items())

    def whole(self, replies: Sequence[Reply]) -> Reply:
        """From one reply for each part, in their order, no errors."""
        if self._folds:
            return self._folds[0](replies)
        by_number: dict[int, Reply] = {}
        for numbers, reply in zip(self._numbers.values(), replies, strict=True):
            if not isinstance(reply, list) or len(reply) != len(numbers):
                return does_not_add_up(replies)
            by_number.update(zip(numbers, reply, strict=True))
        return [by_number[number] for number in range(len(by_number))]
