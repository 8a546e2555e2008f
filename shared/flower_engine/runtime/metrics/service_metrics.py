"""The metrics of a service, and the page that shows them."""

from collections.abc import Awaitable, Callable

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from flower_engine.own_version import own_version
from flower_engine.runtime.service_endpoint import Answer

Look = Callable[[], Awaitable[None]]
"""Sets gauges as they stand now; what it raises becomes the answer of ``ServiceMetrics.page``."""


class ServiceMetrics:
    """The registry of one service's process. Counters begin at 0 with the process."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        self.looks: list[Look] = []  # done one after the other, each time that somebody asks
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        build = Gauge(
            "flower_build_info", "1: this service runs, in this version", ["service", "version"],
            registry=self.registry,
        )  # fmt: skip
        build.labels(service, own_version().removeprefix("Flower ")).set(1)

    async def page(self) -> Answer:
        """``/metrics``, in the text format of Prometheus."""
        for look in self.looks:
            await look()
        return Answer(200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(self.registry))
