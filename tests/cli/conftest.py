"""The fixtures of the API's tests serve the commands that talk to it, too."""

import pytest
from typer.testing import CliRunner

from api.conftest import own_api, start_api
from api.serving import RunningApi
from cli.flower_command import Flower
from cli.whole_command import app

__all__ = ["own_api", "start_api"]


@pytest.fixture
def flower(own_api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> Flower:
    """Runs a command against the test's own API."""
    monkeypatch.setenv("FLOWER_URL", own_api.url)
    runner = CliRunner()
    return lambda *words, **more: runner.invoke(app, list(words), **more)
