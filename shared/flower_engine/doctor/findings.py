"""What an examination comes to: findings, each with what to do about it."""

from collections.abc import Sequence
from typing import Literal

import msgspec

State = Literal["ok", "warning", "problem"]


class Finding(msgspec.Struct, frozen=True):
    """One sentence about one thing. ``advice``: what to do about it; "" where nothing is to be done."""

    check: str
    state: State
    detail: str
    advice: str = ""


def ok(check: str, detail: str) -> Finding:
    """All is well with it."""
    return Finding(check, "ok", detail)


def warning(check: str, detail: str, advice: str) -> Finding:
    """It works, and somebody should look at it."""
    return Finding(check, "warning", detail, advice)


def problem(check: str, detail: str, advice: str) -> Finding:
    """Something does not work because of it, or soon will not."""
    return Finding(check, "problem", detail, advice)


def worst_of(findings: Sequence[Finding]) -> State:
    """The state of all of them together."""
    states = {finding.state for finding in findings}
    return "problem" if "problem" in states else "warning" if "warning" in states else "ok"


def and_more(names: Sequence[object], most: int = 5) -> str:
    """Some of the names, and how many are left out."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(str(name) for name in names[:most]) + more
