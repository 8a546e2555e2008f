"""``flower doctor``: what is wrong with an engine, and what to do about it."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from flower_cli.options import HomeOption

if TYPE_CHECKING:
    from flower_engine.doctor.findings import Finding
    from flower_engine.runtime.settings import Settings

_STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Recovery")(doctor)


def doctor(
    home: HomeOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 for warnings, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Examine settings, stores, services and what waits; say what is wrong, and what to do about it.

    It changes nothing, bears stores that are away, and ends within some seconds. Exit code 1 where there is a
    problem. Settings are those that this command finds: run it where services run, with their variables.
    """
    import asyncio

    from flower_engine.doctor.findings import worst_of

    findings = asyncio.run(_examined(home))
    worst = worst_of(findings)
    _print_json(findings, worst) if as_json else _print(findings)
    if worst == "problem" or (strict and worst == "warning"):
        raise typer.Exit(1)


async def _examined(home: object) -> "list[Finding]":
    from flower_cli.addresses import with_stores
    from flower_engine.doctor.examination import examine
    from flower_engine.doctor.findings import problem
    from flower_engine.doctor.subject import Subject
    from flower_engine.errors import SettingsError, StoreError
    from flower_engine.runtime import env_file
    from flower_engine.runtime.settings_loading import load_settings
    from flower_engine.runtime.telemetry import configure_logging

    configure_logging("doctor", "ERROR")
    try:
        settings: Settings = load_settings(home=home)
    except SettingsError as error:
        return [problem("settings", str(error), "set them right: nothing else can be looked at before")]
    first: list[Finding] = []
    try:
        settings = with_stores(settings)
    except StoreError as error:
        what, _, advice = str(error).partition(": ")
        first = [problem("stores", what, advice)]
    return first + await examine(Subject(settings, os.environ, env_file.said()))


def _print(findings: "list[Finding]") -> None:
    from rich.text import Text

    from flower_cli.console import out
    from flower_engine.secrets import hide_secrets

    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        line = Text(f"{finding.state:<8}", style=_STYLES[finding.state])
        line.append(f" {finding.check:<{width}}  {hide_secrets(finding.detail)}", style="not bold default")
        out.print(line)
        if finding.advice:
            out.print(Text(f"{'':<{width + 11}}-> {hide_secrets(finding.advice)}", style="dim"))
    counts = {state: sum(finding.state == state for finding in findings) for state in _STYLES}
    out.print(f"{counts['problem']} problems, {counts['warning']} warnings, {counts['ok']} ok", markup=False)


def _print_json(findings: "list[Finding]", worst: str) -> None:
    import msgspec

    from flower_cli.console import out
    from flower_engine.secrets import hide_secrets

    text = msgspec.json.encode({"status": worst, "findings": findings}).decode()
    out.print(hide_secrets(text), markup=False)
