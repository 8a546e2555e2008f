"""How tasks have ended, and why, in words: the same for the command and whoever else shows it."""

from collections.abc import Sequence

from flower_engine.projection.read.end_views import NotTaken

_END_WORDS = {
    "passedOver": "passed over",
    "notTaken": "not taken",
    "cancelled": "cancelled",
    "unneeded": "not needed",
    "vanished": "vanished",
    "givenUp": "given up",
    "suspend": "held",
}


def why_not_taken(why: NotTaken) -> str:
    """Why a rule passed over a task, as the end of the sentence that begins with the task."""
    if why.because == "branch":
        return f"not taken: {why.decision}"
    named = ", ".join(map(str, why.depends_on)) + (", ..." if why.count > len(why.depends_on) else "")
    those = f"task {named}" if why.count == 1 else f"tasks {named}"
    was, has = ("was", "has") if why.count == 1 else ("were", "have")
    sentence = {
        "givenUp": f"{those} {was} given up",
        "missingValue": f"{those} {has} no value, which it cannot do without",
        "noneTaken": f"of {those} none was taken" if why.count > 1 else f"{those} was not taken",
        "notFinished": f"{those} did not finish",
        "tooFew": f"{why.needed} of those before it must finish, which cannot be any more: {those} did not",
        "noFailure": f"none of {those} failed" if why.count > 1 else f"{those} did not fail",
    }.get(why.because, "its rule says so")
    ends = ", ".join(f"{count} {_END_WORDS.get(kind, kind)}" for kind, count in sorted(why.ends.items()))
    return f"not taken by its rule {why.rule}: {sentence} (before it: {ends})"


def why_not_needed(joins: Sequence[int]) -> str:
    """Why a task was cancelled that nobody needed any more, by the joins that went on without it."""
    if not joins:
        return "not needed: what it led to went on without it"
    named = ", ".join(map(str, joins))
    return f"not needed: {'task' if len(joins) == 1 else 'tasks'} {named} went on without it"
