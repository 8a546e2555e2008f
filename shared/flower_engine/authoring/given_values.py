"""Values that the body of a workflow gives to steps or returns, as a definition holds them.

Constants are JSON, checked by the type of their place; references are objects; data that looks like one is
escaped.
"""

from collections.abc import Callable
from secrets import token_hex
from typing import Any, cast, get_args

import msgspec

from flower_engine.authoring.json_kinds import json_word, may_be
from flower_engine.authoring.ref import Ref, Target, Undecided, target_of
from flower_engine.authoring.result_types import (
    NONE_GIVEN,
    bare,
    fields_of,
    is_list,
    is_object,
    keys_of,
    length_of,
    members_of_union,
    type_of_values,
)
from flower_engine.errors import ProgramError
from flower_engine.model.parameters.reference_forms import KEYS
from flower_engine.model.parameters.references import escaped
from flower_engine.model.values.quoting import short
from flower_engine.model.values.result_json import to_json
from flower_engine.model.values.storable import lost_in
from flower_engine.programs.parameter_conversion import strict_decoder, type_name

_MARK = f"\0reference {token_hex(8)}"  # the key of an object that stands for a reference; no data has it


class ValueFault(ValueError):  # noqa: N818 # caught by whoever knows the place in the source
    """A value that cannot stand where it is given; the message ends a sentence that begins with its place."""


class Given:
    """A value with the references in it."""

    def __init__(self, value: object) -> None:
        """Makes the value JSON.

        Raises:
            ValueFault: something in it has no JSON form.
        """
        self.targets: list[Target] = []
        try:
            encoded = msgspec.json.encode(value, enc_hook=self._mark)
        except (TypeError, ValueError, RecursionError, OverflowError, ProgramError) as error:
            raise ValueFault(f"is {_shown(value)}, which has no JSON form: {error}") from error
        self.plain: Any = msgspec.json.decode(encoded)
        lost = lost_in(value, encoded, _without_references)
        if lost is not None:
            raise ValueFault(f"is {_shown(value)}, which {lost.what[3:]}{lost.place}; give {lost.instead}")

    @property
    def target(self) -> Target | None:
        """The reference that the value itself is; None: it is none."""
        return self._target_of(self.plain)

    def check(self, annotation: Any) -> None:
        """Checks constants strictly, and references as far as their types tell.

        Raises:
            ValueFault: something does not fit the type.
        """
        self._check(self.plain, annotation, "")

    def written(self, form: Callable[[Target, bool], dict[str, Any]]) -> Any:
        """As a definition holds it. ``form`` makes the JSON of a reference; True: it is the value itself."""
        target = self.target
        return self._written(self.plain, lambda inner: form(inner, inner is target))

    def _mark(self, value: Any) -> Any:
        if isinstance(value, Ref):
            self.targets.append(target_of(cast("Ref[Any]", value)))
            return {_MARK: len(self.targets) - 1}
        if isinstance(value, Undecided):
            raise TypeError("conditions stand in with when(...), or a program makes it of the values")
        return to_json(value)

    def _target_of(self, plain: Any) -> Target | None:
        is_reference = isinstance(plain, dict) and _MARK in plain
        return self.targets[cast("dict[str, int]", plain)[_MARK]] if is_reference else None

    def _holds_references(self, plain: Any) -> bool:
        left: list[Any] = [plain] if self.targets else []
        while left:
            one = left.pop()
            if isinstance(one, dict):
                if _MARK in one:
                    return True
                left.extend(cast("dict[str, Any]", one).values())
            elif isinstance(one, list):
                left.extend(cast("list[Any]", one))
        return False

    def _written(self, plain: Any, form: Callable[[Target], dict[str, Any]]) -> Any:
        target = self._target_of(plain)
        if target is not None:
            return form(target)
        if not self._holds_references(plain):
            return escaped(plain)
        if isinstance(plain, list):
            return [self._written(item, form) for item in cast("list[Any]", plain)]
        members = cast("dict[str, Any]", plain)
        alike = KEYS.intersection(members)
        if alike:
            raise ValueFault(
                f"has the key {min(alike)!r} beside a reference; that reads as a reference itself"
            )
        return {key: self._written(item, form) for key, item in members.items()}

    def _check(self, plain: Any, annotation: Any, path: str) -> None:
        target = self._target_of(plain)
        if target is not None:
            if not may_be(target.annotation, annotation):
                raise ValueFault(
                    f"{_at(path)}is {target.shown}, of type {type_name(target.annotation)}, which does not"
                    f" fit {type_name(annotation)}"
                )
        elif self._holds_references(plain):
            self._check_parts(plain, annotation, path)
        else:
            _check_constant(plain, annotation, path)

    def _check_parts(self, plain: Any, annotation: Any, path: str) -> None:
        """Of a value with references in it each part; of a union it must fit one type."""
        faults: list[ValueFault] = []
        for one in members_of_union(annotation):
            if one is type(None):
                continue
            try:
                self._check_parts_of(plain, one, path)
            except ValueFault as fault:
                faults.append(fault)
            else:
                return
        raise faults[0] if len(faults) == 1 else _misfit(plain, annotation, path)

    def _check_parts_of(self, plain: Any, annotation: Any, path: str) -> None:
        if not json_word(annotation):
            return
        if isinstance(plain, list):
            items = cast("list[Any]", plain)
            for index, (item, kind) in enumerate(
                zip(items, _kinds_of_items(annotation, items, path), strict=True)
            ):
                self._check(item, kind, f"{path}[{index}]")
            return
        for key, item in cast("dict[str, Any]", plain).items():
            self._check(item, _kind_of_value(annotation, key, plain, path), f"{path}[{key!r}]")


