"""A workflow: a function whose body says which tasks a flow has, made into a definition when asked for."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, ParamSpec, TypeVar, Unpack, cast

import msgspec

from flower_engine.authoring.definition_body import Body
from flower_engine.authoring.given_values import Given, ValueFault
from flower_engine.authoring.program_steps import StepSignature, bound_arguments
from flower_engine.authoring.ref_rules import USED_AS_VALUE
from flower_engine.authoring.scheduled import Scheduled, ScheduleOptions
from flower_engine.authoring.schemas import parameters_schema
from flower_engine.authoring.source_check import check_source
from flower_engine.authoring.step_documents import seconds
from flower_engine.authoring.workflow_maps import MapOfWorkflow
from flower_engine.errors import DefinitionError, TooLargeError
from flower_engine.model.definitions.definition import plan_flow
from flower_engine.model.definitions.workflow_document import WorkflowDocument
from flower_engine.model.tasks.durations import Duration
from flower_engine.model.values.times import BOUNDS, is_time, ms_of
from flower_engine.programs.call_site import call_site, site_of
from flower_engine.programs.parameter_binding import is_context, read_signature
from flower_engine.programs.steps import being_defined
from flower_engine.programs.task_options import Checks, OnFailure, Rule, checked_options

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class Workflow(Generic[P, R_co]):
    """What ``@workflow`` makes of a function. It is deployed and registered, not called."""

    def __init__(
        self,
        function: Callable[P, R_co],
        name: str,
        *,
        timeout_ms: int | None = None,
        cleanup_timeout_ms: int | None = None,
        pin: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """See :func:`workflow`, which checks these."""
        self.function = function
        self.name = name
        self.labels = dict(labels or {})
        self.timeout_ms = timeout_ms
        self.cleanup_timeout_ms = cleanup_timeout_ms
        self.pin = pin
        self.__doc__ = inspect.getdoc(function)
        self.__name__ = getattr(function, "__name__", name)
        self.__module__ = function.__module__
        self.schedules: dict[str, Scheduled[P]] = {}
        self._signature_read: StepSignature | None = None
        self._document: bytes | None = None
        self._children: dict[str, Workflow[..., Any]] = {}

    @property
    def origin(self) -> str:
        """Where it is defined, ``file:line``."""
        code = self.function.__code__  # pyright: ignore[reportFunctionMemberAccess]
        return f"{code.co_filename}:{code.co_firstlineno}"

    @property
    def result_type(self) -> Any:
        """The type of what its flows return, as its author annotated it; ``Any``: it says nothing."""
        annotation = self._signature().result
        return Any if annotation is inspect.Signature.empty else annotation

    def document(self) -> dict[str, Any]:
        """The definition, as ``PUT /workflows/{taskId}`` takes it. The body runs once, the first time.

        Raises:
            DefinitionError: it cannot be defined so; each problem begins with file and line.
        """
        if self._document is None:
            self._document = msgspec.json.encode(self._define())
        return cast("dict[str, Any]", msgspec.json.decode(self._document))

    def children(self) -> "list[Workflow[..., Any]]":
        """The workflows of its sub-flows, which are to be defined before it.

        Raises:
            DefinitionError: see :meth:`document`.
        """
        self.document()
        return list(self._children.values())

    def parameters(self, *args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        """The parameters of a flow as its registration takes them: in JSON, and checked; those that are not
        given are left out.

        Raises:
            DefinitionError: one is missing, unknown, or of a wrong type; names it, and file and line.
        """
        site, called = call_site(), f"workflow {self.name!r}"
        signature = self._signature()
        parameters: dict[str, Any] = {}
        try:
            for name, value in bound_arguments(called, signature, args, kwargs).items():
                parameters[name] = _registered_value(called, signature.parameters[name], value)
        except ValueFault as fault:
            raise DefinitionError(None, [f"{site}: {fault}"]) from fault
        return parameters

    def step(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Makes a task of the workflow in whose body it is called, which a flow of this one does: its child.
        The result is what that returns, typed as the function's, and a :class:`~flower_engine.Ref` to it.

        Raises:
            DefinitionError: it is called outside the body of a workflow, or its arguments do not fit.
        """
        return self._step({}, args, kwargs)

    map: ClassVar[MapOfWorkflow] = MapOfWorkflow()
    """Makes a task that flows of this workflow do, one for each element of a list, which takes the place of
    the first argument, by position; the others are the same for all. The result is typed as the list of what
    these return, in the order of the elements."""

    def having(
        self,
        *,
        key: str | None = None,
        priority: int | None = None,
        delay: Duration | None = None,
        start_at: datetime | None = None,
        name: str | None = None,
        rule: Rule | None = None,
        on_failure: OnFailure | None = None,
        stand_in: object = None,
        finally_: bool | None = None,
        after: Sequence[object] | None = None,
        limit: int | None = None,
        tolerate: float | None = None,
        aligned: bool | None = None,
        max_rounds: int | None = None,
    ) -> "Prepared[P, R_co]":
        """How a flow of it is to be registered: ``client.register(nightly.having(key="k"), day=day)``; or, in
        the body of another workflow, its step: ``nightly.having(on_failure="give_up").step(day)``.

        ``key``: the same key gives the same flow. ``priority``: of all its tasks, -20..19, the lower goes
        first. Nothing starts before ``start_at``, or before ``delay`` has passed. ``name``, ``rule``,
        ``on_failure``, ``stand_in``, ``finally_`` and ``after`` are for steps, as those of programs are, and
        so is ``max_rounds``: how often its flows may ask for another round of themselves. ``limit`` (so many
        flows go on at once), ``tolerate`` and ``aligned`` are for maps, and ``key`` of a map says where in an
        element its key stands.

        Raises:
            DefinitionError: a value does not fit; names the option, and file and line.
        """
        checks = Checks(f"{self.name}.having")
        if delay is not None and start_at is not None:
            checks.fail("delay", delay, "is given beside start_at; one of them says when it starts")
        return Prepared(
            workflow=self,
            key=key if not key else checks.name("key", key),
            priority=None if priority is None else checks.option_priority(priority),
            delay_ms=None if delay is None else checks.duration("delay", delay),
            start_at=None if start_at is None else _checked_start(checks, start_at),
            of_step=checked_options(
                f"{self.name}.having",
                {
                    "name": name,
                    "after": after,
                    "rule": rule,
                    "on_failure": on_failure,
                    "stand_in": stand_in,
                    "finally_": finally_,
                    "limit": limit,
                    "tolerate": tolerate,
                    "aligned": aligned,
                    "max_rounds": max_rounds,
                },
            ),
        )

    def add_map(self, options: Mapping[str, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return self._body("map").add_child_map(self, self._signature(), options, (args, kwargs))

    def _step(self, options: Mapping[str, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return self._body("step").add_child(self, self._signature(), options, (args, kwargs))

    def _body(self, verb: str) -> Body:
        body = being_defined.get()
        if not isinstance(body, Body):
            said = (
                f"{call_site()}: {self.name}.{verb}() makes a task of another workflow, so it stands in the"
                " body of a function under @workflow; a client registers a flow"
            )
            raise DefinitionError("", [said])
        return body

    def schedule(self, name: str, /, **options: Unpack[ScheduleOptions]) -> Scheduled[P]:
        """A schedule of it, which is deployed with it::

            nightly.schedule("in-berlin", cron="0 3 * * *", timezone="Europe/Berlin").given(day=slot.date)

        docs/schedules.md says what the options mean.

        Raises:
            DefinitionError: an option makes no sense, or there is one of this name; names file and line.
        """
        if name in self.schedules:
            other = self.schedules[name]
            what = f"{call_site()}: two schedules are named {name!r}, the other is {other!r}"
            raise DefinitionError(self.name, [what])
        scheduled: Scheduled[P] = Scheduled(self.name, name, options, self._signature)
        self.schedules[name] = scheduled
        return scheduled

    if not TYPE_CHECKING:  # so that checkers refuse the call

        def __call__(self, *_args: object, **_kwargs: object) -> None:
            definer = being_defined.get()
            inside = "" if definer is None else f"; as a step of another write {self.name}.step(...)"
            raise DefinitionError(
                self.name,
                [
                    f"{call_site()}: it is called like a function; a workflow is deployed and then"
                    f" registered, by name or by a client{inside}"
                ],
            )

    def __repr__(self) -> str:
        return f"<Workflow {self.name!r} of {self.origin}>"

    def _define(self) -> dict[str, Any]:
        problems = check_source(self.function)
        if problems:
            raise DefinitionError(self.name, problems)
        signature = self._signature()
        body = Body(self.name)
        references = {
            name: body.parameter(name, one.annotation) for name, one in signature.parameters.items()
        }
        token = being_defined.set(body)
        try:
            returned = cast(Callable[..., object], self.function)(**references)
            returns = body.returns(returned, signature.result)
        except DefinitionError as error:
            if error.workflow is not None:
                raise
            raise DefinitionError(self.name, error.problems) from error
        except TypeError as error:
            if not re.search(r"\bRef\b", str(error)):
                raise
            # Code in C looks at types, and asks no special method: ", ".join([x]), json.dumps(x).
            what, way = USED_AS_VALUE
            problem = f"{site_of(error)}: it {what.format(ref=error)}; {way}"
            raise DefinitionError(self.name, [problem]) from error
        finally:
            being_defined.reset(token)
        document: dict[str, Any] = {"taskId": self.name}
        if self.__doc__:
            document["description"] = self.__doc__
        if self.labels:
            document["labels"] = self.labels
        document |= self._settings()
        document["parametersSchema"] = parameters_schema(self.name, signature.parameters)
        if returns is not None:
            document["returns"] = returns
        if not body.tasks:
            raise DefinitionError(
                self.name, [f"{self.origin}: it has no steps; call .step(...) of a program in it"]
            )
        document["tasks"] = body.tasks
        self._children = body.children
        _check(self.name, document, body)
        return document

    def _settings(self) -> dict[str, Any]:
        """What holds for a flow as a whole, as far as it was said."""
        settings: dict[str, Any] = {}
        if self.timeout_ms is not None:
            settings["timeoutSeconds"] = seconds(self.timeout_ms)
        if self.cleanup_timeout_ms is not None:
            settings["cleanupTimeoutSeconds"] = seconds(self.cleanup_timeout_ms)
        if self.pin is not None:
            settings["pin"] = self.pin
        return settings

    def _signature(self) -> StepSignature:
        if self._signature_read is None:
            self._signature_read = _read(self.name, self.function, self.origin)
        return self._signature_read


def _check(name: str, document: dict[str, Any], body: Body) -> None:
    """What else a registration would refuse: a schema that no validator gets through, too many edges..."""
    try:
        plan_flow(msgspec.convert(document, WorkflowDocument).to_model())
    except TooLargeError:
        raise
    except DefinitionError as error:
        raise DefinitionError(name, [body.with_site(one) for one in error.problems]) from error


class OfFlow(NamedTuple):
    """The options of one registration; see :class:`Prepared`."""

    key: str | None
    priority: int | None
    delay_ms: int | None
    start_at: datetime | None


class Prepared(Generic[P, R_co]):
    """A workflow with options for one registration; see :meth:`Workflow.having`. None: not said.

    ``start_at`` has an offset; ``delay_ms`` counts from the registration.
    """

    def __init__(
        self,
        workflow: Workflow[P, R_co],
        *,
        key: str | None = None,
        priority: int | None = None,
        delay_ms: int | None = None,
        start_at: datetime | None = None,
        of_step: Mapping[str, Any] | None = None,
    ) -> None:
        self.workflow = workflow
        self.function = workflow.function
        self.of_step = of_step or {}
        self.key = key
        self.priority = priority
        self.delay_ms = delay_ms
        self.start_at = start_at

    @property
    def of_flow(self) -> OfFlow:
        """The options of a registration.

        Raises:
            DefinitionError: it has options that are for steps; or its key is empty, as that of a map may be.
        """
        having = f"{call_site()}: {self.workflow.name}.having"
        for option, value in self.of_step.items():
            said = (
                f"{having}({option}={value!r}) is registered, and {option} is of a step or map of the"
                " workflow in the body of another one: leave it out here, and say it there"
            )
            raise DefinitionError("", [said])
        if self.key == "":
            raise DefinitionError("", [f"{having}(key=''): the key of a flow is a text"])
        return OfFlow(self.key, self.priority, self.delay_ms, self.start_at)

    def step(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """As :meth:`Workflow.step`, with these options.

        Raises:
            DefinitionError: it has options that are for registrations, or see there.
        """
        return self.workflow._step(self._options(), args, kwargs)  # pyright: ignore[reportPrivateUsage]

    map: ClassVar[MapOfWorkflow] = MapOfWorkflow()
    """As :attr:`Workflow.map`, with these options."""

    def add_map(self, options: Mapping[str, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        key = {} if self.key is None else checked_options(f"{self.workflow.name}.having", {"key": self.key})
        return self.workflow.add_map({**options, **self._options(is_map=True), **key}, args, kwargs)

    def _options(self, *, is_map: bool = False) -> dict[str, Any]:
        """``is_map``: ``key`` says by what items are told apart."""
        of_flow = {"key": None if is_map else self.key, "delay": self.delay_ms, "start_at": self.start_at}
        for option, value in of_flow.items():
            if value is not None:
                said = f"{call_site()}: {option} is of registrations, and a step of another workflow has none"
                raise DefinitionError("", [said])
        return {**self.of_step} | ({} if self.priority is None else {"priority": self.priority})


def without_options(workflow: Any, verb: str) -> Any:
    """What is no workflow with options, as it is.

    Raises:
        DefinitionError: it is one, where a workflow itself is meant; ``verb`` says for what.
    """
    if isinstance(workflow, Prepared):
        name = cast("Prepared[..., Any]", workflow).workflow.name
        said = (
            f"{call_site()}: what is {verb} is {name}.having(...), whose options are of one registration, or"
            f" one step: give {name} itself, without .having"
        )
        raise DefinitionError(name, [said])
    return workflow


def _checked_start(checks: Checks, start_at: Any) -> datetime:
    if not isinstance(start_at, datetime) or start_at.utcoffset() is None:
        checks.fail("start_at", start_at, "is no datetime with an offset: datetime(2026, 1, 5, tzinfo=UTC)")
    if not is_time(ms_of(start_at)):
        checks.fail("start_at", start_at, f"is not in {BOUNDS}")
    return start_at


def _read(name: str, function: Callable[..., Any], origin: str) -> StepSignature:
    read = read_signature(name, function)
    for one in read.parameters.values():
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD, one.POSITIONAL_ONLY):
            raise DefinitionError(
                name,
                [f"{origin}: its parameter {one.name!r} cannot be given by name, as parameters of flows are"],
            )
        if is_context(one.annotation):
            raise DefinitionError(
                name,
                [f"{origin}: its parameter {one.name!r} is a Context, which only running programs get"],
            )
    return StepSignature(dict(read.parameters), None, read.return_annotation)


def _registered_value(called: str, parameter: inspect.Parameter, value: object) -> Any:
    try:
        given = Given(value)
        if given.targets:
            raise ValueFault(f"is {given.targets[0].shown}, a reference; flows are registered with values")
        given.check(parameter.annotation)
        return given.plain
    except ValueFault as fault:
        raise ValueFault(f"{called}: its parameter {parameter.name!r} {fault}") from fault
