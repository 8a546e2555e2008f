"""The description of the API is complete and true: schemathesis reads it and tries it on a real server."""

# pyright: reportUnknownMemberType=false, reportUntypedFunctionDecorator=false
# schemathesis leaves its decorator and its registry of checks untyped

from typing import Any, cast

import pytest
import schemathesis
import schemathesis.checks
from hypothesis import HealthCheck, settings

from api.serving import RunningApi
from flower_register.app import create_app
from flower_register.stores import Stores

_document = create_app(cast(Stores, None)).openapi()  # a description needs no stores
schema = schemathesis.openapi.from_dict(_document)

# A schema cannot say which definitions form a DAG, which words are a cursor, that 2.0 is no whole number,
# which days there are, that of two fields one is enough, or which limits go together.
_MAY_BE_WRONG_YET_MATCH = {
    "PUT /workflows/{task_id}",
    "GET /flows",
    "GET /tasks",
    "POST /register",
    "POST /register/{task_id}",
    "POST /bulk",
    "PUT /limits/global",
    "PUT /limits/{scope}/{name}",
    *(
        f"POST /flows/{{task_flow_id}}/{verb}"
        for verb in ("rerun", "resume", "fork", "ignore", "unignore", "cancel", "pause", "priority")
    ),
}
_ACCEPTANCE = cast(Any, schemathesis.checks.CHECKS.get_one("positive_data_acceptance"))


@schema.parametrize()
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
@pytest.mark.filterwarnings("ignore:Do not use the .random. module")  # the server's thread does, for jitter
def test_every_operation_keeps_to_its_description(case: schemathesis.Case[Any], api: RunningApi) -> None:
    excluded = [_ACCEPTANCE] if case.operation.label in _MAY_BE_WRONG_YET_MATCH else []
    case.call_and_validate(base_url=api.url, excluded_checks=excluded)


def test_the_description_is_served(api: RunningApi) -> None:
    assert api.client.get("/openapi.json").json() == _document
