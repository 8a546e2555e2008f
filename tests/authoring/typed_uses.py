"""Uses that both type checkers take, with the types that they see. Checked by test_typing.py, never run."""

import asyncio
from collections.abc import Coroutine
from datetime import date, datetime
from typing import Any, TypeVar, assert_type

import msgspec

from flower_engine import (
    CONTEXT,
    Approved,
    Context,
    Outcome,
    Prepared,
    Program,
    Ref,
    RetryPolicy,
    Workflow,
    answered_by,
    approval,
    either,
    event,
    flat,
    is_in,
    is_none,
    not_,
    otherwise,
    outcomes,
    program,
    sleep,
    slot,
    some,
    text,
    when,
    workflow,
    zipped,
)
from flower_engine.client import (
    AsyncClient,
    AsyncFlowHandle,
    Client,
    FlowEntry,
    FlowHandle,
    named,
    registration,
)

T = TypeVar("T")


class File(msgspec.Struct):
    path: str
    size: int = 0


@program
async def list_files(day: date, prefix: str = "in/") -> list[File]:
    return [File(prefix)]


@program("Count", kind="process")
def count(file: File, *, strict: bool = False, ctx: Context = CONTEXT) -> int:
    return file.size


@program
async def clean() -> None: ...


@program
def first(items: list[T]) -> T:
    return items[0]


@program
def everything(**values: Any) -> dict[str, int]:
    return {}


@workflow("nightly", timeout="6h", labels={"team": "dwh"})
def nightly(day: date, threshold: int = 50) -> int:
    files = list_files.having(retry=RetryPolicy(5, delay="10s"), timeout="5m", priority=-5).step(day)
    assert_type(files, list[File])
    cleaned = clean.step()
    one = first.step(files)
    assert_type(one, File)
    counted = count.having(after=[cleaned], name="counted").step(one, strict=True)
    assert_type(counted, int)
    everything.step(a=files[0].size, b=text("{n}", n=counted))
    return counted


@workflow
def branching(day: date, threshold: int = 50) -> int | list[File]:
    files = list_files.step(day)
    counted = count.step(files[0])
    with when((counted > threshold) & not_(is_none(files)) | is_in(counted, [1, 2]), name="big"):
        held = count.step(files[1])
        with when(some(held)):
            clean.step()
    with otherwise():
        sent = list_files.step(day)
    assert_type(either(held, sent), int | list[File])
    assert_type(either(held, counted, sent), int | list[File])
    assert_type(either(held, sent, "none"), int | list[File] | str)
    return either(held, sent)


@workflow
def mapping(day: date) -> int:
    files = list_files.step(day)
    sizes = count.having(timeout="5m").map(files, strict=True)
    assert_type(sizes, list[int])
    assert_type(count.map([File("a"), files[0]]), list[int])
    assert_type(list_files.map([day], prefix="x"), list[list[File]])
    assert_type(count.map(flat(list_files.map([day]))), list[int])
    assert_type(zipped(files, sizes), list[tuple[File, int]])
    assert_type(outcomes(sizes), list[Outcome[int]])
    assert_type(list_files.map([day], "x"), list[list[File]])
    return first.step(sizes)


@workflow
def nothing() -> None:
    clean.step()


async def direct() -> None:
    assert_type(await list_files(date(2026, 1, 5)), list[File])
    assert_type(count(File("a"), strict=True), int)
    assert_type(first([1]), int)
    task = asyncio.create_task(list_files(date(2026, 1, 5), prefix="x"))
    assert_type(await task, list[File])


def names(one: Program[..., Any]) -> str:
    return one.__name__


def registered(day: date) -> None:
    assert_type(nightly.parameters(day, threshold=3), dict[str, Any])
    takes(nightly.having(key="k", priority=-5, delay="5m"))
    names(count)
    names(list_files)


def with_a_client(client: Client, day: date) -> None:
    handle = client.register(nightly, day, threshold=3)
    assert_type(handle, FlowHandle[int])
    assert_type(handle.result(timeout=3), int)
    assert_type(client.register(nightly.having(key="k"), day=day).fork([1]), FlowHandle[int])
    assert_type(client.flow("id", nightly), FlowHandle[int])
    assert_type(client.register_many([registration(nightly, day)]), list[FlowHandle[int]])
    assert_type(client.register("nightly", day=day), FlowHandle[Any])
    client.register(named("nightly", priority=-5), anything=1)


def with_a_schedule(day: date) -> None:
    nightly.schedule("nightly", cron="0 3 * * *").given(day, threshold=3)
    nightly.schedule("by the slot", every="1h").given(day=slot.date)


async def with_an_async_client(client: AsyncClient, day: date) -> None:
    handle = await client.register(nightly, day)
    assert_type(handle, AsyncFlowHandle[int])
    assert_type(await handle.result(), int)
    async for flow in client.flows("nightly"):
        assert_type(flow, FlowEntry)


def takes(prepared: Prepared[..., int]) -> Workflow[..., int]:
    return prepared.workflow


def result_of(asked: Program[..., Coroutine[Any, Any, T]]) -> T:
    raise NotImplementedError


assert_type(result_of(list_files), list[File])


class Decision(msgspec.Struct):
    approved: bool
    comment: str = ""


@workflow("waiting")
def waiting(number: int, until: datetime) -> str:
    pause = sleep("2h")
    assert_type(pause, Ref[None])
    sleep.having(after=[pause], name="night")(until=until)
    paid = event("paid", key=number, type=File, timeout="2d", default=File(""))
    assert_type(paid, File)
    assert_type(event("paid"), Any)
    assert_type(event("sizes", type=list[int]), list[int])
    ok = approval(Decision, title=text("{n}", n=paid.size), roles=("ops",), of=2, not_registrant=True)
    assert_type(ok, Decision)
    assert_type(approval.having(after=[paid])(timeout="1h", default=Approved(True)), Approved)
    assert_type(answered_by(ok), list[str])
    return ok.comment


@workflow("one_day")
def one_day(day: date, strict: bool = False) -> int:
    return count.step(File(""))


@workflow("all_days")
def all_days(days: list[date]) -> list[int]:
    counts = one_day.having(limit=5).map(days, strict=True)
    assert_type(counts, list[int])
    assert_type(one_day.having(name="again").map(days), list[int])
    assert_type(one_day.having(finally_=True, after=[counts]).step(days[0]), int)
    assert_type(one_day.having(finally_=True, aligned=False).map(days), list[int])
    return counts
