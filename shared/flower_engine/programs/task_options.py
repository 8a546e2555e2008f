"""What ``.having(...)`` can say of a step, checked where it is written."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NewType, NoReturn, cast

from flower_engine.errors import DefinitionError
from flower_engine.model.definitions.map_tasks import MOST_ITEMS, is_tolerance
from flower_engine.model.tasks.durations import Duration, duration_ms
from flower_engine.model.tasks.rule_texts import (
    CANCELLING,
    GIVE_UP,
    HOLD,
    PASS,
    RULES,
    held_for,
    hold_ms,
    known_rule,
    normal_on_failure,
)
from flower_engine.model.tasks.rules import AT_LEAST, CANCEL
from flower_engine.model.tasks.task_spec import (
    MAX_ATTEMPTS,
    MAX_NAME_LENGTH,
    MAX_PRIORITY,
    MAX_ROUNDS,
    MAX_TASKS,
    MAX_UNITS,
    MIN_PRIORITY,
    TASK_NAME_PATTERN,
    longest_delay,
)
from flower_engine.model.tasks.task_spec import RetryPolicy as StoredPolicy
from flower_engine.model.values.json_pointer import problem_of_pointer
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.values.type_names import type_name
from flower_engine.programs.call_site import call_site

AtLeast = NewType("AtLeast", str)
"""What :func:`at_least` gives."""
Held = NewType("Held", str)
"""What :func:`hold` gives."""
Rule = Literal["ready", "finished", "settled", "any", "any:cancel", "failed"] | AtLeast
"""When a task starts, by how the tasks before it end."""
Others = Literal["keep", "cancel"]
"""What becomes of tasks before it that a task does not need any more."""
OnFailure = Literal["hold", "give_up", "pass"] | Held
"""What follows a task's failure for good."""

_TASK_NAME = re.compile(TASK_NAME_PATTERN)
_DEFAULT = StoredPolicy()


class RetryPolicy:
    """What follows when an attempt fails: ``RetryPolicy(5, delay="10s")``.

    After failure n the next attempt waits ``min(delay * backoff ** (n - 1), max_delay)``, made longer or
    shorter by up to the share ``jitter`` (0..1) of it. ``max_delay`` is five minutes unless it is given, or
    ``delay`` if that is longer. ``no_retry_on``: error types, or their names, that suspend the task at once.
    """

    def __init__(
        self,
        max_attempts: int,
        *,
        delay: Duration = _DEFAULT.delay_ms / 1000,
        backoff: float = _DEFAULT.backoff,
        max_delay: Duration | None = None,
        jitter: float = _DEFAULT.jitter,
        no_retry_on: Iterable[type[BaseException] | str] = (),
    ) -> None:
        """``max_attempts`` counts the first one, too.

        Raises:
            DefinitionError: a value is out of its bounds; names it, and file and line.
        """
        checks = Checks("RetryPolicy")
        delay_ms = checks.duration("delay", delay)
        longest = longest_delay(delay_ms) if max_delay is None else checks.duration("max_delay", max_delay)
        checks.whole("max_attempts", max_attempts, 1, MAX_ATTEMPTS)
        checks.number("backoff", backoff, 1, 1_000)
        checks.number("jitter", jitter, 0, 1)
        if delay_ms > longest:
            checks.fail("max_delay", max_delay, "is shorter than delay")
        self._no_retry_on = tuple(checks.error_type(kind) for kind in no_retry_on)
        self._stored = StoredPolicy(
            max_attempts=max_attempts,
            delay_ms=delay_ms,
            backoff=float(backoff),
            max_delay_ms=longest,
            jitter=float(jitter),
            no_retry_on=self._no_retry_on,
        )

    def to_model(self) -> StoredPolicy:
        """As definitions hold it."""
        return self._stored

    def __eq__(self, other: object) -> bool:
        return self._stored == other._stored if isinstance(other, RetryPolicy) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._stored)

    def __repr__(self) -> str:
        given = self._stored
        return f"RetryPolicy({given.max_attempts}, delay={given.delay_ms / 1000:g})"


