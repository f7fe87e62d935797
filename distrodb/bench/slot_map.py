"""Who leads which slot, as the reply to CLUSTER SLOTS and redirections have it.  Pure.

``version`` grows with each change: what was sorted by leaders before is sorted again then.
"""

from typing import Any

from distrodb.config.address import Address, parse
from distrodb.ring.slots import SLOT_COUNT


class SlotMap:
    def __init__(self, everything_at: Address | None = None) -> None:
        """Without a cluster one address has all."""
        self.version = 0
        self.leaders: list[Address | None] = [everything_at] * SLOT_COUNT
        self.known: list[Address] = [everything_at] if everything_at else []

    def learn(self, slots: Any, asked: Address) -> None:
        """From a reply to CLUSTER SLOTS.  Raises ``ValueError`` when it is none."""
        leaders: list[Address | None] = [None] * SLOT_COUNT
        known: list[Address] = []
        try:
            for first, last, *nodes in slots:
                addresses = [_address(node[0], node[1], asked) for node in nodes]
                known += addresses
                if not 0 <= first <= last < SLOT_COUNT:
                    raise ValueError(f"slots {first} to {last}")
                if addresses:
                    leaders[first : last + 1] = [addresses[0]] * (last + 1 - first)
        except (TypeError, IndexError, AttributeError) as error:
            raise ValueError(f"the reply to CLUSTER SLOTS is none: {error}") from None
        self.known = list(dict.fromkeys([*known, *self.known]))
        if leaders != self.leaders:
            self.leaders = leaders
            self.version += 1

    def redirect(self, text: str, asked: Address) -> Address | None:
        """Where ``MOVED slot host:port`` leads; None: it does not say."""
        words = text.split()
        try:
            slot, where = int(words[1]), words[2]
            is_port_alone = where.startswith(":") and where[1:].isdigit()
            leader = parse(asked.host + where if is_port_alone else where)
            if not 0 <= slot < SLOT_COUNT:
                return None
        except (ValueError, IndexError):
            return None
        if self.leaders[slot] != leader:
            self.leaders[slot] = leader
            self.version += 1
            if leader not in self.known:
                self.known.append(leader)
        return leader

    def all_leaders(self) -> list[Address]:
        return [leader for leader in dict.fromkeys(self.leaders) if leader is not None]


def _address(host: bytes | None, port: int, asked: Address) -> Address:
    """A server that does not know its own name leaves it empty: the one that was asked."""
    return Address(host.decode() if host else asked.host, int(port))
