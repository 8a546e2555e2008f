"""What the shell may complete: workflows and flows, as the API has them at that moment.

A completion that cannot be had offers nothing and says nothing: somebody is typing.
"""

from contextlib import closing
from typing import Any

import httpx

from flower_cli.commands.api_client import Api, ApiError
from flower_cli.commands.words import moment, status_word
from flower_engine.client.api_location import api_url
from flower_engine.errors import FlowerError
from flower_engine.model.values.noun_counts import counted
from flower_engine.secret_files import own_token

_MOST = 50
_SECONDS = 1.0

Completions = list[tuple[str, str]]


def complete_flow(incomplete: str) -> Completions:
    """The newest flows, each with what it is."""
    flows = _ask("/flows", "flows")
    offered = [("last", "the flow that was registered last")] if flows else []
    offered += [
        (flow["taskFlowId"], f"{flow['taskId']} {status_word(flow)} {moment(flow['registeredTs'])}")
        for flow in flows
    ]
    return _beginning_with(incomplete, offered)


def complete_workflow(incomplete: str) -> Completions:
    """The workflows that are defined."""
    offered = [(one["taskId"], counted(one["taskCount"], "task")) for one in _ask("/workflows", "workflows")]
    return _beginning_with(incomplete, offered)


def complete_schedule(incomplete: str) -> Completions:
    """The schedules that are set."""
    offered = [
        (one["schedule"], f"{one['taskId']} {one['state']}") for one in _ask("/schedules", "schedules")
    ]
    return _beginning_with(incomplete, offered)


def complete_hook(incomplete: str) -> Completions:
    """The hooks that are set."""
    offered = [(one["hook"], f"{one['kind']} {one['target']}") for one in _ask("/hooks", "hooks")]
    return _beginning_with(incomplete, offered)


def complete_program(incomplete: str) -> Completions:
    """The programs that live workers serve."""
    programs = {name for worker in _ask("/workers", "workers") for name in worker["programs"]}
    return _beginning_with(incomplete, [(name, "") for name in sorted(programs)])


def complete_status(incomplete: str) -> Completions:
    """The statuses of flows."""
    words = ("Wait", "Running", "Suspend", "Finish", "Ignore", "Failed", "Ending")
    return [(word, "") for word in words if word.lower().startswith(incomplete.lower())]


def _beginning_with(incomplete: str, offered: Completions) -> Completions:
    return [one for one in offered if one[0].startswith(incomplete)]


def _ask(path: str, key: str) -> list[dict[str, Any]]:
    query = {} if path == "/workers" else {"limit": _MOST}
    try:
        with closing(Api(api_url(), own_token(), httpx.Timeout(_SECONDS))) as api:
            found: list[dict[str, Any]] = api.read(path, **query)[key]
            return found
    except (ApiError, FlowerError, ValueError, KeyError, TypeError):
        return []
