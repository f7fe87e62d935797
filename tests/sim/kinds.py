"""The kinds of random runs, by name: what ``python -m tests.sim --kind`` runs."""

from collections.abc import Callable

from tests.sim.chaos import Chaos, Report
from tests.sim.containers import (
    ContainerChaos,
    HealingContainerChaos,
    MovingContainerChaos,
    ReplicasContainerChaos,
)
from tests.sim.healing_chaos import HealingChaos
from tests.sim.large_values import LargeChaos
from tests.sim.moving_chaos import FAULTS as MOVING_FAULTS
from tests.sim.moving_chaos import MovingChaos
from tests.sim.queues import GATEWAYS, Story, every_kind
from tests.sim.replicas_chaos import FAULTS as REPLICAS_FAULTS
from tests.sim.replicas_chaos import ReplicasChaos
from tests.sim.transactions import TransactionChaos

Run = Callable[[int, float], Report]  # of a seed, for so many virtual seconds of faults

KINDS: dict[str, Run] = {
    "chaos": lambda seed, seconds: Chaos(seed).run(seconds),
    "healing": lambda seed, seconds: HealingChaos(seed).run(seconds),
    "moving": lambda seed, seconds: MovingChaos(seed, MOVING_FAULTS).run(seconds),
    "replicas": lambda seed, seconds: ReplicasChaos(seed, REPLICAS_FAULTS).run(seconds),
    "large": lambda seed, seconds: LargeChaos(seed).run(seconds),
    "transactions": lambda seed, seconds: TransactionChaos(seed).run(seconds),
    "containers": lambda seed, seconds: ContainerChaos(seed).run(seconds),
    "healing-containers": lambda seed, seconds: HealingContainerChaos(seed).run(seconds),
    "moving-containers": lambda seed, seconds: MovingContainerChaos(seed).run(seconds),
    "replicas-containers": lambda seed, seconds: ReplicasContainerChaos(seed).run(seconds),
    # Stories: as long as they take.
    "queues": lambda seed, seconds: every_kind(seed).run(),
    "blpop": lambda seed, seconds: Story(seed, GATEWAYS if seed % 4 < 2 else ()).run(),
}
