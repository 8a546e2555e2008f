"""``flower register WORKFLOW NAME=VALUE``: texts become what the workflow's schema asks for."""

from typing import Any

import pytest

from api.serving import RunningApi
from cli.flower_command import Flower
from flower_engine.model.parameters.parameter_texts import value_of_text

SCHEMA: dict[str, Any] = {
    "properties": {
        "day": {"type": "string", "format": "date"},
        "name": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "threshold": {"type": "integer", "default": 50},
        "files": {"$ref": "#/$defs/Files"},
        "kind": {"enum": ["1", "2"]},
        "level": {"enum": [1, 2]},
        "loop": {"$ref": "#/properties/loop"},
    },
    "$defs": {"Files": {"type": "array", "items": {"type": "integer"}}},
}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("day", "2026-01-05", "2026-01-05"),
        ("day", "7", "7"),
        ("day", "null", "null"),
        ("name", "null", None),
        ("name", "7", "7"),
        ("threshold", "10", 10),
        ("threshold", "ten", "ten"),
        ("files", "[1, 2]", [1, 2]),
        ("kind", "1", "1"),
        ("level", "1", 1),
        ("loop", "1", 1),
        ("unknown", '{"a": 1}', {"a": 1}),
    ],
)
def test_a_text_is_read_as_the_schema_asks_for(name: str, text: str, value: Any) -> None:
    assert value_of_text(text, SCHEMA, name) == value


def test_without_a_schema_a_text_is_json_where_it_can_be() -> None:
    assert value_of_text("7", None, "a") == 7
    assert value_of_text("seven", None, "a") == "seven"


def test_a_flow_is_started_with_its_parameters(flower: Flower, own_api: RunningApi) -> None:
    task = {
        "taskSeq": 1,
        "program": "A",
        "parameters": {"day": {"$param": "day"}, "n": {"$param": "threshold"}},
    }
    schema = {
        "properties": {name: SCHEMA["properties"][name] for name in ("day", "threshold")},
        "required": ["day"],
    }
    body = {
        "tasks": [task],
        "parametersSchema": schema,
        "returns": {"$param": "day"},
        "description": "Nightly.",
    }
    own_api.client.put("/workflows/nightly", json=body).raise_for_status()
    flow = flower("register", "nightly", "day=2026-01-05", "threshold=10").stdout.strip()
    assert own_api.flow(flow)["parameters"] == {"day": "2026-01-05", "threshold": 10}
    assert 'parameters {"threshold":10,"day":"2026-01-05"}' in flower("show", flow).stdout
    missing = flower("register", "nightly", "threshold=ten")
    assert missing.exit_code == 1
    assert "it is missing" in missing.stderr and 'is not of type "integer"' in missing.stderr
    assert flower("register", "nightly", "day").exit_code == 2
    assert flower("register", "nightly", "day=1", "--param", "day=2").exit_code == 2
    shown = flower("workflows", "nightly").stdout
    assert "Nightly." in shown and '"required":["day"]' in shown


def test_without_a_schema_parameters_replace_those_of_tasks(flower: Flower, own_api: RunningApi) -> None:
    own_api.define("plain", {"parameters": {"n": 1}})
    flow = flower("register", "plain", "n=2").stdout.strip()
    assert own_api.flow(flow)["tasks"][0]["parameters"] == {"n": 2}
    assert "no task" in flower("register", "nobody", "n=2").stderr
