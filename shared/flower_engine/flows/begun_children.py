"""Plans of children: the workflow of each in the version that its tree is of, with what it is given."""

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from flower_engine.errors import (
    BlobStoreError,
    DefinitionError,
    MissingBlobError,
    ParameterError,
    ParametersError,
    SettingsError,
    UnknownVersionError,
    UnknownWorkflowError,
)
from flower_engine.flows.plan_overrides import overridden
from flower_engine.flows.plans import plan_with
from flower_engine.flows.sources import Definitions
from flower_engine.flows.trees import tree_below
from flower_engine.flows.versions import find_version
from flower_engine.model.definitions.child_flows import VERSION, VERSIONS, WORKFLOW
from flower_engine.model.definitions.child_plans import Pinned, given_of, plan_child
from flower_engine.model.definitions.task_message import TaskMessage, parameters_in_round
from flower_engine.model.definitions.workflow_versions import definition_of, version_of
from flower_engine.model.flow_control.lanes import Lane, parse_lane
from flower_engine.model.folding.kept_results import BLOB, INLINE
from flower_engine.model.maps.decision_outcomes import no_secret
from flower_engine.model.parameters.references import NoValueError, Read, resolved_value
from flower_engine.model.tasks.raised_errors import encode_error
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.runtime.clock import Clock
from flower_engine.transitions.register_transition import FlowPlan
from flower_engine.transitions.tree_transitions import Begun, DueChild

_decode = msgspec.json.decode
_decode_message = msgspec.json.Decoder(TaskMessage).decode
_KEPT_MS = 5_000  # the plan of a version never changes; which parameters tell its flows apart may
_MOST_TASKS = 100_000
MAX_GIVEN_BYTES = 256 * 1024
"""Of the parameters that a child is given, as JSON."""
MAX_READ_BYTES = 16 * 1024 * 1024
"""Of a blob of which a child is given a part."""
_MOST_BOUND = 20  # plans that are kept of one version: with the priorities and fair keys of parents
Fetch = Callable[[BlobRef], Awaitable[bytes]]
_log = logging.getLogger(__name__)


class _Kept(NamedTuple):
    """A plan that was made at that moment. ``bound``: those of children that are given nothing, by the
    priority and the fair key of their parents' tasks: children that have one plan begin by it together."""

    ms: int
    plan: FlowPlan
    bound: dict[tuple[int, str], FlowPlan]


