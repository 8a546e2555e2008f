"""/workflows/{task_id}/versions: every definition that was in use stays, and can be started again."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from api.serving import RunningApi, details


def _versions(api: RunningApi, workflow: str) -> list[tuple[int, str | None, bool]]:
    reply = api.client.get(f"/workflows/{workflow}/versions")
    assert reply.status_code == 200, reply.text
    return [(one["number"], one["createdBy"], one["isNewest"]) for one in reply.json()["versions"]]


def _programs(api: RunningApi, flow: str) -> list[str]:
    return [task["program"] for task in api.flow(flow)["tasks"]]


def _started(api: RunningApi, workflow: str, version: Any) -> str:
    reply = api.client.post(f"/register/{workflow}", json={"workflowVersion": version})
    assert reply.status_code == 200, reply.text
    return reply.json()["taskFlowId"]


def test_each_definition_is_a_version_and_an_old_one_again_is_the_newest(api: RunningApi) -> None:
    for program in ("A", "A", "B", "A"):
        api.define("grown", {"program": program})
    assert _versions(api, "grown") == [(2, "api", False), (1, "api", True)]
    shown = api.client.get("/workflows/grown/versions/2").json()
    assert [task["program"] for task in shown["definition"]["tasks"]] == ["B"]
    assert api.client.get(f"/workflows/grown/versions/{shown['hash'][:8]}").json() == shown
    assert api.client.get("/workflows/grown/versions/newest").json()["number"] == 1


def test_what_a_version_shows_may_be_put_back(api: RunningApi) -> None:
    retry = {"maxAttempts": 3, "delaySeconds": 400.0}
    api.define("back", {"retry": retry, "parameters": {"n": 1.0}}, {"dependsOn": [], "timeoutSeconds": 5.5})
    shown = api.client.get("/workflows/back/versions/1").json()["definition"]
    assert shown == api.client.get("/workflows/back").json()
    assert api.client.put("/workflows/back", json=shown).status_code == 200
    assert _versions(api, "back") == [(1, "api", True)]


def test_rows_edited_with_sql_are_a_version_once_somebody_looks_or_starts_a_flow(api: RunningApi) -> None:
    api.define("edited", {"program": "A"})
    api.sql("UPDATE ms_task_definition SET program = 'B' WHERE task_id = 'edited'")
    api.wait_for(lambda: len(_versions(api, "edited")) == 2)
    assert _versions(api, "edited") == [(2, None, True), (1, "api", False)]
    api.sql(
        "INSERT INTO ms_task_definition (task_id, task_seq, program, task_priority) VALUES ('raw', 1, 'A', 0)"
    )
    flow = api.register("raw")
    assert _programs(api, flow) == ["A"]
    assert _versions(api, "raw") == [(1, None, True)]


def test_a_flow_of_an_earlier_version_is_started_by_number_or_hash(api: RunningApi) -> None:
    for program in ("A", "B"):
        api.define("earlier", {"program": program})
    first = api.client.get("/workflows/earlier/versions/1").json()["hash"]
    named = {1: "A", "1": "A", first: "A", first[:8]: "A", 2: "B", "newest": "B"}
    for version, program in named.items():
        assert _programs(api, _started(api, "earlier", version)) == [program], version
    replies = api.client.post(
        "/register",
        json=[
            {"taskId": "earlier", "workflowVersion": 1},
            {"taskId": "earlier"},
            {"taskId": "earlier", "workflowVersion": 7},
        ],
    ).json()
    assert [entry["code"] for entry in replies] == [200, 200, 422]
    assert [_programs(api, entry["taskFlowId"]) for entry in replies[:2]] == [["A"], ["B"]]
    assert "no version 7" in replies[2]["description"]


def test_a_version_takes_parameters_as_the_definition_does(api: RunningApi) -> None:
    api.define("asked", {"parameters": {"n": 1}})
    api.define("asked", {"program": "B", "parameters": {"m": 1}})
    reply = api.client.post("/register/asked", json={"workflowVersion": 1, "parameters": {"n": 5}})
    assert api.flow(reply.json()["taskFlowId"])["tasks"][0]["parameters"] == {"n": 5}
    wrong = api.client.post("/register/asked", json={"workflowVersion": 1, "parameters": {"m": 5}})
    assert wrong.status_code == 422


def test_a_version_that_is_not_there_is_said(api: RunningApi) -> None:
    api.define("few", {})
    for version in (2, "2", "abcdef012345", "0", "latest"):
        reply = api.client.post("/register/few", json={"workflowVersion": version})
        assert reply.status_code == 422, version
        assert reply.json()["type"] == "urn:flower:problem:unknown-version"
        assert "'few'" in details(reply)[0]
    wrong: tuple[Any, ...] = (0, -1, 1.5, "", "x" * 65, None, [], True)
    for version in wrong:
        status = api.client.post("/register/few", json={"workflowVersion": version}).status_code
        assert status == (200 if version is None else 422), version
    assert api.client.get("/workflows/few/versions/2").status_code == 404
    assert api.client.get("/workflows/nobody/versions").status_code == 404
    assert api.client.post("/register/nobody", json={"workflowVersion": 1}).status_code == 422


def test_hashes_that_begin_the_same_are_told_apart_by_more_of_them(api: RunningApi) -> None:
    api.define("twins", {})
    api.sql(
        "INSERT INTO ms_workflow_version (task_id, hash, number, definition) SELECT task_id,"
        " substr(hash, 1, 10) || repeat('0', 54), 2, definition FROM ms_workflow_version"
        " WHERE task_id = 'twins'"
    )
    version = api.sql("SELECT hash FROM ms_workflow_version WHERE task_id = 'twins' AND number = 1")[0][0]
    reply = api.client.get(f"/workflows/twins/versions/{version[:8]}")
    assert (reply.status_code, reply.json()["type"]) == (409, "urn:flower:problem:ambiguous")
    assert version[:16] in details(reply)[0]
    assert api.client.get(f"/workflows/twins/versions/{version[:14]}").status_code == 200


def test_definitions_put_at_once_are_versions_with_numbers_of_their_own(api: RunningApi) -> None:
    def put(number: int) -> int:
        task = {"taskSeq": 1, "program": f"P{number}"}
        return api.client.put("/workflows/raced", json={"tasks": [task]}).status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(put, range(24)))
    assert sorted(statuses) == [200] * 23 + [201]
    versions = _versions(api, "raced")
    assert [number for number, _, _ in versions] == list(range(24, 0, -1))
    shown = api.client.get("/workflows/raced").json()
    assert api.client.get("/workflows/raced/versions/newest").json()["definition"] == shown
    assert sum(is_newest for _, _, is_newest in versions) == 1


def test_versions_are_listed_in_pages(api: RunningApi) -> None:
    for number in range(5):
        api.define("paged", {"program": f"P{number}"})
    first = api.client.get("/workflows/paged/versions?limit=3").json()
    second = api.client.get(f"/workflows/paged/versions?limit=3&cursor={first['next']}").json()
    assert [one["number"] for one in (*first["versions"], *second["versions"])] == [5, 4, 3, 2, 1]
    assert second["next"] is None


def test_versions_of_a_deleted_workflow_stay(api: RunningApi) -> None:
    api.define("deleted", {"program": "A"})
    assert api.client.delete("/workflows/deleted").status_code == 204
    assert _versions(api, "deleted") == [(1, "api", True)]
    assert _programs(api, _started(api, "deleted", 1)) == ["A"]


def test_a_name_that_holds_slashes_has_versions_too(api: RunningApi) -> None:
    for name in ("team/etl", "team/etl/versions", "team/etl/versions/1"):
        api.define(name, {"program": name})
    assert _versions(api, "team/etl") == [(1, "api", True)]
    assert _versions(api, "team%2Fetl") == [(1, "api", True)]
    assert _versions(api, "team%2Fetl%2Fversions") == [(1, "api", True)]
    for path, name in {
        "team%2Fetl%2Fversions": "team/etl/versions",
        "team/etl%2Fversions": "team/etl/versions",
        "team/etl/versions%2F1": "team/etl/versions/1",
        "team%2fetl%2fversions%2f1": "team/etl/versions/1",
    }.items():
        assert api.client.get(f"/workflows/{path}").json()["taskId"] == name, path


def test_flows_are_started_while_versions_cannot_be_written(own_api: RunningApi) -> None:
    own_api.define("full", {"program": "A"})
    own_api.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'the disk is full' USING ERRCODE = 'disk_full'; END $$"
    )
    own_api.sql("CREATE TRIGGER refuse BEFORE INSERT ON ms_workflow_version EXECUTE FUNCTION refuse()")
    own_api.sql("UPDATE ms_task_definition SET program = 'B' WHERE task_id = 'full'")
    own_api.wait_for(lambda: _programs(own_api, own_api.register("full")) == ["B"])
    own_api.sql("DROP TRIGGER refuse ON ms_workflow_version")
    own_api.register("full")
    assert _versions(own_api, "full") == [(2, None, True), (1, "api", False)]


def test_another_api_knows_a_version_at_once(start_api: Callable[..., RunningApi]) -> None:
    one, other = start_api(), start_api()
    for program in ("A", "B"):
        one.define("shared", {"program": program})
        _started(other, "shared", "newest")
    assert _programs(other, _started(other, "shared", 2)) == ["B"]
    assert _programs(other, _started(other, "shared", 1)) == ["A"]


async def test_a_flow_names_its_version_before_and_after_it_is_projected(own_api: RunningApi) -> None:
    for program in ("A", "B"):
        own_api.define("named", {"program": program})
    flow, old = own_api.register("named"), _started(own_api, "named", 1)
    given = own_api.client.post("/register/named", json={"priority": 3}).json()["taskFlowId"]
    hashes = {n: own_api.client.get(f"/workflows/named/versions/{n}").json()["hash"] for n in (1, 2)}
    expected = {flow: hashes[2], old: hashes[1], given: hashes[2]}
    assert {one: own_api.flow(one)["workflowVersion"] for one in expected} == expected
    await own_api.project()
    assert {one: own_api.flow(one)["workflowVersion"] for one in expected} == expected
    listed = own_api.client.get("/flows").json()["flows"]
    assert {one["taskFlowId"]: one["workflowVersion"] for one in listed} == expected
    fork = own_api.client.post(f"/flows/{old}/fork", json={"fromTasks": [1]}).json()["taskFlowId"]
    assert own_api.flow(fork)["workflowVersion"] == hashes[1]


def _rerun(api: RunningApi, flow: str, **body: Any) -> Any:
    return api.client.post(f"/flows/{flow}/rerun", json={"workflowVersion": "newest", **body})


async def test_what_runs_again_may_be_of_another_version(own_api: RunningApi) -> None:
    def define(program: str, **more: Any) -> None:
        tasks = [{"program": program, "taskName": name, **more} for name in ("one", "two", "three")]
        own_api.define("mended", *tasks)

    define("A", parameters={"n": 1})
    flow = own_api.register("mended")
    own_api.client.post(f"/flows/{flow}/ignore", json={"tasks": [1, 2, 3]})
    define("B", parameters={"n": 2, "m": 3}, queue="fast", taskPriority=-4)
    hashes = {n: own_api.client.get(f"/workflows/mended/versions/{n}").json()["hash"] for n in (1, 2)}
    key = {"Idempotency-Key": "once"}
    body = {
        "workflowVersion": 2,
        "tasks": ["two"],
        "scope": "dependents",
        "taskParameters": {"two": {"m": 9}},
    }
    done = own_api.client.post(f"/flows/{flow}/rerun", json=body, headers=key)
    assert (done.status_code, done.json()["tasks"]) == (200, [2, 3]), done.text
    expected = {
        "workflowVersion": [None, hashes[2], hashes[2]],
        "program": ["A", "B", "B"],
        "queue": ["default", "fast", "fast"],
        "taskPriority": [0, -4, -4],
        "parameters": [{"n": 1}, {"n": 2, "m": 9}, {"n": 2, "m": 3}],
    }

    def shown() -> dict[str, Any]:
        return {name: [task[name] for task in own_api.flow(flow)["tasks"]] for name in expected}

    assert shown() == expected
    await own_api.project()
    assert shown() == expected, "the tables say it, too"
    assert own_api.flow(flow)["workflowVersion"] == hashes[1]
    (event,) = [
        one["event"]
        for one in own_api.client.get(f"/flows/{flow}/events").json()["events"]
        if one["event"]["type"] == "flow.rerun"
    ]
    assert {seq: body["definition"] for seq, body in event["bodies"].items()} == {
        "2": hashes[2],
        "3": hashes[2],
    }
    again = own_api.client.post(f"/flows/{flow}/rerun", json=body, headers=key)
    assert again.json()["version"] == done.json()["version"], "sent again, it is done once"


async def test_of_a_flow_that_was_lost_the_other_bodies_are_put_back(own_api: RunningApi) -> None:
    own_api.define("lost", {"program": "A"}, {"program": "A"})
    flow = own_api.register("lost")
    own_api.client.post(f"/flows/{flow}/ignore", json={"tasks": [1, 2]})
    await own_api.project()
    own_api.define("lost", {"program": "B"}, {"program": "B"})
    assert _rerun(own_api, flow, tasks=[2]).status_code == 200
    own_api.client.post(f"/flows/{flow}/ignore", json={"tasks": [2]})
    await own_api.project()
    done = own_api.client.post(f"/flows/{flow}/rerun", json={"tasks": [2]})
    assert done.status_code == 200, done.text
    assert _programs(own_api, flow) == ["A", "B"], "it ended in between, and came back as it was then"


def test_a_rerun_with_a_version_that_does_not_fit_is_refused_with_the_reason(api: RunningApi) -> None:
    api.define("unfit", {"program": "A"})
    flow = api.register("unfit")
    api.client.post(f"/flows/{flow}/ignore", json={"tasks": [1]})
    unknown = _rerun(api, flow, selection="all", workflowVersion=7)
    assert (unknown.status_code, unknown.json()["type"]) == (422, "urn:flower:problem:unknown-version")
    wrong = _rerun(api, flow, selection="all", workflowVersion="what")
    assert wrong.status_code == 422
    api.define("unfit", {"program": "A"}, {"program": "A"})
    refused = _rerun(api, flow, selection="all")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:flower:problem:other-tasks")
    assert "task 2 is new in it" in refused.json()["detail"]
    unnamed = _rerun(api, flow, tasks=[5])
    assert (unnamed.status_code, unnamed.json()["type"]) == (409, "urn:flower:problem:unknown")


def test_a_version_tells_how_its_graph_is_drawn_and_what_is_different_from_another(api: RunningApi) -> None:
    api.define("drawn", {"program": "A"}, {"program": "A"})
    api.define("drawn", {"program": "A"}, {"program": "B", "dependsOn": []}, {"dependsOn": [1, 2]})
    plain = api.client.get("/workflows/drawn/versions/2").json()
    assert "layout" not in plain
    assert "differences" not in plain
    asked = {"layout": "true", "differencesFrom": "1"}
    shown = api.client.get("/workflows/drawn/versions/2", params=asked).json()
    assert shown.pop("layout")["edges"] == [1, 3, 2, 3]
    said = [one["text"] for one in shown.pop("differences")]
    assert any("A" in one and "B" in one for one in said), said
    assert any(one.startswith("+ task 3") for one in said), said
    assert shown == plain
    missing = api.client.get("/workflows/drawn/versions/2", params={"differencesFrom": "9"})
    assert (missing.status_code, missing.json()["type"]) == (404, "urn:flower:problem:unknown-version")
