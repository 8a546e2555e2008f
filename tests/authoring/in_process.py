"""Runs a flow of a document in this process, as workers would: references are resolved from JSON results."""

import asyncio
import inspect
from typing import Any

import msgspec

from flower_engine.model.definitions.definition import WorkflowDefinition, plan_flow
from flower_engine.model.definitions.flow_parameters import FlowParameters, flow_parameters_of
from flower_engine.model.definitions.workflow_document import WorkflowDocument
from flower_engine.model.parameters.references import bound, resolved, resolved_value
from flower_engine.model.values.result_json import encode_result
from flower_engine.programs.registry import registry


def definition_of(document: dict[str, Any]) -> WorkflowDefinition:
    """What a document defines, checked as a whole, as a registration would."""
    definition = msgspec.convert(document, WorkflowDocument).to_model()
    plan_flow(definition)
    return definition


def run_document(document: dict[str, Any], given: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """What each task returned, by name, and what the flow returned, as JSON. ``given``: its parameters."""
    definition = definition_of(document)
    tasks = plan_flow(definition)
    parameters = flow_parameters_of(definition, tasks) or FlowParameters(None, tasks)
    values, _, faults = parameters.taken(given, "")
    assert faults == []
    results: dict[str, bytes] = {}

    def read(name: str) -> Any:
        return msgspec.json.decode(results[name])

    def secret(name: str) -> str:
        return f"secret {name}"

    for task in tasks:
        assert all(other.task_name in results for other in tasks if other.seq in task.depends_on)
        program = registry.get(task.program)
        assert program is not None and task.task_name is not None
        arguments = resolved(parameters.bind(task, values).parameters, read, secret)
        result = program.function(**program.binder.bind(arguments))
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
        results[task.task_name] = encode_result(result)
    returns = bound({"returns": definition.returns}, values)["returns"]
    return {name: read(name) for name in results}, resolved_value(returns, read, secret, "what it returns")
