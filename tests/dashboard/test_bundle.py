"""The build of the dashboard: when it is built, with what, and what is said where it cannot be."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "dashboard"


def checkout(folder: Path) -> Path:
    """A checkout with the sources of the dashboard and no bundle; the path of its ``bundle.py``."""
    ignored = shutil.ignore_patterns("node_modules", "__pycache__")
    shutil.copytree(DASHBOARD, folder / "dashboard", ignore=ignored)
    return folder / "dashboard" / "bundle.py"


def load(script: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("bundle_of_a_checkout", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_change_of_the_sources_and_of_nothing_else_asks_for_a_new_bundle(tmp_path: Path) -> None:
    bundle = load(checkout(tmp_path))
    first = bundle.hash_of_sources()
    (tmp_path / "dashboard" / "src" / "node_modules").mkdir()
    (tmp_path / "dashboard" / "biome.json").write_text("{}")
    assert bundle.hash_of_sources() == first
    assert not bundle.is_built(first)
    for name in ("src/main.tsx", "package-lock.json", "build.mjs"):
        file = tmp_path / "dashboard" / name
        before = file.read_bytes()
        file.write_bytes(before + b"\n")
        assert bundle.hash_of_sources() != first
        file.write_bytes(before)
    (tmp_path / "dashboard" / "src" / "new.ts").write_text("")
    assert bundle.hash_of_sources() != first


def test_where_nothing_can_build_it_that_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    script = checkout(tmp_path)
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    environment |= {"PATH": "/nonexistent", "PIP_NO_INDEX": "1", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "the dashboard cannot be built" in done.stderr and "npm" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["dashboard"]


def test_versions_are_exact_and_no_index_is_named() -> None:
    package = json.loads((DASHBOARD / "package.json").read_text())
    lock = json.loads((DASHBOARD / "package-lock.json").read_text())
    for name, version in {**package["dependencies"], **package["devDependencies"]}.items():
        assert re.fullmatch(r"\d+[.]\d+[.]\d+", version), name
        assert lock["packages"][f"node_modules/{name}"]["version"] == version
    assert [name for name, found in lock["packages"].items() if "resolved" in found] == []
    assert all("integrity" in found for name, found in lock["packages"].items() if name)


@pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm here; make test-install fetches one")
def test_what_is_bundled_comes_with_its_licence() -> None:
    package = json.loads((DASHBOARD / "package.json").read_text())
    build = load(DASHBOARD / "bundle.py")
    if not build.is_built(build.hash_of_sources()):
        pytest.skip("the bundle of these sources is not built: make dashboard")
    licences = (build.BUNDLE / "licences.txt").read_text()
    sources = "".join(file.read_text() for file in (DASHBOARD / "src").rglob("*.ts*"))
    imported = [name for name in package["dependencies"] if f'from "{name}"' in sources]
    assert "preact" in imported
    for name in imported:
        assert f"{name} {package['dependencies'][name]} (MIT)" in licences
    assert "Permission is hereby granted" in licences
