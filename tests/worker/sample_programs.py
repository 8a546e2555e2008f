"""Programs for the tests of the worker; it imports this module like a user's."""

import asyncio
import contextvars
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

import msgspec

from flower_engine import CONTEXT, Again, Context, Fatal, Retry, context, program


@program
async def add(a: int, b: int = 1) -> int:
    return a + b


@program
async def where_async() -> list[object]:
    return [os.getpid(), threading.current_thread() is threading.main_thread()]


@program
def where_thread() -> list[object]:
    return [os.getpid(), threading.current_thread() is threading.main_thread()]


@program(kind="process")
def where_process() -> list[object]:
    return [os.getpid(), threading.current_thread() is threading.main_thread()]


@program
async def who_async(context: Context) -> dict[str, object]:
    return msgspec.to_builtins(context)


@program
def who_thread(context: Context) -> dict[str, object]:
    return msgspec.to_builtins(context)


@program(kind="process")
def who_process(context: Context) -> dict[str, object]:
    return msgspec.to_builtins(context)


async def _in_a_helper() -> dict[str, object]:
    """What helpers know of the attempt, also in tasks and threads of asyncio."""
    found = [context(), await asyncio.create_task(_asked()), await asyncio.to_thread(context)]
    assert found[0] == found[1] == found[2]
    found[0].progress(note="a helper was here")
    return msgspec.to_builtins(found[0])


async def _asked() -> Context:
    return context()


@program
async def helped_async() -> dict[str, object]:
    return await _in_a_helper()


@program
def helped_thread() -> dict[str, object]:
    return asyncio.run(_in_a_helper())


@program(kind="process")
def helped_process(given: Context = CONTEXT) -> dict[str, object]:
    assert given == context()
    return asyncio.run(_in_a_helper())


_seen = contextvars.ContextVar("seen", default="nothing")
_at_import = contextvars.ContextVar("at_import", default="nothing")
_at_import.set("set at import")


def _see(what: str) -> list[str]:
    """What an earlier attempt left in the context; and leaves this behind, and says so."""
    logging.getLogger("people.code").warning("sees\n%s", what)
    found = [_seen.get(), _at_import.get()]
    _seen.set(what)
    return found


@program
async def see_async(what: str) -> list[str]:
    return _see(what)


@program
def see_thread(what: str) -> list[str]:
    return _see(what)


@program(kind="process")
def see_process(what: str) -> list[str]:
    return _see(what)


@program
async def fail_async(message: str) -> None:
    raise LookupError(message)


@program
def fail_thread(message: str) -> None:
    raise LookupError(message)


@program(kind="process")
def fail_process(message: str) -> None:
    raise LookupError(message)


@program
async def exit_async() -> None:
    sys.exit("bye")


@program
def exit_thread() -> None:
    sys.exit("bye")


@program(kind="process")
def exit_process() -> None:
    sys.exit("bye")


@program
async def interrupt() -> None:
    raise KeyboardInterrupt


@program
async def cancel_itself() -> None:
    raise asyncio.CancelledError


@program
async def return_object() -> object:
    return object()


@program(kind="process")
def end_process(signal_number: int = 0) -> None:
    if signal_number:
        os.kill(os.getpid(), signal_number)
    os._exit(0)


@program
async def kill_worker() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@program
async def block_loop(folder: Path, context: Context) -> None:
    """Nothing else runs on the event loop before the file ``go`` is there."""
    _note(folder, "began", context)
    while not (folder / "go").exists():
        time.sleep(0.01)  # noqa: ASYNC251 # that is what the test is about


@program
async def wait_async(folder: Path, context: Context) -> str:
    """Waits until the file ``go`` is there; leaves a file for each thing that happens to it."""
    _note(folder, "began", context)
    try:
        while not (folder / "go").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        _note(folder, "cancelled", context)
        raise
    return context.worker


@program
def wait_thread(folder: Path, context: Context) -> str:
    _note(folder, "began", context)
    while not (folder / "go").exists():
        time.sleep(0.01)
    return context.worker


@program(kind="process")
def wait_process(folder: Path, context: Context) -> str:
    _note(folder, "began", context)
    while not (folder / "go").exists():
        time.sleep(0.01)
    return context.worker


@program
async def ignore_cancellation(folder: Path, context: Context) -> str:
    _note(folder, "began", context)
    while not (folder / "go").exists():
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            _note(folder, "cancelled", context)
    return "went on"


@program
async def fail_until(attempt: int, context: Context) -> int:
    """Fails before this attempt."""
    if context.attempt < attempt:
        raise LookupError(f"attempt {context.attempt}")
    return context.attempt


@program
def fail_fatally() -> None:
    raise Fatal("no such customer")


class NoSuchCustomerError(LookupError):
    pass


@program(kind="process")
def fail_with_subclass() -> None:
    raise NoSuchCustomerError("7")


@program
async def fail_in_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_raise(LookupError("one")))
        group.create_task(_raise(Fatal("two")))


async def _raise(error: Exception) -> None:
    raise error


@program(kind="process")
def tell_twice_and_wait(folder: Path, context: Context) -> None:
    context.progress(0.1)
    context.progress(0.2, "at once")
    while not (folder / "go").exists():
        time.sleep(0.01)


@program
async def ask_again(context: Context) -> int:
    if context.attempt < 3:
        raise Retry(after=0.01)
    return context.attempt


@program
async def tell_async(context: Context) -> str:
    return _tell(context)


@program
def tell_thread(context: Context) -> str:
    return _tell(context)


@program(kind="process")
def tell_process(context: Context) -> str:
    return _tell(context)


def _tell(context: Context) -> str:
    """Tells progress and fails; the next attempt returns what it told."""
    last = context.last_progress
    if last is not None:
        return f"{last.fraction} {last.note}"
    for row in range(1, 11):
        context.progress(row / 10, f"row {row}\0")
    raise LookupError("on the way")


@program
async def tell_and_wait(folder: Path, context: Context) -> None:
    context.progress(0.4, "rows")
    await wait_async(folder, context)


@program
async def tell_nonsense(context: Context) -> None:
    context.progress(float("nan"))


def _note(folder: Path, what: str, context: Context) -> None:
    whole = folder / f"{what}-{context.flow}-{context.task}"
    whole.write_text(str(os.getpid()))
    whole.rename(folder / f"{what}-{context.task}-{context.attempt}")  # who sees it finds its text in it


@program
async def turn_async(
    left: int, size: int, done: tuple[int, ...] = (), context: Context = CONTEXT
) -> list[int]:
    return _turned(left, size, done, context)


@program
def turn_thread(left: int, size: int, done: tuple[int, ...] = (), context: Context = CONTEXT) -> list[int]:
    return _turned(left, size, done, context)


@program(kind="process")
def turn_process(left: int, size: int, done: tuple[int, ...] = (), context: Context = CONTEXT) -> list[int]:
    return _turned(left, size, done, context)


def _turned(left: int, size: int, done: tuple[int, ...], context: Context) -> list[int]:
    if left:
        assert context.last_progress is None
        context.progress(note=f"round {context.round}")
        raise Again(
            {"left": left - 1, "done": [*done, context.round * size]}, after=0.01 if left % 2 else None
        )
    return [*done, context.round, context.attempt]


@program
async def turn_in_a_group() -> str:
    if not context().round:
        async with asyncio.TaskGroup() as group:
            group.create_task(_raise(Again({})))
    return "one was asked for"


@program
async def turn_and_fail() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_raise(Again({})))
        group.create_task(_raise(ValueError("no")))


@program
def turn_to_nobody(shop: str = "") -> None:
    raise Again({"shap": "a"})
