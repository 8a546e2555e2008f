"""Makes what a program raised into the JSON of a TaskError, whatever it is.

Every part of an exception is the program's code: its message, its type's name, notes, causes and members
may raise, recurse, refer to each other, or be many thousands. None of it keeps an attempt from its outcome.
"""

import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any, cast

import msgspec

from flower_engine.model.tasks.task_error import TaskError
from flower_engine.model.values.result_json import MAX_MESSAGE_CHARACTERS, clean_text
from flower_engine.model.values.type_names import type_name

MAX_TRACEBACK_CHARACTERS = 64 * 1024

_MOST_SHOWN = 500  # causes and members of groups: formatting all of many thousands would take seconds
_FEW = 10  # of those that are too many
_FRAMES_OF_ENGINE = ("flower_worker.", "flower_engine.")
_BUILT_IN_PROGRAMS = "flower_engine.programs.builtin"
_encode = msgspec.json.Encoder().encode
_INDESCRIBABLE = _encode(TaskError(type="Indescribable", message="what was raised cannot be described"))

# The interpreter's own: a class may have attributes of these names that raise, or are of another type.
_ATTRIBUTES: dict[str, Any] = {
    name: BaseException.__dict__[name] for name in ("__cause__", "__context__", "__traceback__")
}
_MEMBERS: Any = BaseExceptionGroup.__dict__["exceptions"]


def encode_error(error: BaseException) -> bytes:
    """The JSON of a TaskError that tells what a program raised; it never fails itself.

    Frames of the engine that lie around the program's own are left out of the traceback.
    """
    try:
        return _encode(
            TaskError(
                type=clean_text(type_name(type(error)), MAX_MESSAGE_CHARACTERS),
                message=clean_text(_message(error), MAX_MESSAGE_CHARACTERS),
                traceback=clean_text(_traceback(error), MAX_TRACEBACK_CHARACTERS),
            )
        )
    except BaseException:  # noqa: BLE001 # memory or stack are at their end: say at least that it failed
        return _INDESCRIBABLE


def members(error: BaseException) -> Iterator[BaseException]:
    """The error, or those of a group and of the groups in it, each once and without the groups."""
    left, seen = [error], {id(error)}
    while left:
        one = left.pop()
        if not issubclass(type(one), BaseExceptionGroup):
            yield one
            continue
        for member in _members(one):
            if id(member) not in seen:
                seen.add(id(member))
                left.append(member)


def _message(error: BaseException) -> str:
    try:
        return str.__str__(str(error))
    except BaseException as broken:  # noqa: BLE001 # __str__ is the program's code: anything may come
        return f"[its message cannot be shown: __str__ raised {type_name(type(broken))}]"


def _traceback(error: BaseException) -> str:
    try:
        frames = _of_program(_get(error, "__traceback__"))
        if frames is None:
            return ""
        if not _is_short(error):
            return "".join(map(str.__str__, _outline(error, frames)))
        return "".join(map(str.__str__, traceback.format_exception(type(error), error, frames)))
    except BaseException as broken:  # noqa: BLE001 # properties of the exception are the program's code, too
        return f"[no traceback: formatting it raised {type_name(type(broken))}]"


def _is_short(error: BaseException) -> bool:
    """Whether there are few enough causes and members, counted as often as they would be shown."""
    left, seen, count = [error], {id(error)}, 0
    while left:
        one = left.pop()
        count += 1
        if count > _MOST_SHOWN:
            return False
        linked = _linked(one)
        if linked is not None and id(linked) not in seen:
            seen.add(id(linked))
            left.append(linked)
        if issubclass(type(one), BaseExceptionGroup):
            left += _members(one)[: _MOST_SHOWN + 1]
    return True


def _outline(error: BaseException, frames: TracebackType) -> Iterator[str]:
    """The error with its own frames, and only a few of the others in a line each."""
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_tb(frames)
    yield f"{type_name(type(error))}: {_message(error)}\n"
    yield f"\nOnly a few of its more than {_MOST_SHOWN} causes and members:\n"
    shown = 0
    one = error
    while shown < _FEW and (linked := _linked(one)) is not None:
        yield f"  from {type_name(type(linked))}: {_message(linked)}\n"
        one, shown = linked, shown + 1
    for member in members(error):
        if shown >= 2 * _FEW:
            return
        if member is not error:
            yield f"  member {type_name(type(member))}: {_message(member)}\n"
            shown += 1


def _linked(error: BaseException) -> BaseException | None:
    """What it was raised from, or while it was handled."""
    cause = _get(error, "__cause__")
    return _get(error, "__context__") if cause is None else cause


def _get(error: BaseException, name: str) -> Any:
    return _ATTRIBUTES[name].__get__(error)


def _members(group: BaseException) -> tuple[BaseException, ...]:
    return cast("tuple[BaseException, ...]", _MEMBERS.__get__(group))


def _of_program(frames: TracebackType | None) -> TracebackType | None:
    """The traceback without its first frames as long as they are the engine's."""
    while frames is not None:
        module = _module_of(frames)
        if not module.startswith(_FRAMES_OF_ENGINE) or module == _BUILT_IN_PROGRAMS:
            break
        frames = frames.tb_next
    return frames


def _module_of(frames: TracebackType) -> str:
    """The module of the first frame, also of one that was started as a program (``python -m``)."""
    of_frame = frames.tb_frame.f_globals
    name = str(of_frame.get("__name__", ""))
    return str(getattr(of_frame.get("__spec__"), "name", name)) if name == "__main__" else name
