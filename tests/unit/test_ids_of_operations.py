"""An operation that is sent again is the same one, also where a service of another version gets it."""

from typing import Any

import pytest

from flower_api.operation_answers import MayBeDry, said_in
from flower_api.routes.holding import PauseBody, PriorityBody
from flower_api.routes.operations import CancelBody, IgnoreBody, RerunBody, UnignoreBody
from flower_api.schemas import RequestBody

RERUN = (
    '{"parameters":{},"task_parameters":{},"unset":[],"version":null,"dry_run":false,"tasks":[1],'
    '"selection":null,"scope":null,"keep_answers":false,"new_children":false,"up":false,'
    '"workflow_version":null}'
)
IGNORE = '{"version":null,"dry_run":false,"reason":"","tasks":[1],"result":null,"cascade":false}'
SAID: list[tuple[type[RequestBody], dict[str, Any], str]] = [
    (MayBeDry, {"version": 7}, '{"version":7}'),
    (PauseBody, {"reason": "r"}, '{"version":null,"reason":"r"}'),
    (PriorityBody, {"priority": 3}, '{"version":null,"priority":3}'),
    (UnignoreBody, {"tasks": [1]}, '{"version":null,"tasks":[1]}'),
    (CancelBody, {}, '{"version":null,"dry_run":false,"reason":""}'),
    (IgnoreBody, {"tasks": [1]}, IGNORE),
    (RerunBody, {"tasks": [1]}, RERUN),
]


@pytest.mark.parametrize(("kind", "body", "said"), SAID)
def test_ids_are_made_of_what_services_of_the_version_before_make_them_of(
    kind: type[RequestBody], body: dict[str, Any], said: str
) -> None:
    """A field that is new must not be in these, unless it says something: a retry would be done twice."""
    assert said_in(kind.model_validate(body)) == said


def test_a_field_that_came_later_counts_where_it_says_something() -> None:
    assert said_in(MayBeDry.model_validate({"dryRun": True})) != said_in(MayBeDry.model_validate({}))
