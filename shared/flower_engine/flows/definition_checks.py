"""Definitions held against what live workers say of their programs, before they come into use."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from flower_engine.flows.given_parameters import value_problem
from flower_engine.flows.live_programs import Programs, ProgramVersion
from flower_engine.flows.open_parameters import missing
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition
from flower_engine.model.definitions.map_tasks import AS, common_parameters, mapped_program
from flower_engine.model.parameters.references import (
    Found,
    holds_references,
    known_value,
    scan,
    scan_parameters,
)
from flower_engine.model.parameters.schema_paths import missing_in
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.values.quoting import short
from flower_engine.model.waits.wait_parameters import MAP
from flower_engine.programs.signature import Signature
from flower_engine.programs.value_faults import faults_of_value
from flower_engine.projection.read.view_fields import moment

_log = logging.getLogger(__name__)
_PATIENCE_SECONDS = 2.0
_MOST = 100
_MOST_WARNINGS = 20
_SHOWN_CHARACTERS = 100

Published = Mapping[str, Sequence[ProgramVersion]]
_NEVER: Mapping[str, int] = {}


class Verdict(msgspec.Struct):
    """``problems``: what no live version of a program takes, as sentences that name the row; ``warnings``:
    what some do not take, or what cannot be known."""

    problems: list[str] = msgspec.field(default_factory=list[str])
    warnings: list[str] = msgspec.field(default_factory=list[str])


async def verdicts_on(
    programs: Programs, definitions: Sequence[WorkflowDefinition], *, ahead: bool = False
) -> dict[str, Verdict]:
    """What is wrong with each, by its name. ``ahead``: workers that take it come later, so nothing is a
    problem. Where Redis does not say in time what is served, nothing is wrong."""
    names = {_run_by(task).program for definition in definitions for task in definition.tasks}
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            served = await programs.served()
            known = names.intersection(served)
            published = await programs.published(known)
            last_seen = {name: ms for name in known if (ms := served[name]) is not None}
    except Exception as error:  # noqa: BLE001 # definitions come into use without Redis, too
        _log.debug("definitions are not held against programs: %s", error)
        return {definition.name: Verdict() for definition in definitions}
    found = await asyncio.to_thread(_verdicts, definitions, published, last_seen)
    if ahead:
        return {name: Verdict([], one.problems + one.warnings) for name, one in found.items()}
    return found


def _verdicts(
    definitions: Sequence[WorkflowDefinition], published: Published, last_seen: Mapping[str, int]
) -> dict[str, Verdict]:
    return {definition.name: verdict_on(definition, published, last_seen) for definition in definitions}


def verdict_on(
    definition: WorkflowDefinition, published: Published, last_seen: Mapping[str, int] = _NEVER
) -> Verdict:
    """What is wrong with a definition. Programs that are not in ``published`` were never served; those with
    no versions nobody serves now. ``last_seen``: when a worker last did, ms."""
    verdict = Verdict()
    unknown: dict[str, None] = {}
    found_in: list[Found] = []
    for task in definition.tasks:
        found = scan_parameters(task.parameters)
        found_in.append(found)
        run = _run_by(task)
        versions = published.get(run.program)
        if versions is None:
            continue  # said by name
        if any(version.program is None for version in versions) or not versions:
            unknown[run.program] = None
        _judge(definition, run, versions, verdict)
        if len(verdict.problems) > _MOST:
            break
    verdict.warnings += [_unchecked(one, published[one], last_seen.get(one)) for one in unknown]
    verdict.warnings += _lost_paths(definition, found_in, published)
    return Verdict(verdict.problems[:_MOST], verdict.warnings[:_MOST_WARNINGS])


def _run_by(task: TaskDefinition) -> TaskDefinition:
    """The task as workers run it: of a map, an item of it, of which the element is known later."""
    if task.program != MAP:
        return task
    given = {**common_parameters(task.parameters), str(task.parameters.get(AS, "")): {"$param": AS}}
    return msgspec.structs.replace(task, program=mapped_program(task.parameters), parameters=given)


def _unchecked(program: str, versions: Sequence[ProgramVersion], last_seen_ms: int | None) -> str:
    if versions:
        who = f"some live workers do not say what program {short(program)!r} takes"
        return f"{who}: it was not checked against that"
    last = "" if last_seen_ms is None else f" (last seen {moment(last_seen_ms):%Y-%m-%d %H:%M} UTC)"
    return (
        f"no worker serves program {short(program)!r} now{last}: it was not checked against what that takes"
    )


def _judge(
    definition: WorkflowDefinition,
    task: TaskDefinition,
    versions: Sequence[ProgramVersion],
    verdict: Verdict,
) -> None:
    has_schema = definition.parameters_schema is not None
    row = f"row (task_id {definition.name!r}, task_seq {task.task_seq})"
    verdict.warnings += [f"{row}: {said}" for said in _left_open(task, versions)]
    refused = [
        (version, problems)
        for version in versions
        if version.program is not None
        and (problems := list(_problems(task, version.program, has_schema=has_schema)))
    ]
    if not refused:
        return
    version, problems = refused[0]
    if len(refused) == len(versions):
        none = f"; none of its {len(versions)} live versions takes all of it" if len(versions) > 1 else ""
        verdict.problems += [f"{row}: {problem}{none}" for problem in problems]
    else:
        who = ", ".join(version.workers[:3]) + (", ..." if len(version.workers) > 3 else "")
        verdict.warnings += [f"{row}: {problem}, as worker {who} has it" for problem in problems]


def _left_open(task: TaskDefinition, versions: Sequence[ProgramVersion]) -> Iterable[str]:
    """What versions need and the definition does not give, so that each registration has to."""
    known = [version for version in versions if version.program is not None]
    needs = [missing(task.parameters, version.program) for version in known if version.program is not None]
    for name in dict.fromkeys(name for names in needs for name in names):
        at = [index for index, names in enumerate(needs) if name in names]
        program = known[at[0]].program
        assert program is not None
        who = "" if len(at) == len(versions) else f", as worker {known[at[0]].workers[0]} has it"
        yield (
            f"program {short(task.program)!r} needs the parameter {name!r}, which is neither given nor"
            f" referenced: each registration has to give it (taskParameters){who}; {_takes(program)}"
        )


def _problems(task: TaskDefinition, signature: Signature, *, has_schema: bool) -> Iterable[str]:
    """Why a version of the task's program cannot run it, whatever its references come to."""
    program = f"program {short(task.program)!r}"
    for name, value in task.parameters.items():
        own = signature.bound(name)
        if own is None:
            near = nearest_in_words(name, signature.parameters)
            yield f"{program} has no parameter {short(name)!r}{near}; {_takes(signature)}"
            continue
        is_reference = holds_references(value)
        constant = known_value(value)
        if is_reference and constant is None:
            continue  # known later
        if constant is None and not has_schema:
            continue  # what each registration gives
        if not signature.takes(name, constant):
            shown = repr(constant)
            shown = shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + "..."
            wanted = signature.words(name)
            yield f"{program}: parameter {short(name)!r} has the value {shown}, which is no {wanted}"
        else:
            for place, said in faults_of_value(signature, own, constant):
                yield value_problem(task.program, short(name), place, said)