def _without_references(value: Any) -> Any:
    return None if isinstance(value, Ref) else to_json(value)


def json_of(value: object) -> Any:
    """The JSON of a constant.

    Raises:
        ValueFault: it has none.
    """
    given = Given(value)
    if given.targets:
        raise ValueFault(f"holds {given.targets[0].shown}, a reference, where only a constant can stand")
    return given.plain


def _kinds_of_items(annotation: Any, items: list[Any], path: str) -> list[Any]:
    length, fields = length_of(annotation), fields_of(annotation)
    if fields is not None and all(isinstance(field.step, int) for field in fields.values()):
        skipped = [Any] * min((cast(int, field.step) for field in fields.values()), default=0)
        return [*skipped, *(field.annotation for field in fields.values()), *[Any] * len(items)][: len(items)]
    if length is not None and length == len(items):
        return list(get_args(bare(annotation)))
    if length is None and is_list(annotation):
        return [type_of_values(annotation)] * len(items)
    raise _misfit(items, annotation, path)


def _kind_of_value(annotation: Any, key: str, members: Any, path: str) -> Any:
    fields, keys = fields_of(annotation), keys_of(annotation)
    if fields is not None:
        return next((field.annotation for field in fields.values() if field.step == key), Any)
    if keys is not None:
        if key not in keys:
            raise ValueFault(f"{_at(path)}has the key {key!r}, which {type_name(annotation)} has not")
        return keys[key]
    if is_object(annotation):
        return type_of_values(annotation)
    raise _misfit(members, annotation, path)


def _check_constant(plain: Any, annotation: Any, path: str) -> None:
    try:
        decode = strict_decoder(annotation)
        if decode is not None:
            decode(msgspec.json.encode(plain))
    except Exception as error:
        if isinstance(error, TypeError) and not may_be(type(plain), annotation):
            raise _misfit(plain, annotation, path) from error
        if not isinstance(error, TypeError):  # TypeError: a type that nothing is known of
            raise ValueFault(
                f"{_at(path)}is {_shown(plain)}, which is no {type_name(annotation)}: {error}"
            ) from error


def _misfit(plain: Any, annotation: Any, path: str) -> ValueFault:
    return ValueFault(f"{_at(path)}is {_kind_in_words(plain)}, which does not fit {type_name(annotation)}")


def _kind_in_words(plain: Any) -> str:
    return "a list" if isinstance(plain, list) else "an object" if isinstance(plain, dict) else _shown(plain)


def _at(path: str) -> str:
    return f"at {path} " if path else ""


def _shown(value: object) -> str:
    return short(repr(value))


def form_of_target(target: Target, *, optional: bool = False, default: Any = NONE_GIVEN) -> dict[str, Any]:
    """The JSON of a reference. What its own result leaves out is its field's default; else ``default`` or
    ``optional`` hold where the task has no result."""
    form = dict(target.form)
    may_lack = "$from" in form or "$either" in form
    if target.path:
        form["path"] = target.path
    if target.default is None:
        form["optional"] = True
    elif target.default is not NONE_GIVEN:
        form["default"] = escaped(json_of(target.default))
    elif may_lack and default is not NONE_GIVEN:
        form["default"] = escaped(default)
    elif may_lack and optional:
        form["optional"] = True
    return form
