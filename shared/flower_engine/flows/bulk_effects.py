"""What one operation on many flows would do to each of some of them, told before anything is done."""

import asyncio
from collections.abc import Sequence

import msgspec

from flower_engine.flows.bulk_operations import BulkOperation, alike, failed_of, held_tasks
from flower_engine.flows.effects import Effect
from flower_engine.flows.held_up import HoldingUp
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.tree_operations import ElsewhereInTree, TreeOperator
from flower_engine.projection.read.alike_tasks import AlikeFlow
from flower_engine.projection.read.flow_selection import FlowSelection, count_flows, select_flows

MOST_FORETOLD = 100
"""Flows of which an effect is told: the histories of all of them are read."""
_AT_ONCE = 8


class Matching(msgspec.Struct):
    """How many flows match, and the first of them; of a fault how many tasks are meant in all, and which."""

    count: int
    first: list[AlikeFlow]
    tasks: int | None = None


class Foretold(msgspec.Struct, kw_only=True):
    """What would become of a flow: ``effect``, and of so many others of its tree something too, or why it
    would be refused. ``did``: what the operation comes to there, as of an ``OperatedFlow``; ``tasks``: those
    that are meant."""

    flow: str
    workflow: str
    did: str
    tasks: list[int] = []
    effect: Effect | None = None
    elsewhere: int = 0
    refusal: Exception | None = None


async def matching(
    stores: PostgresStores, selection: FlowSelection, operation: BulkOperation, *, most: int, first: int
) -> Matching:
    """Counts the flows, up to ``most``, and names the ``first`` of them, the oldest first."""
    if operation.fault is not None:
        found = await alike(stores, selection, operation)
        return Matching(len(found), found[:first], sum(len(one.tasks) for one in found))
    async with stores.postgres() as connection:
        count = await count_flows(connection, selection, most=most)
        named = await select_flows(connection, selection, behind=None, limit=first) if first else []
    return Matching(count, [AlikeFlow(one.flow, one.workflow, []) for one in named])


async def foretell(
    stores: PostgresStores, flows: Sequence[AlikeFlow], operation: BulkOperation
) -> list[Foretold]:
    """What the operation would do to each of these flows as it stands."""
    told: list[Foretold] = []
    holding = HoldingUp(stores)
    for first in range(0, len(flows), _AT_ONCE):
        some = flows[first : first + _AT_ONCE]
        found = await asyncio.gather(*(_foretell(stores, one, operation) for one in some))
        for one, elsewhere in found:
            if one.effect is not None:  # each takes the places that it needs before the next one
                await holding.tell(one.flow, one.effect, elsewhere)
            told.append(one)
    return told


async def _foretell(
    stores: PostgresStores, one: AlikeFlow, operation: BulkOperation
) -> tuple[Foretold, Sequence[ElsewhereInTree]]:
    """The same of one flow; with what it does to others of its tree."""
    told = Foretold(flow=one.flow, workflow=one.workflow, did=operation.name, tasks=one.tasks)
    elsewhere: Sequence[ElsewhereInTree] = ()
    try:
        operator = TreeOperator(stores, one.flow, operation.by)
        told.effect = await _effect(operator, told, operation)
        elsewhere = operator.elsewhere
        told.elsewhere = len(elsewhere) + operator.more_elsewhere
    except Exception as error:  # noqa: BLE001 # told of this flow, as it would be when it is done
        told.refusal = error
    return told, elsewhere


async def _effect(operator: TreeOperator, told: Foretold, operation: BulkOperation) -> Effect:
    if operation.name == "cancel":
        return await operator.effect_of_cancel()
    state = await operator.state()
    if operation.name == "rerun":
        failed = failed_of(state, told.tasks) if operation.fault else "failed"
        version, keeps = operation.workflow_version, operation.keep_answers
        return await operator.effect_in_tree(failed, operation.scope, {}, version, keep_answers=keeps)
    if operation.name == "ignore":
        told.tasks = failed_of(state, told.tasks) if operation.fault else held_tasks(state)
        return await operator.effect_of_ignore(told.tasks)
    if operation.name == "resume":
        told.did, effect = await operator.effect_of_resume()
        return effect
    if operation.name == "priority":
        return await operator.effect_of_priority(operation.priority)
    if state.paused is not None:
        told.did = "nothing"
    return await operator.effect_of_pause()
