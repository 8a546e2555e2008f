"""What a task waits for, as the API tells it."""

import msgspec

from flower_engine.projection.read.view_fields import Moment, View


class DependenciesOpen(View, tag="dependencies", tag_field="reason"):
    """It waits for other tasks of its flow, given by their taskExecSeq."""

    depends_on: list[int]


class ItemsOpen(View, tag="items", tag_field="reason"):
    """A map that waits for its items: ``count`` of them, of which so many wait, run and have failed
    (somebody must decide on these; ``failed_items``: some, by taskExecSeq, at most ten)."""

    count: int
    waiting: int
    running: int
    failed: int
    failed_items: list[int] = msgspec.field(default_factory=list)


class NoWorker(View, tag="noWorker", tag_field="reason"):
    """It is ready, but no live worker serves its program in its queue; ``is_queue_served``: some serve the
    queue, so it is the program that is missing."""

    program: str
    queue: str
    is_queue_served: bool = False


class CannotStart(View, tag="cannotStart", tag_field="reason"):
    """It is ready, but no live worker that serves its program in its queue can start it; ``worker``: one of
    them, which tries again now and then; ``detail``: why."""

    program: str
    queue: str
    worker: str
    detail: str


class NoVersion(View, tag="noVersion", tag_field="reason"):
    """It is ready, but the versions of its program that live workers serve in its queue have refused its
    parameters, and handed it back for another version."""

    program: str
    queue: str


class Ready(View, tag="ready", tag_field="reason"):
    """It is ready and waits for a free slot of a worker."""


class Unknown(View, tag="unknown", tag_field="reason"):
    """It is ready; what else it waits for cannot be said, and why."""

    detail: str


class RuleOpen(View, tag="rule", tag_field="reason"):
    """Its rule waits for some of the tasks ``depends_on`` (by taskExecSeq): ``needed`` of all that it depends
    on must finish or be passed over, and ``have`` did so far; of the rule ``failed`` one must fail."""

    rule: str
    depends_on: list[int]
    needed: int
    have: int


class RetryAt(View, tag="retry", tag_field="reason"):
    """It has failed and waits for its next attempt."""

    due_ts: Moment


class RoundAt(View, tag="round", tag_field="reason"):
    """Its program, or the child that does it, asked for another round of it, which begins then."""

    round: int
    due_ts: Moment


class Awaits(View, tag="awaits", tag_field="reason"):
    """It waits for the world (kind sleep, event or approval), to be decided (when, returns), to get its items
    or their list (map), for its child (flow), for the end of that alone, as its flow is ending (childEnd), or
    for the end of a child before, as another begins then (childBefore). ``what``: name and key of the event,
    the title of the approval, the condition, the program of the items, the workflow and the flow of the
    child; ``until_ts``: when a sleep is over, or when it has waited too long (null: never). ``answered_by``:
    who has answered while others are still to."""

    kind: str
    what: str
    until_ts: Moment | None
    answered_by: list[str] = msgspec.field(default_factory=list)


class Delayed(View, tag="delayed", tag_field="reason"):
    """Its flow was registered to start later."""

    until_ts: Moment


class Paused(View, tag="paused", tag_field="reason"):
    """Its flow is paused."""

    by: str


class ScopePaused(View, tag="scopePaused", tag_field="reason"):
    """Everything, its queue, its workflow or its program is paused, by whom and why."""

    scope: str
    name: str
    by: str = ""
    because: str = ""


class LimitReached(View, tag="limit", tag_field="reason"):
    """A limit is reached: ``running`` of ``most`` units; ``key``: of this key alone. ``held_by``: flows that
    use it, at most ten. ``whole``: the limit, where ``most`` is but the share of this flow's partition."""

    scope: str
    name: str
    key: str
    running: int
    most: int
    held_by: list[str] = msgspec.field(default_factory=list)
    whole: int | msgspec.UnsetType = msgspec.UNSET


class RateReached(View, tag="rate", tag_field="reason"):
    """``rate`` tasks have started within ``period_seconds``; the next may from ``until_ts`` on. ``whole``:
    the rate, where ``rate`` is but the share of this flow's partition."""

    scope: str
    name: str
    rate: int
    period_seconds: float
    until_ts: Moment
    whole: int | msgspec.UnsetType = msgspec.UNSET


class Behind(View, tag="behind", tag_field="reason"):
    """It is ready, behind ``tasks`` of higher or equal priority in its queue (``at_least``: or more)."""

    tasks: int
    at_least: bool


class NoPlace(View, tag="noPlace", tag_field="reason"):
    """Its flow waits until fewer than ``most`` flows of its workflow are under way; ``ahead`` come first.
    ``whole``: the limit, where ``most`` is but the share of this flow's partition."""

    under_way: int
    most: int
    ahead: int
    whole: int | msgspec.UnsetType = msgspec.UNSET


class NoPlaceInMap(View, tag="noPlaceInMap", tag_field="reason"):
    """Its child (or, of a task of a child, its flow) waits until fewer than ``most`` children of this map of
    this flow go on; ``inside`` have a place, ``ahead`` come first."""

    flow: str
    map: int
    inside: int
    most: int
    ahead: int


WaitReason = (
    DependenciesOpen
    | ItemsOpen
    | RuleOpen
    | RetryAt
    | RoundAt
    | Awaits
    | Delayed
    | Paused
    | ScopePaused
    | LimitReached
    | RateReached
    | Behind
    | NoPlace
    | NoPlaceInMap
    | NoWorker
    | CannotStart
    | NoVersion
    | Ready
    | Unknown
)
