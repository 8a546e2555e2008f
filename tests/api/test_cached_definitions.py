"""Registration and definitions that change, and a Postgres that goes away, on real stores."""

from collections.abc import Callable

import psycopg
import pytest

from api.serving import RunningApi, details
from flower_engine.projection.database import connect

_END_LISTENER = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'flower api listener' AND datname = current_database()
"""

_END_ALL = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE application_name LIKE 'flower api%%' AND datname = %s
"""


def _programs(api: RunningApi, workflow: str) -> list[str]:
    """The programs of a flow that is registered now."""
    return [task["program"] for task in api.flow(api.register(workflow))["tasks"]]


def _eventually_programs(api: RunningApi, workflow: str, programs: list[str]) -> None:
    api.wait_for(lambda: _programs(api, workflow) == programs)


@pytest.mark.parametrize(
    ("statement", "programs"),
    [
        ("UPDATE ms_task_definition SET program = 'B' WHERE task_id = 'edited'", ["B"]),
        ("INSERT INTO ms_task_definition VALUES ('edited', 2, 'C', 0)", ["A", "C"]),
        ("UPDATE ms_task_definition SET program = 'D'", ["D"]),
    ],
)
def test_an_edit_with_sql_is_seen_by_later_flows_and_not_by_earlier_ones(
    own_api: RunningApi, statement: str, programs: list[str]
) -> None:
    own_api.define("edited", {})
    earlier = own_api.register("edited")
    own_api.sql(statement)
    _eventually_programs(own_api, "edited", programs)
    assert [task["program"] for task in own_api.flow(earlier)["tasks"]] == ["A"]


@pytest.mark.parametrize("statement", ["DELETE FROM ms_task_definition", "TRUNCATE ms_task_definition"])
def test_a_workflow_deleted_with_sql_is_unknown(own_api: RunningApi, statement: str) -> None:
    own_api.define("deleted", {})
    own_api.register("deleted")
    own_api.sql(statement)
    own_api.wait_for(lambda: own_api.client.post("/register/deleted").status_code == 404)


def test_a_renamed_workflow_is_known_by_its_new_name_only(own_api: RunningApi) -> None:
    own_api.define("old", {})
    own_api.register("old")
    own_api.sql("UPDATE ms_task_definition SET task_id = 'new' WHERE task_id = 'old'")
    own_api.wait_for(lambda: own_api.client.post("/register/old").status_code == 404)
    own_api.register("new")


def test_who_defines_over_http_sees_it_in_the_next_call(own_api: RunningApi) -> None:
    for number in range(50):
        own_api.define("own", {"program": f"P{number}"})
        assert _programs(own_api, "own") == [f"P{number}"]
    assert own_api.client.delete("/workflows/own").status_code == 204
    assert own_api.client.post("/register/own").status_code == 404


def test_an_edit_is_not_missed_while_the_listening_connection_is_lost(own_api: RunningApi) -> None:
    own_api.define("missed", {})
    own_api.register("missed")
    with psycopg.connect(own_api.settings.database_url or "", autocommit=True) as connection:
        for number in range(10):
            connection.execute(_END_LISTENER)
            connection.execute("UPDATE ms_task_definition SET program = %s", (f"P{number}",))
            _eventually_programs(own_api, "missed", [f"P{number}"])


class Away:
    """While inside, the database takes no new connections, and the API has none."""

    def __init__(self, api: RunningApi, postgres_url: str) -> None:
        self._url = postgres_url
        self._name = (api.settings.database_url or "").partition("@/")[2].partition("?")[0]

    def __enter__(self) -> None:
        self._allow(False)

    def __exit__(self, *_: object) -> None:
        self._allow(True)

    def _allow(self, allowed: bool) -> None:
        with psycopg.connect(self._url, autocommit=True) as admin:
            admin.execute(f"ALTER DATABASE {self._name} WITH ALLOW_CONNECTIONS {allowed}".encode())
            admin.execute(_END_ALL, (self._name,))


@pytest.fixture
async def defined(database_url: str) -> None:
    """Workflows from before the API starts, so that no notification of them is still on its way."""
    async with await connect(database_url, "test") as connection:
        await connection.execute(
            "INSERT INTO ms_task_definition VALUES ('cached', 1, 'A', 0), ('not-cached', 1, 'A', 0)"
        )


@pytest.mark.usefixtures("defined")
def test_registration_goes_on_from_the_cache_while_postgres_is_away(
    start_api: Callable[..., RunningApi], postgres_url: str
) -> None:
    own_api = start_api()
    own_api.register("cached")
    with Away(own_api, postgres_url):
        flows = [own_api.register("cached") for _ in range(20)]
        bulk = own_api.client.post("/register", json=[{"taskId": "cached"}, {"taskId": "not-cached"}]).json()
        assert [entry["code"] for entry in bulk] == [200, 503]
        reply = own_api.client.post("/register/not-cached")
        assert reply.status_code == 503
        assert "Postgres" in details(reply)[0]
        assert int(reply.headers["retry-after"]) > 0
        problem = own_api.client.get("/readyz").json()
        assert own_api.client.get(f"/flows/{flows[0]}").status_code == 503
        assert own_api.client.put("/workflows/x", json={"tasks": []}).status_code == 422
        assert own_api.client.get("/workflows").status_code == 503
        assert own_api.client.get("/healthz").status_code == 200
    assert any(fault["detail"].startswith("Postgres: ") for fault in problem["problems"])
    own_api.wait_for(lambda: own_api.client.get("/readyz").status_code == 200)
    own_api.register("not-cached")
    assert {own_api.flow(flow)["taskId"] for flow in flows} == {"cached"}


@pytest.mark.usefixtures("defined")
def test_an_edit_while_postgres_was_unreachable_is_seen_when_it_is_back(
    start_api: Callable[..., RunningApi], postgres_url: str
) -> None:
    own_api = start_api()
    own_api.register("cached")
    url = own_api.settings.database_url or ""
    with psycopg.connect(url, autocommit=True) as editor, Away(own_api, postgres_url):
        editor.execute("UPDATE ms_task_definition SET program = 'B'")
        flow_id = own_api.register("cached")
    own_api.wait_for(lambda: own_api.client.get("/readyz").status_code == 200)
    assert [task["program"] for task in own_api.flow(flow_id)["tasks"]] == ["A"]
    _eventually_programs(own_api, "cached", ["B"])
