"""The JSON of hooks: what the API takes and what it sends."""

from typing import Annotated, Any, Self

import msgspec
from fastapi import Path
from pydantic import Field

from flower_api.schemas import NAME_PATTERN, Reason, RequestBody, WorkflowName
from flower_engine.flows.hooks import HookState
from flower_engine.hooks.hook import MAX_LATE_SECONDS, MAX_TARGET, Hook, HookKind, Occasion
from flower_engine.hooks.hook import NAME_PATTERN as HOOK_PATTERN
from flower_engine.model.tasks.task_spec import MAX_NAME_LENGTH
from flower_engine.projection.hooks.deliveries import Delivery, DeliveryState
from flower_engine.projection.read.view_fields import Moment, View

_NAMES: dict[str, Any] = {
    "alias": "hook", "min_length": 1, "max_length": MAX_NAME_LENGTH, "description": "The hook's name.",
}  # fmt: skip
HookPath = Annotated[str, Path(pattern=NAME_PATTERN, **_NAMES)]
NewHookPath = Annotated[str, Path(pattern=HOOK_PATTERN, **_NAMES)]
"""Of one that may not be there yet: its name must be one that can be given."""
DeliveryPath = Annotated[
    str, Path(alias="id", min_length=1, max_length=64, pattern=NAME_PATTERN, description="The delivery.")
]


class HookBody(RequestBody):
    """A hook to set."""

    hook: str | None = Field(None, description="if given, the one in the path")
    task_id: WorkflowName | None = Field(None, description="of whose flows it tells; absent: of all")
    occasions: list[Occasion] = Field(min_length=1, max_length=5)
    kind: HookKind
    target: str = Field(
        max_length=MAX_TARGET,
        pattern=NAME_PATTERN,
        description="the URL of a webhook; the name of a command or of a Python hook",
    )
    secret: str | None = Field(
        None, max_length=255, description="name of the secret that signs a webhook; absent: it is not signed"
    )
    late_after_seconds: float | None = Field(
        None, ge=1, le=MAX_LATE_SECONDS, allow_inf_nan=False, description="for flow.late, and only for that"
    )
    is_paused: bool | None = Field(None, description="absent: as it is; a new one is not")
    reason: Reason = Field("", description="why it is paused")

    def to_model(self, name: str) -> Hook:
        """The hook; whether it makes sense is still to be said."""
        return Hook(
            name=name,
            workflow=self.task_id,
            occasions=tuple(dict.fromkeys(self.occasions)),
            kind=self.kind,
            target=self.target,
            secret=self.secret,
            late_after_seconds=self.late_after_seconds,
            is_paused=bool(self.is_paused),
            reason=self.reason,
        )


class HookProblemView(View):
    """What is wrong with a hook that SQL wrote; ``pointer`` leads to the field."""

    detail: str
    pointer: str


class HookView(View, omit_defaults=True):
    """A hook. With ``problems`` it tells nothing. Of its latest 100 deliveries so many are ``waiting`` and
    ``givenUp``; ``lastError`` is the latest there is."""

    hook: str
    task_id: str | None
    occasions: list[str]
    kind: str
    target: str
    secret: str | None
    late_after_seconds: float | None
    is_paused: bool
    reason: str
    changed_by: str
    created_ts: Moment | None
    changed_ts: Moment | None
    waiting: int
    given_up: int
    last_error: str
    problems: list[HookProblemView] = msgspec.field(default_factory=list)
    warnings: list[str] = msgspec.field(default_factory=list)

    @classmethod
    def of(cls, state: HookState, warnings: list[str] | None = None) -> Self:
        row, hook = state.row, state.row.hook
        return cls(
            hook=hook.name,
            task_id=hook.workflow,
            occasions=list(hook.occasions),
            kind=hook.kind,
            target=hook.target,
            secret=hook.secret,
            late_after_seconds=hook.late_after_seconds,
            is_paused=hook.is_paused,
            reason=hook.reason,
            changed_by=row.changed_by,
            created_ts=row.created_ts,
            changed_ts=row.changed_ts,
            waiting=state.standing.waiting,
            given_up=state.standing.given_up,
            last_error=state.standing.error,
            problems=[HookProblemView(one.detail, f"#/{one.field}") for one in row.problems],
            warnings=warnings or [],
        )


class HooksPage(View, omit_defaults=True):
    """Hooks by name; ``next`` is the cursor of the next page."""

    hooks: list[HookView]
    next: str | None
    warnings: list[str] = msgspec.field(default_factory=list)


class DeliveryView(View):
    """What a hook told, or is to tell, under ``id``. ``nextTs``: when it is tried next; null: no more.
    ``status``: of the last answer (of HTTP, or the exit status of a command), ``answer`` how it begins."""

    id: str
    hook: str
    occasion: str
    task_flow_id: str | None
    state: DeliveryState
    attempts: int
    created_ts: Moment
    next_ts: Moment | None
    last_ts: Moment | None
    status: int | None
    answer: str
    error: str

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        return cls(*msgspec.structs.astuple(delivery))


class DeliveryWithBody(DeliveryView):
    """The same with its body, as it is sent."""

    body: str


class DeliveriesPage(View):
    """What a hook told, the newest first; ``next`` is the cursor of the next page."""

    hook: str
    deliveries: list[DeliveryView]
    next: str | None


class DeliveryCursor(msgspec.Struct, frozen=True):
    """Where a list of deliveries goes on."""

    at: Moment
    id: str
