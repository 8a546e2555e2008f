"""Secrets of tasks: resolved by the worker, granted by workflow, and in no store."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flower_engine.errors import SecretError
from flower_engine.log.client import send
from flower_engine.model.tasks.status import Status
from flower_worker.secret_values import Mask, Secrets
from scripts.engine import Engine
from worker.running import InProcess, OwnProcess, row, until_settled

PROGRAMS = "worker.data_programs"
VALUE = 'hunter"2\\xyzzy\u00e9'
TOKEN = {"$secret": "TOKEN"}


async def everything_in(engine: Engine) -> str:
    """All that Redis holds, as text."""
    texts: list[str] = []
    for key in await send(engine.client, "KEYS", "*"):
        texts.append(str(await send(engine.client, "DUMP", key)))
    for raw in await engine.raw_events():
        texts.append(raw.decode())
    return "\n".join(texts)


def forms(value: str) -> set[str]:
    return {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}


@pytest.mark.parametrize("place", ["variable", "file"])
async def test_a_secret_reaches_its_program_and_no_store(
    engine: Engine,
    spawn_worker: Callable[..., OwnProcess],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    place: str,
) -> None:
    given: dict[str, Any] = {"secrets_grants": ("etl:TOKEN",), "programs": (PROGRAMS,)}
    if place == "variable":
        given["secrets_prefix"] = "MY_SECRET_"
        monkeypatch.setenv("MY_SECRET_TOKEN", VALUE)
    else:
        (tmp_path / "TOKEN").write_text(f"{VALUE}\n")
        given["secrets_folder"] = tmp_path
    worker = spawn_worker(**given)
    flow = await engine.register(
        row(1, "leak", token=TOKEN),
        row(2, "leak_process", token=TOKEN),
        row(3, "leak_error", token={"$text": "Bearer {t}", "t": TOKEN}),
        row(4, "take_int", count=TOKEN),
    )
    [ended] = await until_settled(engine, flow)
    while any(ended.task(seq).status in (Status.WAIT, Status.RUNNING) for seq in range(1, 5)):
        ended = (await engine.flows())[flow]
    assert json.loads(ended.task(1).result or b"") == {
        "said": "Bearer ***",
        "***": ["***"],
        "length": len(VALUE),
    }
    assert json.loads(ended.task(2).result or b"") == "Bearer ***"
    thrown, unfit = ended.task(3).error, ended.task(4).error
    assert thrown is not None and "cannot log in with" in thrown.message and "***" in thrown.message
    assert unfit is not None and "which is secret TOKEN" in unfit.message
    stored, logged = await everything_in(engine), worker.log()
    assert "logging in with ***" in logged
    for form in forms(VALUE):
        assert form not in stored
        assert form not in logged


async def test_a_secret_that_is_not_there_or_not_granted_suspends_its_task(
    engine: Engine, start_worker: Callable[..., InProcess], tmp_path: Path
) -> None:
    start_worker(secrets_grants=("etl:TOKEN",), programs=(PROGRAMS,), secrets_folder=tmp_path)
    absent = await engine.register(row(1, "leak", token=TOKEN))
    refused = await engine.register(row(1, "leak", token=TOKEN), workflow="other")
    flows = await until_settled(engine, absent, refused)
    first, second = (flow.task(1).error for flow in flows)
    assert first is not None and second is not None
    for part in ("secret TOKEN", "FLOWER_SECRET_TOKEN", str(tmp_path / "TOKEN")):
        assert part in first.message
    for part in ("secret TOKEN", "'other'", "FLOWER_SECRETS_GRANTS", "other:TOKEN"):
        assert part in second.message
    assert [flow.task(1).attempt for flow in flows] == [1, 1]


@pytest.mark.parametrize(
    ("grant", "workflow", "name", "is_granted"),
    [
        ("etl:TOKEN", "etl", "TOKEN", True),
        ("etl:TOKEN", "etl2", "TOKEN", False),
        ("etl:TOKEN", "etl", "TOKENS", False),
        ("reports/*:SMTP_*", "reports/daily", "SMTP_PASSWORD", True),
        ("a:b:TOKEN", "a:b", "TOKEN", True),
        ("*:*", "any", "THING", True),
    ],
)
def test_grants_name_workflows_and_secrets(grant: str, workflow: str, name: str, is_granted: bool) -> None:
    secrets = Secrets([grant], "S_", None, {f"S_{name}": "a long value"})
    if is_granted:
        assert secrets.value(workflow, name) == "a long value"
    else:
        with pytest.raises(SecretError, match="is not granted"):
            secrets.value(workflow, name)


def test_a_folder_gives_only_its_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    folder = tmp_path / "folder"
    folder.mkdir()
    secrets = Secrets(["*:*"], "S_", folder, {})
    for name in ("../secret", str(tmp_path / "secret"), "", "."):
        with pytest.raises(SecretError, match="is not there"):
            secrets.value("w", name)
    (folder / "WIDE").write_bytes(b"x" * 100_000)
    (folder / "BROKEN").write_bytes(b"\xff\xfe")
    for name in ("WIDE", "BROKEN"):
        with pytest.raises(SecretError, match=str(folder / name)):
            secrets.value("w", name)


def test_a_mask_leaves_numbers_and_short_values_alone() -> None:
    mask = Mask(["123456", "abc"])
    payload = b'{"n":123456,"abc":"abc","text":"123456"}'
    assert mask.json(payload) == b'{"n":123456,"abc":"abc","text":"***"}'
    assert mask.json(b'{"n":1234}') == b'{"n":1234}'
