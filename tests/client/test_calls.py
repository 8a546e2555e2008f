"""Calls without I/O: when they are sent again, which error an answer becomes, how what is told is shown."""

from collections.abc import Sequence
from typing import Any, TypeVar, cast

import msgspec
import pytest

from flower_api.error_answers import ANSWERS, problem_of
from flower_api.problems import answer
from flower_engine import client, errors
from flower_engine.client import ApiUnavailableError, Flow, Registration, ResultError, Task, flow_calls
from flower_engine.client.api_calls import Answer, Patience, Pause, Request, Steps, Unreached, decoded, sent
from flower_engine.client.client_errors import ApiRefusedError, AuthError, error_of, problem_words
from flower_engine.client.flow_values import FlowEntry
from flower_engine.projection.read.views import FlowSummary, FlowView, TaskView

T = TypeVar("T")
ASK = Request("GET", "/x")
DONE = Answer(200, {}, b"{}")


def problem(status: int, kind: str = "", detail: str = "no", headers: Any = None, **more: Any) -> Answer:
    body = {"type": f"urn:flower:problem:{kind}", "detail": detail, **more} if kind else {}
    return Answer(status, headers or {}, msgspec.json.encode(body))


def wanted_as(key: str, **parameters: Any) -> Registration[Any]:
    return Registration("w", {}, parameters, Any, key, has_own_key=False)


def driven(steps: Steps[T], answers: Sequence[Answer | Unreached]) -> tuple[T, list[float]]:
    """The result with these answers, and the pauses that were made."""
    left, pauses = list(answers), list[float]()
    came: Any = None
    try:
        while True:
            step = steps.send(came)
            came = pauses.append(step.seconds) if isinstance(step, Pause) else left.pop(0)
    except StopIteration as end:
        assert left == []
        return end.value, pauses


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        (float("nan"), "#/parameters/a"),
        ([None, {"b": float("inf")}], "#/parameters/a/1/b"),
        (["x", "\ud800"], "#/parameters/a/1"),
    ],
)
def test_what_json_cannot_carry_is_not_sent(value: Any, pointer: str) -> None:
    steps = flow_calls.register(wanted_as("k", a=value), Patience(1))
    with pytest.raises(errors.ParametersError, match=r"JSON does not have|is no text") as caught:
        next(steps)
    assert [fault.pointer for fault in caught.value.faults] == [pointer]


@pytest.mark.parametrize(
    "first",
    [
        Unreached("refused"),
        problem(503, "store-unavailable"),
        problem(503),
        problem(502),
        problem(408, "too-slow"),
        problem(429, "projection-behind"),
    ],
    ids=lambda answer: str(answer[0]),
)
def test_what_may_help_is_sent_again(first: Answer | Unreached) -> None:
    answer, pauses = driven(sent(ASK, Patience(30)), [first, DONE])
    assert (answer, len(pauses)) == (DONE, 1)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(401, "unauthorized"), AuthError),
        (problem(403, "forbidden"), AuthError),
        (problem(404, "unknown-flow"), errors.UnknownFlowError),
        (problem(409, "moved"), errors.MovedError),
        (problem(409, "running"), errors.RefusedError),
        (problem(409, "key-conflict", taskFlowId="f"), errors.KeyConflictError),
        (problem(422, "definition", problems=[{"detail": "d"}]), errors.DefinitionError),
        (problem(422, "parameters", problems=[{"detail": "d", "pointer": "#/x"}]), errors.ParametersError),
        (problem(422, "invalid-request"), ApiRefusedError),
        (problem(429, "flow-limit"), errors.FlowLimitError),
        (problem(500, "bug"), ApiRefusedError),
        (Answer(400, {}, b"<html>"), ApiRefusedError),
        (Answer(404, {}, b'{"status":"failed","description":"no tasks"}'), errors.UnknownWorkflowError),
    ],
    ids=lambda given: given.__name__ if isinstance(given, type) else str(given.status),
)
def test_what_is_refused_is_sent_once_and_has_its_error(answer: Answer, kind: type[Exception]) -> None:
    with pytest.raises(kind) as raised:
        driven(sent(ASK, Patience(30)), [answer])
    assert type(raised.value) is kind
    assert str(raised.value)


