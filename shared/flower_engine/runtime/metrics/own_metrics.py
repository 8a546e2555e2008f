"""Whether a service has metrics to tell: only then is the library for it imported."""

from typing import TYPE_CHECKING

from flower_engine.runtime.service_endpoint import Page
from flower_engine.runtime.settings import Settings

if TYPE_CHECKING:
    from flower_engine.runtime.metrics.service_metrics import ServiceMetrics


def own_metrics(service: str, settings: Settings) -> "ServiceMetrics | None":
    """The metrics of a service; None where no port is set for them."""
    if settings.metrics_port is None:
        return None
    from flower_engine.runtime.metrics.service_metrics import ServiceMetrics  # noqa: PLC0415 # 60 ms

    return ServiceMetrics(service)


def pages_of(metrics: "ServiceMetrics | None") -> dict[str, Page]:
    """The pages that show them; for ``service_endpoint``."""
    return {} if metrics is None else {"/metrics": metrics.page}
