"""The text of a test that repeats a flow: each program is a stub that does what its attempts did."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, cast

from flower_cli.commands import words
from flower_cli.commands.recorded_items import refuse_children, stubs_of_items
from flower_cli.commands.recorded_text import NotRecordableError, lines_of, literal, name_of
from flower_cli.commands.recorded_waits import Happening, happenings, is_wait, returns_an_answer
from flower_engine.model.parameters.parameters_schema import ParametersSchema
from flower_engine.model.parameters.references import scan

Json = dict[str, Any]
_TIMEOUTS = ("AttemptTimeout", "FlowTimeout")
_OPEN = ("Wait", "Running")


def recorded_test(flow: Json, tasks: Sequence[Json], definition: Json, *, keeps_values: bool) -> str:
    """``flow`` and ``tasks`` as the API shows them; ``definition`` as PUT /workflows takes it.

    Raises:
        NotRecordableError: it is under way, or holds what no test can hold.
    """
    _refuse(flow, tasks)
    waits = list(happenings(tasks, definition, keeps_values=keeps_values))
    parameters: Json = flow.get("parameters") or {}
    if parameters and not keeps_values:
        parameters = _masked_as_the_schema_takes(parameters, definition)
    lines = [
        f'"""Flow {flow["taskFlowId"]} of workflow {flow["taskId"]!r}, as `flower fixture` recorded it."""',
        "",
        "from flower_engine.testing import FlowerTest, by_element, hangs, recorded_error",
        "",
        f"DEFINITION = {literal(definition)}",
        f"PARAMETERS = {literal(parameters)}" + ("" if keeps_values or not parameters else "  # masked"),
        "",
        "",
        f"def test_{re.sub(r'[^0-9A-Za-z]+', '_', flow['taskId']).strip('_')}(flower: FlowerTest) -> None:",
        *(f"    {line}" for line in _body(flow, tasks, definition, waits, keeps_values)),
    ]
    text = "\n".join(lines) + "\n"
    unused = [name for name in ("by_element", "hangs", "recorded_error") if f"{name}(" not in text]
    for name in unused:
        text = text.replace(f", {name}", "", 1)
    if " Again(" in text:
        text = text.replace("from flower", "from flower_engine import Again\nfrom flower", 1)
    return text


def _refuse(flow: Json, tasks: Sequence[Json]) -> None:
    if flow["endingCause"] == "timeout":
        raise NotRecordableError(
            "it took too long, and was cleaned up, which a recorded test cannot bring about: write one"
            " (run.skip)"
        )
    suspended = any(task["status"] == "Suspend" for task in tasks)
    if flow["finishedTs"] is None and (
        not suspended
        or any(
            task["status"] == "Running" or (task["status"] == "Wait" and (task["retryTs"] or task["againTs"]))
            for task in tasks
        )
    ):
        raise NotRecordableError(
            "it is under way; record it when it has ended, or waits for tasks that failed"
        )
    for task in tasks:
        refuse_children(task)
        if any(one["how"] == "flowAgain" for one in task["attempts"]):
            raise NotRecordableError(
                f"task {name_of(task)} asked for another round of its flow, which has none in a test of it"
                " alone: test the workflow that has it as a sub-flow"
            )
        if flow["cancelledTs"] is not None and any(one["how"] == "over" for one in task["attempts"]):
            raise NotRecordableError(
                f"it was cancelled after the time of task {name_of(task)} ({task['program']}) was over, and a"
                " recorded test skips no time before it cancels: write one (run.skip)"
            )
        if task["blob"] is not None:
            raise NotRecordableError(
                f"the result of task {name_of(task)} lies in a store of blobs ({task['blob']['bytes']}"
                " bytes); a test holds up to 1 MiB, from the store of the API"
            )


def _body(
    flow: Json, tasks: Sequence[Json], definition: Json, waits: Sequence[Happening], keeps_values: bool
) -> Iterator[str]:
    if flow["cancelledTs"] is not None:
        yield from _body_of_cancelled(flow, tasks, waits)
        return
    own = [task for task in tasks if task["itemOf"] is None]
    kept = {name_of(task): _last_attempts(task) for task in own}
    yield from stubs_of_items(tasks, _stands_for)
    for task in own:
        does = _stands_for(task)
        if task.get("endedAs") == "notTaken" or is_wait(task):  # by itself, as in the test
            continue
        if task["status"] == "Ignore" and not does:
            does.append(_ignored(task))
        elif task["status"] == "Suspend" and not does:
            does.append(_error(task["error"], is_final=True))
        if does:
            yield from lines_of("flower.stub", [repr(task["program"]), *does, f"task={name_of(task)!r}"])
    yield "run = flower.start(DEFINITION, **PARAMETERS)"
    for one in waits:
        yield from one.lines
    ignored = [
        task for task in own if task["status"] == "Ignore" and not _is_by_itself(task) and not is_wait(task)
    ]
    if ignored:
        yield "run.settle()"
    for task in ignored:
        result = "" if task["result"] is None else f", result={literal(task['result'])}"
        yield f"run.ignore({name_of(task)!r}{result})"
    yield f"assert run.settle() == {words.status_word(flow)!r}"
    is_same = keeps_values or not scan(definition.get("returns")).params
    if flow["status"] == "Finish" and is_same and not returns_an_answer(definition, tasks):
        yield from f"assert run.result == {literal(flow.get('result'))}".splitlines()
    for task in own:
        count = len(kept[name_of(task)])
        if count > 1:
            yield f"assert run.tasks[{name_of(task)!r}].attempts == {count}"


def _is_by_itself(task: Json) -> bool:
    """Whether a task was passed over by its rule, as its definition says of its failure, or as joins went on
    without it."""
    return task.get("endedAs") == "notTaken" or _is_unneeded(task) or task["ignoredBy"] == "on_failure"


def _is_unneeded(task: Json) -> bool:
    """Whether joins went on without it: in a test it hangs until they do."""
    return task.get("endedAs") == "unneeded"


def _stands_for(task: Json) -> list[str]:
    """What a stub in the place of its program, or of an item's, does, attempt by attempt."""
    if task["ignoredBy"] == "on_failure":
        return [_ignored(task)]
    return ["hangs()"] if _is_unneeded(task) else [_does(task, one) for one in _last_attempts(task)]


