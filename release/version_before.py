"""The version before, built from its tag: what ``make test-upgrade`` upgrades from.

``release/before`` names a tag or a commit; ``make release`` writes the tag of the last release there. Nothing
of it is kept in the repository: it is built as any release is, and goes with what its ``requirements.lock``
names into an environment of its own.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from release.artifacts import build

ROOT = Path(__file__).parents[1]
BEFORE = ROOT / "release" / "before"
_ENVIRONMENTS = ROOT / ".venv-before"


class NoVersionBeforeError(Exception):
    """It cannot be had from this checkout; says why."""


def commit_before() -> str:
    """The commit of the version before.

    Raises:
        NoVersionBeforeError: this checkout does not have it.
    """
    ref = BEFORE.read_text().strip()
    found = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode != 0:
        raise NoVersionBeforeError(
            f"this checkout does not have {ref}, which release/before names; fetch all of it:"
            " git fetch --unshallow --tags"
        )
    return found.stdout.strip()


def python_before() -> Path:
    """The interpreter of an environment with the version before in it; made where it is not there yet.

    Raises:
        NoVersionBeforeError: this checkout does not have it.
        CalledProcessError: it could not be built or installed.
    """
    commit = commit_before()
    folder = _ENVIRONMENTS / commit[:12]
    python, is_made = folder / "bin" / "python", folder / "made"
    if is_made.is_file():
        return python
    shutil.rmtree(_ENVIRONMENTS, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="flower-before-") as made:
        tree = Path(made) / "tree"
        subprocess.run(["git", "clone", "--quiet", "--no-checkout", str(ROOT), str(tree)], check=True)
        subprocess.run(["git", "checkout", "--quiet", commit], cwd=tree, check=True)
        time = subprocess.run(
            ["git", "log", "-1", "--format=%ct"], cwd=tree, check=True, stdout=subprocess.PIPE, text=True
        )
        artifacts = build(tree, folder / "dist", int(time.stdout))
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "-r", str(tree / "requirements.lock")], check=True)
        (wheel,) = (file for file in artifacts if file.suffix == ".whl")
        subprocess.run([*pip, str(wheel)], check=True)
    is_made.touch()
    return python


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{python_before()}\n")
    except (NoVersionBeforeError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")
