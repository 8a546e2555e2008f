"""What the API tells of signals and approvals."""

from datetime import datetime
from typing import Any

import msgspec


class Signalled(msgspec.Struct, rename="camel", kw_only=True):
    """What became of a signal to a flow: ``taken`` by a task, ``kept`` until one awaits it, or ``known``: it
    came before."""

    id: str
    became: str
    task_exec_seq: int | None = None


class SignalledAll(msgspec.Struct, rename="camel", kw_only=True):
    """How many tasks took a signal by name and key, the first of them (flow, number); how many flows
    do not take it: not such a payload, or no signal any more; whether a flow had got it before; until when it
    is kept for others."""

    id: str
    taken: int
    tasks: list[dict[str, Any]] = []
    unfit: int = 0
    is_known: bool = False
    kept_until: datetime | None = None


class KeptSignal(msgspec.Struct, rename="camel", kw_only=True):
    """A signal that is kept until then for flows that come to await it, with ``first`` for one of them;
    ``taken``: by so many tasks so far."""

    id: str
    name: str
    key: str = ""
    by: str = ""
    sent: datetime
    until: datetime
    first: bool = False
    taken: int = 0


class Approval(msgspec.Struct, rename="camel", kw_only=True):
    """An approval, and of whom it asks what; ``until`` None: it waits for ever. ``shows`` (and what of it
    cannot be had, ``problems``) is told where one is asked for, and whether it ``is_asked`` now."""

    task_flow_id: str
    task_id: str
    task_exec_seq: int
    attempt: int
    task_name: str | None = None
    title: str | None = None
    text: str | None = None
    form: Any = None
    roles: list[str] = []
    of: int = 1
    answered_by: list[str] = []
    not_registrant: bool = False
    registered_by: str = ""
    since: datetime | None = None
    until: datetime | None = None
    on_timeout: str = "suspend"
    is_paused: bool = False
    shows: Any = None
    problems: list[str] = []
    is_asked: bool = True
    version: int | None = None


class AnswerLink(msgspec.Struct, rename="camel", kw_only=True):
    """A link by which somebody answers, once: whoever has it can."""

    url: str
    attempt: int
    expires: datetime
