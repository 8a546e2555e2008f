"""``flower new``: a folder with a first workflow of one's own, a test of it, and what to do with it."""

import importlib.util
import keyword
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from flower_cli.console import out

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


def add_to(app: typer.Typer) -> None:
    app.command()(new)


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the folder, the module and the workflow")],
) -> None:
    """Make a folder with a first workflow, a test of it, and a README. Overwrites nothing."""
    from flower_cli.local.project_files import project_files
    from flower_engine.errors import SettingsError

    folder = Path(name)
    module = name.replace("-", "_").lower()
    if problem := _problem(name, module):
        raise SettingsError(f"{name!r} cannot be the name of a workflow's folder and module: {problem}")
    try:
        folder.mkdir()
        for file, text in project_files(name, module).items():
            with (folder / file).open("x") as written:
                written.write(text)
    except FileExistsError:
        raise SettingsError(f"{folder} is there already: nothing was written; choose another name") from None
    except OSError as error:
        raise SettingsError(f"{folder} cannot be made: {error.strerror}") from None
    out.print(f"{folder}/ has {module}.py, a test of it, and README.md. Now:\n", markup=False)
    out.print(f"  flower run {folder}/{module}.py day=2026-01-05", markup=False)


def _problem(name: str, module: str) -> str | None:
    """Why it cannot be; None: it can."""
    if not _NAME.fullmatch(name):
        return "it begins with a letter, and has letters, digits, - and _ only"
    if keyword.iskeyword(module):
        return "it is a word of Python's"
    if module in sys.stdlib_module_names or importlib.util.find_spec(module) is not None:
        return "there is a module of that name, which it would hide"
    return None
