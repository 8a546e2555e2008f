"""A flow whose events are lost is told anew from Redis, with everything that was said of its tasks."""

from filled_tasks import filled_definition
from flower_engine.model.definitions.definition import plan_flow
from flower_engine.model.events.snapshot_events import FlowSnapshot
from flower_engine.model.folding.snapshot_registration import registration_of
from flower_engine.transitions.register_transition import FlowPlan
from flower_engine.transitions.snapshot_transitions import snapshot
from scripts.engine import Engine


async def test_a_snapshot_tells_every_field_of_a_task(engine: Engine) -> None:
    planned = plan_flow(filled_definition())
    registered = await engine.start(FlowPlan("filled", planned))
    await snapshot(engine.client, engine.partition, [registered.flow], {})
    (event,) = [event for event in await engine.events() if isinstance(event, FlowSnapshot)]
    assert registration_of(event).tasks == planned
