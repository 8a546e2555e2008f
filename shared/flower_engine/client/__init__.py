"""Registers flows and looks after them from Python, over HTTP: ``Client``, and ``AsyncClient`` for asyncio.

A call is made of a part without I/O (``flow_calls.py``, ``workflow_calls.py``) and a session that drives it
(``http_sessions.py``); so both clients speak one protocol. Names are imported when they are asked for: the
command needs few of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flower_engine.client.async_client import AsyncClient
    from flower_engine.client.async_flow_handle import AsyncFlowHandle
    from flower_engine.client.audit_calls import Act
    from flower_engine.client.blocking_client import Client
    from flower_engine.client.blocking_flow_handle import FlowHandle
    from flower_engine.client.client_errors import (
        ApiRefusedError,
        ApiUnavailableError,
        AuthError,
        BackfillTimeoutError,
        ClientError,
        FailedTaskError,
        FlowCancelledError,
        FlowFailedError,
        FlowTimeoutError,
        NotRegisteredError,
        ResultError,
    )
    from flower_engine.client.flow_values import (
        Deployed,
        Event,
        Flow,
        FlowEntry,
        LogLine,
        Operated,
        Task,
        Worker,
    )
    from flower_engine.client.wait_values import AnswerLink, Approval, KeptSignal, Signalled, SignalledAll
    from flower_engine.client.wanted_flows import NamedWorkflow, Registration, named, registration

__all__ = [
    "Act",
    "AnswerLink",
    "ApiRefusedError",
    "ApiUnavailableError",
    "Approval",
    "AsyncClient",
    "AsyncFlowHandle",
    "AuthError",
    "BackfillTimeoutError",
    "Client",
    "ClientError",
    "Deployed",
    "Event",
    "FailedTaskError",
    "Flow",
    "FlowCancelledError",
    "FlowEntry",
    "FlowFailedError",
    "FlowHandle",
    "FlowTimeoutError",
    "KeptSignal",
    "LogLine",
    "NamedWorkflow",
    "NotRegisteredError",
    "Operated",
    "Registration",
    "ResultError",
    "Signalled",
    "SignalledAll",
    "Task",
    "Worker",
    "named",
    "registration",
]

_PLACES = {
    "async_client": ("AsyncClient",),
    "async_flow_handle": ("AsyncFlowHandle",),
    "audit_calls": ("Act",),
    "blocking_client": ("Client",),
    "blocking_flow_handle": ("FlowHandle",),
    "client_errors": (
        "BackfillTimeoutError",
        "ApiRefusedError",
        "ApiUnavailableError",
        "AuthError",
        "ClientError",
        "FailedTaskError",
        "FlowCancelledError",
        "FlowFailedError",
        "FlowTimeoutError",
        "NotRegisteredError",
        "ResultError",
    ),
    "flow_values": ("Deployed", "Event", "Flow", "FlowEntry", "LogLine", "Operated", "Task", "Worker"),
    "wait_values": ("AnswerLink", "Approval", "KeptSignal", "Signalled", "SignalledAll"),
    "wanted_flows": ("NamedWorkflow", "Registration", "named", "registration"),
}


def __getattr__(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
