"""What a slave is told: options.py has each option once, load.py reads a file and checks it
(rows.py the slaves' rows), render.py writes a commented one, mistakes.py says what is wrong,
address.py is the one parser of addresses.  The files in conf/ come from render.py, so what is
written there is what is checked.
"""

from distrodb.config.address import Address
from distrodb.config.load import check_directory, load
from distrodb.config.mistakes import problem
from distrodb.config.render import render
from distrodb.config.sections import (
    GatewayConfig,
    HealingConfig,
    LimitsConfig,
    NodeAddress,
    RaftConfig,
    SlaveConfig,
    TlsConfig,
)

__all__ = [
    "Address",
    "GatewayConfig",
    "HealingConfig",
    "LimitsConfig",
    "NodeAddress",
    "RaftConfig",
    "SlaveConfig",
    "TlsConfig",
    "check_directory",
    "load",
    "problem",
    "render",
]
