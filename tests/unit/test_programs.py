"""Programs are registered under a name, with a kind, and only those are found."""

import asyncio
import functools
import inspect
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

import flower_engine
from flower_engine import CONTEXT, Context, Progress, Retry, context
from flower_engine.errors import ProgramError
from flower_engine.programs.program_modules import load_programs
from flower_engine.programs.registry import Kind, Registry, program, registry


async def async_program() -> None: ...


def sync_program() -> None: ...


@program("test decorated")
async def decorated(x: int, ctx: Context = CONTEXT) -> int:
    return x + len(ctx.flow)


def test_an_async_def_runs_on_the_loop_and_a_plain_def_on_a_thread() -> None:
    programs = Registry()
    assert programs.add(async_program, None, None).kind is Kind.ASYNC
    assert programs.add(sync_program, None, None).kind is Kind.THREAD
    assert programs.add(sync_program, "Computes", "process").kind is Kind.PROCESS


def test_a_program_is_found_by_its_own_name_or_the_one_it_was_given() -> None:
    programs = Registry()
    programs.add(sync_program, None, None)
    programs.add(sync_program, "Send mail", None)
    assert [known.name for known in programs] == ["sync_program", "Send mail"]
    found = programs.get("Send mail")
    assert found is not None and found.function is sync_program
    assert programs.get("os.system") is None


def test_the_decorator_registers_and_returns_the_function_itself() -> None:
    def bare() -> int:
        return 1

    def named(x: int) -> int:
        return x

    assert program(bare) is bare
    assert program("test decorator named", kind="process")(named) is named
    known = registry.get("test decorator named")
    assert known is not None and (known.function, known.kind) == (named, Kind.PROCESS)
    assert registry.get("bare") is not None


def test_a_program_goes_on_being_its_function() -> None:
    assert pickle.loads(pickle.dumps(decorated)) is decorated
    assert inspect.iscoroutinefunction(decorated)
    assert list(inspect.signature(decorated).parameters) == ["x", "ctx"]
    assert asyncio.run(decorated(4)) == 4
    assert callable(decorated.step) and callable(decorated.having)


def test_what_can_have_no_attributes_is_a_program_all_the_same() -> None:
    class Holder:
        def run(self) -> int:
            return 7

    class Stepper:
        def step(self) -> str:
            return "its own"

        def __call__(self) -> None: ...

    method, stepper = Holder().run, Stepper()
    assert program("test method")(method) is method
    assert cast(Any, program("test stepper")(stepper)).step() == "its own"
    assert program("test built in")(len) is len
    for name in ("test method", "test stepper", "test built in"):
        registry.forget(name)


def test_a_direct_call_gets_a_neutral_context_and_helpers_do_too() -> None:
    assert CONTEXT.flow == "" and CONTEXT.attempt == 1
    CONTEXT.progress(0.5, "nobody hears it")
    assert context() is CONTEXT


def test_two_programs_of_one_name_are_refused_and_both_are_named() -> None:
    programs = Registry()
    programs.add(async_program, "Pay", None)
    with pytest.raises(ProgramError) as refused:
        programs.add(sync_program, "Pay", None)
    for part in ("'Pay'", "async_program", "sync_program", "test_programs.py"):
        assert part in str(refused.value)


def test_the_same_function_may_be_registered_again() -> None:
    programs = Registry()
    assert programs.add(sync_program, None, None) is programs.add(sync_program, None, None)


async def generates() -> AsyncIterator[int]:
    yield 1


def generates_too() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("function", "name", "kind"),
    [
        (async_program, None, "thread"),
        (async_program, None, "process"),
        (sync_program, None, "async"),
        (sync_program, None, "coroutine"),
        (sync_program, "", None),
        (sync_program, "   ", None),
        (sync_program, "a\nb", None),
        (sync_program, "x" * 257, None),
        (functools.partial(sync_program), None, None),
        (generates, None, None),
        (generates_too, None, None),
    ],
)
def test_what_cannot_be_run_is_refused(function: Any, name: str | None, kind: Any) -> None:
    with pytest.raises(ProgramError):
        Registry().add(function, name, kind)


def test_a_wrapped_coroutine_may_be_declared_async() -> None:
    @functools.wraps(async_program)
    def wrapper() -> Any:
        return async_program()

    assert Registry().add(wrapper, None, "async").kind is Kind.ASYNC


