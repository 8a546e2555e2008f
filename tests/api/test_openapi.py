"""The description of the API is complete and true: schemathesis reads it and tries it on a real server, with
all its checks, first at the edges of every schema (its coverage phase), then at random.

The cases of an operation are made when its test runs: to make them all takes seconds, which every process of
a parallel run would spend on collecting."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# schemathesis leaves its collector and its registry of checks untyped

from collections.abc import Iterator
from http.cookiejar import DefaultCookiePolicy
from typing import Any, cast

import pytest
import requests
import schemathesis
import schemathesis.checks
from hypothesis import HealthCheck, settings
from schemathesis.pytest.plugin import SchemathesisCase

from api.serving import PATIENCE_SECONDS, RunningApi
from flower_api.app import create_app
from flower_engine.flows.postgres_stores import PostgresStores
from fuzzing import examples

_document = create_app(cast(PostgresStores, None)).openapi()  # a description needs no stores
_OPERATIONS = [f"{verb.upper()} {path}" for path, verbs in _document["paths"].items() for verb in verbs]
_CHECKS = cast(Any, schemathesis.checks.CHECKS)

_DAYS = "which days a month has: 31 April is described, and refused"
_TASKS = "which tasks a request names: taskParameters for others are refused"
_LIMITS = "which settings go together in which scope: limitBy is no setting of a queue"

# What is described and refused all the same, as JSON Schema cannot say it (positive_data_acceptance): for
# every operation that 2.0 is no whole number, for these what stands behind them.
_CANNOT_BE_SAID = {
    "PUT /hooks/{hook}": "what a target is, and whether there are a secret and a time, depends on the kind",
    "GET /hooks/{hook}/deliveries": "a cursor is one that a page gave",
    "GET /errors": _DAYS,
    "GET /approvals": "which words are a cursor",
    "GET /signals": "which words are a cursor",
    "GET /flows": "which words are a cursor, and " + _DAYS,
    "GET /flows/{task_flow_id}": "that at is not given together with wait or atLeast, and " + _DAYS,
    "GET /flows/{task_flow_id}/changes": "that no Last-Event-ID is not one of null",
    "GET /flows/{task_flow_id}/log": "that tail is not given together with after or limit",
    "GET /flows/{task_flow_id}/tasks/{task}/log": "that tail is not given together with after or limit",
    "GET /tasks": "which words are a cursor, and " + _DAYS,
    "GET /audit": "which words are a cursor or an act, and " + _DAYS,
    "POST /bulk": _DAYS,
    "POST /register": _DAYS,
    "POST /register/{task_id}": "that the header and the body name one key, and " + _DAYS,
    "POST /flows/{task_flow_id}/rerun": "that tasks or selection is given, not both, and " + _TASKS,
    "POST /flows/{task_flow_id}/fork": _TASKS,
    "POST /deploy": "which tasks form a graph without circles, and that no taskId or taskSeq comes twice",
    "PUT /workflows/{task_id}": "which tasks form a graph without circles, and that no taskSeq comes twice",
    **dict.fromkeys(
        (
            "POST /schedules",
            "PUT /schedules/{schedule}",
            "POST /schedule-preview",
            "GET /schedules/{schedule}/preview",
        ),
        "which texts are a cron expression or a zone, and that one field says when it fires",
    ),
    "POST /schedules/{schedule}/trigger": _DAYS,
    "GET /schedules/{schedule}/slots": "which words are a cursor, and " + _DAYS,
    "GET /schedules/{schedule}/slots/{slot}": _DAYS,
    "POST /schedules/{schedule}/backfills": "that from is not behind to, and " + _DAYS,
    "GET /backfills/{id}/slots": "which words are a cursor",
    "PUT /limits/global": _LIMITS,
    "PUT /limits/{scope}/{name}": _LIMITS,
}

# A path that is described, and is also that of another operation, which is not described there
# (unsupported_method, allow_header_conformance).
_SHARED_PATHS = {
    "GET /workflows/{task_id}/versions": "PUT and DELETE are of the workflow whose name ends so",
    "GET /workflows/{task_id}/versions/{version}": "PUT and DELETE are of the workflow whose name ends so",
}

_NEVER_END = {"GET /changes": "it is a stream for as long as somebody listens; test_changes.py does"}


@pytest.fixture(scope="module")
def schema() -> Any:
    """The description as schemathesis reads it."""
    return schemathesis.openapi.from_dict(_document)


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """Connections that are kept: one for each case cost more than most answers. Nothing else is kept, and no
    proxy is looked for."""
    with requests.Session() as made:
        made.trust_env = False
        made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        yield made


@pytest.mark.hypothesis
@pytest.mark.parametrize("operation", [one for one in _OPERATIONS if one not in _NEVER_END])
@pytest.mark.filterwarnings("ignore:Do not use the .random. module")  # the server's thread does, for jitter
def test_every_operation_keeps_to_its_description(
    operation: str, schema: Any, api: RunningApi, session: requests.Session, request: pytest.FixtureRequest
) -> None:
    function: Any = keeps_to_its_description
    collector = SchemathesisCase.from_parent(
        request.node.parent, name=operation, test_function=function, schema=schema.include(name=operation)
    )
    (item,) = collector.collect()
    item.funcargs = {"api": api, "session": session}
    item.ihook.pytest_pyfunc_call(pyfuncitem=item)


@settings(
    max_examples=examples(10),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
def keeps_to_its_description(
    case: schemathesis.Case[Any], api: RunningApi, session: requests.Session
) -> None:
    names = set(_CHECKS.get_all_names())
    if case.operation.label in _CANNOT_BE_SAID or _has_whole_float(case.body):
        names.remove("positive_data_acceptance")
    if case.operation.label in _SHARED_PATHS:
        names -= {"unsupported_method", "allow_header_conformance"}
    checks = [_CHECKS.get_one(name) for name in sorted(names)]
    case.call_and_validate(base_url=api.url, checks=checks, session=session, timeout=PATIENCE_SECONDS)


def _has_whole_float(body: Any) -> bool:
    match body:
        case float():
            return body.is_integer()
        case list():
            return any(map(_has_whole_float, cast(list[Any], body)))
        case dict():
            return any(map(_has_whole_float, cast(dict[str, Any], body).values()))
        case _:
            return False


def test_what_cannot_be_said_is_said_of_operations_that_are_there() -> None:
    assert {*_CANNOT_BE_SAID, *_SHARED_PATHS, *_NEVER_END} <= set(_OPERATIONS)


def test_the_description_is_served(api: RunningApi) -> None:
    assert api.client.get("/openapi.json").json() == _document
