"""``make test-install``: what the README begins with and the tutorial, word by word, where nothing of this
checkout is.

Everything is installed from wheels, those of requirements.lock and the one that is built here, into a virtual
environment of its own; the commands of both pages run in empty folders, and find no index and no checkout.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

from install.reader import Reader
from interrupts import heed_interrupts

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"
_OF_THE_CALLER = ("FLOWER_", "PIP_", "PYTHON", "VIRTUAL_ENV", "UV_")


def main() -> None:
    heed_interrupts()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="flower-install-") as made:
        folder = Path(made).resolve()
        assert not folder.is_relative_to(ROOT), f"{folder} is in the checkout: set TMPDIR to another folder"
        binaries, wheels = make_environment(folder / "venv"), folder / "wheels"
        build_wheels(binaries, wheels)
        check_bundle(next(wheels.glob("flower_engine-*.whl")))
        check_sdist(folder / "sdist")
        print(f"{len(list(wheels.iterdir()))} wheels after {time.monotonic() - began:.0f} s", flush=True)
        (folder / "empty").mkdir()
        environment = environment_of(binaries, wheels, folder)
        begin, _, _ = (ROOT / "README.md").read_text().partition("## How it works")
        with Reader(folder / "empty", environment) as reader:
            reader.follow("the README", begin)
        (folder / "shop").mkdir()
        run([binaries / "python", "-m", "pip", "install", "pytest"], environment=environment)
        with Reader(folder / "shop", environment) as reader:
            reader.follow("the tutorial", (ROOT / "docs" / "tutorial.md").read_text())
        check_origin(binaries, folder / "venv")
        check_second_name(binaries, folder)
    print(f"the README's beginning and the tutorial work from wheels alone; {time.monotonic() - began:.0f} s")


def make_environment(folder: Path) -> Path:
    """A virtual environment with pip and nothing else; its programs."""
    made = subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        uv = shutil.which("uv")
        assert uv is not None, f"no virtual environment can be made: {made.stdout}{made.stderr}"
        run([uv, "venv", "--quiet", "--clear", "--seed", "--python", sys.executable, folder])
    return folder / "bin"


def build_wheels(binaries: Path, wheels: Path) -> None:
    """The wheel of this checkout, and those that the lock names."""
    pip = [binaries / "python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run([*pip, "wheel", "--no-deps", "--wheel-dir", wheels, ROOT])
    run([*pip, "download", "--no-deps", "--only-binary", ":all:", "--dest", wheels, "-r", LOCK])
    versions = wheels.parent / "versions.txt"  # those that the tests run with, of files that no hash tells
    versions.write_text("".join(f"{one}\n" for one in pinned(LOCK) + pinned(ROOT / "requirements-dev.lock")))
    run([*pip, "download", "--only-binary", ":all:", "--dest", wheels, "-c", versions, "pytest"])


def pinned(lock: Path) -> list[str]:
    """The packages of a lock file, as ``name==version``."""
    return re.findall(r"^[A-Za-z0-9._-]+==[^ \\\n]+", lock.read_text(), re.MULTILINE)


def check_bundle(wheel: Path) -> None:
    """The dashboard is in the wheel, with the licences of what of others is in it."""
    names = set(zipfile.ZipFile(wheel).namelist())
    folder = "flower_api/dashboard_bundle"
    assert {f"{folder}/index.html", f"{folder}/licences.txt"} <= names, sorted(names)[:20]
    assert any(re.fullmatch(f"{folder}/app-[A-Z0-9]{{8}}[.]js[.]gz", name) for name in names)
    assert not any("node_modules" in name for name in names)


def check_sdist(folder: Path) -> None:
    """Of the sdist a wheel is made with no network and no npm; without the bundle it is refused."""
    builder = make_environment(folder / "builder")
    run(
        [
            builder / "python",
            "-m",
            "pip",
            "--disable-pip-version-check",
            "-q",
            "install",
            "hatchling",
            "editables",
        ]
    )
    run([builder / "python", "-m", "hatchling", "build", "-t", "sdist", "-d", folder], ROOT)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as packed:
        packed.extractall(folder / "unpacked", filter="data")
    source = next((folder / "unpacked").iterdir())
    offline = [builder / "python", "-m", "pip", "--disable-pip-version-check", "wheel", "--no-index"]
    command = [*offline, "--no-build-isolation", "--no-deps", "-w", folder, source]
    alone = {"PATH": str(builder), "PIP_NO_INDEX": "1", "HOME": str(folder)}
    run(command, environment=alone)
    check_bundle(next(folder.glob("*.whl")))
    shutil.rmtree(source / "services" / "flower_api" / "dashboard_bundle")
    done = subprocess.run(command, env=alone, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "the dashboard cannot be built" in done.stdout + done.stderr, done
    editable = [builder / "python", "-m", "pip", "--disable-pip-version-check", "install", "--no-index"]
    run([*editable, "--no-build-isolation", "--no-deps", "-e", source], environment=alone)


def environment_of(binaries: Path, wheels: Path, folder: Path) -> dict[str, str]:
    """Somebody's who has these wheels and nothing of this checkout, whatever the caller has set."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(_OF_THE_CALLER)}
    lock = folder / "versions.txt"  # without their hashes, as Flower itself has none
    lock.write_text("\n".join(re.findall(r"^[\w.-]+==[^\s;]+", LOCK.read_text(), re.MULTILINE)))
    return {
        **kept,
        "PATH": f"{binaries}{os.pathsep}{kept.get('PATH', os.defpath)}",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_CONSTRAINT": str(lock),
        "PIP_ONLY_BINARY": ":all:",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_QUIET": "1",
        "PIP_NO_COMPILE": "1",  # what is used is compiled when it is
    }


