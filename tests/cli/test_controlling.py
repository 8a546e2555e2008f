"""The commands of flow control: what they set, what they say, and their exit codes."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.serving import RunningApi
from cli.flower_command import Flower
from flower_api.routes.limits import LimitBody, LimitView
from flower_cli.commands.flow_control import TOLD_OF_LIMITS


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def limits(flower: Flower) -> list[dict[str, Any]]:
    return json.loads(flower("limits", "--json").stdout)["limits"]


def test_a_limit_changes_what_it_names_and_nothing_else(flower: Flower) -> None:
    done = flower("limit", "program", "Http", "--max-running", "5", "--rate", "10", "--period", "60")
    assert done.exit_code == 0, done.output
    assert done.stdout == "program Http: 5 units at once, 10 starts in 60 s\n"
    flower("limit", "program", "Http", "--rate", "20", "--reason", "they asked")
    flower("limit", "program", "Http", "--none", "max-running")
    (row,) = limits(flower)
    assert (row["maxRunning"], row["rate"], row["ratePeriodSeconds"], row["reason"], row["changedBy"]) == (
        *(None, 20, 60.0),
        *("they asked", "cli"),
    )
    assert "20 starts in 60 s" in flower("limits").stdout
    flower("limit", "program", "Http", "--off")
    assert limits(flower) == []
    assert "nothing is limited" in flower("limits").stdout


def test_what_is_told_of_a_limit_beside_its_settings_is_known_to_whoever_sends_them_back() -> None:
    settings = {field.alias or name for name, field in LimitBody.model_fields.items()}
    told = {field.encode_name for field in msgspec.structs.fields(LimitView)} - settings
    assert told == set(TOLD_OF_LIMITS)
    dashboard = Path(__file__).parents[2] / "dashboard/src/limits/limit-types.ts"
    (sent_back,) = re.findall(
        r"const \{\s+(.*),\s+\.\.\.settings\s+\} = limit;", dashboard.read_text(), re.DOTALL
    )
    assert {name.split(":")[0].strip() for name in sent_back.split(",")} == told


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("limit", "program", "Http"), 2),
        (("limit", "program", "--max-running", "1"), 2),
        (("limit", "global", "Http", "--max-running", "1"), 2),
        (("limit", "program", "Http", "--none", "everything"), 2),
        (("limit", "queue", "q", "--rate", "1"), 1),
        (("limit", "program", "Http", "--off"), 1),
        (("strike", "A", "customer"), 2),
        (("unstrike", "nobody"), 1),
    ],
)
def test_what_cannot_be_is_refused(refusing: Flower, words: tuple[str, ...], code: int) -> None:
    assert refusing(*words).exit_code == code


def test_a_queue_is_held_and_released_and_a_flow_says_so(flower: Flower, own_api: RunningApi) -> None:
    own_api.define("etl", {})
    flow = own_api.register("etl")
    assert flower("hold", "queue", "default", "--reason", "upgrade").stdout == "queue default: paused\n"
    assert flower("why", flow).stdout == "task 1 A: queue default is paused by cli: upgrade\n"
    assert json.loads(flower("why", flow, "1", "--json").stdout)["1"]["reason"] == "scopePaused"
    assert flower("why", flow, "7").exit_code == 1
    assert "nothing is limited" in flower("release", "queue", "default").stdout
    assert flower("why", flow).stdout == "task 1 A: no live worker serves queue default\n"


async def test_strikes_and_priorities(flower: Flower, own_api: RunningApi) -> None:
    own_api.define("etl", {"parameters": {"customer": 7}})
    flow = own_api.register("etl")
    assert "has another priority" in flower("priority", flow, "--", "-7").stdout
    identity = json.loads(flower("strike", "A", "customer=7", "--json").stdout)["id"]
    assert identity in flower("strikes").stdout
    async with own_api.engine() as engine:
        assert await engine.claim() == []
    assert flower("unstrike", identity).stdout == f"strike {identity} is lifted\n"
    assert "no strike holds" in flower("strikes").stdout


def test_top_shows_one_frame(flower: Flower, own_api: RunningApi) -> None:
    own_api.define("etl", {})
    for _ in range(3):
        own_api.register("etl")
    flower("limit", "workflow", "etl", "--max-running", "2")
    assert flower("top", "--once").exit_code == 0
    assert "etl" in flower("top", "--once").stdout
    assert json.loads(flower("top", "--json").stdout)["workers"] == []
