"""The plug-in of pytest: the fixture ``flower``, for tests of workflows.

It costs a session without such tests the import of this file, which is outside of ``flower_engine`` for that
reason.
"""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flower_engine.testing.flower_test import FlowerTest


@pytest.fixture
def flower() -> "Iterator[FlowerTest]":
    """The engine for one test, with time that is skipped: a :class:`~flower_engine.testing.FlowerTest`."""
    from flower_engine.testing.flower_test import FlowerTest  # noqa: PLC0415 # see above

    with FlowerTest() as test:
        yield test


def pytest_unconfigure() -> None:
    """Stops the server of this process, if a test started it."""
    server = sys.modules.get("flower_engine.testing.private_server")
    if server is not None:
        server.stop()