def test_a_callable_object_is_a_program_under_a_given_name() -> None:
    class Callable:
        async def __call__(self) -> None: ...

    assert Registry().add(Callable(), "Object", None).kind is Kind.ASYNC


def test_the_built_in_programs_are_the_seeds_three_noop_and_clock() -> None:
    loaded = load_programs(())
    built_in = {known.name for known in loaded if known.function.__module__.endswith(".builtin")}
    assert built_in == {"EchoRandomTimeSleep", "EchoParamTimeSleep", "HTTPPostRequest", "Noop", "Clock"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import no_such_module", r"ModuleNotFoundError.*\(in .*broken_.*\.py, line 1\)"),
        ("raise SystemExit(3)", "SystemExit"),
        ("def (", "SyntaxError"),
        (
            "from flower_engine import program\n@program('Noop')\ndef mine(): ...",
            "two programs are named 'Noop'",
        ),
        ("from flower_engine import program\n@program('bad 1')\ndef mine(x, /): ...", "positional-only"),
        (
            "from flower_engine import program\n@program('bad 2')\ndef mine(x: 'Unknown'): ...",
            "cannot be resolved",
        ),
    ],
)
def test_a_module_that_cannot_be_served_is_named_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    name = f"broken_{abs(hash(text))}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)  # the current folder can be imported from
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    before = {known.name for known in load_programs([])}  # the built-in ones stay
    with pytest.raises(ProgramError, match=says):
        load_programs([name])
    for known in {known.name for known in registry} - before:
        registry.forget(known)


def test_a_file_instead_of_a_module_gets_a_hint() -> None:
    with pytest.raises(ProgramError, match="dotted name"):
        load_programs(["programs/mine.py"])


def test_the_public_names_are_few() -> None:
    assert flower_engine.__all__ == [
        *("CONTEXT", "Again", "Approved", "Blob", "Context", "DefinitionError", "Fatal", "FlowerError"),
        *("Outcome", "ParameterError"),
        *("Prepared", "Program", "ProgramError", "Progress", "Ref", "Retry", "RetryPolicy", "Secret"),
        *("Workflow", "answered_by", "approval", "at_least", "context", "either", "event", "flat", "hold"),
        *("hook", "is_in", "is_none", "not_", "otherwise", "outcomes", "program", "secret", "sleep", "slot"),
        *("some", "text", "when", "workflow", "zipped"),
    ]
    assert all(inspect.getdoc(getattr(flower_engine, name)) for name in flower_engine.__all__)
    assert set(flower_engine.__all__) <= set(dir(flower_engine))
    with pytest.raises(AttributeError, match="no attribute 'workflo'"):
        _ = flower_engine.workflo  # pyright: ignore


def test_importing_the_public_names_loads_no_store_or_web_library() -> None:
    heavy = ("redis", "psycopg", "fastapi", "httpx", "asyncio", "pydantic", "flower_engine.authoring")
    code = f"import sys, flower_engine; print([name for name in {heavy!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("given", "told"), [(0, 0.0), (1, 1.0), (1.0000000000000002, 1.0), (0.4, 0.4), (None, None)]
)
def test_a_program_tells_its_progress_as_a_share(given: float | None, told: float | None) -> None:
    seen: list[Progress] = []
    context = Context(flow="f", task=1, attempt=1, workflow="w", task_seq=1, program="p", worker="w")
    context.telling(seen.append).progress(given, "x" * 2_000 + "\0")
    assert (seen[0].fraction, seen[0].note) == (told, "x" * 1_000)


@pytest.mark.parametrize("given", [-0.1, 1.1, float("nan"), True, "0.4", [1]])
def test_progress_that_is_no_share_is_refused(given: Any) -> None:
    context = Context(flow="f", task=1, attempt=1, workflow="w", task_seq=1, program="p", worker="w")
    with pytest.raises(ProgramError, match="between 0 and 1"):
        context.progress(given)


@pytest.mark.parametrize("after", [-1, float("nan"), float("inf"), 1e12])
def test_a_retry_after_no_possible_time_is_refused(after: float) -> None:
    with pytest.raises(ValueError, match="ten years"):
        Retry(after=after)
