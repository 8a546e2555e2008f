"""The metrics of the API: what it answered, and how the whole engine stands."""

from typing import TYPE_CHECKING

from flower_api.request_counts import RequestCounts
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.runtime.service_endpoint import Answer
from flower_engine.transitions.loader import Timing

if TYPE_CHECKING:
    from flower_engine.runtime.metrics.service_metrics import ServiceMetrics, Told


class ApiMetrics:
    """Counts from the beginning; the library is imported when somebody asks first."""

    def __init__(self, stores: PostgresStores) -> None:
        self._stores = stores
        self._metrics: ServiceMetrics | None = None
        self.requests = RequestCounts()
        Timing.begin()

    async def page(self) -> Answer:
        """``/metrics``."""
        if self._metrics is None:
            from flower_api.engine_gauges import EngineGauges  # noqa: PLC0415 # with the library: 60 ms
            from flower_engine.runtime.metrics.service_metrics import ServiceMetrics  # noqa: PLC0415

            self._metrics = ServiceMetrics("api")
            self._metrics.tells += [
                self._told_of_requests,
                self._told_of_replica,
                EngineGauges(self._stores).told,
            ]
        return await self._metrics.page()

    def _told_of_replica(self) -> "Told":
        replica = self._stores.replica
        if replica is None:
            return {}
        lag = {} if replica.lag_seconds is None else {(): replica.lag_seconds}
        return {
            "flower_replica_lag_seconds": lag,
            "flower_replica_reads_total": {(server,): count for server, count in replica.reads.items()},
        }

    def _told_of_requests(self) -> "Told":
        requests = self.requests
        return {
            "flower_http_requests_total": dict(requests.answered),
            "flower_http_request_seconds": {
                (route,): tally for route, tally in list(requests.seconds.items())
            },
        }