def _takes(signature: Signature) -> str:
    names = [name if name in signature.required else f"{name} (optional)" for name in signature.parameters]
    return f"it takes {', '.join(names)}" if names else "it takes no parameters"


def _lost_paths(
    definition: WorkflowDefinition, found_in: Sequence[Found], published: Published
) -> Iterable[str]:
    """References to a part that the results of some live version of the producer's program do not have."""
    producers: dict[str, TaskDefinition] = {}
    for task in definition.tasks:
        producers[str(task.task_seq)] = task
        if task.task_name is not None:
            producers[task.task_name] = task
    rows = [
        (f"row (task_id {definition.name!r}, task_seq {task.task_seq}): parameters", found)
        for task, found in zip(definition.tasks, found_in, strict=False)
    ]
    if definition.returns is not None:
        rows.append((f"workflow {definition.name!r}: returns", scan(definition.returns)))
    told: dict[tuple[str, str], str | None] = {}
    for row, found in rows:
        for use in found.uses:
            producer = producers.get(use.form.name)
            if producer is None or not use.form.path:
                continue
            key = (producer.program, use.form.path)
            if key not in told:
                told[key] = _missing(published.get(producer.program, ()), use.form.path)
            if (missing := told[key]) is not None:
                yield (
                    f"{row}{use.at}: the result of task {use.form.name!r} has nothing at"
                    f" {short(use.form.path)!r}, by what program {short(producer.program)!r} gives: {missing}"
                )


def _missing(versions: Sequence[ProgramVersion], path: str) -> str | None:
    for version in versions:
        schema: Any = version.program.result_schema if version.program is not None else None
        missing = None if schema is None else missing_in(schema, path)
        if missing is not None:
            return missing
    return None
