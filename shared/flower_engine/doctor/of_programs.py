"""Versions of programs: what live workers have, beside what they publish and what definitions name."""

from flower_engine.doctor.findings import Finding, and_more, ok, problem, warning
from flower_engine.doctor.subject import Subject
from flower_engine.insight.published_signatures import hash_of, read_published
from flower_engine.projection.definitions.known_names import defined_programs

_MOST_SAID = 10


async def published(subject: Subject) -> list[Finding]:
    """Whether each live worker's programs are published, and which of them have several live versions."""
    check, live = "programs.versions", subject.workers
    if not live or not subject.partitions:
        return []
    pairs = {(worker.signatures, name) for worker in live for name in worker.programs}
    read = await read_published(subject.client, subject.partitions[0], pairs)
    found: list[Finding] = []
    for worker in live:
        missing = [name for name in worker.programs if (worker.signatures, name) not in read]
        if missing:
            detail = f"worker {worker.worker} has not published what {and_more(missing)} take"
            advice = "where that stays so, restart it: parameters of these are not checked before they run"
            found.append(warning(check, detail, advice))
    versions: dict[str, dict[str, list[str]]] = {}
    for worker in live:
        for name in worker.programs:
            if (worker.signatures, name) in read:
                version = hash_of(read[worker.signatures, name])
                versions.setdefault(name, {}).setdefault(version, []).append(worker.worker)
    for name, workers in sorted(versions.items()):
        if len(workers) > 1:
            said = "; ".join(f"{version} of {and_more(who, 3)}" for version, who in sorted(workers.items()))
            advice = "tasks run where their parameters fit; when an update is over, restart the older workers"
            found.append(warning(check, f"program {name} has {len(workers)} live versions: {said}", advice))
    return found[:_MOST_SAID] or [
        ok(check, f"live workers have one version each of {len(versions)} programs")
    ]


async def defined(subject: Subject) -> list[Finding]:
    """Programs of definitions that no live worker has."""
    check = "programs.defined"
    named = await defined_programs(subject.connection)
    served = {name for worker in subject.workers for name in worker.programs}
    missing = sorted(named - served)
    if missing:
        detail = f"definitions name {len(missing)} programs that no live worker has: {and_more(missing)}"
        advice = "start workers that have them, or mend the definitions: tasks of these wait"
        return [warning(check, detail, advice)]
    return [ok(check, f"live workers have all {len(named)} programs that definitions name")]


async def layout(subject: Subject) -> list[Finding]:
    """Whether the keys are of this version: read_meta refuses those of a newer one."""
    if subject.partitions:
        return [ok("redis.layout", "its keys are laid out as this version has them")]
    return [problem("redis.layout", "Redis has no partition that can be worked on", "see `partitions`")]