class Checks:
    """Checks of what somebody wrote in a call, each with the call's place in its message."""

    def __init__(self, call: str) -> None:
        self._call = call

    def fail(self, option: str, value: object, why: str) -> NoReturn:
        """Raises the error for a value; ``why`` ends the sentence."""
        raise DefinitionError(None, [f"{call_site()}: {self._call}({option}={value!r}): it {why}"])

    def duration(self, option: str, value: object, *, least: int = 0) -> int:
        try:
            ms = duration_ms(value)
        except ValueError as error:
            self.fail(option, value, str(error))
        if ms < least:
            self.fail(option, value, "must be more than 0")
        return ms

    def whole(self, option: str, value: object, low: int, high: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.fail(option, value, f"is no whole number in {low}..{high}")
        return value

    def number(self, option: str, value: object, low: float, high: float) -> float:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf
        if not fits or not low <= cast(float, value) <= high:
            self.fail(option, value, f"is no number in {low}..{high}")
        return cast(float, value)

    def name(self, option: str, value: object) -> str:
        fits = (
            isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= MAX_NAME_LENGTH
        )
        if not fits:
            self.fail(option, value, f"is no name (1 to {MAX_NAME_LENGTH} printable characters)")
        return cast(str, value)

    def error_type(self, kind: object) -> str:
        if isinstance(kind, type) and issubclass(kind, BaseException):
            return type_name(kind)
        return self.name("no_retry_on", cast(object, kind))

    # One method an option, named as it is.

    def option_name(self, value: object) -> str:
        if not isinstance(value, str) or not _TASK_NAME.fullmatch(value):
            self.fail("name", value, "is no name of a task: letters, digits and _, up to 128, no digit first")
        return value

    def option_retry(self, value: object) -> StoredPolicy:
        if not isinstance(value, RetryPolicy):
            self.fail("retry", value, 'is no RetryPolicy: write RetryPolicy(5, delay="10s")')
        return value.to_model()

    def option_timeout(self, value: object) -> int:
        return self.duration("timeout", value, least=1)

    def option_queue_timeout(self, value: object) -> int:
        return self.duration("queue_timeout", value, least=1)

    def option_queue(self, value: object) -> str:
        return self.name("queue", value)

    def option_priority(self, value: object) -> int:
        return self.whole("priority", value, MIN_PRIORITY, MAX_PRIORITY)

    def option_units(self, value: object) -> int:
        return self.whole("units", value, 1, MAX_UNITS)

    def option_max_rounds(self, value: object) -> int:
        return self.whole("max_rounds", value, 1, MAX_ROUNDS)

    def option_rule(self, value: object) -> str:
        rule = known_rule(value) if isinstance(value, str) else None
        if rule is None:
            self.fail("rule", value, f"is none of {', '.join((*RULES, *CANCELLING))}: see at_least(k)")
        return cast(str, value)

    def option_on_failure(self, value: object) -> str:
        said = normal_on_failure(value) if isinstance(value, str) else ""
        if said not in (HOLD, GIVE_UP, PASS) and not hold_ms(said):
            self.fail("on_failure", value, "is none of 'hold', hold(\"2h\"), 'give_up', 'pass'")
        return said

    def option_stand_in(self, value: object) -> object:
        return value  # it is held against the result of the program, which a step knows

    def option_finally_(self, value: object) -> bool:
        if not isinstance(value, bool):
            self.fail("finally_", value, "is neither True nor False")
        return value

    def option_key(self, value: object) -> str:
        if not isinstance(value, str):
            self.fail("key", value, 'is no text: write the name of a field, or "" for the element itself')
        if problem := problem_of_pointer(value) if value.startswith("/") else "":
            self.fail("key", value, problem)
        return value

    def option_limit(self, value: object) -> int:
        return self.whole("limit", value, 1, MOST_ITEMS)

    def option_tolerate(self, value: object) -> int | float:
        if not is_tolerance(value):
            self.fail(
                "tolerate", value, f"is no whole number in 0..{MOST_ITEMS}, and no share between 0 and 1"
            )
        return cast("int | float", value)

    def option_aligned(self, value: object) -> bool:
        if not isinstance(value, bool):
            self.fail("aligned", value, "is neither True nor False")
        return value

    def option_after(self, value: object) -> tuple[object, ...]:
        if not isinstance(value, list | tuple):
            self.fail("after", value, "is no list: write after=[first, second]")
        return tuple(cast("list[object]", value))


def at_least(count: int, *, others: Others = "keep") -> AtLeast:
    """The rule by which a task starts as soon as this many of those before it have ended well:
    ``total.having(rule=at_least(2))``. ``others``: with ``"cancel"`` what led to it alone, and is not needed
    any more, is cancelled then.

    Raises:
        DefinitionError: it is no whole number of 1 and more, or ``others`` is another word; names file and
            line.
    """
    checks = Checks("at_least")
    if others not in ("keep", CANCEL):
        checks.fail("others", others, "is neither 'keep' nor 'cancel'")
    rule = f"{AT_LEAST}:{checks.whole('count', count, 1, MAX_TASKS)}"
    return AtLeast(rule if others == "keep" else f"{rule}:{CANCEL}")


def hold(time: Duration) -> Held:
    """What follows a task's failure: it waits this long for somebody's decision, and is then given up:
    ``load.having(on_failure=hold("2h"))``.

    Raises:
        DefinitionError: it is no duration; names file and line.
    """
    return Held(held_for(Checks("hold").duration("time", time, least=1)))


OPTIONS: tuple[str, ...] = tuple(
    name.removeprefix("option_") for name in vars(Checks) if name.startswith("option_")
)
"""The names of the options of a step."""


def checked_options(call: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options as definitions hold them (durations in ms), without those that are None.

    Raises:
        DefinitionError: there is no such option, or its value does not fit; names it, and file and line.
    """
    checks = Checks(call)
    checked: dict[str, Any] = {}
    for option, value in given.items():
        check: Callable[[object], Any] | None = getattr(checks, f"option_{option}", None)
        if check is None:
            near = nearest_in_words(option, OPTIONS)
            known = f"it takes {', '.join(OPTIONS)}"
            raise DefinitionError(None, [f"{call_site()}: {call} has no option {option!r}{near}; {known}"])
        if value is not None:
            checked[option] = check(value)
    return checked