class ChildPlans:
    """Makes the plans of children; keeps those that it made lately."""

    def __init__(self, definitions: Definitions, clock: Clock, fetch: Fetch | None = None) -> None:
        """``fetch`` reads blobs; without one children are given none."""
        self._definitions = definitions
        self._fetch = fetch
        self._clock = clock
        self._kept: OrderedDict[tuple[Any, ...], _Kept] = OrderedDict()
        self._tasks = 0

    async def begin(self, due: DueChild) -> Begun | None:
        """What becomes of a task whose child is to begin; None: a blob that it is given cannot be read now.

        Raises:
            psycopg.Error, StoreUnavailableError: the workflow of the child cannot be read now.
        """
        message = _decode_message(due.message)
        try:
            given = parameters_in_round(message, _given(message, await self._contents(message, due)))
            kept = await self._plan(message)
            return Begun("begins", self._bound(kept, given, due.lane))
        except ParametersError as error:
            told = "; ".join(fault.detail for fault in error.faults)
            workflow = message.parameters.get(WORKFLOW)
            refusal = ParameterError(f"workflow {workflow!r} does not take what its child is given: {told}")
            return Begun("cannot", payload=encode_error(refusal))
        except MissingBlobError as error:
            return Begun("cannot", payload=encode_error(error))
        except (BlobStoreError, SettingsError) as error:
            _log.warning("a child of flow %s cannot begin now: %s", due.flow, error)
            return None
        except (
            ParameterError,
            DefinitionError,
            UnknownWorkflowError,
            UnknownVersionError,
            ValueError,
            LookupError,
            TypeError,
            RecursionError,
        ) as error:
            return Begun("cannot", payload=encode_error(error))

    async def _contents(self, message: TaskMessage, due: DueChild) -> dict[str, bytes]:
        """The JSON of what the child's task reads, by name; what has no result is absent."""
        found: dict[str, bytes] = {}
        for name, seq in message.reads.items() if message.refs else ():
            payload = due.input(seq)
            if payload.startswith(INLINE):
                found[name] = payload[1:]
            elif payload.startswith(BLOB):
                ref = msgspec.json.decode(payload[1:], type=BlobRef)
                if self._fetch is None or ref.bytes > MAX_READ_BYTES:
                    raise ParameterError(
                        f"the result of task {name} lies in a blob of {ref.bytes} bytes, and a child is given"
                        f" {MAX_GIVEN_BYTES} bytes, or parts of {MAX_READ_BYTES}: let the child read it where"
                        " it lies"
                    )
                found[name] = await self._fetch(ref)
        return found

    async def _plan(self, message: TaskMessage) -> _Kept:
        """The plan of a child, which is still to be given its parameters."""
        parameters = message.parameters
        workflow: str = parameters[WORKFLOW]
        version: str = parameters.get(VERSION, "")
        versions: Mapping[str, str] = parameters.get(VERSIONS, {})
        key = (workflow, version, *sorted(versions.items()))
        now_ms = self._clock.now_ms()
        kept = self._kept.get(key)
        if kept is not None and now_ms - kept.ms < _KEPT_MS:
            return kept
        plan = await (self._of_version(workflow, version, versions) if version else self._newest(workflow))
        return self._keep(key, now_ms, plan)

    async def _of_version(self, workflow: str, version: str, versions: Mapping[str, str]) -> FlowPlan:
        found = await find_version(self._definitions, workflow, version)
        keying = await self._definitions.keying(workflow)
        definition = msgspec.structs.replace(definition_of(workflow, found.canonical), keying=keying)
        # Each of them knows the whole tree below its own parent: what it does not need does no harm.
        tree = {name: Pinned(one, frozenset(versions) - {name}) for name, one in versions.items()}
        return plan_with(definition, plan_child(definition), found.hash, tree)

    async def _newest(self, workflow: str) -> FlowPlan:
        """Of a tree whose versions nobody fixed: an older version brought its schedule."""
        definition = await self._definitions.read(workflow)
        if definition is None:
            raise UnknownWorkflowError(f"there is no workflow {workflow!r} (any more)")
        tree, below = await tree_below(definition, self._definitions.read)
        for one in (definition, *below.values()):
            await self._definitions.keep_version(one.name, version_of(one))
        return plan_with(definition, plan_child(definition), version_of(definition).hash, tree)

    def _bound(self, kept: _Kept, given: dict[str, Any], lane: str) -> FlowPlan:
        """The plan of a flow, with the priority of its parent's task, and its fair key where it has none."""
        stands = parse_lane(lane)
        assert stands is not None, lane
        if given:
            return self._made(kept.plan, given, stands)
        as_parent = (stands.priority, stands.fair_key)
        bound = kept.bound.get(as_parent)
        if bound is None:
            bound = self._made(kept.plan, given, stands)
            if len(kept.bound) < _MOST_BOUND:
                kept.bound[as_parent] = bound
        return bound

    def _made(self, plan: FlowPlan, given: dict[str, Any], stands: Lane) -> FlowPlan:
        bound = overridden(plan, given, {}, stands.priority, {})
        if not stands.fair_key or plan.keying.fair_by is not None:
            return bound
        as_parent = [msgspec.structs.replace(task, fair_key=stands.fair_key) for task in bound.planned]
        return bound.with_tasks(as_parent, bound.given)

    def _keep(self, key: tuple[Any, ...], now_ms: int, plan: FlowPlan) -> _Kept:
        before = self._kept.pop(key, None)
        self._tasks += plan.tasks - (before.plan.tasks if before else 0)
        kept = self._kept[key] = _Kept(now_ms, plan, {})
        while self._tasks > _MOST_TASKS and len(self._kept) > 1:
            self._tasks -= self._kept.popitem(last=False)[1].plan.tasks
        return kept


def _given(message: TaskMessage, contents: Mapping[str, bytes]) -> dict[str, Any]:
    """The parameters of the child.

    Raises:
        ParameterError: a value is missing, or it is too large to be given.
    """
    if not message.refs:
        return given_of(message.parameters)

    def read(name: str) -> Any:
        if name not in contents:
            raise NoValueError(name)
        return _decode(contents[name])

    given = {name: _resolved(name, value, read) for name, value in given_of(message.parameters).items()}
    size = len(msgspec.json.encode(given))
    if size > MAX_GIVEN_BYTES:
        raise ParameterError(f"the child is given {size} bytes of parameters; {MAX_GIVEN_BYTES} may be")
    return given


def _resolved(name: str, value: Any, read: Read) -> Any:
    return resolved_value(value, read, no_secret, f"parameter {name!r} of the child")
