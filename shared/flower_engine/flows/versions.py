"""Versions of a workflow, as people name them."""

from flower_engine.errors import AmbiguousVersionError, UnknownVersionError
from flower_engine.flows.sources import Definitions
from flower_engine.model.definitions.workflow_versions import NEWEST, SHORTEST_PREFIX, number_or_prefix
from flower_engine.model.values.quoting import short
from flower_engine.projection.definitions.version_rows import KeptVersion


async def find_version(definitions: Definitions, workflow: str, which: str) -> KeptVersion:
    """The version that ``which`` means, with its definition: a number, how its hash begins, or "newest".

    Raises:
        UnknownVersionError: there is none.
        AmbiguousVersionError: several hashes begin so.
    """
    if which == NEWEST:
        newest = await definitions.newest_version(workflow)
        if newest is None:
            raise UnknownVersionError(f"workflow {workflow!r} has no versions")
        return newest
    wanted = number_or_prefix(which)
    if wanted is None:
        raise UnknownVersionError(
            f"{short(which)!r} names no version of workflow {workflow!r}: give its number, its hash or"
            f" {SHORTEST_PREFIX} characters or more of that, or {NEWEST!r}"
        )
    found = await definitions.find_versions(workflow, wanted)
    if not found:
        raise UnknownVersionError(
            f"workflow {workflow!r} has no version {which}; 'flower workflows versions {workflow}' lists them"
        )
    if len(found) > 1:
        raise AmbiguousVersionError(
            f"several versions of workflow {workflow!r} begin with {which}:"
            f" {', '.join(f'{one.number} ({one.hash[:16]})' for one in found)}..."
        )
    return found[0]
