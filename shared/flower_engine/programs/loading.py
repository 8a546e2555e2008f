"""Imports the modules that register programs."""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from flower_engine.errors import ProgramError
from flower_engine.programs.registry import Registry, registry

BUILT_IN = "flower_engine.programs.builtin"


def load_programs(modules: Sequence[str]) -> Registry:
    """Imports the built-in programs and these modules; the registry with all of them, ready to bind.

    The current folder can be imported from, as with ``python -m``.

    Raises:
        ProgramError: a module does not import, or a program cannot be served; names it.
    """
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    for module in (BUILT_IN, *modules):
        _load(module)
    for program in registry:
        _ = program.binder  # a signature that cannot be served is an error now, not at its first task
    return registry


def _load(module: str) -> None:
    try:
        importlib.import_module(module)
    except ProgramError:
        raise
    except (Exception, SystemExit) as error:
        hint = ""
        if module.endswith(".py") or "/" in module:
            hint = "; give its dotted name, such as my.module"
        raise ProgramError(
            f"module {module!r} of FLOWER_PROGRAMS does not import: {type(error).__name__}: {error}{hint}"
        ) from error
