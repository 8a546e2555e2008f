"""The fixtures of the API's tests serve the commands that talk to it, too."""

import pytest
from typer.testing import CliRunner

from api.conftest import api, module_database_url, own_api, start_api, start_shared_api
from api.serving import RunningApi
from cli.flower_command import Flower
from cli.whole_command import app

__all__ = ["api", "module_database_url", "own_api", "start_api", "start_shared_api"]


@pytest.fixture
def flower(own_api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> Flower:
    """Runs a command against the test's own API."""
    return _on(own_api, monkeypatch)


@pytest.fixture
def refusing(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> Flower:
    """Runs a command against an API that tests share: those in which nothing comes of a command."""
    return _on(api, monkeypatch)


def _on(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> Flower:
    monkeypatch.setenv("FLOWER_URL", api.url)
    runner = CliRunner()
    return lambda *words, **more: runner.invoke(app, list(words), **more)