def _stands_for_item(task: Json) -> list[str]:
    """The same of an item of a flow that was cancelled, without its earlier attempts."""
    if task["ignoredBy"] == "on_failure":
        return [_ignored(task)]
    if task.get("endedAs") == "givenUp":
        return [_error(task["error"], is_final=True)]
    return [literal(task["result"]) if task["status"] == "Finish" else "hangs()"]


def _ignored(task: Json) -> str:
    return f"recorded_error('Ignored', {task['ignoreReason'] or ''!r}, is_final=True)"


def _body_of_cancelled(flow: Json, tasks: Sequence[Json], waits: Sequence[Happening]) -> Iterator[str]:
    """What had finished finishes, without its earlier attempts, so that no time passes; what had not hangs,
    and then the flow is cancelled."""
    own = [task for task in tasks if task["itemOf"] is None]
    yield from stubs_of_items(tasks, _stands_for_item)
    passed_over = [
        task
        for task in own  # before: a cancel passes over the others at its own moment
        if task.get("endedAs") == "passedOver" and not _is_by_itself(task) and not is_wait(task)
    ]
    for task in own:
        if is_wait(task):
            continue
        if task["status"] == "Finish":
            does = literal(task["result"])
        elif task in passed_over or (_is_by_itself(task) and not _is_unneeded(task)):
            does = _ignored(task)
        else:
            does = "hangs()"
        yield from lines_of("flower.stub", [repr(task["program"]), does, f"task={name_of(task)!r}"])
    yield "run = flower.start(DEFINITION, **PARAMETERS)"
    for one in waits:
        yield from one.lines
    yield "run.work()"
    for task in passed_over:
        result = f", result={literal(task['result'])}" if task["hasStandIn"] else ""
        yield f"run.ignore({name_of(task)!r}{result})"
        yield "run.work()"
    yield "run.cancel()"
    yield f"assert run.settle() == {words.status_word(flow)!r}"
    for task in own:
        if task["status"] == "Finish":
            yield f"assert run.tasks[{name_of(task)!r}].status == 'Finish'"


def _last_attempts(task: Json) -> list[Json]:
    """Those since the task last began from the start, without those that say nothing of its program."""
    if task["status"] in ("Ignore", *_OPEN):
        return []
    of_programs = [one for one in task["attempts"] if one["worker"]]  # not of waits for the world
    said = [one for one in of_programs if one["how"] not in ("lapsed", "returned", "cancelled")]
    begins = [place for place, one in enumerate(said[:-1], 1) if one["how"] in ("failed", "finished")]
    return said[begins[-1] if begins else 0 :]


def _does(task: Json, attempt: Json) -> str:
    if attempt["how"] == "finished":
        return literal(task["result"])
    if attempt["how"] == "again":
        return f"Again({literal(attempt['given'])})"
    error: Json = attempt["error"] or {}
    if attempt["how"] == "timedOut" or error.get("type") in _TIMEOUTS:
        return "hangs()"
    return _error(attempt["error"], is_final=attempt["how"] == "failed")


def _error(error: Json | None, *, is_final: bool) -> str:
    said = error or {"type": "Exception", "message": ""}
    final = ", is_final=True" if is_final else ""
    return f"recorded_error({said['type']!r}, {said['message']!r}{final})"


def _masked_as_the_schema_takes(parameters: Json, definition: Json) -> Json:
    whole: Json = definition.get("parametersSchema") or {}
    schema: Mapping[str, Json] = whole.get("properties", {})
    found = {name: _masked(value, schema.get(name, {})) for name, value in parameters.items()}
    if definition.get("parametersSchema"):
        _, faults = ParametersSchema(definition["parametersSchema"]).checked(found, "#")
        if faults:
            raise NotRecordableError(
                f"its parameters cannot be masked so that its schema takes them ({faults[0].detail}); keep"
                " them with --values"
            )
    return found


def _masked(value: Any, schema: Mapping[str, Any]) -> Any:
    """A value like this one that says nothing of it; one of a few that the schema names is kept."""
    if "enum" in schema or "const" in schema or value is None:
        return value
    if schema.get("x-flower-secret"):
        return "SECRET"
    if isinstance(value, bool):
        return False
    if isinstance(value, int | float):
        return type(value)(max(schema.get("minimum", 0), min(schema.get("maximum", 0), 0)))
    if isinstance(value, dict):
        return {name: _masked(one, {}) for name, one in cast(Json, value).items()}
    if isinstance(value, list):
        return [_masked(one, schema.get("items", {})) for one in cast("list[Any]", value)]
    return _masked_text(value)


def _masked_text(text: str) -> str:
    for read, like in (
        (date.fromisoformat, "2000-01-01"),
        (datetime.fromisoformat, "2000-01-01T00:00:00+00:00"),
    ):
        try:
            read(text)
        except ValueError:
            continue
        return like
    return "x" * len(text)
