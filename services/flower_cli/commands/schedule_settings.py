"""``flower schedules set``: adds a schedule, or changes what is named of one and keeps the rest."""

from typing import Annotated, Any, Literal

import msgspec
import typer

from flower_cli.commands.api_client import EXIT_REFUSED, Api, ApiError, connected, print_json
from flower_cli.commands.api_options import JsonOption, ParamOption, UrlOption
from flower_cli.commands.completion import complete_schedule, complete_workflow
from flower_cli.console import out
from flower_cli.values import parameters_of, texts_of
from flower_engine.client.api_location import path_part
from flower_engine.model.tasks.durations import duration_ms

_WHEN = ("cron", "everySeconds", "at")
_FLAGS = {
    "anchor": "anchor",
    "starts": "starts",
    "ends": "ends",
    "window": "windowSeconds",
    "except": "exceptDates",
    "calendar": "calendar",
    "pause-after": "pauseAfterFailures",
    "priority": "priority",
    "param": "parameters",
}
"""What --none takes back."""


def seconds_of(text: str | None) -> float | None:
    """A duration as people write it."""
    if text is None:
        return None
    try:
        ms = duration_ms(float(text)) if text.replace(".", "", 1).isdecimal() else duration_ms(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}") from None
    return ms / 1000


def set_schedule(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=complete_schedule)],
    workflow: Annotated[
        str | None,
        typer.Option("--workflow", help="The workflow to run", autocompletion=complete_workflow),
    ] = None,
    cron: Annotated[str | None, typer.Option("--cron", help='As "0 3 * * *", or @daily')] = None,
    every: Annotated[str | None, typer.Option("--every", help="A fixed interval, as 15m")] = None,
    at: Annotated[str | None, typer.Option("--at", help="Once, at this time (ISO, UTC)")] = None,
    anchor: Annotated[str | None, typer.Option("--anchor", help="What --every counts from")] = None,
    timezone: Annotated[str | None, typer.Option("--timezone", help="As Europe/Berlin [UTC]")] = None,
    starts: Annotated[str | None, typer.Option("--starts", help="No slot before")] = None,
    ends: Annotated[str | None, typer.Option("--ends", help="No slot after")] = None,
    param: ParamOption = None,
    slot_param: Annotated[
        list[str] | None,
        typer.Option("--slot-param", help="NAME=date, time, iso, utc or ms: of the slot. Repeatable"),
    ] = None,
    overlap: Annotated[
        Literal["skip", "allow", "queue_one", "queue", "cancel", "strict"] | None,
        typer.Option("--overlap", help="What becomes of a slot while a flow of it is under way"),
    ] = None,
    catch_up: Annotated[
        Literal["latest", "all", "none"] | None,
        typer.Option("--catch-up", help="What becomes of slots that nobody watched"),
    ] = None,
    window: Annotated[str | None, typer.Option("--window", help="How late a slot may fire, as 2h")] = None,
    max_catch_up: Annotated[int | None, typer.Option("--max-catch-up", help="So many at most [10]")] = None,
    jitter: Annotated[str | None, typer.Option("--jitter", help="Late by up to so much, as 30s")] = None,
    excepted: Annotated[
        list[str] | None, typer.Option("--except", help="A day (YYYY-MM-DD) without slots. Repeatable")
    ] = None,
    calendar: Annotated[str | None, typer.Option("--calendar", help="Of ms_calendar: no slots then")] = None,
    pause_after: Annotated[
        int | None, typer.Option("--pause-after", help="Pause after so many failed flows in a row")
    ] = None,
    priority: Annotated[int | None, typer.Option("--priority", help="Of all tasks, -20 to 19")] = None,
    none: Annotated[
        list[str] | None, typer.Option("--none", help="Take a setting back, by its flag: window, except...")
    ] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a schedule, or change what is named of one and keep the rest."""
    given: dict[str, Any] = {
        "taskId": workflow,
        "cron": cron,
        "everySeconds": seconds_of(every),
        "at": at,
        "anchor": anchor,
        "timezone": timezone,
        "starts": starts,
        "ends": ends,
        "overlap": overlap,
        "catchUp": catch_up,
        "windowSeconds": seconds_of(window),
        "maxCatchUp": max_catch_up,
        "jitterSeconds": seconds_of(jitter),
        "exceptDates": excepted or None,
        "calendar": calendar,
        "pauseAfterFailures": pause_after,
        "priority": priority,
    }
    changes = {field: value for field, value in given.items() if value is not None}
    parameters = parameters_of(param) | {one: {"$slot": form} for one, form in texts_of(slot_param).items()}
    unknown = [flag for flag in none or () if flag not in _FLAGS]
    if unknown:
        raise typer.BadParameter(f"--none: there is no setting {', '.join(unknown)}; {', '.join(_FLAGS)}")
    taken_back = [_FLAGS[flag] for flag in none or ()]
    if not (changes or parameters or taken_back):
        raise typer.BadParameter("say what to set, --cron '0 3 * * *' for example")
    before_url, before_json = context.obj
    with connected(url or before_url) as api:
        body = _standing(api, name)
        if any(field in changes for field in _WHEN):
            body = {field: value for field, value in body.items() if field not in (*_WHEN, "anchor")}
        body = {field: value for field, value in body.items() if field not in taken_back}
        if parameters:
            body["parameters"] = {**body.get("parameters", {}), **parameters}
        answer = api.put(f"/schedules/{path_part(name)}", body | changes)
    if as_json or before_json:
        print_json(answer)
        return
    found = msgspec.json.decode(answer)
    slots = ", ".join(slot[:19].replace("T", " ") for slot in found["next"][:3])
    out.print(f"schedule {name}: {found['state']}{f', next {slots} UTC' if slots else ''}", markup=False)


def _standing(api: Api, name: str) -> dict[str, Any]:
    """What the schedule says now, to be replaced if nobody else does meanwhile; of a new one nothing."""
    try:
        found = api.read(f"/schedules/{path_part(name)}")
    except ApiError as error:
        if error.exit_code != EXIT_REFUSED or b"unknown-schedule" not in error.body:
            raise
        return {}
    return {**found["definition"], "version": found["version"]}
