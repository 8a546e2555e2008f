"""POST /deploy: many definitions at once, after a plan, in one transaction."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from api.serving import RunningApi, details
from flower_engine.projection.definitions import deploy_rows

Json = dict[str, Any]


def _workflow(name: str, *tasks: Json, **more: Any) -> Json:
    rows = [
        {"taskSeq": number, "program": "A", **task} for number, task in enumerate(tasks or ({},), start=1)
    ]
    return {"taskId": name, "tasks": rows, **more}


def _deploy(api: RunningApi, source: str, *workflows: Json, **more: Any) -> Json:
    reply = api.client.post("/deploy", json={"source": source, "workflows": workflows, **more})
    assert reply.status_code == 200, reply.text
    return reply.json()


def _actions(plan: Json) -> dict[str, str]:
    return {one["taskId"]: one["action"] for one in plan["workflows"]}


def _texts(plan: Json, workflow: str, what: str = "differences") -> list[str]:
    (one,) = (one for one in plan["workflows"] if one["taskId"] == workflow)
    return [difference["text"] for difference in one.get(what, [])]


def test_a_plan_reads_many_workflows_in_as_few_queries_as_one(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [_workflow(f"many/{number}") for number in range(30)]
    _deploy(api, "many", *many)
    sent: list[Any] = []
    execute = psycopg.AsyncConnection.execute

    async def counted(connection: Any, query: Any, *values: Any, **more: Any) -> Any:
        sent.append(query)
        return await execute(connection, query, *values, **more)

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", counted)
    counts: list[int] = []
    for some in (many[:1], many):
        before = len(sent)
        plan = _deploy(api, "many", *some, check=True)
        assert set(_actions(plan).values()) == {"unchanged"}
        counts.append(len([query for query in sent[before:] if b"ms_" in _bytes(query)]))
    assert 0 < counts[1] <= counts[0]


def _bytes(query: Any) -> bytes:
    return query if isinstance(query, bytes) else str(query).encode()


def test_a_deploy_defines_what_is_new_and_says_what_is_different(api: RunningApi) -> None:
    first = _workflow("p/a", {"timeoutSeconds": 300, "parameters": {"n": 1}}, {"taskName": "load"})
    other = _workflow("p/b")
    assert _actions(_deploy(api, "p", first, other)) == {"p/a": "new", "p/b": "new"}
    second = _workflow(
        "p/a",
        {"timeoutSeconds": 600, "parameters": {"n": 1.0}, "retry": {"maxAttempts": 3, "delaySeconds": 90}},
        {"program": "B"},
        timeoutSeconds=7200,
    )
    plan = _deploy(api, "p", second, other, check=True)
    assert not plan["applied"]
    assert _actions(plan) == {"p/a": "changed", "p/b": "unchanged"}
    assert _texts(plan, "p/a") == [
        "timeout unset -> 2h",
        "task 1: parameters.n 1 -> 1.0",
        'task 1: retry unset -> {"delaySeconds":90,"maxAttempts":3}',
        "task 1: timeout 5m -> 10m",
        'task 2: program "A" -> "B"',
        'task 2: taskName "load" -> unset',
    ]
    assert api.client.get("/workflows/p/a").json()["timeoutSeconds"] is None
    done = _deploy(api, "p", second, other, expected=plan["expected"])
    assert done["applied"]
    assert done["workflows"][0]["differences"] == plan["workflows"][0]["differences"]
    assert api.client.get("/workflows/p/a").json()["timeoutSeconds"] == 7200
    versions = api.client.get("/workflows/p/a/versions").json()["versions"]
    assert [(one["number"], one["createdBy"]) for one in versions] == [(2, "api"), (1, "api")]


def test_a_deploy_whose_answer_was_lost_is_sent_again_and_changes_nothing(api: RunningApi) -> None:
    _deploy(api, "lost", _workflow("lost/old"), _workflow("lost/gone"))
    wanted = [_workflow("lost/old", {"program": "B"}), _workflow("lost/new")]
    plan = _deploy(api, "lost", *wanted, prune=True, check=True)
    assert _actions(plan) == {"lost/old": "changed", "lost/new": "new", "lost/gone": "pruned"}
    again = [_deploy(api, "lost", *wanted, prune=True, expected=plan["expected"]) for _ in range(2)]
    assert _actions(again[0]) == _actions(plan)
    assert _actions(again[1]) == {"lost/old": "unchanged", "lost/new": "unchanged"}
    assert api.client.get("/workflows/lost/gone").status_code == 404


def test_only_what_an_earlier_deploy_of_the_source_brought_is_pruned(api: RunningApi) -> None:
    api.define("own/put", {})
    _deploy(api, "other", _workflow("own/other"))
    _deploy(api, "own", *(_workflow(f"own/{name}") for name in ("kept", "gone", "taken", "sql", "put")))
    api.define("own/taken", {"program": "B"})  # somebody has made it theirs
    api.sql("UPDATE ms_task_definition SET program = 'B' WHERE task_id = 'own/sql'")
    without = _deploy(api, "own", _workflow("own/kept"))
    assert _actions(without) == {"own/kept": "unchanged"}
    plan = _deploy(api, "own", _workflow("own/kept"), prune=True, check=True)
    assert _actions(plan) == {"own/kept": "unchanged", "own/gone": "pruned", "own/sql": "pruned"}
    assert _texts(plan, "own/sql", "drift") == ['task 1: program "A" -> "B"']
    _deploy(api, "own", _workflow("own/kept"), prune=True, expected=plan["expected"])
    left = {one["taskId"] for one in api.client.get("/workflows?limit=1000").json()["workflows"]}
    assert {name for name in left if name.startswith("own/")} == {
        "own/kept",
        "own/other",
        "own/put",
        "own/taken",
    }
    versions = api.client.get("/workflows/own%2Fsql/versions").json()["versions"]
    assert [one["createdBy"] for one in versions] == [None, "api"]  # what SQL had made of it is not lost


def test_rows_that_sql_edited_since_are_named(api: RunningApi) -> None:
    wanted = _workflow("drift", {"timeoutSeconds": 300}, {"taskName": "load", "units": 2})
    _deploy(api, "drift", wanted)
    assert _texts(_deploy(api, "drift", wanted, check=True), "drift", "drift") == []
    api.sql("UPDATE ms_task_definition SET timeout_seconds = 60 WHERE task_id = 'drift' AND task_seq = 1")
    api.sql("DELETE FROM ms_task_definition WHERE task_id = 'drift' AND task_seq = 2")
    plan = _deploy(api, "drift", wanted, check=True)
    assert _actions(plan) == {"drift": "changed"}
    assert _texts(plan, "drift", "drift") == ["- task 2 load A", "task 1: timeout 5m -> 1m"]
    assert _texts(plan, "drift") == ["+ task 2 load A", "task 1: timeout 1m -> 5m"]
    api.sql("UPDATE ms_task_definition SET max_attempts = NULL, retry_jitter = 7 WHERE task_id = 'drift'")
    broken = _deploy(api, "drift", wanted, check=True)
    assert "max_attempts" in broken["workflows"][0]["problem"]
    assert "cannot be understood" in _texts(broken, "drift", "drift")[0]
    _deploy(api, "drift", wanted, expected=broken["expected"])
    assert _actions(_deploy(api, "drift", wanted, check=True)) == {"drift": "unchanged"}
    api.sql("DELETE FROM ms_task_definition WHERE task_id = 'drift'")
    deleted = _deploy(api, "drift", wanted, check=True)
    assert (_actions(deleted), _texts(deleted, "drift", "drift")) == (
        {"drift": "new"},
        ["all its rows were deleted with SQL"],
    )


def test_what_moved_since_the_plan_is_refused_as_a_whole(api: RunningApi) -> None:
    _deploy(api, "moved", _workflow("moved/a"), _workflow("moved/b"))
    wanted = [_workflow("moved/a", {"program": "B"}), _workflow("moved/b", {"program": "B"})]
    plan = _deploy(api, "moved", *wanted, check=True)
    changes = (
        lambda: api.define("moved/a", {"program": "C"}),
        lambda: api.sql("UPDATE ms_task_definition SET program = 'D' WHERE task_id = 'moved/a'"),
        lambda: api.client.delete("/workflows/moved%2Fa"),
    )
    for change in changes:
        change()
        body = {"source": "moved", "workflows": wanted, "expected": plan["expected"]}
        reply = api.client.post("/deploy", json=body)
        assert (reply.status_code, reply.json()["type"]) == (409, "urn:flower:problem:plan-moved")
        assert "'moved/a'" in details(reply)[0]
        assert [task["program"] for task in api.client.get("/workflows/moved/b").json()["tasks"]] == ["A"]


def test_of_two_deploys_at_once_the_second_has_to_plan_again(api: RunningApi) -> None:
    _deploy(api, "race", *(_workflow(f"race/{number}") for number in range(20)))
    bodies: list[Json] = []
    for program in ("B", "C", "D", "E"):
        wanted = [_workflow(f"race/{number}", {"program": program}) for number in range(20)]
        plan = _deploy(api, "race", *wanted, check=True)
        bodies.append({"source": "race", "workflows": wanted, "expected": plan["expected"]})

    def send(body: Json) -> int:
        return api.client.post("/deploy", json=body).status_code

    with ThreadPoolExecutor(len(bodies)) as threads:
        assert sorted(threads.map(send, bodies)) == [200, 409, 409, 409]
    found = api.sql("SELECT DISTINCT program FROM ms_task_definition WHERE task_id LIKE 'race/%%'")
    assert len(found) == 1


def test_a_deploy_and_puts_of_the_same_workflows_do_not_mix(api: RunningApi) -> None:
    names = [f"mixed/{number}" for number in range(8)]

    def put(name: str) -> int:
        task = [{"taskSeq": 1, "program": "put"}, {"taskSeq": 3, "program": "put"}]
        return api.client.put(f"/workflows/{name}", json={"tasks": task}).status_code

    def deploy(program: str) -> int:
        wanted = [_workflow(name, {"program": program}, {"program": program}) for name in names]
        return api.client.post("/deploy", json={"source": "mixed", "workflows": wanted}).status_code

    with ThreadPoolExecutor(6) as threads:
        calls = [threads.submit(put, name) for _ in range(3) for name in names]
        calls += [threads.submit(deploy, program) for program in ("x", "y", "z")]
        assert {call.result() for call in calls} <= {200, 201}
    rows = api.sql(
        "SELECT task_id, array_agg(program ORDER BY task_seq) FROM ms_task_definition"
        " WHERE task_id LIKE 'mixed/%%' GROUP BY task_id"
    )
    assert {len(set(programs)) for _, programs in rows} == {1}
    for name in names:
        newest = api.client.get(f"/workflows/{name}/versions/newest").json()
        assert newest["definition"] == api.client.get(f"/workflows/{name}").json()
        numbers = [one["number"] for one in api.client.get(f"/workflows/{name}/versions").json()["versions"]]
        assert numbers == list(range(len(numbers), 0, -1))


def test_a_deploy_waits_for_an_edit_that_is_under_way_and_then_sees_it(api: RunningApi) -> None:
    _deploy(api, "edit", _workflow("edit"))
    wanted = _workflow("edit", {"program": "B"})
    plan = _deploy(api, "edit", wanted, check=True)
    body = {"source": "edit", "workflows": [wanted], "expected": plan["expected"]}
    with psycopg.connect(api.settings.database_url or "") as editor, ThreadPoolExecutor(1) as threads:
        editor.execute(
            "INSERT INTO ms_task_definition (task_id, task_seq, program, task_priority)"
            " VALUES ('edit', 9, 'SQL', 0)"
        )
        reply = threads.submit(api.client.post, "/deploy", json=body)
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'ShareRowExclusiveLock'"
        api.wait_for(lambda: api.sql(waits) == [(1,)] or reply.done())
        assert not reply.done()
        editor.commit()
        assert reply.result().status_code == 409
    assert len(api.client.get("/workflows/edit").json()["tasks"]) == 2


def test_a_deploy_does_not_wait_for_ever_for_somebody_who_edits(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploy_rows, "_WAIT", "SET LOCAL lock_timeout = '200ms'")
    with psycopg.connect(api.settings.database_url or "") as editor:
        editor.execute("DELETE FROM ms_task_definition WHERE task_id = 'nobody'")
        reply = api.client.post("/deploy", json={"source": "x", "workflows": [_workflow("held")]})
    assert (reply.status_code, reply.json()["type"]) == (409, "urn:flower:problem:conflict")
    assert "still open" in details(reply)[0]
    assert api.client.get("/workflows/held").status_code == 404


def test_nothing_is_deployed_where_one_workflow_is_wrong(api: RunningApi) -> None:
    wrong = _workflow("wrong/b", {"dependsOn": [7]}, {"dependsOn": ["nobody"]}, {"units": 0})
    circle = _workflow("wrong/c", {"dependsOn": [2]}, {"dependsOn": [1]})
    for workflows in ([_workflow("wrong/a"), wrong, circle], [_workflow("wrong/a"), _workflow("wrong/a")]):
        reply = api.client.post("/deploy", json={"source": "wrong", "workflows": workflows})
        assert (reply.status_code, reply.json()["type"]) == (422, "urn:flower:problem:definition")
        pointers = {problem["pointer"] for problem in reply.json()["problems"]}
        assert pointers <= {"#/workflows/1", "#/workflows/2"}
        assert all("workflow 'wrong/" in detail for detail in details(reply))
    assert api.client.get("/workflows/wrong/a").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"source": "x"},
        {"source": "", "workflows": []},
        {"source": "x\0", "workflows": []},
        {"source": "x", "workflows": [{"tasks": [{"taskSeq": 1, "program": "A"}]}]},
        {"source": "x", "workflows": [], "expected": []},
        {"source": "x", "workflows": [_workflow(f"many/{number}") for number in range(1_001)]},
        {"source": "x", "workflows": [], "check": "yes"},
        {"source": "x", "workflows": [], "module": "os"},
    ],
)
def test_what_is_no_deploy_is_refused(api: RunningApi, body: Json) -> None:
    assert api.client.post("/deploy", json=body).status_code == 422


def test_a_deploy_of_nothing_changes_nothing_but_may_prune(api: RunningApi) -> None:
    assert _deploy(api, "empty")["workflows"] == []
    _deploy(api, "empty", _workflow("empty/a"))
    assert _actions(_deploy(api, "empty", prune=True)) == {"empty/a": "pruned"}


def test_the_next_registration_is_of_what_was_deployed(api: RunningApi) -> None:
    for program in ("A", "B"):
        _deploy(api, "next", _workflow("next", {"program": program}))
        flow = api.register("next")
        assert [task["program"] for task in api.flow(flow)["tasks"]] == [program]
