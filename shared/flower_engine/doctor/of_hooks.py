"""Hooks that tell nothing, or whom nobody hears."""

import shlex

from flower_engine.doctor.findings import Finding, ok, problem, warning
from flower_engine.doctor.subject import Subject
from flower_engine.projection.hooks.deliveries import standings
from flower_engine.projection.hooks.hook_rows import read_hooks

_MOST_SAID = 10


async def hooks(subject: Subject) -> list[Finding]:
    """Each with what is wrong with it; those whose latest deliveries fail, or were given up."""
    check, connection = "hooks", subject.connection
    rows = await read_hooks(connection)
    if not rows:
        return [ok(check, "there is none")]
    stand = await standings(connection, [row.hook.name for row in rows])
    found: list[Finding] = []
    for row in rows:
        name, command = row.hook.name, f"flower hooks show {shlex.quote(row.hook.name)}"
        if row.problems:
            why = "; ".join(f"{one.field}: {one.detail}" for one in row.problems)
            found.append(problem(check, f"hook {name} tells nothing: {why}", f"{command}; then mend it"))
            continue
        its = stand.get(name)
        if its is None or row.hook.is_paused or not its.error or not (its.waiting or its.given_up):
            continue
        detail = (
            f"of what hook {name} told last {its.waiting} wait and {its.given_up} are given up: {its.error}"
        )
        advice = f"flower hooks deliveries {shlex.quote(name)}; when it is mended, flower hooks redeliver ID"
        found.append(warning(check, detail, advice))
    paused = sum(row.hook.is_paused for row in rows)
    said = f"{len(rows)} tell what they are to{f' ({paused} of them are paused)' if paused else ''}"
    return found[:_MOST_SAID] or [ok(check, said)]
