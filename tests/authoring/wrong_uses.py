"""Uses that both type checkers refuse: each line says which error each of them is to find there, and no other
line may have one. Checked by test_typing.py, never run."""

from datetime import date

import msgspec

from flower_engine import (
    Again,
    Outcome,
    RetryPolicy,
    answered_by,
    approval,
    at_least,
    either,
    event,
    flat,
    hold,
    is_none,
    not_,
    otherwise,
    outcomes,
    program,
    sleep,
    text,
    when,
    workflow,
    zipped,
)
from flower_engine.client import Client, registration


class Total(msgspec.Struct):
    rows: int
    bad: int = 0


@program
async def list_files(day: date, prefix: str = "in/") -> list[str]:
    return [prefix]


@program("Count", kind="process")
def count(file: str, *, strict: bool = False) -> Total:
    return Total(1)


@program("Wrong kind", kind="proces")  # error: reportArgumentType | call-overload
def wrong_kind() -> None: ...


@workflow("nightly", timeout="6h")
def nightly(day: date, threshold: int = 50) -> int:
    list_files.step("2026-01-05")  # error: reportArgumentType | arg-type
    list_files.step()  # error: reportCallIssue | call-arg
    list_files.step(day, prefx="x")  # error: reportCallIssue | call-arg
    list_files.step(day, "x", "y")  # error: reportCallIssue | call-arg
    files = list_files.having(timeot="5m").step(day)  # error: reportCallIssue | call-arg
    files = list_files.having(retry=5).step(day)  # error: reportArgumentType | arg-type
    files = list_files.having(RetryPolicy(5)).step(day)  # error: reportCallIssue | arg-type call-arg
    list_files.having(rule="sometimes")  # error: reportArgumentType | arg-type
    list_files.having(rule="at_least:2")  # error: reportArgumentType | arg-type
    list_files.having(rule=at_least("2"))  # error: reportArgumentType | arg-type
    list_files.having(on_failure="hold:2h")  # error: reportArgumentType | arg-type
    list_files.having(rule=at_least(2), on_failure=hold("2h"), stand_in=[])
    files = list_files.step(day)
    count.step(files)  # error: reportArgumentType | arg-type
    total = count.step(files[0], strict=1)  # error: reportArgumentType | arg-type
    total = count.step(files[0], True)  # error: reportCallIssue | call-arg
    total = count.step(files[0])
    count.step(total.name)  # error: reportAttributeAccessIssue | attr-defined
    count.step(total.rows)  # error: reportArgumentType | arg-type
    count.step(text(total.rows))  # error: reportArgumentType | arg-type
    count.map(total)  # error: reportArgumentType | arg-type
    count.map([1])  # error: reportArgumentType | list-item
    count.map(files, strct=True)  # error: reportCallIssue | call-arg
    count.map()  # error: reportCallIssue | call-arg
    RetryPolicy("5")  # error: reportArgumentType | arg-type
    RetryPolicy(5, delays="10s")  # error: reportCallIssue | call-arg
    return total  # error: reportReturnType | return-value


@workflow("branching")
def branching(day: date) -> int:
    files = list_files.step(day)
    total = count.step(files[0])
    with when(total):  # error: reportArgumentType | arg-type
        count.step("x")
    with when():  # error: reportCallIssue | call-arg
        count.step("x")
    with when(total.bad > "x"):  # error: reportOperatorIssue | operator
        count.step("x")
    with when(total.bad > 3, nam="big"):  # error: reportCallIssue | call-arg
        held = count.step("x")
    with otherwise(total.bad > 3):  # error: reportCallIssue | call-arg
        count.step("x")
    with when(not_(total)):  # error: reportArgumentType | arg-type
        count.step("x")
    with when(is_none()):  # error: reportCallIssue | call-arg
        count.step("x")
    count.step(either(held, total))  # error: reportArgumentType | arg-type
    either(held)  # error: reportCallIssue | call-overload
    return either(held.bad, "x")  # error: reportReturnType | return-value


@workflow("typo", timout="6h")  # error: reportCallIssue | call-overload
def typo() -> None:
    count.step("x")


def with_a_client(client: Client, day: date) -> None:
    client.register(nightly, day="2026-01-05")  # error: reportArgumentType reportCallIssue | call-overload
    client.register(nightly)  # error: reportCallIssue | call-overload
    client.register(nightly, day, thresold=5)  # error: reportCallIssue | call-arg
    client.register(nightly.having(key="k"), "2026-01-05")  # error: reportArgumentType | call-overload
    client.register("nightly", day)  # error: reportArgumentType reportCallIssue | call-overload
    registration(nightly, day, threshold="5")  # error: reportArgumentType | arg-type
    result: str = client.register(nightly, day).result()  # error: reportAssignmentType | assignment
    client.register(nightly, day).result(timout=5)  # error: reportCallIssue | call-arg
    assert result


