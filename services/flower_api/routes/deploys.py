"""``POST /deploy``: many definitions brought into use as a whole, after a plan of what that changes."""

from collections.abc import Mapping, Sequence

import msgspec
from fastapi import FastAPI, Request
from pydantic import Field
from starlette.responses import Response

from flower_api.access import by_of
from flower_api.definition_schemas import WorkflowBody
from flower_api.openapi import replies, reply
from flower_api.problems import Fault, with_faults
from flower_api.role_warnings import warnings_of_roles
from flower_api.schedule_schemas import DeployedScheduleBody
from flower_api.schemas import NAME_PATTERN, RequestBody, WorkflowName
from flower_engine.errors import DefinitionError, DefinitionsError
from flower_engine.flows.definition_checks import Verdict, verdicts_on
from flower_engine.flows.deployed_schedules import check_schedules, refuse_problems, warnings_of_others
from flower_engine.flows.deploys import Deploy, Deployed, deploy, plan_deploy
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.trees import problems_of_trees
from flower_engine.flows.unknown_names import Names
from flower_engine.model.definitions.definition import WorkflowDefinition
from flower_engine.model.definitions.definition_differences import Difference
from flower_engine.model.definitions.rule_warnings import warnings_of_rules
from flower_engine.projection.definitions.deploy_rows import Action, PlannedChange
from flower_engine.projection.definitions.deploy_schedule_rows import PlannedSchedule
from flower_engine.projection.read.view_fields import Moment, View
from flower_engine.runtime.api_tokens import ApiToken
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.schedule_document import schedule_of

MAX_DEPLOYED = 1_000
_MOST_WARNED = 20  # workflows whose names of programs and queues are looked up


class DeployedBody(WorkflowBody):
    """A workflow to deploy: what GET answers."""

    task_id: WorkflowName  # pyright: ignore[reportIncompatibleVariableOverride] # no path names it here


class DeployBody(RequestBody):
    """What somebody has, and what is to become of it."""

    source: str = Field(
        min_length=1,
        max_length=256,
        pattern=NAME_PATTERN,
        description="where it comes from: a later deploy of the same source may prune what this one brings",
    )
    workflows: list[DeployedBody] = Field(description=f"up to {MAX_DEPLOYED}")
    schedules: list[DeployedScheduleBody] = Field(default_factory=list, description=f"up to {MAX_DEPLOYED}")
    prune: bool = Field(
        False,
        description="delete workflows and schedules that an earlier deploy of the source brought and that are"
        " not here",
    )
    check: bool = Field(False, description="only say what would be done")
    ahead: bool = Field(
        False,
        description="workers that take these workflows come later: what no live version of a program takes"
        " is a warning",
    )
    expected: dict[str, str | None] | None = Field(
        None, description="that of the plan that was agreed to; refused if the workflows stand otherwise now"
    )
    expected_schedules: dict[str, str | None] | None = Field(None, description="the same of schedules")


class DeployedWorkflow(View, omit_defaults=True):
    """What a deploy does to a workflow. ``hash``: of its version; ``standing``: what the plan is based on.

    ``drift``: what SQL changed since the API wrote it last, which ``source``, ``writtenBy`` and ``writtenTs``
    are about; ``problem``: why its rows, edited with SQL, cannot be understood.
    """

    task_id: str
    action: Action
    task_count: int
    hash: str | None
    standing: str | None
    differences: list[Difference] = msgspec.field(default_factory=list)
    drift: list[Difference] = msgspec.field(default_factory=list)
    problem: str = ""
    source: str | None = None
    written_by: str | None = None
    written_ts: Moment | None = None

    @classmethod
    def of(cls, change: PlannedChange) -> "DeployedWorkflow":
        origin = change.origin
        return cls(
            change.workflow,
            change.action,
            change.tasks,
            change.hash,
            change.standing,
            change.differences,
            change.drift,
            change.problem,
            origin and origin.source,
            origin and origin.written_by,
            origin and origin.written_ts,
        )


class DeployedSchedule(View, omit_defaults=True):
    """What a deploy does to a schedule; the fields are those of a workflow."""

    schedule: str
    task_id: str
    action: Action
    hash: str | None
    standing: str | None
    differences: list[Difference] = msgspec.field(default_factory=list)
    drift: list[Difference] = msgspec.field(default_factory=list)
    problem: str = ""
    source: str | None = None
    written_by: str | None = None
    written_ts: Moment | None = None

    @classmethod
    def of(cls, change: PlannedSchedule) -> "DeployedSchedule":
        origin = change.origin
        return cls(
            change.schedule,
            change.workflow,
            change.action,
            change.hash,
            change.standing,
            change.differences,
            change.drift,
            change.problem,
            origin and origin.source,
            origin and origin.written_by,
            origin and origin.written_ts,
        )


