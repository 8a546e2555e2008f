"""A schedule of a workflow in Python: what ``nightly.schedule(...)`` makes, and its document."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypedDict, cast

from flower_engine.authoring.given_values import Given, ValueFault, form_of_target
from flower_engine.authoring.program_steps import StepSignature, bound_arguments
from flower_engine.errors import DefinitionError
from flower_engine.model.tasks.durations import Duration, duration_ms
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.values.times import ms_of
from flower_engine.programs.call_site import call_site

if TYPE_CHECKING:
    from flower_engine.schedules.schedule import CatchUp, Overlap

P = ParamSpec("P")


class ScheduleOptions(TypedDict, total=False):
    """What ``.schedule(name, ...)`` takes; one of ``cron``, ``every`` and ``at`` says when it fires."""

    cron: str
    every: Duration
    at: datetime
    anchor: datetime
    timezone: str
    starts: datetime
    ends: datetime
    overlap: "Overlap"
    catch_up: "CatchUp"
    window: Duration
    max_catch_up: int
    jitter: Duration
    except_dates: Iterable[date | str]
    calendar: str
    pause_after_failures: int
    priority: int


_DURATIONS = {"every": "every_seconds", "window": "window_seconds", "jitter": "jitter_seconds"}
_TIMES = {"at": "at_ms", "anchor": "anchor_ms", "starts": "starts_ms", "ends": "ends_ms"}
_FIELDS = {field: option for options in (_DURATIONS, _TIMES) for option, field in options.items()}


class Scheduled(Generic[P]):
    """A schedule of a workflow; ``given`` says which parameters its flows have."""

    def __init__(
        self,
        workflow: str,
        name: str,
        options: Mapping[str, Any],
        signature: Callable[[], StepSignature],
    ) -> None:
        """See ``Workflow.schedule``. Raises DefinitionError: an option makes no sense."""
        self.workflow = workflow
        self.name = name
        self._signature = signature
        self._site = call_site()
        self._said: dict[str, Any] = {"name": name, "task_id": workflow, **self._fields(options)}
        self._parameters: dict[str, Any] | None = None
        self._schedule({})

    def given(self, *args: P.args, **kwargs: P.kwargs) -> Self:
        """The parameters of its flows: constants, or values of :data:`~flower_engine.slot`, alone, in lists
        and dicts, and in ``text(...)``. Those that are not given have their defaults.

        Raises:
            DefinitionError: one is missing, unknown, or of a wrong type; names it, and file and line.
        """
        self._site = call_site()
        self._parameters = self._written(args, kwargs)
        self._schedule(self._parameters)
        return self

    def document(self) -> dict[str, Any]:
        """The schedule, as ``PUT /schedules/{schedule}`` takes it.

        Raises:
            DefinitionError: its workflow needs parameters, and none are given.
        """
        from flower_engine.schedules.schedule_document import (  # noqa: PLC0415 # only deploys need it
            ScheduleDocument,
            plain_schedule,
        )

        if self._parameters is None:
            self._parameters = self._written((), {})
        return plain_schedule(ScheduleDocument.of(self._schedule(self._parameters)))

    def __repr__(self) -> str:
        return f"<schedule {self.name!r} of workflow {self.workflow!r}, {self._site}>"

    def _written(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        signature = self._signature()
        called = f"workflow {self.workflow!r}"
        written: dict[str, Any] = {}
        try:
            for name, value in bound_arguments(called, signature, args, kwargs).items():
                try:
                    given = Given(value)
                    given.check(signature.parameters[name].annotation)
                    written[name] = given.written(lambda target, _: form_of_target(target))
                except ValueFault as fault:
                    raise ValueFault(f"{called}: its parameter {name!r} {fault}") from fault
        except ValueFault as fault:
            raise self._fault(f"{fault}; give them in .given(...)") from fault
        return written

    def _schedule(self, parameters: dict[str, Any]) -> Any:
        """The schedule as the model has it.

        Raises:
            DefinitionError: it makes no sense; names every fault.
        """
        from flower_engine.schedules.schedule import Schedule  # noqa: PLC0415 # workflows without do without
        from flower_engine.schedules.schedule_problems import problems  # noqa: PLC0415

        schedule = Schedule(**self._said, parameters=parameters)
        found = problems(schedule)
        if found:
            begin = f"{self._site}: schedule {self.name!r}: "
            said = [f"{begin}{_FIELDS.get(one.field, one.field)}: {one.message}" for one in found]
            raise DefinitionError(self.workflow, said)
        return schedule

    def _fields(self, options: Mapping[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        known = ScheduleOptions.__annotations__
        for option in options.keys() - known.keys():
            near = nearest_in_words(option, known)
            raise self._fault(f"schedule {self.name!r}: there is no option {option!r}{near}")
        for option, value in options.items():
            try:
                if option in _DURATIONS:
                    fields[_DURATIONS[option]] = duration_ms(value) / 1000
                elif option in _TIMES:
                    fields[_TIMES[option]] = _time(value)
                elif option == "except_dates":
                    fields[option] = tuple(map(_day, cast("Iterable[object]", value)))
                else:
                    fields[option] = value
            except (ValueError, TypeError) as error:
                raise self._fault(f"schedule {self.name!r}: {option}: {value!r} {error}") from error
        return fields

    def _fault(self, what: str) -> DefinitionError:
        return DefinitionError(self.workflow, [f"{self._site}: {what}"])


def _time(value: Any) -> int:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise ValueError("is no datetime with an offset: datetime(2026, 1, 5, tzinfo=UTC)")
    return ms_of(value)


def _day(value: object) -> str:
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else str(value)
