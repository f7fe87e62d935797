"""Who may log in, and how often somebody may guess.  Pure: the clock is an argument.

Failed logins are counted by the addresses that they come from: so many at once, then so many a
second.  Beyond, nobody is asked whether a password is right, so that guessing takes its time.  A
name with a password that was right before is looked at always: who guesses, or goes on with an old
password, keeps out nobody of the same address that works here already.

The addresses are bounded in number: the one that failed longest ago is forgotten, and may guess
anew.  Of IPv6 the network counts, since a machine has its 64 bits to itself.

Caveat: behind one address (a proxy, a network of containers) who comes for the first time shares
what is left with who fails there.
"""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from distrodb.commands.acl_user import hash_of
from distrodb.slave.rate import Rate
from distrodb.slave.users import Users

ADDRESSES_MAX = 1024
GOOD_MAX = 256  # names with their passwords that are remembered, as hashes


@dataclass(frozen=True, slots=True)
class Patience:
    per_s: float
    at_once: float


# A person, and what watches a cluster.
OF_HTTP = Patience(1.0, 10)
# Programs with many connections, all of which fail where a password has changed, and others of the
# same address that have the right one: more guesses than that, and still a million a day.
OF_CLIENTS = Patience(20.0, 200)


class Attempts:
    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._rates: OrderedDict[str, Rate] = OrderedDict()  # the last one failed last

    def __len__(self) -> int:
        return len(self._rates)

    def may_try(self, host: str, now: float) -> bool:
        rate = self._rates.get(_network(host))
        return rate is None or rate.has(now)

    def failed(self, host: str, now: float) -> None:
        network, patience = _network(host), self._patience
        rate = self._rates.pop(network, None) or Rate(now, patience.per_s, patience.at_once)
        rate.take(now)
        self._rates[network] = rate
        if len(self._rates) > ADDRESSES_MAX:
            self._rates.popitem(last=False)


class Logins:
    def __init__(self, users: Users, patience: Patience):
        self._users, self._attempts = users, Attempts(patience)
        self._good: OrderedDict[bytes, None] = OrderedDict()  # hashes of what was right

    def takes(self, host: str, name: bytes, password: bytes, now: float) -> bool | None:
        """None: it was not looked at, since too many of this host have failed."""
        given = hash_of(b"%d %b%b" % (len(name), name, password))
        if given not in self._good and not self._attempts.may_try(host, now):
            return None
        if not self._users.authenticates(name, password):
            self._good.pop(given, None)
            self._attempts.failed(host, now)
            return False
        self._good[given] = None
        self._good.move_to_end(given)
        if len(self._good) > GOOD_MAX:
            self._good.popitem(last=False)
        return True


def _network(host: str) -> str:
    try:
        ip = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(ip, IPv6Address):
        return host
    return str(ip.ipv4_mapped) if ip.ipv4_mapped else ip.exploded[:19]
