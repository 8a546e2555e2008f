"""Values in binary format arrive in Postgres as what they are."""

from typing import Any

import pytest

from flower_engine.projection import binary_fields
from flower_engine.projection.database import Connection

NUMBERS = [0, 1, -1, 9, -20, 9_999, 10_000, 10_001, -10_000, 123_456_789, 100_000_000, 2**62, -(10**40)]


async def _through(tables: Connection, cast: str, element_type: int, found: list[bytes]) -> list[Any]:
    statement = "SELECT value FROM unnest(%b::{}[]) WITH ORDINALITY AS row (value, number) ORDER BY number"
    rows = await tables.execute(statement.format(cast).encode(), [binary_fields.array(element_type, found)])
    return [value for (value,) in await rows.fetchall()]


async def test_whole_numbers_of_any_size_are_numerics(tables: Connection) -> None:
    found = await _through(
        tables, "numeric", binary_fields.NUMERIC, [binary_fields.numeric(number) for number in NUMBERS]
    )
    assert found == NUMBERS


async def test_a_numeric_is_written_without_trailing_zeros_or_a_scale(tables: Connection) -> None:
    assert await _through(tables, "numeric", binary_fields.NUMERIC, []) == []
    statement = b"SELECT value::text FROM unnest(%b::numeric[]) AS value"
    rows = await tables.execute(
        statement, [binary_fields.array(binary_fields.NUMERIC, [binary_fields.numeric(20_000)])]
    )
    assert await rows.fetchone() == ("20000",)


@pytest.mark.parametrize("ms", [0, 1, 946_684_799_999, 1_790_000_000_123, 4_102_444_800_000])
async def test_milliseconds_are_exact(tables: Connection, ms: int) -> None:
    found = await _through(
        tables, "timestamptz", binary_fields.TIMESTAMPTZ, [binary_fields.timestamptz(ms), binary_fields.NULL]
    )
    assert [round(found[0].timestamp() * 1000), found[1]] == [ms, None]


async def test_texts_numbers_and_json_arrive_as_they_are(tables: Connection) -> None:
    assert await _through(
        tables, "text", binary_fields.TEXT, [binary_fields.text("ä\t\\ '"), binary_fields.short_text("")]
    ) == [
        "ä\t\\ '",
        "",
    ]
    assert await _through(
        tables, "integer", binary_fields.INTEGER, [binary_fields.integer(-7), binary_fields.NULL]
    ) == [-7, None]
    assert await _through(tables, "bigint", binary_fields.BIGINT, [binary_fields.bigint(2**60)]) == [2**60]
    assert await _through(
        tables, "jsonb", binary_fields.JSONB, [binary_fields.jsonb(b'{"a":[1,"\\u00e4"]}')]
    ) == [{"a": [1, "ä"]}]
