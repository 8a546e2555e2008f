"""Approvals that ask for roles which nobody has: nothing is refused for it, as tokens may come later."""

from collections.abc import Sequence

from flower_engine.model.definitions.definition import WorkflowDefinition
from flower_engine.model.parameters.references import known_value
from flower_engine.model.waits.approval_terms import Asked
from flower_engine.model.waits.wait_parameters import APPROVAL
from flower_engine.runtime.api_tokens import ApiToken

_MOST = 20


def warnings_of_roles(definition: WorkflowDefinition, tokens: Sequence[ApiToken]) -> list[str]:
    """What is said of approvals that no token of this API may answer."""
    known = {token.name for token in tokens if token.may_operate}
    known |= {role for token in tokens if token.may_operate for role in token.roles}
    found: list[str] = []
    for task in definition.tasks:
        if task.program != APPROVAL:
            continue
        roles = Asked.of_parameters({"roles": known_value(task.parameters.get("roles"))}).roles
        if roles and known.isdisjoint(roles):
            why = "no token has such a name or role" if tokens else "this API has no tokens"
            found.append(
                f"row (task_id {definition.name!r}, task_seq {task.task_seq}) asks for {', '.join(roles)},"
                f" and {why} (FLOWER_API_TOKENS): nobody can answer it, but by a link"
            )
    return found[:_MOST]