def uses(day: date) -> None:
    nightly(day)  # error: reportCallIssue | operator
    nightly.parameters(day, threshold="50")  # error: reportArgumentType | arg-type
    nightly.parameters(dy=day)  # error: reportCallIssue | call-arg
    nightly.parameters()  # error: reportCallIssue | call-arg
    nightly.having(keys="k")  # error: reportCallIssue | call-arg
    number: int = count("x")  # error: reportAssignmentType | assignment
    files: list[str] = list_files(day)  # error: reportAssignmentType | assignment
    assert number and files
    nightly.schedule("n", cron="@daily").given("day")  # error: reportArgumentType | arg-type
    nightly.schedule("n", cron="@daily").given(dy=day)  # error: reportCallIssue | call-arg


@workflow("waiting")
def waiting(day: date) -> int:
    sleep()  # error: reportCallIssue | call-overload
    sleep(until="tomorrow")  # error: reportArgumentType | call-overload
    sleep("2h", until=day)  # error: reportCallIssue | call-overload
    paid = event("paid", type=Total)
    count.step(paid.rows)  # error: reportArgumentType | arg-type
    count.step(paid.colour)  # error: reportAttributeAccessIssue | attr-defined
    event("paid", timout="2h")  # error: reportCallIssue | call-overload
    ok = approval(Total, of="2")  # error: reportArgumentType | call-overload
    ok = approval(Total, role=["ops"])  # error: reportCallIssue | call-overload
    ok = approval(Total)
    count.step(ok.comment)  # error: reportAttributeAccessIssue | attr-defined
    approval(default=True)  # error: reportArgumentType | call-overload
    approval.having(retry=RetryPolicy(5))  # error: reportCallIssue | call-arg
    count.step(answered_by(ok)[0], strict=True)
    count.step(answered_by(ok))  # error: reportArgumentType | arg-type
    answered_by()  # error: reportCallIssue | call-arg
    return ok  # error: reportReturnType | return-value


@workflow("one_day")
def one_day(day: date, strict: bool = False) -> Total:
    return count.step("")


@workflow("all_days")
def all_days(days: list[date]) -> list[str]:
    one_day.map(["x"])  # error: reportArgumentType | list-item
    one_day.map(days, strict="no")  # error: reportArgumentType | arg-type
    one_day.map(days, strikt=True)  # error: reportCallIssue | call-arg
    one_day.having(finally_="yes").step(days[0])  # error: reportArgumentType | arg-type
    one_day.having(aligned=1).map(days)  # error: reportArgumentType | arg-type
    return one_day.map(days)  # error: reportReturnType | return-value


@program
def compare(pair: tuple[str, Total]) -> int:
    if pair[1].bad:
        raise Again(3)  # error: reportArgumentType | arg-type
    if pair[1].rows:
        raise Again({}, of="loop")  # error: reportArgumentType | arg-type
    raise Again({"pair": pair}, afterwards="30s")  # error: reportCallIssue | call-arg


@program
def judge(all_of_it: list[Outcome[Total]]) -> list[str]:
    return [one.colour for one in all_of_it]  # error: reportAttributeAccessIssue | attr-defined


@workflow("mapping")
def mapping(day: date) -> list[int]:
    files = list_files.step(day)
    totals = count.having(limit="5").map(files)  # error: reportArgumentType | arg-type
    totals = count.having(tolerate="1%").map(files)  # error: reportArgumentType | arg-type
    totals = count.having(key=3).map(files)  # error: reportArgumentType | arg-type
    totals = count.having(limit=5, tolerate=0.01, key="").map(files)
    count.map(zipped(files, totals))  # error: reportArgumentType | arg-type
    compare.map(zipped(totals, files))  # error: reportArgumentType | arg-type
    compare.map(zipped(files, 3))  # error: reportArgumentType | call-overload
    compare.map(zipped(files))  # error: reportCallIssue | call-overload
    count.map(flat(files[0].size))  # error: reportAttributeAccessIssue | attr-defined
    count.map(flat([totals]))  # error: reportArgumentType | list-item
    judge.step(totals)  # error: reportArgumentType | arg-type
    judge.step(outcomes(files))  # error: reportArgumentType | arg-type
    judge.step(outcomes(totals))
    one_day.step()  # error: reportCallIssue | call-arg
    one_day.step("today")  # error: reportArgumentType | arg-type
    one_day.step(day, strikt=True)  # error: reportCallIssue | call-arg
    count.step(one_day.step(day).colour)  # error: reportAttributeAccessIssue | attr-defined
    count.step(one_day.step(day).rows)  # error: reportArgumentType | arg-type
    return compare.map(zipped(files, totals))
