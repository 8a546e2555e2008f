"""Arguments and options of steps are checked where they are written: program, parameter, file and line."""

import inspect
import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from authoring.sample import Address, Total, add, anything, clean, count, list_files, make_pair, typed
from flower_engine import DefinitionError, RetryPolicy, Workflow, at_least, hold, text, workflow
from flower_engine.model.definitions.workflow_document import RetryDocument, WorkflowDocument
from flower_engine.model.tasks.durations import duration_ms
from flower_engine.programs import program_types
from flower_engine.programs.task_options import OPTIONS

DAY = date(2026, 1, 5)
Write = Callable[[Any], Any]

WRONG: list[tuple[Write, str]] = [
    (lambda p: p(list_files).step(), "program 'Sample.list' needs 'day', which is not given"),
    (lambda p: p(list_files).step(DAY, prefx="x"), "has no parameter 'prefx'; nearest: prefix; it takes day"),
    (lambda p: p(list_files).step(DAY, "in/", 3), "takes 2 arguments by position, and 3 are given"),
    (lambda p: p(list_files).step(DAY, day=DAY), "'day' is given twice"),
    (lambda p: p(list_files).step("2026-13-05"), "its parameter 'day' is '2026-13-05', which is no date"),
    (lambda p: p(list_files).step(3), "program 'Sample.list': its parameter 'day' is 3, which is no date"),
    (lambda p: p(add).step(["1"]), "its parameter 'numbers' is ['1'], which is no list[int]"),
    (lambda p: p(add).step([], True), "its parameter 'start' is True, which is no int"),
    (lambda p: p(count).step(p(list_files).step(DAY)), "'file' is Sample_list, of type list["),
    (lambda p: p(count).step(p(make_pair).step()), "which does not fit File"),
    (lambda p: p(add).step([1, p(clean).step()]), "'numbers' at [1] is Sample_clean, of type None,"),
    (
        lambda p: p(add).step([1, text("{x}", x=2)]),
        "at [1] is text('{x}'), of type str, which does not fit int",
    ),
    (lambda p: p(typed).step(pair=(p(add).step([1]), "")), "'pair' at [0] is Sample_add, of type Total"),
    (
        lambda p: p(typed).step(address=Address(p(add).step([1]).rows)),
        "'address' at ['street'] is Sample_add.rows, of type int, which does not fit str",
    ),
    (
        lambda p: p(typed).step(options={"dept": p(add).step([1])}),
        "has the key 'dept', which Options has not",
    ),
    (lambda p: p(typed).step(colour="blue"), "'colour' is 'blue', which is no Colour"),
    (lambda p: p(anything).step(object()), "which has no JSON form"),
    (
        lambda p: p(anything).step([1.5, float("nan")]),
        "NaN, which is not a finite number and which JSON does",
    ),
    (lambda p: p(anything).step({"$from": 1, "x": p(clean).step()}), "reads as a reference itself"),
    (lambda p: p(clean).step(ctx=1), "has no parameter 'ctx'; it takes no parameters"),
    (lambda p: p(clean).having(after=[3]).step(), "after=[...] takes results of steps, and 3 is none"),
    (lambda p: p(anything).step(text("{n} rows")), "no value"),
    (lambda p: p(anything).step(text("rows", n=1)), "does not use"),
    (lambda p: p(anything).step(text("{n", n=1)), "lone '{'"),
]


def written(program: Any) -> Any:
    """The program, as it stands in a lambda above: here type checkers are to be silent."""
    return program


@pytest.mark.parametrize(("write", "says"), WRONG, ids=[says for _, says in WRONG])
def test_a_wrong_argument_is_refused(write: Write, says: str) -> None:
    @workflow("wrong")
    def wrong() -> None:
        write(written)

    with pytest.raises(DefinitionError) as error:
        wrong.document()
    (problem,) = error.value.problems
    assert error.value.workflow == "wrong"
    assert re.match(
        rf"{re.escape(__file__)}:{write.__code__.co_firstlineno}: |{re.escape(__file__)}:", problem
    )
    assert says in problem


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"timeot": "5m"}, "Sample.clean.having has no option 'timeot'; nearest: timeout"),
        ({"timeout": "5 parsecs"}, "(timeout='5 parsecs'): it is no duration"),
        ({"timeout": 0}, "(timeout=0): it must be more than 0"),
        ({"queue_timeout": -1}, "is not 0 to ten years"),
        ({"timeout": 10**400}, "is not 0 to ten years"),
        ({"priority": 20}, "(priority=20): it is no whole number in -20..19"),
        ({"units": 0}, "in 1..1000000"),
        ({"max_rounds": 10_001}, "in 1..10000"),
        ({"queue": ""}, "is no name"),
        ({"name": "no name"}, "is no name of a task"),
        ({"retry": 5}, "write RetryPolicy(5"),
        ({"after": 5}, "write after=[first, second]"),
        ({"rule": "at_least:0"}, "(rule='at_least:0'): it is none of ready, finished, settled, any"),
        ({"rule": 2}, "(rule=2): it is none of"),
        ({"on_failure": "hold:soon"}, "(on_failure='hold:soon'): it is none of 'hold', hold(\"2h\")"),
        ({"on_failure": "hold:0"}, "(on_failure='hold:0')"),
    ],
)
def test_a_wrong_option_is_refused_where_it_stands(options: dict[str, Any], says: str) -> None:
    with pytest.raises(DefinitionError) as error:
        written(clean).having(**options)
    (problem,) = error.value.problems
    assert problem.startswith(__file__)
    assert says in problem


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: RetryPolicy(0), "RetryPolicy(max_attempts=0)"),
        (lambda: RetryPolicy(2, backoff=0.5), "backoff=0.5"),
        (lambda: RetryPolicy(2, jitter=2), "jitter=2"),
        (lambda: RetryPolicy(2, delay="soon"), "delay='soon'"),
        (lambda: RetryPolicy(2, delay="10m", max_delay="5m"), "is shorter than delay"),
        (lambda: RetryPolicy(2, no_retry_on=[""]), "no_retry_on=''"),
    ],
)
def test_a_wrong_retry_policy_is_refused(make: Callable[[], Any], says: str) -> None:
    with pytest.raises(DefinitionError, match=re.escape(says)):
        make()


