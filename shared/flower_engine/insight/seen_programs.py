"""Which versions of programs live workers have, and when each was heard of last, for Postgres to keep."""

from flower_engine.insight.published_signatures import hash_of, read_published
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.programs.published_program import SeenProgram
from flower_engine.transitions.worker_transitions import live_workers

_BEGINNING_MS = 60_000  # in so much time a worker has said all that it will say


async def seen_programs(client: AsyncRedis, partition: Partition) -> list[SeenProgram]:
    """The versions that live workers have, by program and hash; not yet those of which a worker that has
    just begun has said the signatures alone.

    Raises:
        RedisError: Redis cannot be asked.
    """
    seen_ms: dict[tuple[str, str], int] = {}
    settled: set[tuple[str, str]] = set()
    for worker in await live_workers(client, partition):
        for name in worker.programs:
            pair = (worker.signatures, name)
            seen_ms[pair] = max(seen_ms.get(pair, 0), worker.seen_ms)
            if worker.seen_ms - worker.started_ms > _BEGINNING_MS:
                settled.add(pair)
    found: dict[tuple[str, str], SeenProgram] = {}
    for pair, program in (await read_published(client, partition, seen_ms)).items():
        if not program.kind and pair not in settled:
            continue
        key = (pair[1], hash_of(program))
        known = found.get(key)
        last_ms = max(seen_ms[pair], known.seen_ms if known else 0)
        found[key] = SeenProgram(*key, program, last_ms)
    return [found[key] for key in sorted(found)]
