"""Runs a flow of a document in this process, as workers would: references are resolved from JSON results."""

import asyncio
import inspect
from typing import Any

import msgspec

from flower_engine.model.references import bound, resolved, resolved_value
from flower_engine.model.result_json import encode_result
from flower_engine.programs.registry import registry


def run_document(document: dict[str, Any], given: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """What each task returned, by name, and what the flow returned, as JSON. ``given``: its parameters."""
    properties = document["parametersSchema"]["properties"]
    values = {name: one["default"] for name, one in properties.items() if "default" in one} | given
    results: dict[str, bytes] = {}

    def read(name: str) -> Any:
        return msgspec.json.decode(results[name])

    def secret(name: str) -> str:
        return f"secret {name}"

    for task in document["tasks"]:
        assert set(task["dependsOn"]) <= results.keys()  # tasks stand in an order in which they may run
        program = registry.get(task["program"])
        assert program is not None
        arguments = resolved(bound(task.get("parameters", {}), values), read, secret)
        result = program.function(**program.binder.bind(arguments))
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
        results[task["taskName"]] = encode_result(result)
    returns = bound({"returns": document.get("returns")}, values)["returns"]
    return {name: read(name) for name in results}, resolved_value(returns, read, secret, "what it returns")
