"""Whatever a program raises becomes a TaskError of bounded size, in bounded time."""

import traceback
from typing import Any

import msgspec
import pytest

from flower_engine import Fatal
from flower_engine.errors import ParameterError
from flower_engine.model.tasks.raised_errors import MAX_TRACEBACK_CHARACTERS, encode_error, members
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.model.values.result_json import MAX_MESSAGE_CHARACTERS
from flower_engine.model.values.type_names import names_of
from worker.hostile_programs import HOSTILE


def described(error: BaseException) -> TaskError:
    return msgspec.json.decode(encode_error(error), type=TaskError)


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001
        return caught


class OwnError(Exception):
    pass


class SilentError(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


def test_an_error_keeps_type_message_and_traceback() -> None:
    error = described(raised(OwnError("no money")))
    assert error.type.endswith("test_raised.OwnError")
    assert error.message == "no money"
    assert "in raised" in error.traceback and error.traceback.rstrip().endswith("no money")


def test_builtin_and_engine_errors_have_short_names() -> None:
    assert described(ValueError("x")).type == "ValueError"
    assert described(ParameterError("x")).type == "ParameterError"


@pytest.mark.parametrize("error", [SystemExit(2), KeyboardInterrupt(), GeneratorExit()])
def test_an_exception_that_is_no_error_is_described_too(error: BaseException) -> None:
    assert described(raised(error)).type == type(error).__name__


def test_an_error_that_cannot_show_itself_is_described_all_the_same() -> None:
    error = described(raised(SilentError()))
    assert error.message == "[its message cannot be shown: __str__ raised SystemExit]"


def test_causes_and_groups_are_in_the_traceback() -> None:
    try:
        try:
            raise ValueError("first")
        except ValueError as first:
            raise OwnError("second") from first
    except OwnError as second:
        assert "first" in described(second).traceback
    group = described(raised(ExceptionGroup("several", [ValueError("one"), TypeError("two")])))
    assert "one" in group.traceback and "two" in group.traceback
    assert group.message == "several (2 sub-exceptions)"


def test_nul_and_lone_surrogates_in_an_error_are_replaced() -> None:
    encoded = encode_error(raised(ValueError("a\0b\ud800")))
    assert b"\\u0000" not in encoded
    assert described(ValueError("a\0b\ud800")).message == "a\ufffdb\ufffd"


def test_long_messages_and_tracebacks_are_cut_in_the_middle_with_a_mark() -> None:
    error = described(raised(ValueError("begin" + "x" * 1_000_000 + "end")))
    assert error.message.startswith("begin") and error.message.endswith("end")
    assert "characters cut" in error.message
    assert len(error.message) < MAX_MESSAGE_CHARACTERS + 100
    assert len(error.traceback) < MAX_TRACEBACK_CHARACTERS + 100


def test_an_endless_recursion_is_described() -> None:
    def down() -> None:
        down()

    with pytest.raises(RecursionError) as caught:
        down()
    error = described(caught.value)
    assert error.type == "RecursionError" and "down" in error.traceback


def test_an_error_without_frames_of_the_program_has_no_traceback() -> None:
    assert described(ParameterError("x")).traceback == ""


def test_frames_of_the_engine_around_the_program_are_left_out() -> None:
    engine: dict[str, Any] = {"__name__": "flower_worker.execution"}
    exec("def run(program):\n    program()", engine)

    def of_user() -> None:
        raise OwnError("x")

    try:
        engine["run"](of_user)
    except OwnError as error:
        frames = error.__traceback__
        assert frames is not None
        error.__traceback__ = frames.tb_next  # without the test's own frame
        text = described(error).traceback
        assert "of_user" in text and "in run" not in text
    else:
        pytest.fail("nothing was raised")


def test_a_traceback_that_cannot_be_formatted_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> list[str]:
        raise OSError("no")

    monkeypatch.setattr(traceback, "format_exception", broken)
    assert described(raised(ValueError("x"))).traceback == "[no traceback: formatting it raised OSError]"


@pytest.mark.parametrize("what", HOSTILE)
def test_an_error_that_breaks_its_own_report_is_described(what: str) -> None:
    try:
        HOSTILE[what]()
    except BaseException as caught:  # noqa: BLE001
        error = described(caught)
    else:
        pytest.fail("nothing was raised")
    assert type(error.type) is str and error.type
    assert len(error.message) < MAX_MESSAGE_CHARACTERS + 100
    assert len(error.traceback) < MAX_TRACEBACK_CHARACTERS + 100


def test_of_too_many_members_a_few_are_shown() -> None:
    error = described(raised(ExceptionGroup("all", [ValueError(str(n)) for n in range(50_000)])))
    assert error.message == "all (50000 sub-exceptions)"
    assert "in raised" in error.traceback and error.traceback.count("member ValueError") == 20


def test_of_a_long_chain_of_causes_a_few_are_shown() -> None:
    error: Exception = ValueError("first")
    for number in range(5_000):
        later = ValueError(str(number))
        later.__cause__ = error
        error = later
    assert "from ValueError: 4998" in described(raised(error)).traceback


def test_a_chain_with_two_links_each_is_shown_whole() -> None:
    def chain(depth: int) -> None:
        try:
            if not depth:
                raise ValueError("the first")
            chain(depth - 1)
        except ValueError as error:
            raise ValueError(str(depth)) from error

    with pytest.raises(ValueError, match="30") as caught:
        chain(30)
    assert "the first" in described(caught.value).traceback


def test_members_of_groups_are_found_once_each() -> None:
    one = ValueError("one")
    group: ExceptionGroup[Any] = ExceptionGroup("0", [one])
    for depth in range(60):  # in 2**60 ways
        group = ExceptionGroup(str(depth), [group, group])
    assert list(members(group)) == [one]


def test_names_are_those_that_people_import() -> None:
    assert described(Fatal("no")).type == "flower_engine.Fatal"
    assert {"Fatal", "flower_engine.Fatal"} <= set(names_of(Fatal))
    assert {"ValueError", "builtins.ValueError", "Exception"} <= set(names_of(ValueError))
