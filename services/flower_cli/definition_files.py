"""Files with definitions of workflows and schedules: JSON, or YAML with one document or more."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import typer

_STDIN = Path("-")
_YAML = (".yaml", ".yml")


def definitions_in(file: Path, name: str | None) -> list[tuple[str, dict[str, Any]]]:
    """The workflows of a file ("-": of standard input), each with its name; ``name``: where none is said.
    Schedules in it are left out.

    Raises:
        typer.BadParameter: it cannot be read, is neither JSON nor YAML, or has no workflows; says where.
    """
    return workflows_and_schedules_in(file, name)[0]


def workflows_and_schedules_in(
    file: Path, name: str | None
) -> tuple[list[tuple[str, dict[str, Any]]], list[dict[str, Any]]]:
    """The same, and the schedules beside them: documents with ``schedule``.

    Raises:
        typer.BadParameter: as above; it need not have workflows where it has schedules.
    """
    found: list[tuple[str, dict[str, Any]]] = []
    schedules: list[dict[str, Any]] = []
    for where, body in _bodies(file, _content(file)):
        if not isinstance(body, dict):
            raise typer.BadParameter(f'{where} is no object like {{"taskId": ..., "tasks": [...]}}')
        given = cast("dict[str, Any]", body)
        if "schedule" in given and "tasks" not in given:
            schedules.append(given)
            continue
        workflow = given.get("taskId", name)
        if not isinstance(workflow, str) or not workflow:
            raise typer.BadParameter(f"{where} has no taskId: add it, or give --name")
        found.append((workflow, given))
    if not found and not schedules:
        raise typer.BadParameter(f"{file} has no workflows")
    if name is not None and any(workflow != name for workflow, _ in found):
        raise typer.BadParameter(f"--name is {name!r}, but {file} says {found[0][0]!r}")
    return found, schedules


def _content(file: Path) -> list[Any]:
    """The documents of a file."""
    try:
        raw = sys.stdin.buffer.read() if file == _STDIN else file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}") from None
    is_yaml = file.suffix.lower() in _YAML
    if not is_yaml:
        try:
            return [msgspec.json.decode(raw)]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if file != _STDIN or raw.lstrip()[:1] in (b"{", b"["):
                raise typer.BadParameter(f"{file} is not JSON: {error}") from None
    from flower_cli.yaml_documents import YamlError, documents_of

    try:
        return documents_of(raw)
    except YamlError as error:
        raise typer.BadParameter(f"{file} is not YAML: {error}") from None


def _bodies(file: Path, documents: list[Any]) -> Iterator[tuple[str, Any]]:
    """What stands for a workflow, each with where it stands."""
    for number, document in enumerate(documents, start=1):
        where = f"{file}, document {number}" if len(documents) > 1 else str(file)
        if isinstance(document, list):
            for place, body in enumerate(cast("list[Any]", document), start=1):
                yield f"{where}, workflow {place}", body
        else:
            yield where, document
