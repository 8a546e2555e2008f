"""What is different between two definitions of a workflow: field by field, and in words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, cast

import msgspec

from flower_engine.model.decisions.decision_tasks import CONDITION, condition_in_words
from flower_engine.model.tasks.rule_texts import hold_ms
from flower_engine.model.values.quoting import short

Document = Mapping[str, Any]
"""A definition as ``workflow_versions.plain_document`` makes it."""

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60))
_DATA = ("parameters", "parametersSchema", "returns", "labels", "standIn")
"""Fields whose keys are people's own words: nothing in them is a duration of ours."""
UNSET = "unset"
_encode = msgspec.json.Encoder(order="sorted").encode


class Difference(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One difference. ``task``: "" for what holds for the whole workflow; ``field``: a path such as
    ``retry.maxAttempts``; ``old``, ``new``: left out where there is nothing, which means the default.
    ``text`` says all of it."""

    kind: Literal["added", "removed", "changed"]
    text: str
    task: str = ""
    field: str = ""
    old: Any = msgspec.UNSET
    new: Any = msgspec.UNSET


def differences(old: Document, new: Document) -> list[Difference]:
    """What of ``old`` became different in ``new``: the workflow as a whole first, then task by task.

    Tasks are the same by their names, or, where one has none, by their taskSeqs.
    """
    found = list(_changed("", {**old, "tasks": None}, {**new, "tasks": None}))
    pairs, added, removed = _matched(old["tasks"], new["tasks"])
    found += [Difference("added", f"+ {_title(task)} {_what(task)}", _title(task)) for task in added]
    found += [Difference("removed", f"- {_title(task)} {_what(task)}", _title(task)) for task in removed]
    titles = {task["taskSeq"]: _title(task) for document in (old, new) for task in document["tasks"]}
    for before, after in pairs:
        found += _changed(_title(after), _in_text(before, titles), _in_text(after, titles))
    return found


def field_differences(old: Document, new: Document) -> list[Difference]:
    """What of a document without tasks became different, field by field."""
    return list(_changed("", old, new))


def duration_in_words(seconds: float) -> str:
    """``5m``, ``1h30m``, ``2d``, ``0.25s``."""
    whole, parts = seconds, ""
    if seconds == int(seconds):
        whole = int(seconds)
        for unit, size in _UNITS:
            count, whole = divmod(whole, size)
            parts += f"{count}{unit}" if count else ""
    return f"{parts}{whole:g}s" if whole or not parts else parts


def _matched(
    old: Sequence[Document], new: Sequence[Document]
) -> tuple[list[tuple[Document, Document]], list[Document], list[Document]]:
    """The tasks that are in both, those that are new, and those that are gone."""
    by_name = {task["taskName"]: task for task in old if "taskName" in task}
    left = {task["taskSeq"]: task for task in old}
    found: dict[int, Document] = {}
    for task in new:
        before = by_name.get(task.get("taskName"))
        if before is not None:
            found[task["taskSeq"]] = left.pop(before["taskSeq"])
    pairs: list[tuple[Document, Document]] = []
    added: list[Document] = []
    for task in new:
        before = found.get(task["taskSeq"])
        if before is None and not ("taskName" in task and "taskName" in left.get(task["taskSeq"], {})):
            before = left.pop(task["taskSeq"], None)
        if before is None:
            added.append(task)
        else:
            pairs.append((before, task))
    return pairs, added, list(left.values())


def _title(task: Document) -> str:
    name = task.get("taskName")
    return f"task {task['taskSeq']}" + (f" {name}" if name else "")


def _what(task: Document) -> str:
    """Its program, and what it decides."""
    condition = condition_in_words(task["program"], task.get("parameters", {}))
    return f"{task['program']} {short(condition)}".rstrip()


def _in_text(task: Document, titles: Mapping[int, str]) -> Document:
    """The task with a condition and a branch as they are read."""
    condition = condition_in_words(task["program"], task.get("parameters", {}))
    when = task.get("when")
    if not condition and when is None:
        return task
    said = dict(task)
    if condition:
        said["parameters"] = {**task["parameters"], CONDITION: _Words(condition)}
    if when is not None:
        said["when"] = _Words(f"{titles.get(when[0], f'task {when[0]}')} is {str(when[1]).lower()}")
    return said


class _Words(msgspec.Struct, frozen=True):
    """What is read as it stands, without quotes."""

    text: str


def _changed(task: str, old: Document, new: Document) -> Iterator[Difference]:
    for field, before, after in _leaves((), old, new):
        text = f"{_field_in_words(field)} {_in_words(field, before)} -> {_in_words(field, after)}"
        old_value, new_value = (one.text if isinstance(one, _Words) else one for one in (before, after))
        said = f"{task}: {text}" if task else text
        yield Difference("changed", said, task, ".".join(field), old_value, new_value)


def _leaves(
    path: tuple[str, ...], old: Document, new: Document
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    for key in sorted({*old, *new}):
        before, after = old.get(key, msgspec.UNSET), new.get(key, msgspec.UNSET)
        if _is_same(before, after):
            continue
        if _is_plain_object(before) and _is_plain_object(after):
            yield from _leaves((*path, key), before, after)
        else:
            yield (*path, key), before, after


def _is_same(one: Any, other: Any) -> bool:
    """As JSON: 1, 1.0 and true are three values."""
    if one is msgspec.UNSET or other is msgspec.UNSET:
        return one is other
    return _encode(one) == _encode(other)


def _is_plain_object(value: Any) -> bool:
    """One whose keys are to be compared: a reference is a value as a whole."""
    return isinstance(value, dict) and not any(key.startswith("$") for key in cast(dict[str, Any], value))


def _is_duration(field: Sequence[str]) -> bool:
    return field[0] not in _DATA and field[-1].endswith("Seconds")


def _field_in_words(field: Sequence[str]) -> str:
    name = ".".join(field)
    if _is_duration(field):
        return name.removesuffix("Seconds")
    return "priority" if name == "taskPriority" else name


def _in_words(field: Sequence[str], value: Any) -> str:
    if value is msgspec.UNSET:
        return UNSET
    if isinstance(value, _Words):
        return short(value.text)
    if _is_duration(field) and isinstance(value, int | float):
        return duration_in_words(value)
    if field[0] == "onFailure" and (held := hold_ms(value)) is not None:
        return f"hold:{duration_in_words(held / 1000)}"
    return short(_encode(value).decode())
