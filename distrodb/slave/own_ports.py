"""The ports that a slave is to listen at: waited for while somebody else holds them, and what a
person is told of one that cannot be had.

All of this is done before a new directory is anybody's, so that a start that fails on them leaves
it for whoever is right.  Caveat: between that and listening somebody may take one all the same.
"""

import errno

from distrodb.clock import sleep
from distrodb.config import SlaveConfig, problem
from distrodb.errors import ConfigError
from distrodb.ports import HELD_S_MAX, held, holder, is_free, obstacle
from distrodb.slave.logging_limit import LimitedLog

limited = LimitedLog("distrodb")


def wait_for_ports(config: SlaveConfig) -> None:
    """Once the directory is ours, since a second slave of it would wait in vain, and before the
    slave's clock runs.  One that stays held is named by ``check_ports``."""
    addresses = tuple(config.me.listens.values())
    if not all(map(is_free, addresses)):
        limited.say("ports_held", seconds=f"{HELD_S_MAX:g}")
        held(addresses, sleep)


def check_ports(config: SlaveConfig) -> None:
    """Whether it could listen at all of them now.  Raises ``ConfigError``."""
    for key, address in sorted(config.me.listens.items(), reverse=True):
        error = obstacle(address)
        if error is not None:
            raise port_problem(config, key, error)


def port_problem(config: SlaveConfig, key: str, error: OSError) -> ConfigError:
    address = config.me.listens[key]
    if error.errno == errno.EADDRINUSE:
        why, remedy = f"it is in use, {holder(address.port)}", "stop what uses the port"
        remedy += ", or give this slave another one in every file"
    elif error.errno == errno.EADDRNOTAVAIL:
        why = "this machine has no such address"
        remedy = "see whether this is another machine's file, or name one that it has"
    else:
        why = str(error.strerror or error)
        remedy = "name one where it may"
    what = f"cannot listen at {address}: {why}"
    return problem(config.file, f"cluster.nodes.{key}", what, remedy)
