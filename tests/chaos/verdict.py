"""What must be true when a storm is over."""

import asyncio
from collections import Counter
from collections.abc import Mapping

import psycopg

from acceptance.running import RunningEngine
from acceptance.verifying import Verdict
from flower_engine.embedded.embedded_stores import Addresses
from flower_engine.insight.live_state import LiveState, read_live_state
from flower_engine.log.client import connect
from flower_engine.log.partition import Partition, read_meta
from flower_engine.model.events.attempt_events import TaskAgain, TaskFinished, TaskStarted
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.events.schedule_events import ScheduleDefined
from flower_engine.model.folding.flow_state import FlowState, FoldError
from flower_engine.model.folding.fold import fold_one
from flower_engine.model.folding.schedule_state import FIRED, fold_schedules
from flower_engine.model.tasks.status import Status


def judge(
    engine: RunningEngine,
    verdict: Verdict,
    acknowledged: Mapping[str, str],
    limit: int,
    schedules: int,
    *,
    fails_over: bool = False,
) -> list[str]:
    """Everything that is wrong; nothing but the projector runs any more. ``verdict``: on order, outcomes, and
    both stores against the fold. ``fails_over``: Redis may have lost what it had answered last, as only
    registrations wait for a replica: that an attempt started is then told again, or never."""
    problems = list(verdict.problems)
    problems += _registrations(verdict, acknowledged)
    problems += _limits(verdict.events, limit)  # each partition has a share of its own
    problems += wrong_slots(verdict, schedules)
    runs = _runs(engine.addresses, verdict.events)
    problems += [one for one in runs if not fails_over or "never ran" in one]
    problems += asyncio.run(_leftovers(engine.addresses, engine.partitions))
    command = engine.flower("verify")
    if command.returncode:
        problems.append(f"flower verify: {command.stdout[-2_000:]}{command.stderr[-500:]}")
    return problems


def _registrations(verdict: Verdict, acknowledged: Mapping[str, str]) -> list[str]:
    keys = Counter(flow.registered.key for flow in verdict.flows.values())
    problems = [f"key {key} has {count} flows" for key, count in keys.items() if key and count > 1]
    for key, name in acknowledged.items():
        flow = verdict.flows.get(name)
        if flow is None:
            problems.append(f"flow {name} of key {key} was acknowledged, but is not there")
        elif flow.ended_ms is None:
            problems.append(f"flow {name} of key {key} has not ended: {flow.status.word}")
    return problems


def wrong_slots(verdict: Verdict, schedules: int) -> list[str]:
    """Each second of each schedule has one fate, and each that fired one flow."""
    try:
        found = fold_schedules(verdict.events)  # which refuses a slot with two fates
    except FoldError as error:
        return [str(error)]
    problems = [] if len(found) == schedules else [f"{len(found)} of {schedules} schedules have events"]
    begun: dict[str, int] = {}
    for event in verdict.events:
        if isinstance(event, ScheduleDefined):
            begun.setdefault(event.schedule, event.cursor)
    for uid, schedule in found.items():
        expected = schedule.cursor // 1000 - begun[uid] // 1000
        if sum(schedule.counts().values()) != expected:
            problems.append(
                f"schedule {uid}: {expected} slots have come, and their fates are {schedule.counts()}"
            )
        if not schedule.counts()["fired"]:
            problems.append(f"schedule {uid} has fired nothing: {schedule.counts()}")
    fired = Counter(fate.flow for one in found.values() for fate in one.fates.values() if fate.state == FIRED)
    told = {flow.flow for flow in verdict.flows.values() if flow.registered.schedule}
    problems += [f"flow {flow} is that of {count} slots" for flow, count in fired.items() if count > 1]
    problems += [f"flow {flow} is of a slot that did not fire" for flow in told - fired.keys()]
    return problems + [f"flow {flow} was fired, and is not there" for flow in fired.keys() - told]


def _limits(events: list[AnyEvent], limit: int) -> list[str]:
    flows: dict[str, FlowState] = {}
    running: dict[str, int] = {}
    total, most = 0, 0
    for event in events:
        fold_one(flows, event)
        name = getattr(event, "flow", None)
        if not name or flows[name].workflow != "limited":
            continue
        now = sum(task.status is Status.RUNNING for task in flows[name].tasks)
        total += now - running.get(name, 0)
        running[name] = now
        most = max(most, total)
    return [f"{most} tasks ran under a limit of {limit}"] if most > limit else []


def _runs(addresses: Addresses, events: list[AnyEvent]) -> list[str]:
    """Each attempt ran once at most, and each that finished did run."""
    with psycopg.connect(addresses.database_url) as connection:
        rows = connection.execute("SELECT flow, task, attempt, count(*)::int FROM chaos_run GROUP BY 1, 2, 3")
        counts = {(flow, task, attempt): count for flow, task, attempt, count in rows.fetchall()}
    started = {(event.flow, event.task, event.attempt) for event in events if isinstance(event, TaskStarted)}
    finished = {
        (event.flow, event.task, event.attempt)
        for event in events
        if isinstance(event, TaskFinished | TaskAgain) and event.lease  # else another flow did it
    }
    return [
        *(f"{attempt} ran {count} times" for attempt, count in counts.items() if count > 1),
        *(f"{attempt} ran, but never started" for attempt in counts.keys() - started),
        *(f"{attempt} finished, but never ran" for attempt in finished - counts.keys()),
    ]


async def _leftovers(addresses: Addresses, partitions: int) -> list[str]:
    """Redis holds nothing of flows that ended."""
    found: list[str] = []
    async with connect(addresses.redis_url) as client:
        for number in range(partitions):
            meta = await read_meta(client, number)
            assert meta is not None
            live = await read_live_state(client, Partition(number, meta.installation, meta.generation))
            found += _left(live)
    return found


def _left(live: LiveState) -> list[str]:
    left = {
        "flows": live.flows,
        "lanes": live.lanes,
        "shares": live.shares,
        "leases": {queue: leases for queue, leases in live.leases.items() if leases},
        "timers": live.timers,
        "counters": live.running,
        "boards": live.boards,
        "places": live.places,
        "lines": live.line,
        "notes": live.releasing,
        "flows of schedules": live.slots_under_way,
        "notes of trees": live.tree,
        "waits for signals": live.waits,
    }
    return [f"Redis still has {name}: {str(what)[:300]}" for name, what in left.items() if what]
