"""Workflows are tested by the production scripts, in time that is skipped."""

import asyncio
import logging
import sys
import time
from datetime import date, timedelta

import pytest

from flower_engine import CONTEXT, Context, DefinitionError, Fatal, Retry, RetryPolicy, program, workflow
from flower_engine.errors import RefusedError
from flower_engine.testing import FlowerTest, FlowerTestError, StubError, StuckError, hangs, program_runs

TWO_HOURS, SIX_HOURS = timedelta(hours=2), timedelta(hours=6)


@program("testing.fetch")
def fetch(day: date) -> list[int]:
    return [day.day, 2]


@program("testing.total")
async def total(numbers: list[int], ctx: Context = CONTEXT) -> int:
    assert ctx.flow
    return sum(numbers)


@workflow("testing.nightly")
def nightly(day: date) -> int:
    numbers = fetch.having(retry=RetryPolicy(3, delay="2h", backoff=1), timeout="6h").step(day)
    return total.having(name="total").step(numbers)


def test_a_workflow_runs_with_its_data(flower: FlowerTest) -> None:
    run = flower.run(nightly, day=date(2026, 1, 5))

    assert run.result == 7
    assert run.skipped == timedelta()
    assert run.tasks["numbers"].result == [5, 2]


def test_a_retry_after_two_hours_is_not_waited_for(flower: FlowerTest) -> None:
    flower.stub(fetch, ConnectionError("away"), [4])

    run = flower.run(nightly, date(2026, 1, 5))

    assert (run.result, run.skipped) == (4, TWO_HOURS)
    assert run.tasks["numbers"].attempts == 2


@program("testing.talk")
def talk(day: date) -> list[int]:
    sys.stdout.write(f"from {day}\n")
    sys.stderr.write("\r10 %\r100 %\nno end")
    logging.getLogger("some.library").warning("beware of %s", day)
    if day.year < 2000:
        raise ValueError("too early")
    return [1]


@workflow("testing.talking")
def talking(day: date) -> int:
    return total.having(name="total").step(talk.having(name="talk", retry=RetryPolicy(2)).step(day))


