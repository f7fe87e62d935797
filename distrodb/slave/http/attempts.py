"""Failed logins, by the addresses that they come from: so many at once, then one a second.  Pure:
the clock is an argument.

Beyond, nobody is asked whether a password is right, so a thousand guesses take a quarter of an
hour.  The addresses are bounded in number: the one that failed longest ago is forgotten, and may
guess anew.  Of IPv6 the network counts, since a machine has its 64 bits to itself.
"""

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

from distrodb.slave.http.limits import Rate

FAILED_PER_S, FAILED_AT_ONCE = 1.0, 10
ADDRESSES_MAX = 1024


class Attempts:
    def __init__(self) -> None:
        self._rates: OrderedDict[str, Rate] = OrderedDict()  # the last one failed last

    def __len__(self) -> int:
        return len(self._rates)

    def may_try(self, host: str, now: float) -> bool:
        rate = self._rates.get(_network(host))
        return rate is None or rate.has(now)

    def failed(self, host: str, now: float) -> None:
        network = _network(host)
        rate = self._rates.pop(network, None) or Rate(now, FAILED_PER_S, FAILED_AT_ONCE)
        rate.take(now)
        self._rates[network] = rate
        if len(self._rates) > ADDRESSES_MAX:
            self._rates.popitem(last=False)


def _network(host: str) -> str:
    try:
        ip = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(ip, IPv6Address):
        return host
    return str(ip.ipv4_mapped) if ip.ipv4_mapped else ip.exploded[:19]
