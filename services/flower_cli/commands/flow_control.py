"""Commands of flow control: limits, limit, hold, release, strike, strikes, unstrike."""

from typing import Annotated, Any, Literal

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from flower_cli.commands.api_client import EXIT_REFUSED, Api, ApiError, connected, print_json
from flower_cli.commands.api_options import JsonOption, ReasonOption, UrlOption
from flower_cli.console import out
from flower_cli.options import finite
from flower_cli.values import parameters_of
from flower_engine.client.api_location import path_part
from flower_engine.model.values.noun_counts import counted

_PANEL = "Flow control, over HTTP"
Scope = Literal["global", "queue", "workflow", "program"]
ScopeArgument = Annotated[Scope, typer.Argument(help="What it is about.")]
NameArgument = Annotated[str, typer.Argument(help="Its name; none for global.")]

TOLD_OF_LIMITS = ("scope", "name", "changedBy", "problem", "shares")
"""What the API tells of a limit beside its settings: it is not sent back."""


def add_to(app: typer.Typer) -> None:
    for command in (limits, limit, hold, release, strike, strikes, unstrike):
        app.command(rich_help_panel=_PANEL)(command)


def limits(url: UrlOption = None, as_json: JsonOption = False) -> None:
    """List all limits, rates, weights and pauses."""
    with connected(url) as api:
        answer = api.get("/limits")
    if as_json:
        print_json(answer)
        return
    table = Table("scope", "name", "set", "by", "reason", box=SIMPLE_HEAD)
    listed = msgspec.json.decode(answer)
    for row in listed["limits"]:
        words = Text(", ".join(_in_words(row)))
        if row["isPaused"]:
            words = Text("PAUSED ", style="yellow") + words
        if problem := row.get("problem"):
            words.append(f"; {problem}", style="red")
        table.add_row(row["scope"], Text(row["name"]), words, Text(row["changedBy"]), Text(row["reason"]))
    for row in listed.get("unreadable", ()):
        problem = Text(f"holds nothing: {row['problem']}", style="red")
        table.add_row(Text(row["scope"]), Text(row["name"]), problem, "", "")
    out.print(table if table.row_count else "nothing is limited", markup=False)


def limit(
    scope: ScopeArgument,
    name: NameArgument = "",
    max_running: Annotated[int | None, typer.Option(help="Units of tasks that run at once")] = None,
    limit_by: Annotated[str | None, typer.Option(help="Parameter whose values are limited")] = None,
    max_per_key: Annotated[int | None, typer.Option(help="Units at once for each value of it")] = None,
    max_flows: Annotated[int | None, typer.Option(help="Flows of a workflow under way at once")] = None,
    at_max_flows: Annotated[
        Literal["queue", "reject", "cancel_oldest", "skip"] | None,
        typer.Option(help="What happens beyond that"),
    ] = None,
    count_suspended: Annotated[
        bool | None, typer.Option(help="Whether suspended flows keep their place")
    ] = None,
    rate: Annotated[int | None, typer.Option(help="Starts of tasks in any period")] = None,
    period: Annotated[
        float | None, typer.Option(callback=finite, help="Length of the period in seconds [1]")
    ] = None,
    fair_by: Annotated[str | None, typer.Option(help="Parameter whose values take turns")] = None,
    weight: Annotated[
        float | None, typer.Option(callback=finite, help="Share of the turns; 1 where not set")
    ] = None,
    none: Annotated[
        list[str] | None, typer.Option("--none", help="Take one setting back, by its flag: max-running, ...")
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Take all of it back")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Shown with it")] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Limit everything, a queue, a workflow or a program; what is not named stays as it is."""
    given = {
        "maxRunning": max_running,
        "limitBy": limit_by,
        "maxPerKey": max_per_key,
        "maxFlows": max_flows,
        "atMaxFlows": at_max_flows,
        "countSuspended": count_suspended,
        "rate": rate,
        "ratePeriodSeconds": period,
        "fairBy": fair_by,
        "weight": weight,
        "reason": reason,
    }
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    changes |= dict.fromkeys(map(_camel, none or ()))
    if not changes and not off:
        raise typer.BadParameter("say what to limit, --max-running 5 for example, or --off")
    if unknown := changes.keys() - given.keys():
        raise typer.BadParameter(f"--none: there is no setting {', '.join(sorted(unknown))}")
    with connected(url) as api:
        if off:
            api.delete(_path(scope, name))
            out.print(f"{_called(scope, name)}: nothing is set any more", markup=False)
        else:
            _show(_change(api, scope, name, changes), as_json)


def hold(
    scope: ScopeArgument,
    name: NameArgument = "",
    reason: ReasonOption = "",
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pause everything, a queue, a workflow or a program: what runs ends, nothing new starts."""
    with connected(url) as api:
        _show(_change(api, scope, name, {"isPaused": True, "reason": reason}), as_json)


