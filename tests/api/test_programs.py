"""GET /programs: what live workers serve, each version of it, and what was served lately."""

from collections.abc import Mapping
from typing import Any

import msgspec

from api.serving import RunningApi, details
from flower_engine.insight.published_signatures import digest_of, hash_of, publish
from flower_engine.programs.published_program import PublishedProgram
from flower_engine.programs.signature import Signature
from scripts.engine import Engine

Json = dict[str, Any]
LOAD = PublishedProgram(
    {"table": ("string",), "limit": ("integer",)},
    required=("table",),
    kind="thread",
    description="Loads a table.",
    parameters_schema={
        "type": "object",
        "properties": {"table": {"type": "string"}, "limit": {"type": "integer", "default": 1}},
        "required": ["table"],
        "additionalProperties": False,
    },
    result_schema={
        "$ref": "#/$defs/Loaded",
        "$defs": {"Loaded": {"type": "object", "properties": {"rows": {"type": "integer"}}}},
    },
)


async def work(api: RunningApi, engine: Engine, worker: str, programs: Mapping[str, Signature]) -> None:
    """A live worker serves and publishes these, and the API has seen it."""
    await publish(engine.client, engine.partition, programs)
    engine.heartbeat(worker, programs=list(programs), signatures=digest_of(programs))
    api.wait_for(lambda: worker in str(api.client.get("/programs").json()))


async def test_each_version_of_a_program_is_shown_with_its_workers(own_api: RunningApi) -> None:
    newer = msgspec.structs.replace(LOAD, description="Loads a table faster.")
    async with own_api.engine() as engine:
        await work(own_api, engine, "w1", {"a/Load": LOAD})
        await work(own_api, engine, "w2", {"a/Load": LOAD, "Other": Signature({})})
        await work(own_api, engine, "w3", {"a/Load": newer})
        engine.heartbeat("w4", programs=["a/Load"])  # an older one, which says nothing
        own_api.wait_for(lambda: len(_program(own_api, "a/Load")["versions"]) == 3)
    shown = _program(own_api, "a/Load")
    by_hash = {version["hash"]: version for version in shown["versions"]}
    assert by_hash[hash_of(LOAD)] == {
        "hash": hash_of(LOAD),
        "kind": "thread",
        "description": "Loads a table.",
        "parametersSchema": LOAD.parameters_schema,
        "resultSchema": LOAD.result_schema,
        "workerCount": 2,
        "workers": ["w1", "w2"],
    }
    assert by_hash[hash_of(newer)]["workers"] == ["w3"]
    assert (by_hash[None]["workers"], by_hash[None]["parametersSchema"]) == (["w4"], None)
    assert shown["publishedTs"]
    (other,) = _program(own_api, "Other")["versions"]
    assert (other["kind"], other["resultSchema"], other["hash"] is None) == ("", None, False)


async def test_programs_are_listed_page_by_page_with_those_of_lately(own_api: RunningApi) -> None:
    assert own_api.client.get("/programs").json() == {"programs": [], "next": None}
    async with own_api.engine() as engine:
        await publish(engine.client, engine.partition, {"Gone": LOAD})
        await work(own_api, engine, "w1", {"A": LOAD, "B": LOAD})
    names: list[str] = []
    cursor: str | None = None
    while True:
        query: dict[str, str | int] = {"limit": 1} if cursor is None else {"limit": 1, "cursor": cursor}
        page = own_api.client.get("/programs", params=query).json()
        names += [one["program"] for one in page["programs"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert names == ["A", "B", "Gone"]
    assert _program(own_api, "Gone")["versions"] == []
    unknown = own_api.client.get("/programs/Gona")
    assert unknown.status_code == 404
    said = "no worker has served program 'Gona' in the last 90 days; nearest: Gone"
    assert details(unknown) == [said]


def _program(api: RunningApi, name: str) -> Json:
    reply = api.client.get(f"/programs/{name}")
    assert reply.status_code == 200, reply.text
    return reply.json()
