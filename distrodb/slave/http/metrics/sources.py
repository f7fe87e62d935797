"""Where the numbers come from, and the few shapes that they have.  Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric

from distrodb.commands.powers import Powers
from distrodb.slave.core import Core
from distrodb.slave.service import Service

# Powers of two, of microseconds: from 64 µs to 34 s, each four times the one before.
TIMES = range(6, 26, 2)
SIZES = range(0, 17, 2)


@dataclass(frozen=True, slots=True)
class Sources:
    core: Core
    service: Service
    began_s: int  # when the process began, in seconds since 1970


def gauge(name: str, text: str, value: float | Mapping[str, float], label: str = "") -> Metric:
    """One number, or one for each value of the label."""
    if isinstance(value, Mapping):
        family = GaugeMetricFamily(name, text, labels=[label])
        return table(family, [((of,), number) for of, number in value.items()])
    return GaugeMetricFamily(name, text, value=value)


def counter(name: str, text: str, value: float | Mapping[str, float], label: str = "") -> Metric:
    if isinstance(value, Mapping):
        family = CounterMetricFamily(name, text, labels=[label])
        return table(family, [((of,), number) for of, number in value.items()])
    return CounterMetricFamily(name, text, value=value)


def table(
    family: GaugeMetricFamily | CounterMetricFamily, rows: Iterable[tuple[Sequence[str], float]]
) -> Metric:
    for labels, value in rows:
        family.add_metric(list(labels), value)
    return family


def histogram(
    name: str,
    text: str,
    values: Mapping[str, Powers],
    label: str | None = None,
    *,
    powers: range = TIMES,
    unit: float = 1e-6,
) -> Metric:
    """``unit``: what one is, in that of the metric."""
    family = HistogramMetricFamily(name, text, labels=[] if label is None else [label])
    for of, value in values.items():
        buckets = [(f"{unit * 2**power:g}", float(value.up_to(power))) for power in powers]
        buckets.append(("+Inf", float(value.count)))
        family.add_metric([] if label is None else [of], buckets, value.total * unit)
    return family