def test_pauses_grow_and_heed_what_the_api_asks_for() -> None:
    _, pauses = driven(sent(ASK, Patience(None)), [Unreached("x")] * 12 + [DONE])
    assert 0.05 <= pauses[0] <= 0.1
    assert all(2.5 <= pause <= 5.0 for pause in pauses[7:])
    asked = problem(503, "redis-lost", headers={"retry-after": "30"})
    _, pauses = driven(sent(ASK, Patience(None)), [asked, DONE])
    assert 30.0 <= pauses[0] <= 37.5


def test_a_call_does_not_pause_beyond_its_time() -> None:
    asked = problem(503, "redis-lost", "Redis is lost", headers={"retry-after": "30"})
    with pytest.raises(ApiUnavailableError, match=r"not done within 20 s: 503: Redis is lost"):
        driven(sent(ASK, Patience(20)), [asked])


def test_each_try_may_take_no_longer_than_the_call() -> None:
    now = 100.0
    steps = sent(ASK, Patience(20, lambda: now))
    assert next(steps) == ASK._replace(seconds=20.0)
    steps.send(Unreached("x"))
    now = 112.0
    assert steps.send(None) == ASK._replace(seconds=8.0)


def test_many_are_sent_in_requests_of_bounded_size() -> None:
    big = [wanted_as(str(number), x="y" * (1 << 20)) for number in range(10)]
    steps = flow_calls.register_many(big, Patience(30))
    sizes: list[int] = []
    came: Any = None
    with pytest.raises(StopIteration):
        while True:
            request = steps.send(came)
            assert isinstance(request, Request) and request.body is not None
            assert len(request.body) < 8 << 20
            sizes.append(len(msgspec.json.decode(request.body)))
            entries = [{"code": 200, "taskFlowId": "f"}] * sizes[-1]
            came = Answer(200, {}, msgspec.json.encode(entries))
    assert sizes == [3, 3, 3, 1]


def test_of_many_only_those_that_were_not_taken_are_sent_again() -> None:
    wanted = [wanted_as(str(number)) for number in range(3)]
    first = [
        {"code": 200, "taskFlowId": "a"},
        {"code": 503, "description": "later"},
        {"code": 422, "description": "wrong"},
    ]
    again = [{"code": 200, "taskFlowId": "b"}]
    answers = [Answer(200, {}, msgspec.json.encode(entries)) for entries in (first, again)]
    (registered, refused), _ = driven(flow_calls.register_many(wanted, Patience(30)), answers)
    assert [registered[place].flow for place in (0, 1)] == ["a", "b"]
    assert "wrong" in str(refused[2])


@pytest.mark.parametrize("content", [b"<html>hello</html>", b"[]", b'{"tasks": 3}'])
def test_something_else_at_the_address_is_said(content: bytes) -> None:
    with pytest.raises(ApiUnavailableError, match="no API of Flower"):
        decoded(Answer(200, {}, content), Flow)


def test_what_is_wrong_with_a_parameter_names_it() -> None:
    fault = {"detail": "it is missing", "pointer": "#/parameters/day"}
    answer = problem(422, "parameters", "the parameters do not fit: it is missing", problems=[fault])
    assert "day: it is missing" in str(error_of(422, answer.content))
    assert "day: it is missing" in problem_words(answer.content)


def test_no_error_shows_a_secret() -> None:
    answer = problem(422, "invalid-request", "redis://me:hunter2-is-long@host")
    assert "hunter2" not in str(error_of(422, answer.content))


class Total(msgspec.Struct):
    rows: int


def flow(**more: Any) -> Flow:
    return Flow(task_flow_id="f", task_id="w", status="Finish", version=1, **more)


def test_a_result_is_of_the_type_of_its_workflow() -> None:
    told = flow(result={"rows": 3})
    assert flow_calls.converted(told, Total) == Total(3)
    assert flow_calls.converted(told, Any) == {"rows": 3}
    assert flow_calls.converted(flow(), None) is None
    with pytest.raises(ResultError, match="result of flow f cannot be had"):
        flow_calls.converted(told, list[int])
    with pytest.raises(ResultError, match="task 2 was ignored"):
        flow_calls.converted(flow(result_problem="task 2 was ignored"), Any)