def test_a_test_sees_what_programs_and_stubs_wrote_by_task_and_attempt(
    flower: FlowerTest, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sys.stdout, logging.getLogger().handlers[:]

    def stub(numbers: list[int]) -> int:
        sys.stdout.write("from a stub\n")
        return len(numbers)

    flower.stub(total, stub)
    run, other = flower.start(talking, date(1999, 1, 5)), flower.run(talking, date(2026, 1, 5))
    run.settle()

    assert [(line.text, line.stream, line.level, line.logger) for line in other.logs("talk")] == [
        ("from 2026-01-05", "out", 20, ""),
        ("100 %", "err", 30, ""),
        ("beware of 2026-01-05", "log", 30, "some.library"),
        ("no end", "err", 30, ""),
    ]
    assert [str(line) for line in other.logs("total")] == ["from a stub"]
    assert {line.task for line in other.logs()} == {"talk", "total"}
    assert [line.attempt for line in run.logs(level=30)] == [1, 1, 1, 2, 2, 2]
    assert len(run.logs(attempt=2)) == 4
    with pytest.raises(FlowerTestError, match="no task 'tlak'"):
        run.logs("tlak")
    assert "from 1999-01-05" in capsys.readouterr().out
    assert before == (sys.stdout, logging.getLogger().handlers)


def test_a_timeout_of_six_hours_is_not_waited_for(flower: FlowerTest) -> None:
    flower.stub(fetch, hangs(), [4])

    run = flower.run(nightly, date(2026, 1, 5))

    assert (run.result, run.skipped) == (4, SIX_HOURS + TWO_HOURS)
    first, second = run.tasks["numbers"].history
    assert first.error is not None
    assert first.error.type == "AttemptTimeout"
    assert second.started_ts - first.started_ts == SIX_HOURS + TWO_HOURS


def test_a_retry_that_a_program_asks_for_comes_when_it_said(flower: FlowerTest) -> None:
    flower.stub(fetch, Retry(after=90), [4])

    assert flower.run(nightly, date(2026, 1, 5)).skipped == timedelta(seconds=90)


def test_a_flow_that_starts_later_is_not_waited_for(flower: FlowerTest) -> None:
    run = flower.run(nightly.having(delay="1d"), date(2026, 1, 5))

    assert run.skipped == timedelta(days=1)
    assert run.tasks["numbers"].history[0].started_ts == run.skipped_to


def test_an_attempt_goes_on_where_its_worker_is_lost(flower: FlowerTest) -> None:
    flower.stub(fetch, hangs(), [4])
    run = flower.start(nightly, date(2026, 1, 5))
    assert run.work() == "Running"

    run.lose_worker("numbers")

    assert run.finish() == 4
    assert [attempt.how for attempt in run.tasks["numbers"].history] == ["lapsed", "finished"]
    assert run.skipped == timedelta()


def test_only_the_worker_of_a_task_that_runs_can_be_lost(flower: FlowerTest) -> None:
    run = flower.start(nightly, date(2026, 1, 5))

    with pytest.raises(FlowerTestError, match="'numbers' does not run"):
        run.lose_worker("numbers")


def test_the_message_of_a_failed_run_says_what_a_person_needs(flower: FlowerTest) -> None:
    flower.stub(fetch, Fatal("no such day"))

    with pytest.raises(StuckError) as failed:
        flower.run(nightly, date(2026, 1, 5))

    lines = str(failed.value).splitlines()
    assert "of workflow 'testing.nightly' cannot go on (time skipped: none):" in lines[0]
    assert lines[1] == "  numbers: suspended in attempt 1: flower_engine.Fatal: no such day"
    assert lines[-1] == "  total: waits for numbers"


def test_a_task_without_a_program_is_named(flower: FlowerTest) -> None:
    document = {"taskId": "testing.one", "tasks": [{"taskSeq": 1, "program": "elsewhere"}]}

    with pytest.raises(StuckError, match="no program 'elsewhere' is here: import the module"):
        flower.run(document)

    flower.stub("elsewhere", {"rows": 3})
    assert flower.run(document).tasks["1"].result == {"rows": 3}


def test_a_program_that_hangs_without_a_timeout_is_named(flower: FlowerTest) -> None:
    flower.stub(total, hangs())

    with pytest.raises(StuckError, match="total: runs attempt 1, which hangs"):
        flower.run(nightly, date(2026, 1, 5))


def test_a_task_that_failed_is_rerun_and_another_passed_over(flower: FlowerTest) -> None:
    flower.stub(fetch, Fatal("no such day"), [4], [5])
    run = flower.start(nightly, date(2026, 1, 5))
    assert run.settle() == "Suspend"

    run.rerun()
    assert run.finish() == 4

    run.rerun("numbers")
    assert run.finish() == 5
    assert run.tasks["numbers"].attempts == 3


def test_a_result_stands_in_for_that_of_a_task_that_is_passed_over(flower: FlowerTest) -> None:
    flower.stub(fetch, Fatal("no such day"))
    run = flower.start(nightly, date(2026, 1, 5))
    run.settle()

    with pytest.raises(RefusedError, match="is needed by task"):
        run.ignore("numbers")
    run.ignore("numbers", result=[10])

    assert run.finish() == 10


def test_a_paused_flow_waits_until_it_is_resumed(flower: FlowerTest) -> None:
    run = flower.start(nightly, date(2026, 1, 5))
    run.pause()

    with pytest.raises(StuckError, match="numbers: the flow is paused by test"):
        run.finish()

    run.resume()
    assert run.finish() == 7


def test_a_cancelled_flow_has_no_result(flower: FlowerTest) -> None:
    run = flower.start(nightly, date(2026, 1, 5))
    run.cancel()

    assert run.settle() == "Cancelled"
    with pytest.raises(StuckError, match="was cancelled"):
        _ = run.result


def test_time_passes_as_far_as_it_is_let(flower: FlowerTest) -> None:
    flower.stub(fetch, ConnectionError("away"), [4])
    run = flower.start(nightly, date(2026, 1, 5))

    flower.skip("1h59m")
    assert run.tasks["numbers"].attempts == 1

    flower.skip("1m")
    assert (run.status, run.skipped) == ("Finish", TWO_HOURS)


def test_a_stub_that_does_not_fit_its_program_is_refused(flower: FlowerTest) -> None:
    with pytest.raises(StubError, match="gives 'many', which its program cannot: it is no int"):
        flower.stub(total, "many")

    def as_text(numbers: list[int]) -> str:
        return str(numbers)

    flower.stub(total, as_text)
    with pytest.raises(StubError, match="which its program cannot"):
        flower.run(nightly, date(2026, 1, 5))


def test_a_stub_is_called_with_what_the_program_would_be(flower: FlowerTest) -> None:
    def month(day: date) -> list[int]:
        return [day.month]

    stub = flower.stub(fetch, month)

    assert flower.run(nightly, date(2026, 3, 5)).result == 3
    assert stub.calls == [{"day": date(2026, 3, 5)}]


def test_a_stub_is_not_asked_for_more_than_it_has(flower: FlowerTest) -> None:
    flower.stub(fetch, ConnectionError("1"), ConnectionError("2"))

    with pytest.raises(StubError, match="has 2 answers, and was called once more"):
        flower.run(nightly, date(2026, 1, 5))


def test_a_stub_may_be_for_one_task(flower: FlowerTest) -> None:
    flower.stub(fetch, [1])
    flower.stub(fetch, [2], task="numbers")

    assert flower.run(nightly, date(2026, 1, 5)).result == 2


def test_parameters_are_checked_as_in_production(flower: FlowerTest) -> None:
    with pytest.raises(DefinitionError, match="'day'"):
        flower.run(nightly, "tomorrow")  # pyright: ignore # that is the test


async def test_a_test_on_an_event_loop_runs_flows_too(flower: FlowerTest) -> None:
    assert flower.run(nightly, date(2026, 1, 5)).result == 7


async def test_async_programs_run_on_the_loop_of_a_test_that_awaits_them(flower: FlowerTest) -> None:
    loops: list[object] = []

    async def own(numbers: list[int]) -> int:
        loops.append(asyncio.get_running_loop())
        return len(numbers)

    flower.stub(total, own)
    run = await flower.awaited(flower.run, nightly, date(2026, 1, 5))

    assert (run.result, loops) == (2, [asyncio.get_running_loop()])


def test_a_program_that_keeps_a_test_waiting_is_named(
    flower: FlowerTest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program_runs, "SLOW_SECONDS", 0.01)
    said: list[str] = []

    def waits(day: date) -> list[int]:
        while "program 'testing.fetch' (task numbers) has run for" not in "".join(said):
            said.append(capsys.readouterr().err)
            time.sleep(0.01)
        return [4]

    flower.stub(fetch, waits)

    assert flower.run(nightly, date(2026, 1, 5)).result == 4
