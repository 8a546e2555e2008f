"""Imports the modules that register programs."""

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from flower_engine.errors import ProgramError
from flower_engine.programs.registry import Registry, registry

BUILT_IN = "flower_engine.programs.builtin"


def load_programs(modules: Sequence[str]) -> Registry:
    """Imports the built-in programs and these modules; the registry with all of them, ready to bind.

    The current folder can be imported from, as with ``python -m``.

    Raises:
        ProgramError: a module does not import, or a program cannot be served; names it.
    """
    _look_in_this_folder()
    for module in (BUILT_IN, *modules):
        _load(module)
    for program in registry:
        _ = program.binder  # a signature that cannot be served is an error now, not at its first task
    return registry


def load_what_imports(modules: Sequence[str], tell: Callable[[str], None]) -> tuple[Registry, list[str]]:
    """The same, but a module that does not import takes no other with it: the registry has what there is, and
    the list says what is missing, and why. ``tell`` is called with each module before, at last with ""."""
    problems: list[str] = []
    _look_in_this_folder()
    for module in (BUILT_IN, *modules):
        tell(module)
        try:
            _load(module)
        except ProgramError as error:
            problems.append(str(error))
    tell("")
    for program in registry:
        # What a module registered before it failed is not to be called; Python has forgotten the module, too.
        if getattr(program.function, "__module__", None) not in sys.modules:
            registry.forget(program.name)
            continue
        try:
            _ = program.binder
        except ProgramError as error:
            problems.append(str(error))
            registry.forget(program.name)
    return registry, problems


def import_named(module: str, named_by: str = "") -> ModuleType:
    """The module of this dotted name, from the current folder, too. ``named_by`` ends its name in messages.

    Raises:
        ProgramError: it does not import; says why, and where.
    """
    _look_in_this_folder()
    try:
        return importlib.import_module(module)
    except ProgramError:
        raise
    except (Exception, SystemExit) as error:
        raise _broken(module, named_by, error) from error


def import_file(file: Path) -> ModuleType:
    """The module that a file of Python holds; what lies beside it can be imported, too.

    Raises:
        ProgramError: it does not import; says why, and where.
    """
    file = file.resolve()
    known = sys.modules.get(file.stem)
    if known is not None and known.__file__ == str(file):
        return known
    name = f"file_{file.stem}" if known or file.stem in sys.stdlib_module_names else file.stem
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ProgramError(f"{file} is no file of Python")
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        if isinstance(error, ProgramError):
            raise
        raise _broken(str(file), "", error) from error
    return module


def _broken(module: str, named_by: str, error: BaseException) -> ProgramError:
    hint = ""
    if (module.endswith(".py") or "/" in module) and isinstance(error, ModuleNotFoundError):
        hint = "; give its dotted name, such as my.module"
    return ProgramError(
        f"module {module!r}{named_by} does not import: {type(error).__name__}: {error}{_place(error)}{hint}"
    )


def _look_in_this_folder() -> None:
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)


def _load(module: str) -> None:
    import_named(module, " of FLOWER_PROGRAMS")


def _place(error: BaseException) -> str:
    """Where it was raised, unless that is in Python's own import system."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or frames[-1].filename.startswith("<frozen"):
        return ""
    return f" (in {frames[-1].filename}, line {frames[-1].lineno})"
