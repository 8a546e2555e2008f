"""Values in binary format arrive in Postgres as what they are."""

from typing import Any

import pytest

from flower_engine.projection import fields
from flower_engine.projection.database import Connection

NUMBERS = [0, 1, -1, 9, -20, 9_999, 10_000, 10_001, -10_000, 123_456_789, 100_000_000, 2**62, -(10**40)]


async def _through(tables: Connection, cast: str, element_type: int, found: list[bytes]) -> list[Any]:
    statement = "SELECT value FROM unnest(%b::{}[]) WITH ORDINALITY AS row (value, number) ORDER BY number"
    rows = await tables.execute(statement.format(cast).encode(), [fields.array(element_type, found)])
    return [value for (value,) in await rows.fetchall()]


async def test_whole_numbers_of_any_size_are_numerics(tables: Connection) -> None:
    found = await _through(tables, "numeric", fields.NUMERIC, [fields.numeric(number) for number in NUMBERS])
    assert found == NUMBERS


async def test_a_numeric_is_written_without_trailing_zeros_or_a_scale(tables: Connection) -> None:
    assert await _through(tables, "numeric", fields.NUMERIC, []) == []
    statement = b"SELECT value::text FROM unnest(%b::numeric[]) AS value"
    rows = await tables.execute(statement, [fields.array(fields.NUMERIC, [fields.numeric(20_000)])])
    assert await rows.fetchone() == ("20000",)


@pytest.mark.parametrize("ms", [0, 1, 946_684_799_999, 1_790_000_000_123, 4_102_444_800_000])
async def test_milliseconds_are_exact(tables: Connection, ms: int) -> None:
    found = await _through(tables, "timestamptz", fields.TIMESTAMPTZ, [fields.timestamptz(ms), fields.NULL])
    assert [round(found[0].timestamp() * 1000), found[1]] == [ms, None]


async def test_texts_numbers_and_json_arrive_as_they_are(tables: Connection) -> None:
    assert await _through(tables, "text", fields.TEXT, [fields.text("ä\t\\ '"), fields.short_text("")]) == [
        "ä\t\\ '",
        "",
    ]
    assert await _through(tables, "integer", fields.INTEGER, [fields.integer(-7), fields.NULL]) == [-7, None]
    assert await _through(tables, "bigint", fields.BIGINT, [fields.bigint(2**60)]) == [2**60]
    assert await _through(tables, "jsonb", fields.JSONB, [fields.jsonb(b'{"a":[1,"\\u00e4"]}')]) == [
        {"a": [1, "ä"]}
    ]