class Scripted:
    """Stands where a client is, and answers a handle's calls in order."""

    retry_seconds = 30.0

    def __init__(self, *answers: bytes) -> None:
        self.left = [Answer(200, {}, body) for body in answers]
        self.sent: list[Request] = []

    def patience(self) -> Patience:
        return Patience(30)

    def run(self, steps: Steps[T]) -> T:
        came: Any = None
        try:
            while True:
                step = steps.send(came)
                came = None if isinstance(step, Pause) else self.left.pop(0)
                self.sent += [] if isinstance(step, Pause) else [step]
        except StopIteration as end:
            return end.value


def test_what_a_flow_returned_before_an_operation_is_not_what_it_returns_after_it() -> None:
    def told(version: int, result: int) -> bytes:
        flow = {"taskFlowId": "f", "taskId": "w", "status": "Finish", "finishedTs": "2026-01-05T00:00:00Z"}
        return msgspec.json.encode({**flow, "version": version, "result": result})

    operated = b'{"taskFlowId":"f","operation":"rerun","version":7}'
    scripted = Scripted(told(6, 1), operated, told(6, 1), told(9, 2), told(9, 2))
    handle: client.FlowHandle[Any] = client.FlowHandle(cast("client.Client", scripted), "f")
    assert handle.result() == 1
    handle.rerun("all")
    assert handle.result() == 2
    assert handle.wait().version == 9


# What the API answers to calls that no client of flows makes, with the reason that it has no class there.
NO_CLASS = {
    errors.FlowControlError: "limits are set by the command",
    errors.UnknownControlError: "as above",
    errors.UnknownStrikeError: "strikes are set by the command",
    errors.TimeError: "a time is a parameter of a list, which the client checks before",
    errors.DefinitionsError: "its problems are those of a DefinitionError",
    errors.ScheduleMovedError: "a schedule is set anew by a deploy",
    errors.HookError: "hooks are set by the command",
    errors.UnknownHookError: "as above",
    errors.UnknownDeliveryError: "as above",
}


OWN_REASON: dict[type[errors.FlowerError], str] = {
    errors.KeyConflictError: "key-conflict",
    errors.FlowEndedError: "ended",
    errors.NotAskedError: "not-asked",
    errors.TooManySignalsError: "too-many-signals",
}


@pytest.mark.parametrize("kind", [kind for kind in ANSWERS if issubclass(kind, errors.FlowerError)])
def test_an_answer_is_the_error_that_it_was_in_the_engine(kind: type[errors.FlowerError]) -> None:
    made = kind.__new__(kind, "words")
    faults = [errors.ParameterFault("words", "#/parameters/a")]
    reason = OWN_REASON.get(kind, "needed")
    vars(made).update(problems=["words"], workflow="w", faults=faults, reason=reason, flow="f")
    vars(made).update(
        retry_after=1, store="Redis", parameter="since", partition=0, events=1, size_bytes=1, version=1
    )
    if kind in NO_CLASS:
        made.problems = [] if kind is errors.DefinitionsError else ["words"]  # pyright: ignore[reportAttributeAccessIssue]
    problem = problem_of(made)
    back = error_of(problem.status_code, bytes(answer(problem).body))
    if issubclass(kind, errors.StoreError):
        assert isinstance(back, ApiUnavailableError | ApiRefusedError)  # it is sent again, or refused
    elif kind in NO_CLASS:
        assert isinstance(back, ApiRefusedError | errors.DefinitionError | errors.RefusedError)
    else:
        assert isinstance(back, kind)


def test_what_is_wrong_is_said_once() -> None:
    said = "workflow 'w' has no version 9"
    fault = {"detail": said, "pointer": "#/workflowVersion"}
    told = error_of(422, problem(422, "unknown-version", said, problems=[fault]).content)
    assert str(told) == said
    told = error_of(
        422, problem(422, "parameters", "x", problems=[{**fault, "pointer": "#/parameters/n"}]).content
    )
    assert str(told) == f"the parameters do not fit: n: {said}"


