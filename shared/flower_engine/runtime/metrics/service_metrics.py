"""The metrics of a service's process, and the page that shows them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from flower_engine.own_version import own_version
from flower_engine.runtime.metrics.catalogue import METRICS
from flower_engine.runtime.service_endpoint import Answer
from flower_engine.tallies import Tally
from flower_engine.transitions.loader import Timing

Labels = tuple[str, ...]
Values = Mapping[Labels, float | Tally]
Told = Mapping[str, Values]
"""By the name of a metric in the catalogue, and by the values of its labels."""

Tell = Callable[[], Told | Awaitable[Told]]
"""What a service knows now."""


class ServiceMetrics:
    """Tells what the parts of a service know, whenever somebody asks; counters begin with the process."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._registry = CollectorRegistry()
        self._asking = asyncio.Lock()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        version = own_version().removeprefix("Flower ")
        timings = Timing.begin()
        self.tells: list[Tell] = [
            lambda: {"flower_build_info": {(service, version): 1}},
            lambda: {"flower_transition_seconds": {(name,): tally for name, tally in list(timings.items())}},
        ]

    async def page(self) -> Answer:
        """``/metrics``, in the text format of Prometheus."""
        async with self._asking:  # two who ask at one time are no reason to ask the stores twice at one time
            known: dict[str, Values] = {
                name: {} for name, metric in METRICS.items() if self._service in metric.services
            }
            for tell in list(self.tells):
                told = tell()
                known |= await told if isinstance(told, Awaitable) else told
        own = _Told(families_of(known))
        return Answer(200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(self._registry) + generate_latest(own))


def families_of(told: Told) -> list[Family]:
    """As prometheus_client has them; of a metric that nothing is known of there is only its name."""
    return [_family(name, values) for name, values in told.items()]


def _family(name: str, values: Values) -> Family:
    metric = METRICS[name]
    if metric.kind == "histogram":
        family = HistogramMetricFamily(name, metric.means, labels=metric.labels)
        for labels, tally in values.items():
            assert isinstance(tally, Tally)
            family.add_metric(labels, _buckets(tally), tally.total)
        return family
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(name, metric.means, labels=metric.labels)
    for labels, value in values.items():
        assert not isinstance(value, Tally)
        family.add_metric(labels, value)
    return family


def _buckets(tally: Tally) -> list[tuple[str, float]]:
    buckets: list[tuple[str, float]] = []
    so_far = 0
    for bound, count in zip((*tally.bounds, float("inf")), list(tally.counts), strict=True):
        so_far += count
        buckets.append(("+Inf" if bound == float("inf") else repr(bound), so_far))
    return buckets


class _Told(Collector):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families
