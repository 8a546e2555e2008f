"""Tasks that wait for the world, in the body of a workflow: ``sleep``, ``event``, ``approval``.

No worker runs them. What they wait for is fixed when a flow is registered: constants, and parameters of the
workflow. Only what an approval shows to people may be made of results.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Self, TypeVar, cast, overload

import msgspec

from flower_engine.authoring.definition_body import Body
from flower_engine.authoring.given_values import Given, ValueFault, form_of_target
from flower_engine.authoring.json_kinds import json_word, may_be
from flower_engine.authoring.ref import Ref, Target, refusal, target_of
from flower_engine.authoring.step_documents import seconds
from flower_engine.errors import DefinitionError
from flower_engine.model.tasks.durations import Duration
from flower_engine.model.waits.wait_parameters import APPROVAL, EVENT, SLEEP
from flower_engine.programs.call_site import call_site
from flower_engine.programs.json_schemas import schemas_of
from flower_engine.programs.parameter_conversion import type_name
from flower_engine.programs.steps import being_defined
from flower_engine.programs.task_options import Checks, OnFailure, Rule, checked_options

T = TypeVar("T")
_UNSET: Any = msgspec.UNSET


class Approved(msgspec.Struct, frozen=True):
    """What an approval asks for that has no form of its own: yes or no."""

    approved: bool


class _Wait:
    """What the three have in common."""

    program = ""

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self._options = dict(options or {})

    def having(
        self,
        *,
        name: str | None = None,
        after: Sequence[object] | None = None,
        rule: Rule | None = None,
        on_failure: OnFailure | None = None,
        stand_in: object = None,
        finally_: bool | None = None,
    ) -> Self:
        """The same with these options: ``name`` of the task; ``after``: results of steps that must have ended
        before; ``rule``, ``on_failure``, ``stand_in`` and ``finally_`` as for steps of programs.

        Raises:
            DefinitionError: a value does not fit; names the option, and file and line.
        """
        given = {"name": name, "after": after, "rule": rule, "on_failure": on_failure}
        given |= {"stand_in": stand_in, "finally_": finally_}
        checked = checked_options(f"{self.program[1:]}.having", given)
        return type(self)({**self._options, **checked})

    def _made(self, given: Mapping[str, Any], result: Any, part: str = "") -> Any:
        body = being_defined.get()
        if not isinstance(body, Body):
            word = self.program[1:]
            said = (
                f"{call_site()}: {word}() makes a task that waits; it stands in the body of a function under"
            )
            raise DefinitionError("", [f"{said} @workflow"])
        return body.add_wait(self.program, given, result, self._options, part)

    def __repr__(self) -> str:
        return self.program[1:]


class _Sleep(_Wait):
    """Makes a task that waits so long, or until a moment; see calling it."""

    program = SLEEP

    @overload
    def __call__(self, time: Duration) -> Ref[None]: ...
    @overload
    def __call__(self, *, until: datetime) -> Ref[None]: ...

    def __call__(self, time: Any = _UNSET, *, until: Any = _UNSET) -> Ref[None]:
        """Makes a task that waits so long from when it begins, or until a moment, and costs no worker. Either
        may be a parameter of the workflow: a number of seconds, or a datetime with an offset.

        What is to happen behind it says so: ``report.having(after=[pause]).step()``.

        Raises:
            DefinitionError: both or neither are given, or it is no time; names file and line.
        """
        if (time is _UNSET) == (until is _UNSET):
            raise refusal(
                None, "calls sleep(...) with both or neither", 'write sleep("2h") or sleep(until=...)'
            )
        if until is _UNSET:
            return self._made({"seconds": _seconds("sleep", "time", time)}, type(None))
        if isinstance(until, datetime) and until.utcoffset() is None:
            raise refusal(
                None, f"sleeps until {until!r}, which has no offset", "datetime(..., tzinfo=UTC) has one"
            )
        if isinstance(until, Ref):
            _check_kind(until, datetime, "sleep", "until")
        elif not isinstance(until, datetime):
            raise refusal(None, f"sleeps until {until!r}", "give a datetime with an offset")
        return self._made({"until": until}, type(None))


class _Event(_Wait):
    """Makes a task that waits for a signal; see calling it."""

    program = EVENT

    @overload
    def __call__(
        self,
        name: str,
        *,
        type: type[T],
        key: str | int = "",
        timeout: Duration | None = None,
        default: T = ...,
    ) -> T: ...
    @overload
    def __call__(
        self, name: str, *, key: str | int = "", timeout: Duration | None = None, default: object = ...
    ) -> Any: ...

    def __call__(
        self,
        name: str,
        *,
        type: Any = _UNSET,  # noqa: A002 # as the definition names it
        key: Any = "",
        timeout: Any = None,
        default: Any = _UNSET,
    ) -> Any:
        """Makes a task that waits for a signal of this name, and of this key if one is given; it is typed as
        the signal's payload, which must be of this type. ``timeout``: how long at most; then the task is
        suspended, or has the ``default`` for its result.

        Raises:
            DefinitionError: a value does not fit; names file and line.
        """
        given: dict[str, Any] = {"name": name}
        if not (isinstance(key, str) and not key):
            given["key"] = _text_of(key)
        result = Any
        if type is not _UNSET:
            given["type"], result = _schema("event", "type", type), type
        _add_end("event", given, timeout, default, result)
        return self._made(given, result)


class _Approval(_Wait):
    """Makes a task that waits until people answer; see calling it."""

    program = APPROVAL

    @overload
    def __call__(
        self,
        form: type[T],
        *,
        title: str = "",
        text: str = "",
        shows: object = None,
        roles: Sequence[str] = (),
        of: int = 1,
        not_registrant: bool = False,
        timeout: Duration | None = None,
        default: T = ...,
        remind: Duration | None = None,
        escalate: Duration | None = None,
    ) -> T: ...
    @overload
    def __call__(
        self,
        *,
        title: str = "",
        text: str = "",
        shows: object = None,
        roles: Sequence[str] = (),
        of: int = 1,
        not_registrant: bool = False,
        timeout: Duration | None = None,
        default: Approved = ...,
        remind: Duration | None = None,
        escalate: Duration | None = None,
    ) -> Approved: ...

    def __call__(
        self,
        form: Any = Approved,
        *,
        title: Any = "",
        text: Any = "",
        shows: object = None,
        roles: Sequence[str] = (),
        of: Any = 1,
        not_registrant: Any = False,
        timeout: Any = None,
        default: Any = _UNSET,
        remind: Any = None,
        escalate: Any = None,
    ) -> Any:
        """Makes a task that waits until people answer; it is typed as the answer, which is of the type
        ``form`` (without one :class:`Approved`). An answer whose field ``approved`` is false ends it, whoever
        else is asked. :func:`answered_by` of it are the names of who answered.

        ``title``, ``text`` and ``shows`` (JSON of any kind) are shown beside the form, and may be made of
        results. ``roles``: names or roles of tokens that may answer; ``of``: how many names must;
        ``not_registrant``: who registered the flow may not. ``timeout``: how long at most; then the task is
        suspended, or the ``default`` counts as the answer. ``remind``: hooks are told again so often;
        ``escalate``: they are told once more after that time, those that hear of ``approval.escalated``.

        Raises:
            DefinitionError: a value does not fit; names file and line.
        """
        given: dict[str, Any] = {}
        if form is not Approved:
            given["form"] = _schema("approval", "form", form)
        for name, value in (("title", title), ("text", text)):
            if isinstance(value, Ref) or value:
                given[name] = value
        if shows is not None:
            given["shows"] = shows
        if isinstance(roles, Ref):
            _check_kind(roles, list[str], "approval", "roles")
            given["roles"] = roles
        elif roles:
            given["roles"] = list(roles)
        if isinstance(of, Ref) or of != 1:
            given["of"] = of
        if isinstance(not_registrant, Ref) or not_registrant:
            given["not_registrant"] = not_registrant
        _add_end("approval", given, timeout, default, form)
        if remind is not None:
            given["remind_seconds"] = _seconds("approval", "remind", remind)
        if escalate is not None:
            given["escalate_seconds"] = _seconds("approval", "escalate", escalate)
        return self._made(given, form, part="/answer")


sleep = _Sleep()
"""Waits for a time; see :class:`_Sleep`."""
event = _Event()
"""Waits for a signal."""
approval = _Approval()
"""Waits for people."""


def answered_by(answer: object) -> list[str]:
    """The names of who answered an approval: ``answered_by(ok)``, to give to steps.

    Raises:
        DefinitionError: it is no answer of an approval; names file and line.
    """
    target = target_of(cast("Ref[Any]", answer)) if isinstance(answer, Ref) else None
    if target is None or target.path != "/answer":
        raise refusal(target, f"calls answered_by({answer!r})", "give what approval(...) returned")
    whole = msgspec.structs.replace(
        target, path="/by", annotation=list[str], shown=f"answered_by({target.shown})"
    )
    return cast("list[str]", Ref(whole))


def _seconds(call: str, option: str, value: Any) -> Any:
    if isinstance(value, Ref):
        _check_kind(value, float, call, option)
        return cast("object", value)
    return seconds(Checks(call).duration(option, value, least=1))


def _check_kind(value: Any, wanted: Any, call: str, option: str) -> None:
    target: Target = target_of(value)
    fits = may_be(target.annotation, wanted)
    if fits and wanted is float:
        fits = json_word(target.annotation) in ("", "integer", "number")
    if not fits:
        raise refusal(
            target,
            f"calls {call}(...) with {option} {target.shown}, of type {type_name(target.annotation)}",
            f"it takes {type_name(wanted)}" + (", in seconds" if wanted is float else ""),
        )


def _text_of(key: Any) -> Any:
    """The text of a key: as a reference, where it is not known yet."""
    if not isinstance(key, Ref):
        return str(key)
    target = target_of(cast("Ref[Any]", key))
    if json_word(target.annotation) == "text":
        return cast("object", key)
    form = {"$text": "{key}", "key": form_of_target(target)}
    made: Ref[str] = Ref(Target(target.workflow, target.shown, str, form, target.tasks))
    return made


def _schema(call: str, option: str, kind: Any) -> dict[str, Any]:
    """The JSON Schema of a type."""
    try:
        (schema,), definitions = schemas_of([kind])
    except Exception as error:
        what = f"calls {call}(...) with {option} {type_name(kind)}, which has no JSON Schema: {error}"
        raise refusal(None, what, "give a type of JSON") from error
    return {**schema, "$defs": definitions} if definitions else schema


def _add_end(call: str, given: dict[str, Any], timeout: Any, default: Any, kind: Any) -> None:
    if timeout is not None:
        given["timeout_seconds"] = _seconds(call, "timeout", timeout)
    if default is _UNSET:
        return
    try:
        Given(default).check(kind)
    except ValueFault as fault:
        raise refusal(None, f"calls {call}(...), where default {fault}", "see its type") from fault
    given |= {"default": default, "on_timeout": "default"}
