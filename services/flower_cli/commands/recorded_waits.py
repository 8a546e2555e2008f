"""What happened to tasks that waited for the world, as lines of a recorded test: signals are sent, approvals
answered by who did so, and what somebody passed over is passed over. What time brought comes by itself."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from flower_cli.commands.recorded_text import Json, lines_of, literal, name_of
from flower_engine.model.parameters.references import scan


class Happening(NamedTuple):
    """Something that happened, and the lines that bring it about."""

    when: str
    lines: tuple[str, ...]


def is_wait(task: Json) -> bool:
    """Whether no worker runs the task: it has no program that a stub could stand for."""
    return task["program"].startswith("@")


def happenings(tasks: Sequence[Json], definition: Json, *, keeps_values: bool) -> list[Happening]:
    """All of them, in their order. ``keeps_values``: the parameters of the flow are as they were."""
    said = {_name_in(one): one for one in definition.get("tasks", [])}
    found: list[Happening] = []
    for task in tasks:
        if not task["attempts"] or not is_wait(task):
            continue
        last: Json = task["attempts"][-1]
        own = said.get(name_of(task), {}).get("parameters", {})
        if task["status"] == "Finish" and last["how"] == "answered":
            if task["program"] == "@event":
                found.append(Happening(last["endedTs"], tuple(_signal(task, own, keeps_values=keeps_values))))
            elif task["program"] == "@approval":
                found.append(Happening(last["endedTs"], tuple(_answers(task))))
        elif task["status"] == "Ignore" and task.get("endedAs") == "passedOver":
            result = "" if task["result"] is None else f", result={literal(task['result'])}"
            lines = f"run.wait_for({name_of(task)!r})", f"run.ignore({name_of(task)!r}{result})"
            found.append(Happening(last["endedTs"], lines))
    return sorted(found, key=lambda one: one.when)


def _name_in(task: Json) -> str:
    """How a test names a task of a definition."""
    return task.get("taskName") or str(task.get("taskSeq"))


def returns_an_answer(definition: Json, tasks: Sequence[Json]) -> bool:
    """Whether the flow returns what somebody answered: when he did is another moment in each test."""
    asked = {
        reference
        for task in tasks
        if task["program"] == "@approval"
        for reference in (name_of(task), str(task["taskSeq"]))
    }
    return any(str(use.form.producer) in asked for use in scan(definition.get("returns")).uses)


def _signal(task: Json, own: Json, *, keeps_values: bool) -> Iterator[str]:
    """The flow keeps it until the task awaits it, as it did."""
    words = [repr(task["parameters"]["name"]), literal(task["result"])]
    if "key" in task["parameters"]:
        said: Any = own.get("key")
        is_masked = not keeps_values and isinstance(said, dict) and "$param" in said
        key = f"PARAMETERS[{said['$param']!r}]" if is_masked else repr(task["parameters"]["key"])
        words.append(f"key={key}")
    yield from lines_of("run.signal", words)


def _answers(task: Json) -> Iterator[str]:
    name, given = name_of(task), task["result"]
    yield f"run.wait_for({name!r})"
    roles: list[str] = task["parameters"].get("roles", [])
    for by in given["by"]:
        words = [repr(name), literal(given["answer"]), f"by={by!r}"]
        yield from lines_of("run.answer", [*words, f"roles={roles!r}"] if roles else words)
