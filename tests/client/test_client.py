"""``Client`` against a real API: what it registers, shows, waits for and operates, and what it raises."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from api.serving import RunningApi
from flower_engine import errors
from flower_engine.client import (
    ApiRefusedError,
    ApiUnavailableError,
    AuthError,
    Client,
    FlowCancelledError,
    FlowFailedError,
    FlowHandle,
    FlowTimeoutError,
    NotRegisteredError,
    named,
    registration,
)

FAILURE = b'{"type":"LookupError","message":"no such table: <b>order</b>","traceback":"..."}'


def chain(api: RunningApi, workflow: str) -> None:
    api.define(workflow, {"parameters": {"day": "", "rows": 0}}, {})


async def finished(api: RunningApi, flow: FlowHandle[Any]) -> None:
    """Works off whatever waits; of this flow, too."""
    async with api.engine() as engine:
        await engine.work_off(f"worker-{flow.id}")


async def failed(api: RunningApi, workflow: str, client: Client) -> FlowHandle[Any]:
    """A flow whose first task failed for good."""
    chain(api, workflow)
    flow = client.register(workflow)
    async with api.engine() as engine:
        worker = f"worker-{flow.id}"
        for claim in await engine.claim(worker=worker):
            if claim.flow == flow.id:
                await engine.suspend(claim, worker=worker, payload=FAILURE)
    return flow


def test_a_flow_is_registered_and_shown(api: RunningApi, client: Client) -> None:
    chain(api, "shown")
    flow = client.register(named("shown", priority=-3, task_parameters={1: {"rows": 7}}), day="monday")
    assert flow.status() == "Wait"
    first, second = flow.tasks()
    assert (first.parameters, first.task_priority) == ({"day": "monday", "rows": 7}, -3)
    assert second.depends_on == [1]
    assert [event.event and event.event["type"] for event in flow.events()] == ["flow.registered"]
    assert flow.show().counts == "2 waiting"
    assert client.flow(flow.id).show().workflow == "shown"


def test_dates_and_their_like_are_given_as_they_are(api: RunningApi, client: Client) -> None:
    chain(api, "dated")
    assert client.register("dated", day=date(2026, 1, 5)).tasks()[0].parameters["day"] == "2026-01-05"
    with pytest.raises(errors.ParametersError, match="no JSON form"):
        client.register("dated", day=object())


def test_the_same_key_gives_the_same_flow_and_says_so(api: RunningApi, client: Client) -> None:
    chain(api, "keyed")
    one, again = (client.register(named("keyed", key="of 5 January")) for _ in range(2))
    assert (one.id, one.is_duplicate, again.is_duplicate) == (again.id, False, True)
    api.define("other", {})
    with pytest.raises(errors.KeyConflictError) as conflict:
        client.register(named("other", key="of 5 January"))
    assert conflict.value.flow == one.id


async def test_many_flows_are_registered_in_few_calls(api: RunningApi, client: Client) -> None:
    chain(api, "many")
    made = await asyncio.to_thread(
        client.register_many, [registration("many", day=str(day)) for day in range(1_003)]
    )
    assert len({flow.id for flow in made}) == 1_003
    assert made[1_002].tasks()[0].parameters["day"] == "1002"
    with pytest.raises(NotRegisteredError) as some:
        client.register_many([registration("nobody"), registration("many")])
    assert isinstance(some.value.errors[0], errors.UnknownWorkflowError)
    assert some.value.registered[1].status() == "Wait"


async def test_flows_come_page_after_page(api: RunningApi, client: Client) -> None:
    chain(api, "listed")
    ids = [client.register("listed").id for _ in range(3)]
    await api.project()
    assert [flow.id for flow in client.flows("listed", limit=2)] == ids[:0:-1]
    assert {flow.id for flow in client.flows("listed", ["Wait", "Cancelled"])} == set(ids)
    assert list(client.flows("listed", "Finish")) == []


async def test_waiting_ends_with_the_flow(api: RunningApi, client: Client) -> None:
    chain(api, "awaited")
    flow = client.register("awaited")
    waiting = asyncio.create_task(asyncio.to_thread(flow.wait))
    await finished(api, flow)
    assert (await waiting).status == "Finish"
    assert await asyncio.to_thread(flow.result) is None


async def test_the_error_of_a_flow_that_failed_names_the_task_and_its_error(
    api: RunningApi, client: Client
) -> None:
    flow = await failed(api, "failing", client)
    with pytest.raises(FlowFailedError) as error:
        await asyncio.to_thread(flow.result)
    assert "task 1 (A): LookupError: no such table" in str(error.value)
    assert (error.value.failed[0].type, error.value.failed[0].traceback) == ("LookupError", "...")
    assert (await asyncio.to_thread(flow.wait)).word == "Suspend"


def test_a_flow_that_does_not_end_in_time_says_what_it_waits_for(api: RunningApi, client: Client) -> None:
    chain(api, "slow")
    flow = client.register("slow")
    with pytest.raises(FlowTimeoutError, match=r"task 1 \(A\) waits: noWorker"):
        flow.result(timeout=0)
    with pytest.raises(TimeoutError):
        flow.wait(timeout=0.2)


def test_a_cancelled_flow_has_no_result(api: RunningApi, client: Client) -> None:
    chain(api, "cancelled")
    flow = client.register("cancelled")
    assert flow.cancel(reason="enough").operation == "cancel"
    assert flow.status() == "Cancelled"
    with pytest.raises(FlowCancelledError, match="cancelled by api"):
        flow.result()
    with pytest.raises(errors.RefusedError, match="it has ended") as refused:
        flow.pause()
    assert refused.value.reason == "ended"


async def test_operations_do_what_they_say(api: RunningApi, client: Client) -> None:
    flow = await failed(api, "operated", client)
    assert flow.rerun([1], parameters={"day": "tuesday"}).tasks == [1]
    assert flow.tasks()[0].parameters["day"] == "tuesday"
    assert flow.pause(reason="look").tasks == []
    assert flow.resume().operation == "resume"
    assert flow.prioritise(4).operation == "priority"
    assert flow.ignore([1], reason="not today").tasks == [1]
    assert flow.unignore([1]).tasks == [1]
    with pytest.raises(errors.MovedError):
        flow.cancel(version=1)
    fork = flow.fork([2], parameters={"day": "wednesday"})
    assert fork.show().forked_from == flow.id


def test_workflows_are_put_shown_listed_and_deleted(client: Client) -> None:
    document = {"taskId": "a/b", "tasks": [{"taskSeq": 1, "program": "Nobody's"}]}
    assert client.workflows.put(document) == client.workflows.put(document)
    assert client.workflows.get("a/b")["tasks"][0]["program"] == "Nobody's"
    assert "a/b" in [workflow.task_id for workflow in client.workflows]
    assert (client.workflows.delete("a/b"), client.workflows.delete("a/b")) == (True, False)
    with pytest.raises(errors.DefinitionError) as wrong:
        client.workflows.put(
            {"taskId": "circle", "tasks": [{"taskSeq": 1, "program": "A", "dependsOn": [1]}]}
        )
    assert wrong.value.problems


def test_workflows_are_deployed_all_or_none(client: Client) -> None:
    one, two = ({"taskId": f"deployed/{n}", "tasks": [{"taskSeq": 1, "program": "A"}]} for n in (1, 2))
    plan = client.workflows.deploy("tests", one, two, check=True)
    assert (plan.applied, [change.task_id for change in plan.workflows]) == (
        False,
        ["deployed/1", "deployed/2"],
    )
    assert client.workflows.deploy("tests", one, two, expected=plan.expected).applied
    changed = {**one, "timeoutSeconds": 5}
    with pytest.raises(errors.RefusedError, match="deployed/1"):
        client.workflows.deploy("tests", changed, expected={"deployed/1": "0" * 64})
    wrong = {"taskId": "deployed/3", "tasks": [{"taskSeq": 1, "program": "A", "dependsOn": [1]}]}
    with pytest.raises(errors.DefinitionError):
        client.workflows.deploy("tests", changed, wrong)
    assert client.workflows.deploy("tests", one).workflows[0].differences == []
    client.workflows.deploy("tests", one, prune=True)
    assert client.workflows.delete("deployed/2") is False


def test_what_is_not_there_is_said_with_what_is_near(api: RunningApi, client: Client) -> None:
    chain(api, "nightly")
    with pytest.raises(errors.UnknownWorkflowError, match="nightly"):
        client.register("nihgtly")
    with pytest.raises(errors.UnknownFlowError):
        client.flow("nonsense").show()
    with pytest.raises(errors.ParametersError) as wrong:
        client.register("nightly", DAZ=1)
    assert "DAZ" in wrong.value.faults[0].detail
    with pytest.raises(errors.ParametersError, match="by name"):
        client.register("nightly", "monday")  # pyright: ignore[reportArgumentType, reportCallIssue]
    with pytest.raises(ApiRefusedError) as refused:
        client.register(named("nightly", priority=99))
    assert refused.value.status == 422


def test_a_token_is_asked_for(start_api: Callable[..., RunningApi], monkeypatch: pytest.MonkeyPatch) -> None:
    guarded = start_api(api_tokens="alice:s3cret-enough,ci:only-looks:read")
    with Client(guarded.url) as nobody, pytest.raises(AuthError, match="FLOWER_TOKEN"):
        nobody.workers()
    monkeypatch.setenv("FLOWER_TOKEN", "only-looks")
    with Client(guarded.url) as reader:
        assert reader.workers() == []
        with pytest.raises(AuthError, match="may only read"):
            reader.workflows.delete("x")
    with Client(guarded.url, "s3cret-enough") as alice:
        assert alice.workflows.delete("x") is False


def test_an_api_that_is_away_is_an_error_of_flower_which_says_what_to_do() -> None:
    with Client("http://127.0.0.1:9", retry_seconds=0.3) as client:
        with pytest.raises(ApiUnavailableError, match="flower up"):
            client.workers()
        with pytest.raises(ApiUnavailableError):
            client.flow("x").wait(timeout=600)
        with pytest.raises(FlowTimeoutError):
            client.flow("x").wait(timeout=0)
    with pytest.raises(errors.FlowerError, match="closed"):
        client.workers()


@pytest.mark.parametrize("url", ["localhost:8000", "http://", "ftp://x", "http://[::"])
def test_a_url_that_is_none_is_said_at_once(url: str) -> None:
    with pytest.raises(errors.SettingsError, match="FLOWER_URL"):
        Client(url)


@pytest.mark.parametrize("token", ["gehéim", "a\nb"])
def test_a_token_that_is_none_is_said_at_once_and_not_shown(token: str) -> None:
    with pytest.raises(errors.SettingsError, match="FLOWER_TOKEN") as wrong:
        Client("http://127.0.0.1:1", token)
    assert token not in str(wrong.value)


def test_the_url_is_found_as_the_command_finds_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    monkeypatch.setenv("FLOWER_HOME", str(tmp_path))
    assert Client().url == "http://127.0.0.1:8000"
    monkeypatch.setenv("FLOWER_URL", "http://127.0.0.1:1234")
    assert Client().url == "http://127.0.0.1:1234"


def test_threads_may_share_a_client(api: RunningApi, client: Client) -> None:
    chain(api, "shared")
    made: list[str] = []

    def work() -> None:
        made.extend(client.register("shared").id for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 80


def test_a_fork_goes_on_with_a_client(api: RunningApi) -> None:
    chain(api, "forked")
    code = (
        "import os; from flower_engine.client import Client\n"
        "client = Client(); flow = client.register('forked'); child = os.fork()\n"
        "for _ in range(20): assert flow.status() == 'Wait'\n"
        "if child == 0: os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0; assert flow.status() == 'Wait'\n"
    )
    environment = {**os.environ, "FLOWER_URL": api.url}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)
