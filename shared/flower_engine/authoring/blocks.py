"""``with when(...)`` and ``with otherwise()``: steps that belong to one side of a decision."""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol, cast

from flower_engine.authoring.condition import Condition, Said, as_condition, said_by
from flower_engine.authoring.ref import refusal
from flower_engine.programs.call_site import call_site
from flower_engine.programs.steps import being_defined
from flower_engine.programs.task_options import Checks


class Branches(Protocol):
    """The body of a workflow, as far as its blocks go."""

    name: str

    def announce(self, block: object, site: str, call: str) -> None: ...

    def enter_when(self, block: object, condition: Said, name: str | None, site: str) -> None: ...

    def enter_otherwise(self, block: object, site: str) -> None: ...

    def leave(self) -> None: ...


def when(condition: bool, /, *, name: str | None = None) -> AbstractContextManager[None]:
    """The steps inside run if the condition is true, and are passed over if not::

        with when(total.bad > 50):
            held = publish.step(total)
        with otherwise():
            sent = publish.step(total)

    It makes one task, which decides when the values are there; ``name`` is that task's.

    Raises:
        DefinitionError: it is no condition, or known already; names file and line.
    """
    body = _body("when()")
    if not isinstance(cast(object, condition), Condition) and isinstance(cast(object, condition), bool):
        raise refusal(
            None,
            f"calls when({condition}), which is known while the workflow is defined",
            "write if for what is known then, and when(...) for what a run will know",
        )
    checked = None if name is None else Checks("when").option_name(name)
    return _When(body, said_by(as_condition(condition)), checked)


def otherwise() -> AbstractContextManager[None]:
    """The steps inside run if the condition of the ``when`` block before is false.

    Raises:
        DefinitionError: no such block ends right before; names file and line.
    """
    return _Otherwise(_body("otherwise()"))


class _Block(AbstractContextManager[None]):
    def __init__(self, body: Branches, call: str) -> None:
        self._body, self._site = body, call_site()
        body.announce(self, self._site, call)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._body.leave()


class _When(_Block):
    def __init__(self, body: Branches, condition: Said, name: str | None) -> None:
        super().__init__(body, "when(...)")
        self._condition, self._name = condition, name

    def __enter__(self) -> None:
        self._body.enter_when(self, self._condition, self._name, self._site)


class _Otherwise(_Block):
    def __init__(self, body: Branches) -> None:
        super().__init__(body, "otherwise()")

    def __enter__(self) -> None:
        self._body.enter_otherwise(self, self._site)


def _body(call: str) -> Branches:
    body: Any = being_defined.get()
    if body is None:
        raise refusal(
            None, f"calls {call} outside the body of a workflow", "it stands in a function under @workflow"
        )
    return body
