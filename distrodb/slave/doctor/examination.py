"""DOCTOR of one slave: gathers the facts that it has, and judges them."""

from collections.abc import Callable, Mapping

from distrodb.slave.core import Core
from distrodb.slave.doctor.diagnosis import diagnosis
from distrodb.slave.doctor.facts import Facts


class Examination:
    def __init__(
        self, core: Core, status: Callable[[], Mapping[str, object]], wall_us: Callable[[], int]
    ):
        self._core, self._status, self._wall_us = core, status, wall_us

    def findings(self) -> list[dict[str, str]]:
        """Worst first."""
        core, view = self._core, self._core.view
        told = {node: view.condition_of(node) for node in [core.id, *view.map.nodes]}
        facts = Facts(
            self._status(),
            self._wall_us() / 1e6,
            {node: each for node, each in told.items() if each is not None},
            core.clocks.skews_ms(),
        )
        return [finding.to_plain() for finding in diagnosis(facts)]
