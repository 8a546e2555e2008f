"""Why tasks wait, in words: the same for the command, the API and whoever else shows it."""

from datetime import datetime

import msgspec

from flower_engine.model.tasks.rules import FAILED
from flower_engine.model.values.noun_counts import are, counted
from flower_engine.projection.read.wait_views import (
    Awaits,
    Behind,
    CannotStart,
    Delayed,
    DependenciesOpen,
    ItemsOpen,
    LimitReached,
    NoPlace,
    NoPlaceInMap,
    NoVersion,
    NoWorker,
    Paused,
    RateReached,
    Ready,
    RetryAt,
    RoundAt,
    RuleOpen,
    ScopePaused,
    Unknown,
    WaitReason,
)

_MOST_FLOWS = 3
_MOST_TASKS = 10


def in_words(reason: WaitReason) -> str:
    """A wait reason as the end of the sentence that begins with the task."""
    match reason:
        case DependenciesOpen() | ItemsOpen() | RuleOpen():
            return _for_others(reason)
        case RetryAt() | RoundAt():
            return _for_its_time(reason)
        case Awaits(kind, what, until, answered_by):
            return _awaited(kind, what, until, answered_by)
        case Delayed(until):
            return f"delayed until {_day_and_time(until)} UTC"
        case Paused(by):
            return f"the flow is paused by {by}"
        case Ready():
            return "ready, waits for a free slot"
        case CannotStart(program, _, worker, detail):
            return f"no live worker can start program {program}; {worker} tries again: {detail}"
        case NoVersion(program, queue):
            return f"waits for another version of program {program} in queue {queue}: live ones refused it"
        case Unknown(detail):
            return detail
        case NoWorker(_, queue, is_queue_served=False):
            return f"no live worker serves queue {queue}"
        case NoWorker(program, queue):
            return f"no live worker serves program {program} in queue {queue}"
        case _:
            return _of_flow_control(reason)


def _for_its_time(reason: RetryAt | RoundAt) -> str:
    if isinstance(reason, RetryAt):
        return f"retry at {_clock(reason.due_ts)}"
    return f"round {reason.round} begins at {_day_and_time(reason.due_ts)} UTC"


def _awaited(kind: str, what: str, until: datetime | None, answered_by: list[str]) -> str:
    if kind == "sleep":
        return f"sleeps until {_day_and_time(until)} UTC" if until else "sleeps"
    if kind == "when":
        return f"is to be decided: {what}"
    if kind == "map":
        return f"is to be expanded, or its list is to be made: items run {what}"
    if kind == "childEnd":
        return f"waits until its child has ended, as its flow does: {what}"
    if kind == "childBefore":
        return f"waits until its child before has cleaned up, and begins another then: {what}"
    if kind in ("flow", "returns"):
        return f"waits for its child: {what}" if kind == "flow" else "it is worked out what the flow returns"
    named = f" {what}" if what else ""
    said = f"waits for the signal{named}" if kind == "event" else f"waits for the approval{named}"
    if answered_by:
        said += f" of others than {', '.join(answered_by)}"
    return said + (f", until {_day_and_time(until)} UTC" if until else "")


def _for_items(reason: ItemsOpen) -> str:
    counts = {"failed": reason.failed, "running": reason.running, "waiting": reason.waiting}
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    named = ", ".join(map(str, reason.failed_items))
    failed = (
        f" (task {named}{', ...' if reason.failed > len(reason.failed_items) else ''} failed)"
        if named
        else ""
    )
    return f"waits for {sum(counts.values())} of {counted(reason.count, 'item')}: {said}{failed}"


def _for_others(reason: DependenciesOpen | ItemsOpen | RuleOpen) -> str:
    if isinstance(reason, ItemsOpen):
        return _for_items(reason)
    those = ", ".join(map(str, reason.depends_on[:_MOST_TASKS]))
    if (more := len(reason.depends_on) - _MOST_TASKS) > 0:
        those += f" and {more} more"
    if isinstance(reason, DependenciesOpen):
        return f"waits for {those}"
    rule, needed, have = reason.rule, reason.needed, reason.have
    if rule == FAILED:
        return f"waits for one of {those} to fail (rule failed)"
    return f"waits for {needed - have} of {those} to finish (rule {rule}, {have} did)"


def _of_flow_control(
    reason: ScopePaused | LimitReached | RateReached | Behind | NoPlace | NoPlaceInMap,
) -> str:
    match reason:
        case ScopePaused("map", name):
            return f"map {name} is held, as too many of its items were given up"
        case LimitReached("map", name, _, running, most):
            return f"limit of map {name}: {running} of its items {are(running)} running, and {most} may"
        case ScopePaused(scope, name, by, because):
            who = f" by {by}" if by else ""
            return f"{scope_in_words(scope, name)} is paused{who}{f': {because}' if because else ''}"
        case LimitReached(scope, name, key, running, most, held_by, whole):
            of = scope_in_words(scope, name) + (f" ({key})" if key else "")
            flows = ", ".join(held_by[:_MOST_FLOWS]) + (", ..." if len(held_by) > _MOST_FLOWS else "")
            held = f", by {flows}" if held_by else ""
            return (
                f"limit of {of}: {running} of {counted(most, 'unit')} {are(most)} in use{held}{_share(whole)}"
            )
        case RateReached(scope, name, rate, seconds, until, whole):
            have = f"{rate} {'has' if rate == 1 else 'have'} started in {seconds:g} s"
            of = scope_in_words(scope, name)
            return f"rate of {of}: {have}, the next may at {_clock(until)}{_share(whole)}"
        case Behind(tasks, at_least):
            least = "at least " if at_least else ""
            return f"behind {least}{counted(tasks, 'task')} of higher or equal priority"
        case NoPlaceInMap(flow, number, inside, most, ahead):
            before = f"{ahead} wait{'s' if ahead == 1 else ''} before it"
            goes_on = f"{inside} go{'es' if inside == 1 else ''} on"
            window = f"the window of map {number} (n={most}) of flow {flow}"
            return f"waits for a place in {window}: {goes_on}, {before}"
        case NoPlace(under_way, most, ahead, whole):
            before = f"{ahead} wait{'s' if ahead == 1 else ''} before it"
            places = f"{under_way} of {counted(most, 'flow')} {are(most)} under way"
            return f"waits for a place: {places}, {before}{_share(whole)}"


def _share(whole: int | msgspec.UnsetType) -> str:
    return "" if whole is msgspec.UNSET else f" (its partition's share of {whole}, which is lent by demand)"


def scope_in_words(scope: str, name: str) -> str:
    """What a limit or pause is about."""
    return f"{scope} {name}" if name else "everything"


def _clock(time: datetime) -> str:
    """The time of day, to the millisecond."""
    return time.isoformat(timespec="milliseconds")[11:23].removesuffix(".000")


def _day_and_time(time: datetime) -> str:
    return time.isoformat(" ", "seconds")[:19]
