"""The HTTP API as an ASGI app."""

from collections.abc import Sequence
from importlib.metadata import version

from fastapi import FastAPI

from flower_api.access import TokenGate
from flower_api.allowed_hosts import HostGate
from flower_api.api_metrics import ApiMetrics
from flower_api.head_requests import Heads
from flower_api.openapi import describe
from flower_api.problem_handlers import add_problem_handlers
from flower_api.refusals import RefusalsLoop
from flower_api.request_bodies import Bodies, StrictRoute
from flower_api.request_counts import Counted
from flower_api.routes.answer_links import Linking, add_answer_links
from flower_api.routes.approvals import add_approvals
from flower_api.routes.audit import add_audit
from flower_api.routes.backfills import add_backfills
from flower_api.routes.blobs import add_blobs
from flower_api.routes.bulk import add_bulk
from flower_api.routes.changes import add_changes
from flower_api.routes.dashboard import add_dashboard
from flower_api.routes.deploys import add_deploys
from flower_api.routes.documentation import add_documentation
from flower_api.routes.errors import add_errors
from flower_api.routes.flows import add_flows
from flower_api.routes.health import add_health
from flower_api.routes.holding import add_holding
from flower_api.routes.hooks import add_hooks
from flower_api.routes.limits import add_limits
from flower_api.routes.login import add_login
from flower_api.routes.metrics import add_metrics
from flower_api.routes.operations import add_operations
from flower_api.routes.partitions import add_partition_routes
from flower_api.routes.programs import add_programs
from flower_api.routes.registrations import add_registering
from flower_api.routes.scaling import add_scaling
from flower_api.routes.schedule_acts import add_schedule_acts
from flower_api.routes.schedule_slots import add_schedule_slots
from flower_api.routes.schedules import add_schedules
from flower_api.routes.signals import add_signals
from flower_api.routes.strikes import add_strikes
from flower_api.routes.task_logs import add_task_logs
from flower_api.routes.tasks import add_tasks
from flower_api.routes.top import add_top
from flower_api.routes.versions import add_versions
from flower_api.routes.workflows import add_workflows
from flower_api.seen_positions import SeenPositions
from flower_api.sessions import Sessions
from flower_engine.flows.flow_waits import FlowWaits
from flower_engine.flows.followed_streams import FollowedStreams
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.watched_flows import WatchedFlows
from flower_engine.flows.watched_lists import WatchedLists
from flower_engine.runtime.api_tokens import ApiToken


def create_app(
    stores: PostgresStores,
    tokens: Sequence[ApiToken] = (),
    allowed_hosts: Sequence[str] = (),
    max_bodies_mb: int = 64,
    max_blob_mb: int = 1_024,
    *,
    waits: FlowWaits | None = None,
    streams: FollowedStreams | None = None,
    watched_flows: WatchedFlows | None = None,
    watched_lists: WatchedLists | None = None,
    metrics: ApiMetrics | None = None,
    linking: Linking | None = None,
    refusals: RefusalsLoop | None = None,
    has_replica: bool = False,
) -> FastAPI:
    """The API on these stores, for those who have a token if there are any, under these names of hosts, with
    so many megabytes of bodies at one time, and of each blob.

    Whoever waits for a flow is woken by ``waits``, whoever follows a task log is served by ``streams``,
    whoever watches by ``watched_flows`` and ``watched_lists``, as long as somebody runs these; without,
    nobody waits, follows or watches.

    ``refusals`` counts whom tokens did not let in. ``has_replica``: answers carry how far whoever asked has
    seen.

    It does no I/O of its own before the first request.
    """
    app = FastAPI(
        title="Flower",
        version=version("flower-engine"),
        description="Define workflows, start flows of them, and see what became of every task.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    waits = waits or FlowWaits(stores, 0)
    metrics = metrics or ApiMetrics(stores)
    app.router.route_class = StrictRoute
    app.state.bodies = Bodies(max_bodies_mb)
    add_problem_handlers(app)
    add_registering(app, stores)
    add_flows(app, stores, waits)
    add_tasks(app, stores, waits)
    add_errors(app, stores)
    add_task_logs(app, stores, streams or FollowedStreams(stores, 0))
    watched_flows = watched_flows or WatchedFlows(stores, 0)
    add_changes(app, stores, watched_flows, watched_lists or WatchedLists(stores, 0))
    add_operations(app, stores)
    add_holding(app, stores)
    add_signals(app, stores)
    add_approvals(app, stores, tokens)
    add_audit(app, stores)
    add_answer_links(app, stores, linking or Linking())
    add_bulk(app, stores)
    add_limits(app, stores)
    add_strikes(app, stores)
    add_top(app, stores)
    add_partition_routes(app, stores)
    add_scaling(app, stores)
    add_deploys(app, stores, tokens)
    add_versions(app, stores)
    add_workflows(app, stores, tokens)
    add_schedules(app, stores)
    add_schedule_acts(app, stores)
    add_schedule_slots(app, stores)
    add_backfills(app, stores)
    add_hooks(app, stores)
    add_programs(app, stores)
    add_blobs(app, stores, max_blob_mb)
    add_health(app, stores)
    add_metrics(app, metrics)
    add_documentation(app)
    sessions = Sessions(tokens)
    add_dashboard(app)
    add_login(app, stores, tokens, sessions)
    describe(app, secured=bool(tokens))
    if has_replica:
        app.add_middleware(SeenPositions, stores=stores)
    app.add_middleware(Heads)
    if tokens:
        app.add_middleware(TokenGate, tokens=tokens, sessions=sessions, refusals=refusals)
    app.add_middleware(HostGate, allowed=allowed_hosts, has_tokens=bool(tokens))
    app.add_middleware(Counted, counts=metrics.requests)  # the last is the first
    return app
