"""Workflows by the names of their modules: for deploying, and for running one."""

from collections.abc import Iterable
from types import ModuleType
from typing import Any, cast

from flower_engine.authoring.workflow import Prepared, Workflow, without_options
from flower_engine.errors import DefinitionError, ProgramError
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.programs.program_modules import import_named
from flower_engine.programs.steps import steps_of

AnyWorkflow = Workflow[Any, Any]


def workflows_of(module: ModuleType | str) -> list[AnyWorkflow]:
    """The workflows that a module has under names of its own, imported ones too, in the order of these names.
    A module that is given by its name is imported, also from the current folder.

    Raises:
        ProgramError: the module does not import; says why, and where.
        DefinitionError: two workflows have one name; names both places. Or one of the module's own is there
            with options only, which no definition has.
    """
    if isinstance(module, str):
        module = import_named(module)
    values = cast("list[AnyWorkflow]", list(vars(module).values()))
    _refuse_prepared(module)
    workflows = list({id(one): one for one in values if isinstance(cast(Any, one), Workflow)}.values())
    by_name: dict[str, AnyWorkflow] = {}
    for one in workflows:
        other = by_name.setdefault(one.name, one)
        if other is not one:
            raise DefinitionError(
                one.name, [f"two workflows are named so: {other.origin} and {one.origin}; rename one"]
            )
    return workflows


def load_target(target: str) -> AnyWorkflow:
    """The workflow that ``module:workflow`` names, by its variable or by its own name; of a module with one
    workflow ``module`` is enough.

    Raises:
        ProgramError: the module does not import, or has no such workflow; says what it has.
        DefinitionError: two workflows of it have one name.
    """
    name, _, wanted = target.partition(":")
    if not name:
        raise ProgramError(f"{target!r} names no module; write module:workflow, such as my.flows:nightly")
    module = import_named(name)
    workflows = workflows_of(module)
    if not wanted:
        if len(workflows) == 1:
            return workflows[0]
        raise ProgramError(f"{_has(name, workflows)}; write {name}:WORKFLOW")
    one = vars(module).get(wanted)
    if isinstance(one, Workflow):
        return cast(AnyWorkflow, one)
    by_name = {workflow.name: workflow for workflow in workflows}
    if wanted in by_name:
        return by_name[wanted]
    without_options(one, f"named as {target}")
    if steps_of(one) is not None:
        raise ProgramError(
            f"{wanted!r} of module {name!r} is a program, no workflow; call its .step() in a function under"
            " @workflow"
        )
    if one is not None:
        raise ProgramError(f"{wanted!r} of module {name!r} is no workflow; {_has(name, workflows)}")
    names = [*_variables(module), *by_name]
    near = nearest_in_words(wanted, names)
    raise ProgramError(f"module {name!r} has no workflow {wanted!r}{near}; {_has(name, workflows)}")


def _refuse_prepared(module: ModuleType) -> None:
    """``f = f.having(...)`` hides the workflow: nobody could deploy it, and nobody would be told."""
    there = {id(cast(Any, one)) for one in vars(module).values() if isinstance(one, Workflow)}
    for name, value in vars(module).items():
        one = cast("Prepared[Any, Any]", value)
        if isinstance(value, Prepared) and id(one.workflow) not in there:
            hidden = one.workflow
            if hidden.__module__ == module.__name__:
                said = (
                    f"{hidden.origin}: module {module.__name__!r} has it as {name!r} with options of"
                    " .having(...) only, which are of one registration, or one step: give what has them"
                    f" another name than the workflow itself: {name}_careful = {name}.having(...)"
                )
                raise DefinitionError(hidden.name, [said])


def _variables(module: ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if isinstance(value, Workflow)]


def _has(module: str, workflows: Iterable[AnyWorkflow]) -> str:
    names = ", ".join(repr(one.name) for one in workflows)
    return f"module {module!r} has the workflows {names}" if names else f"module {module!r} has no workflows"
