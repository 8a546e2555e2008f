"""Whether the stores belong together, and each partition can be worked on."""

from flower_engine.doctor.findings import Finding, and_more, ok, problem, warning
from flower_engine.doctor.subject import Subject
from flower_engine.errors import FlowerError, LostError
from flower_engine.log.client import is_cluster
from flower_engine.log.each_partition import from_each
from flower_engine.log.partition import Partition, read_meta
from flower_engine.projection.definitions.flow_control_rows import read_controls
from flower_engine.projection.maintain.gaps import outdated_flows, read_gaps
from flower_engine.projection.write.projected_positions import read_positions
from flower_engine.runtime.flow_control_sync import control_differences, problems_of_controls
from flower_engine.runtime.installation import check_installation
from flower_engine.runtime.redis_loss import why_not
from flower_engine.store_faults import words_of

_RECOVER = "flower recover makes Redis anew from the archive (docs/operations.md, 'When Redis is lost')"
_URLS = "set FLOWER_REDIS_URL, FLOWER_DATABASE_URL and FLOWER_PARTITIONS as they were, for all services"


async def partitions(subject: Subject) -> list[Finding]:
    """Which partitions Redis has, and which of them are halted, or away; Redis alone is asked."""
    check, client, settings = "partitions", subject.client, subject.settings
    asked = [Partition(number, "", "") for number in range(settings.partitions if is_cluster(client) else 1)]
    told = await from_each(client, asked, lambda one: read_meta(client, one.number))
    first = next((meta for meta in told.found.values() if meta is not None), None)
    gone = {number for meta in told.found.values() if meta is not None for number in meta.gone}
    ever = first.count if first and first.count else settings.partitions
    numbers = [number for number in range(ever) if number not in gone]
    count = subject.partition_count = len(numbers)
    for number in numbers:
        if number >= len(asked):
            told.found[number] = await read_meta(client, number)
    found: list[Finding] = []
    halted: list[str] = []
    retiring: list[str] = []
    for number in numbers:
        if number in told.away:
            detail = f"partition {number} is away: {words_of(told.away[number])}"
            found.append(
                problem(check, detail, "its flows stand still; see that its node, or a replica, runs")
            )
            continue
        meta = told.found[number]
        if meta is not None and (meta.is_retiring or meta.is_retired):
            retiring.append(str(number))
        if meta is not None and meta.generation:
            subject.partitions.append(Partition(number, meta.installation, meta.generation))
        elif meta is not None and meta.is_retired:
            continue  # a projector is about to take it away
        elif meta is not None or subject.projected or number:
            halted.append(why_not(number, meta))
    found += [problem(check, why, _RECOVER) for why in halted[:5]]
    if len(halted) > 5:
        found.append(problem(check, f"{len(halted) - 5:,} more partitions are lost or halted", _RECOVER))
    if subject.partitions and not found:
        detail = f"all {count} can be worked on" if count > 1 else "there is one, at work"
        if retiring:
            detail += f"; {', '.join(retiring)} is retired, and goes when it is empty (flower partitions)"
        found.append(ok(check, detail))
    return found


async def positions(subject: Subject) -> list[Finding]:
    """How far Postgres is; said by others."""
    subject.projected.extend(await read_positions(subject.connection))
    return []


async def installation(subject: Subject) -> list[Finding]:
    """Whether both stores are of one installation, at one generation."""
    check = "installation"
    try:
        found = await check_installation(subject.client, subject.connection, subject.settings)
    except LostError as error:
        return [problem(check, str(error), _RECOVER)]
    except FlowerError as error:
        return [problem(check, str(error), _URLS)]
    if found is None:
        return [problem(check, "neither store has an installation yet", "start the API or a projector")]
    generations = sorted({one.generation for one in found})
    detail = f"both stores are of {found[0].installation}, at generation {and_more(generations)}"
    return [ok(check, detail)]


async def history(subject: Subject) -> list[Finding]:
    """Whether a part of the history is lost for good."""
    check, connection = "history", subject.connection
    outdated, count = await outdated_flows(connection, 1)
    if count:
        detail = f"{count:,} flows are known by an older end than their last: {outdated[0]}"
        return [warning(check, detail, "flower verify names them all")]
    gaps = await read_gaps(connection)
    if gaps:
        return [ok(check, f"{len(gaps)} parts of it are lost, and the engine went on: {gaps[-1]}")]
    return [ok(check, "the archive has no gap")]


async def flow_control(subject: Subject) -> list[Finding]:
    """Whether limits, pauses and strikes in Redis are those of the tables."""
    check, connection = "flow control", subject.connection
    count = subject.partition_count
    advice = "correct the row: flower limit, flower strike, or SQL"
    controls = await read_controls(connection)
    found = [warning(check, said, advice) for said in problems_of_controls(controls, count)[:10]]
    for partition in subject.some_partitions:
        for said in await control_differences(subject.client, connection, partition, count):
            advice = "a watcher brings the tables to Redis: see that one runs with FLOWER_DATABASE_URL"
            found.append(problem(check, f"partition {partition.number}: {said}", advice))
            break  # the others have the same reason
        else:
            continue
        break
    return found or [ok(check, "Redis holds what the tables say")]