class DeployView(View, omit_defaults=True):
    """The plan of a deploy, or what it did (``applied``). ``expected``, ``expectedSchedules``: to be sent
    with the deploy that is to do just this. ``warnings``: programs and queues that no worker has served, what
    some live workers' programs do not take, tasks that wait for a decision though their rule is ``settled``,
    and schedules that do not fire any more."""

    source: str
    applied: bool
    workflows: list[DeployedWorkflow]
    schedules: list[DeployedSchedule]
    expected: dict[str, str | None]
    expected_schedules: dict[str, str | None]
    warnings: list[str] = msgspec.field(default_factory=list)


def add_deploys(app: FastAPI, stores: PostgresStores, tokens: Sequence[ApiToken]) -> None:
    """Adds the route that deploys."""
    names = Names(stores)

    @app.post(
        "/deploy",
        summary="Deploy workflows",
        responses=replies(
            {200: (DeployView, "What was done, or would be")}, problems=(400, 409, 413, 415, 422, 503)
        ),
    )
    async def post_deploy(body: DeployBody, request: Request) -> Response:
        """In one transaction: all of it or nothing. Sent again it changes nothing more.

        409 if a workflow stands otherwise than `expected` says: then plan again.
        """
        for what, given in (("workflows", body.workflows), ("schedules", body.schedules)):
            if len(given) > MAX_DEPLOYED:
                many = f"{len(given)} {what} are more than {MAX_DEPLOYED}: deploy them in parts"
                fault = Fault(detail=many, pointer=f"#/{what}")
                raise with_faults("invalid-request", "the request is wrong", [fault])
        workflows = _definitions(body.workflows)
        schedules = _schedules(body.schedules)
        verdicts = await verdicts_on(stores.programs, workflows, ahead=body.ahead)
        in_trees = await problems_of_trees(stores.definitions, workflows)
        wanted = Deploy(
            source=body.source,
            workflows=workflows,
            prune=body.prune,
            expected=body.expected,
            refused={
                name: [*verdict.problems, *in_trees.get(name, ())] for name, verdict in verdicts.items()
            },
            schedules=schedules,
            expected_schedules=body.expected_schedules,
            checked_schedules=await check_schedules(stores, workflows, schedules),
        )
        if body.check:
            done = await plan_deploy(stores, wanted)
        else:
            done = await deploy(stores, wanted, by_of(request))
        return reply(
            DeployView(
                source=body.source,
                applied=not body.check,
                workflows=[DeployedWorkflow.of(change) for change in done.workflows],
                schedules=[DeployedSchedule.of(change) for change in done.schedules],
                expected={change.workflow: change.standing for change in done.workflows},
                expected_schedules={change.schedule: change.standing for change in done.schedules},
                warnings=[
                    *await _warnings(done.workflows, workflows, verdicts),
                    *await _warnings_of_schedules(done, wanted),
                ],
            )
        )

    async def _warnings_of_schedules(done: Deployed, wanted: Deploy) -> list[str]:
        new = {change.workflow for change in done.workflows if change.action in ("new", "changed")}
        found = [
            f"schedule {change.schedule!r}: {warning}"
            for change in done.schedules
            if change.action in ("new", "changed")
            for warning in wanted.checked_schedules[change.schedule].warnings
        ]
        changed = [definition for definition in wanted.workflows if definition.name in new]
        named = {change.schedule for change in done.schedules}
        return found[:_MOST_WARNED] + await warnings_of_others(stores, changed, named)

    async def _warnings(
        changes: Sequence[PlannedChange],
        workflows: Sequence[WorkflowDefinition],
        verdicts: Mapping[str, Verdict],
    ) -> list[str]:
        new = {change.workflow for change in changes if change.action in ("new", "changed")}
        found: dict[str, None] = {}
        for definition in [one for one in workflows if one.name in new][:_MOST_WARNED]:
            warnings = [*await names.of_definition(definition), *warnings_of_rules(definition)]
            warnings += [*warnings_of_roles(definition, tokens), *verdicts[definition.name].warnings]
            found |= dict.fromkeys(f"workflow {definition.name!r}, {warning}" for warning in warnings)
        return list(found)


def _schedules(bodies: Sequence[DeployedScheduleBody]) -> list[Schedule]:
    """Raises ScheduleError where one makes no sense."""
    found = [schedule_of(body, body.schedule) for body in bodies]
    refuse_problems(found)
    return [schedule for schedule, _ in found]


def _definitions(bodies: Sequence[DeployedBody]) -> list[WorkflowDefinition]:
    """Raises DefinitionsError where a dependency names no task."""
    found: list[WorkflowDefinition] = []
    problems: list[tuple[int, str]] = []
    for place, body in enumerate(bodies):
        try:
            found.append(body.to_model(body.task_id))
        except DefinitionError as error:
            problems += ((place, f"workflow {body.task_id!r}: {problem}") for problem in error.problems)
    if problems:
        raise DefinitionsError(problems)
    return found
