"""Flows of every kind for the dashboard to show: finished, failed, running, waiting, large, hostile."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

HOSTILE = "<script>alert(1)</script> & 'x' \u0627\u0644"
LARGE = int(os.environ.get("FLOWER_UI_LARGE", "2000"))
_EXPORT = {
    "type": "object",
    "required": ["customer"],
    "additionalProperties": False,
    "properties": {
        "customer": {"type": "string", "minLength": 1, "description": "Whose orders are exported."},
        "format": {"enum": ["csv", "parquet", "json"], "default": "csv"},
        "rows": {"anyOf": [{"type": "integer", "maximum": 1000}, {"type": "null"}], "default": 100},
        "since": {"type": "string", "format": "date", "default": "2026-11-01"},
        "isFull": {"type": "boolean", "default": True, "description": "Also what was exported before."},
        "columns": {"type": "array", "items": {"type": "string"}, "default": ["id", "cents"]},
        "password": {"type": "string", "x-flower-secret": True, "description": "Of the warehouse."},
    },
}
_DAY = {"type": "object", "properties": {"day": {"type": "string", "default": "2026-11-28"}}}


def seed(client: httpx.Client, folder: Path) -> dict[str, str]:
    """Registers the flows; their ids by what they are."""
    define(client, "nightly-sales", nightly(broken=True), _DAY)
    define(client, "reports/monthly", nightly(broken=False), _DAY)
    define(client, "import-orders", [
        task("read", "read_rows"),
        task("watch_upload", "until_told", ["read"], parameters={"file": str(folder / "told")}),
        task("check", "read_rows", ["watch_upload"]),
        task("publish", "load", ["check"]),
    ])  # fmt: skip
    define(client, "gpu-training", [
        task("prepare", "read_rows"),
        task("train", "nothing", ["prepare"], queue="gpu"),
        task("publish", "load", ["train"]),
    ])  # fmt: skip
    define(client, "import-prices", prices("hold"))
    define(client, "refund", [
        task("check", "read_rows"),
        task("approve", "@approval", ["check"], parameters={"title": "refund order 17?"}),
        task("pay", "nothing", ["approve"]),
    ])  # fmt: skip
    define(client, "import-prices", prices("give_up"))
    define(client, "export", [
        task("read", "read_rows", parameters={"source": {"$param": "customer"}}),
        task("write", "nothing", ["read"], parameters={"format": {"$param": "format"}}),
    ], _EXPORT)  # fmt: skip
    given = {"source": "<img src=x onerror=alert(2)>" * 20, HOSTILE: [HOSTILE, {"</script>": "\u202e"}]}
    define(client, HOSTILE, [
        task("a", "read_rows", parameters=given),
        task("x" * 128, "load", ["a"], parameters={"broken": True, "table": HOSTILE}),
    ])  # fmt: skip
    define(client, "resize-images", [
        task("find", "find_images", parameters={"count": 60}),
        task("resize", "@map", ["find"], parameters={
            "over": {"$from": "find"}, "program": "resize", "as": "image", "parameters": {"width": 800},
        }),
        task("publish", "nothing", ["resize"]),
    ])  # fmt: skip
    define(client, "stamp-images", [
        task("find", "find_images", parameters={"count": 12}),
        task("crop", "@map", ["find"], parameters={
            "over": {"$from": "find"}, "program": "stamp", "as": "image", "key": "",
            "parameters": {"broken": 3},
        }),
        task("stamp", "@map", ["crop"], parameters={
            "over": {"$from": "crop"}, "program": "stamp", "as": "image", "aligned": True,
            "parameters": {"broken": 8},
        }),
        task("sign", "@map", ["stamp"], parameters={
            "over": {"$from": "stamp"}, "program": "stamp", "as": "image", "aligned": True,
        }),
        task("publish", "nothing", ["sign"]),
    ])  # fmt: skip
    define(client, "ledger", [task("read", "read_rows"), task("post", "load", ["read"])])
    define(client, "region", [
        task("rates", "read_rows"),
        task("book", "@flow", ["rates"], parameters={"workflow": "ledger"}),
    ])  # fmt: skip
    define(client, "close-books", [
        task("north", "@flow", parameters={"workflow": "region"}),
        task("south", "@flow", parameters={"workflow": "region"}),
        task("sum_up", "until_told", ["north", "south"], parameters={"file": str(folder / "told")}),
    ])  # fmt: skip
    define(client, "large", large(LARGE))
    define(client, "export-nothing", [task("tick", "nothing")])
    soon = datetime.now(UTC) + timedelta(seconds=6)
    plan(client, "ticks", "export-nothing", everySeconds=2, ends=soon.isoformat())
    plan(client, "month-end", "reports/monthly", cron="0 3 28-31 * *", timezone="Europe/Berlin")
    for _ in range(60):
        register(client, "reports/monthly")
    return {
        "large": register(client, "large"),
        "finished": register(client, "reports/monthly"),
        "waiting": register(client, "gpu-training"),
        "hostile": register(client, HOSTILE),
        "given_up": register(client, "import-prices"),
        "approval": register(client, "refund"),
        "mapped": register(client, "resize-images"),
        "chained": register(client, "stamp-images"),
        "tree": register(client, "close-books"),
        "failed": register(client, "nightly-sales"),
        "running": register(client, "import-orders"),
    }


def task(name: str, program: str, on: list[str] | None = None, **more: Any) -> dict[str, Any]:
    return {"taskName": name, "program": program, "dependsOn": on or [], **more}


def prices(on_failure: str) -> list[dict[str, Any]]:
    """What goes on where a task fails."""
    return [
        task("fetch", "read_rows"),
        task("load", "load", ["fetch"], parameters={"broken": True, "table": "prices"}, onFailure=on_failure),
        task("publish", "nothing", ["load"]),
        task("alert", "nothing", ["load"], rule="failed"),
        task("clean_up", "nothing", ["publish", "alert"], rule="settled"),
    ]


def nightly(*, broken: bool) -> list[dict[str, Any]]:
    """Regions that are read beside each other, come together, and are reported."""
    regions = ["north", "south", "east", "west"]
    tasks = [
        task(f"read_{one}", "read_rows", parameters={"source": one, "day": {"$param": "day"}})
        for one in regions
    ]
    tasks += [task(f"clean_{one}", "read_rows", [f"read_{one}"]) for one in regions]
    retry: dict[str, Any] = {"retry": {"maxAttempts": 3, "delaySeconds": 0.1}}
    return [
        *tasks,
        task("exchange_rates", "flaky", **retry),
        task("join", "read_rows", [*(f"clean_{one}" for one in regions), "exchange_rates"]),
        task(
            "load_sales",
            "load",
            ["join"],
            parameters={
                "broken": broken,
                "table": "sales",
                "day": {"$param": "day"},
                "first": {"$from": "join", "path": "/rows/0"},
            },
        ),
        task("totals", "read_rows", ["load_sales"]),
        task("forecast", "read_rows", ["load_sales"]),
        task("report", "load", ["totals", "forecast"]),
        task("notify", "nothing", ["report"]),
    ]


def large(count: int) -> list[dict[str, Any]]:
    """Layers of forty."""
    return [
        task(f"t{seq}", "nothing", [f"t{seq - 40}"] if seq > 40 else [])
        for seq in range(1, count + 1)
    ]  # fmt: skip


def define(
    client: httpx.Client, workflow: str, tasks: list[dict[str, Any]], schema: dict[str, Any] | None = None
) -> None:
    rows = [{"taskSeq": number, **one} for number, one in enumerate(tasks, start=1)]
    reply = client.put(f"/workflows/{quote(workflow)}", json={"tasks": rows, "parametersSchema": schema})
    assert reply.is_success, reply.text


def plan(client: httpx.Client, schedule: str, workflow: str, **when: Any) -> None:
    reply = client.post("/schedules", json={"schedule": schedule, "taskId": workflow, **when})
    assert reply.is_success, reply.text


def register(client: httpx.Client, workflow: str) -> str:
    reply = client.post(f"/register/{quote(workflow)}")
    reply.raise_for_status()
    return reply.json()["taskFlowId"]