def release(
    scope: ScopeArgument, name: NameArgument = "", url: UrlOption = None, as_json: JsonOption = False
) -> None:
    """Lift such a pause. Exit 1 if there is none."""
    with connected(url) as api:
        _refuse_to_release(api, scope, name)
        _show(_change(api, scope, name, {"isPaused": False, "reason": ""}), as_json)


def _refuse_to_release(api: Api, scope: Scope, name: str) -> None:
    from flower_engine.model.values.near_names import nearest_in_words

    held = [row["name"] for row in api.read("/limits")["limits"] if row["scope"] == scope and row["isPaused"]]
    if name not in held:
        paused = f"; paused {'is' if len(held) == 1 else 'are'} {', '.join(held[:5])}" if any(held) else ""
        near = nearest_in_words(name, held) or paused
        raise ApiError(f"{_called(scope, name)} is not paused{near}", EXIT_REFUSED)


def strike(
    program: Annotated[str, typer.Argument(help="The program of the tasks")],
    where: Annotated[str, typer.Argument(help="NAME=VALUE of a parameter; VALUE is JSON, else a string")],
    reason: ReasonOption = "",
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pass over every task of a program with this value of a parameter, now and until it is lifted."""
    ((parameter, value),) = parameters_of([where]).items()
    with connected(url) as api:
        answer = api.post(
            "/strikes", {"program": program, "parameter": parameter, "value": value, "reason": reason}
        )
    if as_json:
        print_json(answer)
    else:
        identity = msgspec.json.decode(answer)["id"]
        out.print(f"strike {identity} holds; flower unstrike {identity} lifts it", markup=False)


def strikes(url: UrlOption = None, as_json: JsonOption = False) -> None:
    """List the strikes that hold."""
    with connected(url) as api:
        answer = api.get("/strikes")
    if as_json:
        print_json(answer)
        return
    table = Table("strike", "program", "parameter", "value", "by", "reason", box=SIMPLE_HEAD)
    listed = msgspec.json.decode(answer)
    for row in listed["strikes"]:
        value = msgspec.json.encode(row["value"]).decode()
        table.add_row(
            *(row["id"], Text(row["program"]), Text(row["parameter"]), Text(value)),
            *(Text(row["by"]), Text(row["reason"])),
        )
    for row in listed.get("unreadable", ()):
        problem = Text(f"strikes nothing: {row['problem']}", style="red")
        table.add_row(Text(row["id"]), Text(row["program"]), Text(row["parameter"]), problem, "", "")
    out.print(table if table.row_count else "no strike holds", markup=False)


def unstrike(
    identity: Annotated[str, typer.Argument(metavar="ID", help="As 'flower strikes' lists it")],
    url: UrlOption = None,
) -> None:
    """Lift a strike; what was passed over stays so (flower unignore)."""
    with connected(url) as api:
        api.delete(f"/strikes/{path_part(identity)}")
    out.print(f"strike {identity} is lifted", markup=False)


def _change(api: Api, scope: Scope, name: str, changes: dict[str, Any]) -> bytes:
    """Sets these and keeps the others."""
    path = _path(scope, name)
    body: dict[str, Any] = {}
    for row in api.read("/limits")["limits"]:
        if (row["scope"], row["name"]) == (scope, name):
            body = {key: row[key] for key in row if key not in TOLD_OF_LIMITS}
    return api.put(path, body | changes)


def _path(scope: Scope, name: str) -> str:
    if (scope == "global") == bool(name):
        raise typer.BadParameter("global has no name, every other scope has one")
    return "/limits/global" if scope == "global" else f"/limits/{scope}/{path_part(name)}"


def _show(answer: bytes, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    row = msgspec.json.decode(answer)
    said = _in_words(row)
    if row["isPaused"]:
        said.insert(0, "paused")
    what = ", ".join(said) or "nothing is limited"
    out.print(f"{_called(row['scope'], row['name'])}: {what}", markup=False)


def _in_words(row: dict[str, Any]) -> list[str]:
    """What a row of flow control says, but for its pause."""
    said: list[str] = []
    if (units := row["maxRunning"]) is not None:
        said.append(f"{counted(units, 'unit')} at once")
    if (units := row["maxPerKey"]) is not None:
        said.append(f"{counted(units, 'unit')} at once for each {row['limitBy']}")
    if (flows := row["maxFlows"]) is not None:
        said.append(f"{counted(flows, 'flow')} at once ({row['atMaxFlows']})")
    if (starts := row["rate"]) is not None:
        said.append(f"{counted(starts, 'start')} in {row['ratePeriodSeconds']:g} s")
    if (weight := row["weight"]) is not None:
        said.append(f"weight {weight:g}")
    if row["fairBy"] is not None:
        said.append(f"fair by {row['fairBy']}")
    return said


def _called(scope: str, name: str) -> str:
    return f"{scope} {name}" if name else "everything"


def _camel(flag: str) -> str:
    first, *rest = flag.removeprefix("--").split("-")
    found = first + "".join(word.capitalize() for word in rest)
    return "ratePeriodSeconds" if found == "period" else found
