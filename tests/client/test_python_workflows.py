"""A workflow in Python is defined, registered with typed parameters, and gives results of its type."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from api.serving import RunningApi
from flower_engine import DefinitionError, program, workflow
from flower_engine.client import AsyncClient, Client, FlowHandle, registration


class Total(msgspec.Struct):
    day: date
    rows: int


@program("A")
def count(day: date, rows: int = 5) -> Total:
    return Total(day, rows)


@workflow("typed")
def typed(day: date, rows: int = 5) -> Total:
    return count.step(day, rows=rows)


def test_it_is_defined_and_registered_with_parameters_of_its_types(client: Client) -> None:
    client.workflows.put(typed)
    flow: FlowHandle[Total] = client.register(
        typed.having(priority=-5, key="typed", start_at=datetime(2026, 1, 5, tzinfo=UTC)), date(2026, 1, 5)
    )
    (task,) = flow.tasks()
    assert (task.parameters["day"], task.task_priority) == ("2026-01-05", -5)
    assert client.register(typed.having(key="typed"), day=date(2026, 1, 5)).is_duplicate
    many = client.register_many([registration(typed, date(2026, 1, day), rows=day) for day in range(1, 4)])
    assert [one.tasks()[0].parameters["rows"] for one in many] == [1, 2, 3]


def test_what_does_not_fit_is_said_before_anything_is_sent(client: Client) -> None:
    unsuited: Any = typed
    with pytest.raises(DefinitionError, match="day"):
        client.register(unsuited)
    with pytest.raises(DefinitionError, match="rows"):
        client.register(unsuited, date(2026, 1, 5), rows="many")
    with pytest.raises(TypeError, match="no workflow"):
        client.register(unsuited.function)


@pytest.mark.parametrize("options", [{"rule": "any"}, {"limit": 5}, {"max_rounds": 2}, {"name": "other"}])
def test_options_of_steps_are_refused_where_a_flow_is_registered(options: dict[str, Any]) -> None:
    (option,) = options
    with pytest.raises(DefinitionError, match=rf"typed\.having\({option}=.*{option} is of a step or map"):
        registration(typed.having(**options), date(2026, 1, 5))


def test_options_are_refused_where_the_workflow_itself_is_meant() -> None:
    optional: Any = typed.having(priority=3)
    client = Client("http://127.0.0.1:9")
    with pytest.raises(DefinitionError, match=r"defined is typed\.having.*give typed itself"):
        client.workflows.put(optional)
    with pytest.raises(DefinitionError, match=r"defined is typed\.having.*give typed itself"):
        client.workflows.deploy("here", optional)
    with pytest.raises(DefinitionError, match=r"told of a flow is typed\.having"):
        client.flow("0", optional)


async def test_its_result_is_of_its_type(api: RunningApi) -> None:
    async with AsyncClient(api.url) as client:
        await client.workflows.put(typed)
        flow = await client.register(typed, day=date(2026, 1, 5))
        async with api.engine() as engine:
            for claim in await engine.claim(worker="of typed"):
                await engine.finish(claim, worker="of typed", payload=b'{"day":"2026-01-05","rows":7}')
        assert await flow.result() == Total(date(2026, 1, 5), 7)
        assert await client.flow(flow.id, typed).result() == Total(date(2026, 1, 5), 7)
        assert await client.flow(flow.id).result() == {"day": "2026-01-05", "rows": 7}
