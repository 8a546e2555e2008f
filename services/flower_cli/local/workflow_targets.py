"""What ``flower run`` and ``flower dev`` are given: workflows of a module, or of a file of JSON or YAML."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from flower_engine.errors import ProgramError

_FILES = (".json", ".yaml", ".yml")


class Targeted(msgspec.Struct):
    """The documents of the workflows that a target names, and the modules whose programs they may need, which
    import from ``folder`` ("": the current one)."""

    documents: list[dict[str, Any]]
    modules: list[str]
    folder: str = ""

    @property
    def programs(self) -> set[str]:
        """What their tasks run."""
        return {str(task.get("program")) for document in self.documents for task in document["tasks"]}

    @property
    def queues(self) -> list[str]:
        """Where their tasks wait, the default one first."""
        named = {str(task.get("queue") or "default") for one in self.documents for task in one["tasks"]}
        return sorted(named | {"default"}, key=lambda name: (name != "default", name))


def targeted(target: str, programs: Sequence[str] = ()) -> Targeted:
    """The workflows that a target names: ``module:workflow`` one, ``module`` all of it, a file those in it
    (of a Python file: of its module).

    Raises:
        ProgramError: the module does not import, or has no such workflow; the file cannot be read, or holds
            something else.
        DefinitionError: a workflow cannot be defined so.
    """
    if Path(target).suffix.lower() in _FILES:
        return Targeted(_of_file(Path(target)), list(programs))
    from flower_engine.authoring.discovery import load_target, workflows_of

    file, _, name = target.partition(":")
    folder, module = (Path.cwd(), file) if Path(file).suffix != ".py" else _place_of(Path(file))
    look_in(folder)
    target = f"{module}:{name}" if name else module
    workflows = [load_target(target)] if name else workflows_of(module)
    if not workflows:
        raise ProgramError(f"module {module!r} has no workflows: put @workflow above a function in it")
    documents = [one.document() for one in workflows]
    return Targeted(documents, list(dict.fromkeys([module, *programs])), str(folder))


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


def _of_file(path: Path) -> list[dict[str, Any]]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ProgramError(f"{path} cannot be read: {error.strerror}") from None
    content = _decoded(path, raw)
    bodies = cast("list[Any]", content) if isinstance(content, list) else [content]
    for place, body in enumerate(bodies, start=1):
        where = f"{path}, workflow {place}" if isinstance(content, list) else str(path)
        if not isinstance(body, dict) or not isinstance(cast(Any, body).get("tasks"), list):
            raise ProgramError(f'{where} is no workflow: it looks like {{"taskId": ..., "tasks": [...]}}')
        tasks: list[Any] = cast(Any, body)["tasks"]
        if not all(isinstance(task, dict) for task in tasks):
            raise ProgramError(f"{where}: a task is an object with taskSeq and program")
        cast(dict[str, Any], body).setdefault("taskId", path.stem)
    return bodies


def _decoded(path: Path, raw: bytes) -> Any:
    try:
        if path.suffix.lower() == ".json":
            return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProgramError(f"{path} is not JSON: {error}") from None
    import yaml

    try:
        return yaml.safe_load(raw)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ProgramError(f"{path} is not YAML: {error}") from None


def _place_of(file: Path) -> tuple[Path, str]:
    """The folder that a Python file is imported from, and its module's name there.

    Raises:
        ProgramError: there is no such file.
    """
    if not file.is_file():
        raise ProgramError(f"{file} cannot be read: there is no such file")
    folder, names = file.resolve().parent, [file.stem]
    while (folder / "__init__.py").exists():
        names.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(names)