def test_a_retry_policy_becomes_that_of_the_definition() -> None:
    policy = RetryPolicy(5, delay="10m", no_retry_on=[ValueError, "package.TheirError"]).to_model()
    assert (policy.max_attempts, policy.delay_ms, policy.max_delay_ms) == (5, 600_000, 600_000)
    assert policy.no_retry_on == ("ValueError", "package.TheirError")
    assert RetryPolicy(3, delay=1) == RetryPolicy(3) != RetryPolicy(4)


def test_options_add_up_and_the_last_one_holds() -> None:
    patient = clean.having(timeout="5m", queue="a")

    @workflow
    def options() -> None:
        patient.having(queue="b").step()
        patient.step()

    first, second = options.document()["tasks"]
    assert (first["timeoutSeconds"], first["queue"]) == (300, "b")
    assert second["queue"] == "a"


def test_every_option_is_known_to_type_checkers() -> None:
    keywords = Path(program_types.__file__).read_text().split("def having(")[1].split(") ->")[0]
    assert set(re.findall(r"^\s+(\w+):", keywords, re.MULTILINE)) == set(OPTIONS)


def test_a_workflow_takes_each_option_of_steps_but_those_that_are_of_its_own_tasks() -> None:
    of_registrations = {"delay", "start_at"}
    of_its_tasks = {"retry", "timeout", "queue_timeout", "queue", "units"}
    taken = {*inspect.signature(Workflow[..., Any].having).parameters} - {"self"}
    assert taken - of_registrations == {*OPTIONS} - of_its_tasks


def test_every_option_stands_in_the_document() -> None:
    values: dict[str, Any] = {
        **{"name": "named", "retry": RetryPolicy(2), "timeout": 1, "queue_timeout": 2, "queue": "big"},
        **{"priority": 3, "units": 4, "after": [], "rule": at_least(1)},
        **{"on_failure": "pass", "stand_in": Total(rows=7), "finally_": True},
        "max_rounds": 5,
    }
    of_maps: dict[str, Any] = {"limit": 3, "tolerate": 0.5, "key": ""}
    assert {*values, *of_maps, "aligned"} == set(OPTIONS)  # that one is said by the map itself

    @workflow
    def plain() -> None:
        first = clean.step()
        values["after"] = [first]
        add.having(**values).step([1, 2])
        add.having(**of_maps).map([[1, 2]])

    (_, said, mapped) = plain.document()["tasks"]
    assert mapped["parameters"] == {
        **{
            "over": [[1, 2]],
            "program": "Sample.add",
            "as": "numbers",
            "limit": 3,
            "tolerate": 0.5,
            "key": "",
        },
    }
    assert said == {
        **{"taskSeq": 2, "taskName": "named", "program": "Sample.add", "dependsOn": ["first"]},
        **{"retry": msgspec.to_builtins(RetryDocument.of(RetryPolicy(2).to_model())), "timeoutSeconds": 1},
        **{"queueTimeoutSeconds": 2, "queue": "big", "taskPriority": 3, "units": 4},
        **{"parameters": {"numbers": [1, 2]}, "rule": "at_least:1", "onFailure": "pass"},
        **{"standIn": {"rows": 7, "bad": 0}, "finally": True, "maxRounds": 5},
    }


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        *[("hold", "hold"), (hold("2h"), "hold:7200"), (hold(timedelta(days=1)), "hold:86400")],
        *[(hold("1500ms"), "hold:1.5"), ("hold:2h", "hold:7200"), ("hold:60", "hold:60")],
        *[("give_up", "give_up"), ("pass", "pass")],
    ],
)
def test_what_follows_a_failure(written: Any, stored: str) -> None:
    @workflow
    def plain() -> None:
        clean.having(on_failure=written).step()

    (said,) = plain.document()["tasks"]
    assert said["onFailure"] == stored
    (task,) = msgspec.convert(plain.document(), WorkflowDocument).to_model().tasks
    assert task.on_failure == stored


