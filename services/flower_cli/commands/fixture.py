"""``flower fixture``: a flow of production as a test that repeats it."""

from typing import Annotated, Any

import msgspec
import typer

from flower_cli.commands.api_client import EXIT_REFUSED, Api, connected
from flower_cli.commands.api_options import FlowArgument, UrlOption
from flower_cli.commands.flow_names import flow_id
from flower_cli.commands.recorded_flow import recorded_test
from flower_cli.commands.recorded_text import NotRecordableError
from flower_cli.console import fail
from flower_engine.client.api_location import path_part

_MOST_BYTES = 1 << 20  # of a result, in a test


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Flows, over HTTP")(fixture)


def fixture(
    flow: FlowArgument,
    values: Annotated[
        bool, typer.Option("--values", help="Keep the values of its parameters, which are masked else")
    ] = False,
    url: UrlOption = None,
) -> None:
    """Print a test that repeats a flow: its definition, its parameters, what each attempt gave."""
    with connected(url) as api:
        found = api.read(f"/flows/{path_part(flow_id(api, flow))}")
        id_ = found["taskFlowId"]
        tasks = [api.read(f"/flows/{path_part(id_)}/tasks/{one['taskExecSeq']}") for one in found["tasks"]]
        definition = _definition(api, found)
        for task in tasks:
            task["result"], task["blob"] = _fetched(api, task["result"], task["blob"])
        found["result"], _ = _fetched(api, found["result"], found["resultBlob"])
    try:
        text = recorded_test(found, tasks, definition, keeps_values=values)
    except NotRecordableError as error:
        fail(f"flow {id_}: {error}")
        raise typer.Exit(EXIT_REFUSED) from None
    typer.echo(text, nl=False)


def _fetched(api: Api, result: Any, blob: dict[str, Any] | None) -> tuple[Any, dict[str, Any] | None]:
    """A result, fetched if it is a blob that a test can hold; else where it lies, too."""
    if blob is None or blob["store"] != "api" or blob["bytes"] > _MOST_BYTES:
        return result, blob
    return msgspec.json.decode(api.get(f"/blobs/{path_part(blob['sha256'])}")), None


def _definition(api: Api, flow: dict[str, Any]) -> dict[str, Any]:
    from flower_engine.model.definitions.workflow_versions import definition_of, plain_document

    name, version = flow["taskId"], flow["workflowVersion"]
    if version is None:
        return api.read(f"/workflows/{path_part(name)}")
    kept = api.read(f"/workflows/{path_part(name)}/versions/{version}")["definition"]
    return plain_document(definition_of(name, msgspec.json.encode(kept)))