def check_origin(binaries: Path, venv: Path) -> None:
    """Flower ran from what was installed, not from the checkout."""
    code = "import flower_engine, flower_cli; print(flower_engine.__file__, flower_cli.__file__, sep='\\n')"
    found = run([binaries / "python", "-P", "-c", code]).splitlines()
    assert len(found) == 2 and all(Path(file).is_relative_to(venv) for file in found), found


def check_second_name(binaries: Path, folder: Path) -> None:
    """Another distribution takes the command ``flower``, as Celery's monitor does, and goes again:
    ``flowerctl`` is Flower's throughout, and ``flower`` can be had back."""
    pip = [binaries / "python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
    ours = run([binaries / "flower", "--version"])
    run([*pip, "install", "--no-index", other_flower(folder)])
    assert run([binaries / "flower"]) == "another flower\n"
    assert run([binaries / "flowerctl", "--version"]) == ours
    run([*pip, "uninstall", "--yes", "other-flower"])
    assert not (binaries / "flower").exists()
    assert run([binaries / "flowerctl", "--version"]) == ours
    links = ["--no-index", "--no-deps", "--find-links", folder / "wheels"]
    run([*pip, "install", "--force-reinstall", *links, "flower-engine"])
    assert run([binaries / "flower", "--version"]) == ours
    print("flowerctl is Flower's beside another command flower", flush=True)


def other_flower(folder: Path) -> Path:
    """The wheel of another distribution with a command of that name."""
    wheel = folder / "other_flower-1-py3-none-any.whl"
    about = "other_flower-1.dist-info"
    files = {
        "other_flower.py": "def main():\n    print('another flower')\n",
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: other-flower\nVersion: 1\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": "[console_scripts]\nflower = other_flower:main\n",
    }
    with zipfile.ZipFile(wheel, "w") as made:
        for name, text in files.items():
            made.writestr(name, text)
        made.writestr(f"{about}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"]))
    return wheel


def run(
    command: list[str | Path], folder: Path | None = None, environment: dict[str, str] | None = None
) -> str:
    if environment is None:
        environment = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))} failed: exit code {done.returncode}"
    return done.stdout


if __name__ == "__main__":
    main()