@pytest.mark.parametrize("make", [lambda: at_least(0), lambda: hold("soon"), lambda: hold(0)])
def test_what_helpers_of_rules_refuse(make: Callable[[], Any]) -> None:
    with pytest.raises(DefinitionError, match=re.escape(__file__)):
        make()


def test_a_stand_in_is_held_against_the_result_that_it_takes_the_place_of() -> None:
    @workflow
    def wrong() -> None:
        add.having(on_failure="pass", stand_in="none").step([1])

    with pytest.raises(DefinitionError, match="stand_in is 'none', which is no Total") as error:
        wrong.document()
    assert __file__ in str(error.value)


def test_a_stand_in_is_a_constant() -> None:
    @workflow
    def wrong() -> None:
        one = add.step([1])
        add.having(on_failure="pass", stand_in=one).step([1])

    with pytest.raises(DefinitionError, match="stand_in holds one, a reference"):
        wrong.document()


def test_a_rule_that_does_not_give_a_value_that_is_needed_is_refused_where_it_stands() -> None:
    @workflow
    def wrong() -> None:
        one = add.step([1])
        add.having(rule="settled").step([one.rows])

    with pytest.raises(DefinitionError, match="it needs the result of task 'one', but by the rule") as error:
        wrong.document()
    (problem,) = error.value.problems
    assert problem.startswith(__file__)


def test_an_order_without_a_value_goes_with_any_rule() -> None:
    @workflow
    def cleaned() -> None:
        one = add.step([1])
        two = add.step([2])
        clean.having(rule="settled", after=[one, two]).step()
        anything.having(rule="failed").step(one)

    _, _, cleanup, told = cleaned.document()["tasks"]
    assert (cleanup["rule"], cleanup["dependsOn"]) == ("settled", ["one", "two"])
    assert told["parameters"] == {"value": {"$from": "one", "optional": True}}


@pytest.mark.parametrize(
    ("duration", "ms"),
    [
        *[("10s", 10_000), ("5m", 300_000), ("1h30m", 5_400_000), ("2d", 172_800_000), ("1.5s", 1_500)],
        *[("500ms", 500), (" 1h 5s ", 3_605_000), (5, 5_000), (0.25, 250), (timedelta(minutes=1), 60_000)],
    ],
)
def test_durations(duration: Any, ms: int) -> None:
    assert duration_ms(duration) == ms


@pytest.mark.parametrize(
    "duration", ["", "5", "m", "5 min", "-5s", None, True, float("nan"), float("inf"), [1]]
)
def test_no_durations(duration: Any) -> None:
    with pytest.raises(ValueError, match="is no"):
        duration_ms(duration)


def test_two_steps_of_one_name_are_refused() -> None:
    @workflow
    def twice() -> None:
        clean.having(name="done").step()
        clean.having(name="done").step()

    with pytest.raises(DefinitionError, match=r"two steps are named 'done', the other at .*\.py:\d+"):
        twice.document()


def test_a_step_outside_a_workflow_is_refused() -> None:
    with pytest.raises(
        DefinitionError, match=r"test_step_arguments.py:\d+: Sample.clean.step\(\) makes a task"
    ):
        clean.step()


def test_a_workflow_is_not_called() -> None:
    @workflow
    def inner() -> None:
        clean.step()

    @workflow
    def outer() -> None:
        written(inner)()

    with pytest.raises(DefinitionError, match="called like a function"):
        written(inner)()
    with pytest.raises(DefinitionError, match="as a step of another write"):
        outer.document()


def test_a_workflow_without_steps_is_refused() -> None:
    @workflow
    def empty() -> None: ...

    with pytest.raises(DefinitionError, match="it has no steps"):
        empty.document()


def test_functions_that_are_no_bodies_are_refused() -> None:
    async def waits() -> None: ...

    def yields() -> Any:
        yield 1

    def gathers(*args: int) -> None: ...

    for function in (waits, yields, 3):
        with pytest.raises(DefinitionError):
            workflow("no body")(written(function))
    with pytest.raises(DefinitionError, match="cannot be given by name"):
        workflow(gathers).document()
    with pytest.raises(DefinitionError, match="is no name"):
        workflow("")(yields)


def test_a_result_that_does_not_fit_its_annotation_is_refused() -> None:
    @workflow
    def mistaken(day: date) -> int:
        return written(list_files).step(day)

    with pytest.raises(DefinitionError, match="what it returns is Sample_list, of type list"):
        mistaken.document()


def test_what_a_body_raises_itself_comes_through() -> None:
    @workflow
    def breaks() -> None:
        clean.step()
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        breaks.document()
