"""What ``flower run``, ``dev`` and ``deploy`` are given: workflows of a module, or of a file of Python, JSON
or YAML. All of them read it here, so that a target means the same everywhere."""

import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import typer

from flower_cli.definition_files import workflows_and_schedules_in
from flower_engine.errors import ProgramError
from flower_engine.model.definitions.map_tasks import mapped_program
from flower_engine.model.tasks.task_spec import WAIT_MARK
from flower_engine.model.waits.wait_parameters import MAP

_FILES = (".json", ".yaml", ".yml")


class Targeted(msgspec.Struct):
    """The documents of the workflows that a target names and of their schedules, and the modules whose
    programs they may need, which import from ``folder`` ("": the current one). ``below``: the workflows of
    their sub-flows that it does not name, each behind those that it needs itself."""

    documents: list[dict[str, Any]]
    modules: list[str]
    folder: str = ""
    schedules: list[dict[str, Any]] = []
    below: list[dict[str, Any]] = []

    @property
    def programs(self) -> set[str]:
        """What workers run of them: the programs of their tasks, and those of the items of maps."""
        named = {str(_mapped(task) or task.get("program")) for task in self._tasks}
        return {name for name in named if not name.startswith(WAIT_MARK)}

    @property
    def queues(self) -> list[str]:
        """Where their tasks wait, the default one first."""
        named = {str(task.get("queue") or "default") for task in self._tasks}
        return sorted(named | {"default"}, key=lambda name: (name != "default", name))

    @property
    def _tasks(self) -> list[dict[str, Any]]:
        """As far as they are tasks; what is wrong with the others the API says."""
        lists: list[Any] = [one.get("tasks") for one in (*self.below, *self.documents)]
        tasks: list[Any] = [task for some in lists if isinstance(some, list) for task in cast(Any, some)]
        return [task for task in tasks if isinstance(task, dict)]


def targeted(target: str, programs: Sequence[str] = ()) -> Targeted:
    """The workflows that a target names: ``module:workflow`` one, ``module`` all of it, a file those in it
    (of a Python file: of its module).

    Modules are imported in this process, and nowhere else.

    Raises:
        ProgramError: the module does not import, or has no workflows.
        typer.BadParameter: the file cannot be read, or holds something else.
        DefinitionError: a workflow cannot be defined so.
    """
    if Path(target).suffix.lower() in _FILES:
        found, schedules = workflows_and_schedules_in(Path(target), None)
        return Targeted([document for _, document in found], list(programs), schedules=schedules)
    from flower_engine.authoring.discovery import load_target, workflows_of

    file, _, name = target.partition(":")
    if Path(file).suffix == ".py":
        folder, module, imported_as = _imported(Path(file))
    else:
        folder, module, imported_as = Path.cwd(), file, file
        look_in(folder)
    workflows = [load_target(f"{imported_as}:{name}")] if name else workflows_of(imported_as)
    if not workflows:
        raise ProgramError(f"{file} has no workflows: put @workflow above a function in it")
    documents = [one.document() for one in workflows]
    schedules = [schedule.document() for one in workflows for schedule in one.schedules.values()]
    below: dict[str, dict[str, Any]] = {}
    for one in workflows:
        _add_below(one, {other.name for other in workflows}, below)
    modules = list(dict.fromkeys([module, *programs]))
    return Targeted(documents, modules, str(folder), schedules, list(below.values()))


def _add_below(workflow: Any, named: Collection[str], below: dict[str, dict[str, Any]]) -> None:
    for child in workflow.children():
        if child.name not in named and child.name not in below:
            _add_below(child, {*named, child.name}, below)
            below[child.name] = child.document()


def _mapped(task: dict[str, Any]) -> str:
    """The program of the items of a map; "": it is none."""
    parameters: Any = task.get("parameters")
    if task.get("program") != MAP or not isinstance(parameters, dict):
        return ""
    return mapped_program(cast("dict[str, Any]", parameters))


def look_in(folder: Path) -> None:
    """Modules are looked for in this folder, too, by this process and by those that it starts."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if folder != Path.cwd() and str(folder) not in known:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), *filter(None, known)])


def one_of(found: Targeted, target: str) -> dict[str, Any]:
    """The only document.

    Raises:
        ProgramError: there are several.
    """
    if len(found.documents) == 1:
        return found.documents[0]
    names = ", ".join(repr(document["taskId"]) for document in found.documents)
    hint = "" if Path(target).suffix else f"; write {target}:WORKFLOW"
    raise ProgramError(f"{target} has the workflows {names}{hint}")


def _imported(file: Path) -> tuple[Path, str, str]:
    """The folder that a Python file is imported from, the name that workers import it by, and the one that it
    is imported by here: another where that name is taken, as two files of a deploy may have the same.

    Raises:
        ProgramError: it does not import.
        typer.BadParameter: there is no such file.
    """
    from flower_engine.programs.program_modules import import_file

    if not file.is_file():
        raise typer.BadParameter(f"there is no file {file}")
    folder, names = file.resolve().parent, [file.stem]
    while (folder / "__init__.py").exists():
        names.insert(0, folder.name)
        folder = folder.parent
    look_in(folder)
    module = ".".join(names)
    if len(names) > 1:  # it may import what lies beside it as a part of its package
        return folder, module, module
    return folder, module, import_file(file).__name__
