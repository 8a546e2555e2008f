"""Versions of programs in ``ms_program``: what live workers published, and when one had it last."""

from collections.abc import Sequence

import msgspec

from flower_engine.programs.published_program import PublishedProgram, SeenProgram
from flower_engine.programs.signature import Signature
from flower_engine.projection.database import Connection

MAX_VERSION_BYTES = 65_536  # of what one version says; our workers say at most 34 KB
_MOST_VERSIONS = 20
_MS = "(extract(epoch FROM last_seen_ts) * 1000)::bigint"

# In the order of the key, so that two who write the same rows wait for each other and never both.
_WRITE = """
INSERT INTO ms_program AS old (program, hash, kind, description, signature, parameters_schema, result_schema,
                               first_seen_ts, last_seen_ts)
SELECT program, hash, kind, description, signature::json, parameters_schema::json, result_schema::json,
       to_timestamp(seen_ms / 1000.0), to_timestamp(seen_ms / 1000.0)
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[])
    AS new (program, hash, kind, description, signature, parameters_schema, result_schema, seen_ms)
ORDER BY program, hash
ON CONFLICT (program, hash) DO UPDATE SET last_seen_ts = greatest(old.last_seen_ts, excluded.last_seen_ts)
"""
# The last version of a program that definitions name stays: they may be checked when nobody serves it.
_PRUNE = """
DELETE FROM ms_program AS old USING (
    SELECT program, hash, row_number() OVER (PARTITION BY program ORDER BY last_seen_ts DESC, hash) AS place
    FROM ms_program
) AS ranked
WHERE old.program = ranked.program AND old.hash = ranked.hash AND (
    (ranked.place > %(most)s AND old.last_seen_ts < now() - interval '1 day')
    OR (old.last_seen_ts < now() - %(days)s * interval '1 day' AND (ranked.place > 1 OR NOT EXISTS (
        SELECT FROM ms_task_definition AS task WHERE task.program = old.program))))
"""
_LAST_SEEN = (
    f"SELECT program, max({_MS}) FROM ms_program GROUP BY program LIMIT 10000"  # noqa: S608
).encode()
_VERSIONS = f"""
SELECT hash, kind, description, signature::text, parameters_schema::text, result_schema::text, {_MS}
FROM ms_program WHERE program = %s ORDER BY last_seen_ts DESC, hash LIMIT %s
""".encode()  # noqa: S608
_decode_signature = msgspec.json.Decoder(Signature).decode


async def write_programs(connection: Connection, seen: Sequence[SeenProgram]) -> None:
    """Notes these versions, all or none.

    Raises:
        psycopg.DataError: one of them holds what Postgres cannot.
    """
    rows = [_row(one) for one in seen]
    await connection.execute(_WRITE, list(map(list, zip(*rows, strict=True))))


async def prune_programs(connection: Connection, days: int) -> int:
    """Forgets what no live worker had for so many days, but for the last version of a program that a
    definition names; and of each program what is older than a day beyond its 20 latest versions. Returns how
    many went."""
    return (await connection.execute(_PRUNE, {"most": _MOST_VERSIONS, "days": days})).rowcount


async def programs_last_seen(connection: Connection) -> dict[str, int]:
    """When a live worker had each program that is known last, ms; 10,000 programs at most."""
    return {name: ms async for name, ms in await connection.execute(_LAST_SEEN)}


async def known_versions(connection: Connection, program: str) -> list[SeenProgram]:
    """The latest 20 versions of a program, the one that was seen last first."""
    found: list[SeenProgram] = []
    async for name, kind, description, signature, takes, gives, ms in await connection.execute(
        _VERSIONS, (program, _MOST_VERSIONS)
    ):
        published = PublishedProgram(
            **msgspec.structs.asdict(_decode_signature(signature)),
            kind=kind,
            description=description,
            parameters_schema=None if takes is None else msgspec.json.decode(takes),
            result_schema=None if gives is None else msgspec.json.decode(gives),
        )
        found.append(SeenProgram(program, name, published, ms))
    return found


def _row(seen: SeenProgram) -> tuple[object, ...]:
    one = seen.published
    signature = Signature(one.parameters, one.required, one.extra, one.context)
    return (
        *(seen.program, seen.hash, one.kind, one.description.replace("\0", "\ufffd")),
        msgspec.json.encode(signature).decode(),
        None if one.parameters_schema is None else msgspec.json.encode(one.parameters_schema).decode(),
        None if one.result_schema is None else msgspec.json.encode(one.result_schema).decode(),
        seen.seen_ms,
    )
