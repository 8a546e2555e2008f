"""Ready tasks that nobody takes, and what is paused."""

import shlex
from collections import Counter
from datetime import datetime

from flower_engine.doctor.findings import Finding, and_more, ok, problem, warning
from flower_engine.doctor.subject import Subject
from flower_engine.flows.wait_reasons import served_by, unable_in, versions_in
from flower_engine.insight.overview import LaneNow, Overview, read_overview
from flower_engine.model.flow_control.limits import LimitValue, limits_tasks, parse_limit
from flower_engine.projection.definitions.flow_control_rows import read_controls
from flower_engine.projection.definitions.known_names import defined_queues
from flower_engine.projection.read.queries import read_flow
from flower_engine.projection.read.view_fields import moment
from flower_engine.projection.read.views import FlowView, TaskView

_MOST_READ = 5  # flows of which it is looked up since when their task is ready
_MOST_SAID = 10


async def unserved(subject: Subject) -> list[Finding]:
    """Ready tasks of programs and queues that no live worker serves."""
    check = "tasks.unserved"
    overviews = await _overviews(subject)
    served, unable = served_by(subject.workers), unable_in(subject.workers)
    waiting: Counter[tuple[str, str]] = Counter()
    unfit: dict[tuple[str, str], list[LaneNow]] = {}
    versions = versions_in(subject.workers)
    for lane in _lanes(overviews):
        pair = lane.queue, lane.program
        waiting[pair] += lane.waiting
        if lane.kept_from and pair in served and versions.get(pair, set()).issubset(lane.kept_from):
            unfit.setdefault(pair, []).append(lane)
    found: list[Finding] = []
    for (queue, program), count in waiting.most_common():
        if (queue, program) in served:
            continue
        detail = f"{count:,} ready tasks wait for program {program} of queue {queue}"
        if (queue, program) in unable:
            worker, why = unable[queue, program]
            detail, advice = f"{detail}, which worker {worker} cannot start: {why}", "mend what it says"
        elif any(other == queue for other, _ in served):
            detail += ", which no live worker of that queue has"
            advice = (
                "start a worker whose FLOWER_PROGRAMS has it; flower programs lists those that are served"
            )
        else:
            detail += ", which no live worker serves"
            advice = f"start a worker for it: flower worker --queue {shlex.quote(queue)} --programs MODULE"
        found.append(problem(check, detail, advice))
    for (queue, program), lanes in unfit.items():
        count = sum(lane.waiting for lane in lanes)
        detail = (
            f"{count:,} ready tasks wait for another version of program {program} of queue {queue}: those"
        )
        detail += " of live workers refuse their parameters"
        advice = f"flower show {lanes[0].flow} says which; start workers of the version that takes them, or"
        advice += " rerun them with other parameters"
        found.append(problem(check, detail, advice))
    if not found:
        total = sum(waiting.values())
        whole = "" if all(one.is_whole for one in overviews) else "at least "
        found.append(ok(check, f"{whole}{total:,} ready tasks; live workers serve all of them"))
    return found[:_MOST_SAID]


async def oldest(subject: Subject) -> list[Finding]:
    """For how long a task waits that could start, as far as Postgres knows of it."""
    check = "tasks.oldest"
    served = served_by(subject.workers)
    overviews = await _overviews(subject)
    now = moment(max((one.now_ms for one in overviews), default=0))
    lanes = [lane for lane in _lanes(overviews) if not lane.board and (lane.queue, lane.program) in served]
    worst: tuple[float, LaneNow] | None = None
    for lane in sorted(lanes, key=lambda one: one.first_ms)[:_MOST_READ]:
        flow = await read_flow(subject.connection, lane.flow)
        since = None if flow is None else _ready_since(flow, lane.task)
        if since is not None and (worst is None or (now - since).total_seconds() > worst[0]):
            worst = (now - since).total_seconds(), lane
    if worst is None:
        return [ok(check, "no ready task waits for a worker that serves it")]
    seconds, lane = worst
    detail = f"task {lane.task} of flow {lane.flow} (queue {lane.queue}) has been ready"
    detail += f" for {max(0.0, seconds):,.0f} s"
    if seconds < subject.bounds.oldest_ready_seconds:
        return [ok(check, detail)]
    advice = f"flower why {lane.flow} {lane.task} says what it waits for; where that is slots, start workers"
    return [warning(check, detail, advice)]


async def held(subject: Subject) -> list[Finding]:
    """What is paused as a whole, by whom and why, where Postgres says that."""
    check = "held"
    names: dict[tuple[str, str], None] = {}
    for one in await _overviews(subject):
        for name, text in one.limits.items():
            if limits_tasks(name) and LimitValue.parse(text).is_paused:
                scope, of, _ = parse_limit(name)
                names[scope, of] = None
    if not names:
        return [ok(check, "nothing is paused as a whole")]
    rows = (
        {}
        if subject.postgres is None or not subject.has_tables
        else {(row.scope, row.name): row for row in (await read_controls(subject.postgres)).rows}
    )
    found: list[Finding] = []
    for scope, name in names:
        row = rows.get((scope, name))
        by = f" by {row.changed_by}" if row is not None and row.changed_by else ""
        why = f" ({row.reason})" if row is not None and row.reason else ""
        what = f"{scope} {name}" if name else "everything"
        advice = f"flower release {scope}{f' {shlex.quote(name)}' if name else ''}, when it may go on"
        found.append(warning(check, f"{what} is paused{by}{why}: nothing of it starts", advice))
    if len(found) > _MOST_SAID:
        left = and_more([f"{scope} {name}" for scope, name in names][_MOST_SAID:])
        found[_MOST_SAID:] = [warning(check, f"paused, too: {left}", "flower limits lists all")]
    return found


async def _overviews(subject: Subject) -> list[Overview]:
    if subject.overviews is None:
        queues: set[str] = set()
        if subject.postgres is not None and subject.has_tables:
            queues = await defined_queues(subject.postgres)
        subject.overviews = [
            await read_overview(subject.client, partition, queues) for partition in subject.some_partitions
        ]
    return subject.overviews


def _lanes(overviews: list[Overview]) -> list[LaneNow]:
    return [lane for one in overviews for lane in one.lanes]


def _ready_since(flow: FlowView, number: int) -> datetime | None:
    """When all that a task waits for had happened; None: it is not known to wait."""
    tasks: dict[int, TaskView] = {task.task_exec_seq: task for task in flow.tasks}
    task = tasks.get(number)
    if task is None or task.finished_ts is not None:
        return None
    moments = [task.registered_ts, flow.start_ts, task.retry_ts]
    moments += [tasks[seq].finished_ts for seq in task.depends_on if seq in tasks]
    return max(filter(None, moments), default=None)
