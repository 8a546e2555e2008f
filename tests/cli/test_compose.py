"""compose.yaml and the Dockerfile name what exists; no Docker is needed to know that."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from cli.whole_command import app
from flower_engine.runtime.settings import Settings, variable
from flower_engine.runtime.settings_loading import load_settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service.get("image") == "flower-engine"]


def test_the_services_are_the_stores_and_every_service_of_flower() -> None:
    assert set(SERVICES) - set(OURS) == {"redis", "postgres"}
    assert set(OURS) == {"api", "worker", "projector", "watcher"}


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_a_command_of_flower(name: str) -> None:
    group = typer.main.get_group(app)
    assert SERVICES[name]["command"] in group.commands


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_given_settings_that_exist_and_hold(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, str] = SERVICES[name]["environment"]
    assert set(given) <= {variable(field) for field in Settings.model_fields}
    for key, value in given.items():
        monkeypatch.setenv(key, _with_defaults(value))
    settings = load_settings()
    assert settings.redis_url == "redis://redis:6379/0"
    assert settings.database_url == "postgresql://flower:flower@postgres:5432/flower"


@pytest.mark.parametrize("name", OURS)
def test_a_service_waits_for_healthy_stores(name: str) -> None:
    assert SERVICES[name]["depends_on"] == {
        store: {"condition": "service_healthy"} for store in ("redis", "postgres")
    }
    for store in ("redis", "postgres"):
        assert SERVICES[store]["healthcheck"]["test"]


def test_workers_can_be_scaled() -> None:
    assert not {"container_name", "ports"} & set(SERVICES["worker"])


def test_redis_is_as_durable_as_the_embedded_one() -> None:
    words = shlex.split(SERVICES["redis"]["command"])
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert options == {
        "--appendonly": "yes",
        "--appendfsync": "always",
        "--maxmemory-policy": "noeviction",
        "--save": "",
    }


def test_the_image_is_made_of_files_that_exist_and_are_let_in() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY "):
            for name in line.split()[1:-1]:
                assert (ROOT / name).exists()
                assert f"!{name}" in ignored


def _with_defaults(value: str) -> str:
    """The value with each ``${NAME:-default}`` replaced by its default, ``${NAME:?example}`` by a token."""
    before, mark, rest = value.partition("${")
    if not mark:
        return value
    inside, _, after = rest.partition("}")
    value = "me:secret" if ":?" in inside else inside.partition(":-")[2]
    return before + value + _with_defaults(after)
