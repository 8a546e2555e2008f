"""``flower traces``: sends the traces of flows to a receiver of OpenTelemetry, whenever they ended."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from flower_cli.commands.api_client import EXIT_AWAY, Api, connected
from flower_cli.commands.api_options import UrlOption
from flower_cli.commands.completion import complete_flow
from flower_cli.commands.flow_names import flow_id
from flower_cli.console import fail, out
from flower_engine.client.api_location import path_part
from flower_engine.errors import NewerEventError, SettingsError
from flower_engine.model.events.events import AnyEvent, decode_event
from flower_engine.model.values.noun_counts import counted
from flower_engine.otlp.extra import needs_otel
from flower_engine.secrets import hide_secrets
from flower_engine.traces.flow_traces import spans_of
from flower_engine.traces.span import Span

if TYPE_CHECKING:
    from flower_engine.runtime.settings import Settings

_app = typer.Typer(no_args_is_help=True)
_PAGE = 1_000


def add_to(app: typer.Typer) -> None:
    app.add_typer(
        _app, name="traces", help="Traces of flows, for OpenTelemetry", rich_help_panel="Flows, over HTTP"
    )


@_app.callback()
def traces() -> None:
    """Traces of flows, for OpenTelemetry."""


@_app.command()
def export(
    flows: Annotated[
        list[str],
        typer.Argument(
            help="The flows: ids, the first characters of them, or 'last'.", autocompletion=complete_flow
        ),
    ],
    url: UrlOption = None,
) -> None:
    """Send traces of flows to the receiver of FLOWER_TRACES_ENDPOINT, also where it was not set then."""
    from flower_engine.runtime.settings_loading import load_settings

    settings = load_settings()
    if settings.traces_endpoint is None:
        raise SettingsError("FLOWER_TRACES_ENDPOINT is not set: it names the receiver, as http://host:4318")
    with connected(url) as api:
        for name in flows:
            flow = flow_id(api, name)
            events = list(_events(api, flow))
            spans = spans_of(flow, events)
            try:
                asyncio.run(_send(settings, spans))
            except OSError as error:
                fail(f"flow {flow}: the receiver of traces does not take them: {error}")
                raise typer.Exit(EXIT_AWAY) from None
            _tell(flow, spans, settings.traces_endpoint)


def _tell(flow: str, spans: Sequence[Span], endpoint: str) -> None:
    has_root = any(not span.parent for span in spans)
    open_ = "" if has_root else "; its own span is not among them, as it has not ended"
    out.print(
        f"{counted(len(spans), 'span')} of flow {flow} sent to {hide_secrets(endpoint)}, as trace"
        f" {flow.replace('-', '')}{open_}",
        markup=False,
        highlight=False,
    )


def _events(api: Api, flow: str) -> Iterator[AnyEvent]:
    """All that can be read of its history."""
    after = None
    while True:
        page = api.read(f"/flows/{path_part(flow)}/events", after=after, limit=_PAGE)
        for entry in page["events"]:
            if entry["event"] is None:
                continue
            try:
                yield decode_event(msgspec.json.encode(entry["event"]))
            except (NewerEventError, msgspec.MsgspecError):
                continue
        after = page["next"]
        if not after:
            return


async def _send(settings: "Settings", spans: Sequence[Span]) -> None:
    with needs_otel():
        from flower_engine.otlp.open_receiver import open_receiver
        from flower_engine.otlp.sending import send
        from flower_engine.otlp.span_requests import SpanEncoder
    assert settings.traces_endpoint is not None
    headers = settings.traces_headers.get_secret_value() if settings.traces_headers else ""
    receiver = open_receiver(settings.traces_endpoint, settings.traces_protocol, headers)
    try:
        for request in SpanEncoder().requests(spans):
            await send(receiver, request)
    finally:
        await receiver.close()