def test_the_entries_of_a_bulk_registration_are_errors_with_their_class() -> None:
    refused = {"status": "failed", "taskId": "w", "code": 422, "description": "no such version"}
    entry = {**refused, "type": "urn:flower:problem:unknown-version"}
    steps = flow_calls.register_many([wanted_as("k")], Patience(1))
    (_, found), _ = driven(steps, [Answer(200, {}, msgspec.json.encode([entry]))])
    assert isinstance(found[0], errors.UnknownVersionError)


def test_null_stands_in_for_a_result() -> None:
    scripted = Scripted(*[b'{"taskFlowId":"f","operation":"ignore","version":7}'] * 2)
    handle: client.FlowHandle[Any] = client.FlowHandle(cast("client.Client", scripted), "f")
    handle.ignore(["a"], result=None)
    handle.ignore(["a"])
    bodies = [msgspec.json.decode(request.body or b"") for request in scripted.sent]
    assert bodies[0]["result"] is None
    assert "result" not in bodies[1]


def test_a_fork_and_a_registration_may_be_of_another_version() -> None:
    scripted = Scripted(*[b'{"taskFlowId":"g","operation":"fork","version":7}'] * 3)
    handle: client.FlowHandle[Any] = client.FlowHandle(cast("client.Client", scripted), "f")
    handle.fork(["a"], workflow_version="newest")
    handle.fork(["a"])
    handle.fork(workflow_version=2, flow_parameters={"day": "tue"})
    bodies = [msgspec.json.decode(request.body or b"") for request in scripted.sent]
    assert bodies[0]["workflowVersion"] == "newest"
    assert "workflowVersion" not in bodies[1]
    assert bodies[2] == {"workflowVersion": 2, "flowParameters": {"day": "tue"}}
    assert client.named("w", workflow_version=3).options == {"workflowVersion": 3}


def test_a_rerun_may_take_another_version() -> None:
    scripted = Scripted(*[b'{"taskFlowId":"f","operation":"rerun","version":7}'] * 2)
    handle: client.FlowHandle[Any] = client.FlowHandle(cast("client.Client", scripted), "f")
    handle.rerun("failed", workflow_version="newest")
    handle.rerun(["a"])
    bodies = [msgspec.json.decode(request.body or b"") for request in scripted.sent]
    assert [body.get("workflowVersion") for body in bodies] == ["newest", None]


def test_a_flow_is_shown_with_nothing_of_its_data_as_markup() -> None:
    error = {"type": "E", "message": "<script>alert(1)</script>[red]"}
    task = msgspec.convert(
        {"taskExecSeq": 1, "taskSeq": 1, "program": "[bold]A</b>", "status": "Suspend", "error": error}, Task
    )
    told = flow(tasks=[task, *[task] * 300])
    html = told.as_html()
    assert "&lt;script&gt;" in html and "<script>" not in html and "A</b>" not in html
    assert "and 101 more" in html
    cells = [str(cell) for column in told.__rich__().columns for cell in column.cells]
    assert "[bold]A</b>" in cells


@pytest.mark.parametrize(
    ("told", "sent_by"),
    [(Task, TaskView), (FlowEntry, FlowSummary), (Flow, FlowView)],
    ids=lambda t: t.__name__,
)
def test_what_the_api_tells_has_its_field(told: type[msgspec.Struct], sent_by: type[msgspec.Struct]) -> None:
    internal = {"exec_status", "partition", "lost_version", "unreadable", "failed_tasks"}
    assert set(sent_by.__struct_fields__) - internal <= set(told.__struct_fields__)


def test_an_answer_of_an_api_that_knows_more_or_less_is_read() -> None:
    less = b'{"taskFlowId":"f","taskId":"w","status":"Wait","version":1,"new":[{}]}'
    assert decoded(Answer(200, {}, less), Flow).tasks == []


def test_every_name_of_the_package_is_there() -> None:
    assert [name for name in client.__all__ if getattr(client, name).__name__ != name] == []
    with pytest.raises(AttributeError):
        _ = client.Nonsense  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
