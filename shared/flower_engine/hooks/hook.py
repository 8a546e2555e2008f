"""What a hook is: whom it tells of what, and how."""

import re
from collections.abc import Iterable
from typing import Literal, get_args
from urllib.parse import urlsplit

import msgspec

from flower_engine.model.parameters.reference_forms import is_secret_name
from flower_engine.model.tasks.task_spec import MAX_NAME_LENGTH
from flower_engine.model.values.quoting import short

Occasion = Literal[
    "flow.failed",
    "flow.finished",
    "flow.cancelled",
    "flow.late",
    "slot.missed",
    "approval.asked",
    "approval.reminder",
    "approval.escalated",
]
"""What a hook can tell of. A flow has ``failed`` as soon as it is held up by a failed task (Suspend)."""
HookKind = Literal["webhook", "command", "python"]
OCCASIONS: tuple[str, ...] = get_args(Occasion)
KINDS: tuple[str, ...] = get_args(HookKind)

NAME_PATTERN = r"^[^\x00-\x1f\x7f/]+$"
MAX_TARGET = 2_048
MAX_REASON = 1_000
MAX_LATE_SECONDS = 366 * 86_400
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """A hook; :func:`problems` says whether it can be.

    ``workflow``: of whose flows it tells; None: of all. ``target``: the URL of a webhook, the name of a
    command that the operator allows, or the name of a Python function that is registered as a hook.
    ``secret``: the name of the secret that a webhook is signed with; None: it is not. ``late_after_seconds``:
    from when on a flow is late that has not ended, counted from when it was registered or was to start.
    """

    name: str
    workflow: str | None = None
    occasions: tuple[str, ...]
    kind: str
    target: str
    secret: str | None = None
    late_after_seconds: float | None = None
    is_paused: bool = False
    reason: str = ""

    def tells_of(self, occasion: str, workflow: str | None) -> bool:
        """Whether it tells of this, of a flow of this workflow (None: it is not known any more)."""
        return (
            not self.is_paused
            and occasion in self.occasions
            and (self.workflow is None or self.workflow == workflow)
        )


class HookProblem(msgspec.Struct, frozen=True):
    """What is wrong with a hook; ``field`` as the API names it."""

    field: str
    detail: str


def problems(hook: Hook) -> list[HookProblem]:
    """Everything that is wrong with a hook; [] where it can be used."""
    return [HookProblem(field, detail) for field, detail in _found(hook)]


def _found(hook: Hook) -> Iterable[tuple[str, str]]:
    if not re.fullmatch(NAME_PATTERN, hook.name) or len(hook.name) > MAX_NAME_LENGTH:
        yield "hook", f"a name has 1 to {MAX_NAME_LENGTH} characters, no slash and no control characters"
    yield from _found_of_occasions(hook)
    yield from _found_of_target(hook)
    if len(hook.reason) > MAX_REASON or "\0" in hook.reason:
        yield "reason", f"it has {MAX_REASON} characters at most"


def _found_of_occasions(hook: Hook) -> Iterable[tuple[str, str]]:
    if not hook.occasions:
        yield "occasions", f"it tells of nothing; there are {', '.join(OCCASIONS)}"
    for occasion in hook.occasions:
        if occasion not in OCCASIONS:
            yield "occasions", f"{short(occasion)!r} is none of {', '.join(OCCASIONS)}"
    is_late = "flow.late" in hook.occasions
    if is_late and hook.late_after_seconds is None:
        yield "lateAfterSeconds", "flow.late needs a time after which a flow is late"
    if not is_late and hook.late_after_seconds is not None:
        yield "lateAfterSeconds", "it is only for hooks that tell of flow.late"
    # (so NaN is refused, too)
    if hook.late_after_seconds is not None and not 1 <= hook.late_after_seconds <= MAX_LATE_SECONDS:
        yield "lateAfterSeconds", f"it is between 1 and {MAX_LATE_SECONDS} seconds"


def _found_of_target(hook: Hook) -> Iterable[tuple[str, str]]:
    if hook.kind == "webhook":
        why = why_no_url(hook.target)
        if why:
            yield "target", why
    elif hook.kind in KINDS:
        if not _WORD.fullmatch(hook.target):
            yield "target", f"{short(hook.target)!r} is no name: letters, digits and _.- make one"
    else:
        yield "kind", f"{short(hook.kind)!r} is none of {', '.join(KINDS)}"
    if hook.secret is not None:
        if hook.kind != "webhook":
            yield "secret", "only webhooks are signed"
        elif not is_secret_name(hook.secret):
            yield "secret", f"{short(hook.secret)!r} is no name of a secret"


def why_no_url(url: str) -> str:
    """Why this is no URL of a webhook; "": it is one."""
    if len(url) > MAX_TARGET:
        return f"a URL has {MAX_TARGET} characters at most"
    if not url.isascii() or re.search(r"[\x00-\x20\x7f\\]", url):
        return "a URL is ASCII and has no blanks or control characters; encode them (%20; punycode of a host)"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"it is no URL: {error}"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "a webhook has a URL of http or https, as https://example.com/flower is"
    if port == 0:
        return "there is no port 0"
    if "@" in parts.netloc:
        return "a URL with a user or password would be shown to everybody who may list hooks: leave them out"
    return ""
