"""Flow control as people set it: limits, rates, weights and pauses of one scope."""

from typing import Any, Literal

import msgspec

Scope = Literal["global", "queue", "workflow", "program"]
AtMaxFlows = Literal["queue", "reject", "cancel_oldest", "skip"]

SCOPES: tuple[Scope, ...] = ("global", "queue", "workflow", "program")
MAX_LIMIT = 1_000_000
MIN_WEIGHT, MAX_WEIGHT = 0.01, 100.0
MIN_PERIOD_SECONDS, MAX_PERIOD_SECONDS = 0.1, 86_400.0
MAX_PARAMETER_LENGTH = 1_024
MAX_EXACT = 2**53 - 1  # up to here whole numbers are told apart where a strike is compared (Lua's doubles)
STRIDE = 100  # as in lua/lib/boards.lua: how far a task moves the turn of a workflow of weight 1


class FlowControl(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row of ``ms_flow_control``; what is None is not limited.

    ``max_running`` counts units of tasks that run at once, ``max_per_key`` the same for each value of the
    parameter ``limit_by``; ``max_flows`` flows of a workflow that are under way at once, ``at_max_flows``
    what happens beyond. ``rate`` starts of tasks in any ``rate_period_seconds``. ``fair_by`` names the
    parameter whose values are served in turn, each as a workflow of its own; ``weight`` is its share of the
    turns.
    """

    scope: Scope
    name: str = ""
    max_running: int | None = None
    limit_by: str | None = None
    max_per_key: int | None = None
    max_flows: int | None = None
    at_max_flows: AtMaxFlows = "queue"
    count_suspended: bool = False
    rate: int | None = None
    rate_period_seconds: float = 1.0
    fair_by: str | None = None
    weight: float | None = None
    is_paused: bool = False
    reason: str = ""
    changed_by: str = ""


class Strike(msgspec.Struct, frozen=True, kw_only=True):
    """One row of ``ms_strike``: every task of a program with this value of a parameter is passed over."""

    id: str
    program: str
    parameter: str
    value: str | int | float | bool
    by: str = ""
    reason: str = ""


def problems_of(control: FlowControl) -> list[str]:
    """Why these settings cannot be, each as a sentence."""
    problems: list[str] = []
    if control.scope not in SCOPES:
        problems.append(f"scope {control.scope!r} is none of {', '.join(SCOPES)}")
    if (control.scope == "global") != (control.name == ""):
        problems.append("the scope global has no name, every other one has")
    allowed = {
        "limit_by": ("workflow", "program"),
        "max_per_key": ("workflow", "program"),
        "max_flows": ("workflow",),
        "rate": ("workflow", "program"),
        "fair_by": ("workflow",),
        "weight": ("workflow",),
    }
    for field, scopes in allowed.items():
        if getattr(control, field) is not None and control.scope not in scopes:
            problems.append(f"{field} is for the scope {' or '.join(scopes)}, not {control.scope}")
    for field in ("max_running", "max_per_key", "max_flows", "rate"):
        value = getattr(control, field)
        if value is not None and not 1 <= value <= MAX_LIMIT:
            problems.append(f"{field} is {value}, outside 1..{MAX_LIMIT}; to stop everything, pause")
    if (control.limit_by is None) != (control.max_per_key is None):
        problems.append("limit_by and max_per_key go together")
    if not MIN_PERIOD_SECONDS <= control.rate_period_seconds <= MAX_PERIOD_SECONDS:
        problems.append(f"rate_period_seconds is outside {MIN_PERIOD_SECONDS:g}..{MAX_PERIOD_SECONDS:g}")
    if control.weight is not None and not MIN_WEIGHT <= control.weight <= MAX_WEIGHT:
        problems.append(f"weight is {control.weight:g}, outside {MIN_WEIGHT:g}..{MAX_WEIGHT:g}")
    for field in ("limit_by", "fair_by"):
        if len(getattr(control, field) or "") > MAX_PARAMETER_LENGTH:
            problems.append(f"{field} is longer than {MAX_PARAMETER_LENGTH} characters: no parameter's name")
    return problems


def counted_in_one_place(control: FlowControl, pin: str | None) -> set[str]:
    """The fields of these that a pinned workflow's one partition counts alone: all of the limit is there."""
    if control.scope != "workflow" or pin is None:
        return set()
    return {"max_per_key", "max_flows"} if pin == "workflow" else {"max_per_key"}


def problems_of_share(control: FlowControl, partitions: int, pin: str | None = None) -> list[str]:
    """Why these settings cannot hold exactly where there are so many partitions, each as a sentence.

    Shares of most limits are lent by demand. Of those per key, and of flows beyond which something else is
    done than to wait, every partition gets an equal part, and at least one unit: nothing waits for ever;
    unless the workflow has a ``pin``, by which they are counted in one place.
    """
    found: list[str] = []
    fields = ["max_per_key"] if control.at_max_flows == "queue" else ["max_per_key", "max_flows"]
    for field in fields:
        if field in counted_in_one_place(control, pin):
            continue
        value: int | None = getattr(control, field)
        if value is not None and 1 <= value < partitions:  # what is below 1 holds nowhere
            found.append(
                f"{field} is {value}, fewer than there are partitions ({partitions}): each gets one at least,"
                f" so {partitions} would hold; set {partitions} or more, pin the workflow, or pause"
            )
    return found


def problems_of_strike(strike: Strike) -> list[str]:
    """Why nothing can be struck by this, each as a sentence."""
    value: Any = strike.value  # as it was read: the table may hold anything
    if isinstance(value, str | bool):
        return []
    if isinstance(value, int):
        if abs(value) > MAX_EXACT:
            return [f"its value is a whole number beyond {MAX_EXACT}, where others would be met, too"]
        return []
    if isinstance(value, float) and value - value == 0:
        return []
    return ["its value is no text, number, true or false"]
