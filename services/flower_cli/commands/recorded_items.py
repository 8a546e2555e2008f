"""Items of maps in a recorded test: one stub for a map, which knows by the element what each came to."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from flower_cli.commands.recorded_text import Json, NotRecordableError, lines_of, literal, name_of


def refuse_children(task: Json) -> None:
    """A test has the definition of one workflow, and children are flows of others.

    Raises:
        NotRecordableError: another flow did the task.
    """
    if task["program"] == "@flow" and task["attempts"]:
        raise NotRecordableError(
            f"task {name_of(task)} was done by its child, flow {task['childFlowId']}, and a recorded test"
            " holds one flow: record that child by itself, or write a test of the workflow in Python"
        )


def stubs_of_items(tasks: Sequence[Json], does_of: Callable[[Json], list[str]]) -> Iterator[str]:
    """The stubs of maps; ``does_of`` says what the attempts of an item did.

    Raises:
        NotRecordableError: somebody passed over an item, which has no name that a test could say.
    """
    for one in tasks:
        items = [
            item
            for item in tasks
            if item["itemOf"] == one["taskExecSeq"] and item.get("endedAs") != "vanished"
        ]
        if any(item.get("endedAs") == "passedOver" and item["ignoredBy"] != "on_failure" for item in items):
            raise NotRecordableError(
                f"an item of map {name_of(one)} was passed over by somebody: write a test (run.ignore)"
            )
        answers = [(_element(item, one, tasks), does_of(item)) for item in items]
        said = [f"({literal(element)}, [{', '.join(does)}])" for element, does in answers if does]
        if said:
            listed = "[\n" + "".join(f"    {entry},\n" for entry in said) + "]"
            words = [repr(items[0]["program"]), f"by_element({one['parameters']['as']!r}, {listed})"]
            yield from lines_of("flower.stub", [*words, f"task={name_of(items[0])!r}"])


def _element(item: Json, of: Json, tasks: Sequence[Json]) -> Any:
    """What an item was given; along another map it is what the item before it came to."""
    if of["parameters"].get("aligned") and item["dependsOn"]:
        return tasks[item["dependsOn"][0] - 1]["result"]
    return item["parameters"][of["parameters"]["as"]]
