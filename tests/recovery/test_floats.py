"""A float stays a float when Redis is rebuilt from the archive."""

from api.test_floats import GIVEN, is_as_given
from recovery.both import Both
from scripts.engine import task


async def test_through_a_recovery(both: Both) -> None:
    await both.engine.register(task(1, parameters=GIVEN))
    await both.project()
    await both.wipe()
    await both.recover()
    (claim,) = await both.engine.claim()
    assert is_as_given(claim)
