"""``make release VERSION=x.y.z``: writes the version, its changelog section, what is public and what comes
along, commits and tags that, and builds it into ``dist/``. Nothing leaves this machine: what to push is said.

``make release-build`` builds the commit that is checked out, and changes nothing.
"""

import datetime
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.version import InvalidVersion, Version

from release.artifacts import build_twice
from release.changelog import ChangelogError, released, section, unreleased
from release.version_before import BEFORE

ROOT = Path(__file__).parents[1]
_CHART = ROOT / "deploy" / "helm" / "flower" / "Chart.yaml"
_PYPROJECT = ROOT / "pyproject.toml"
_CHANGELOG = ROOT / "CHANGELOG.md"
_DIST = ROOT / "dist"


class CannotReleaseError(Exception):
    """Something is to be put right first; says what."""


def prepare(version: str) -> None:
    """Commits and tags a version.

    Raises:
        CannotReleaseError: the tree has changes, the version is none, or not newer than the last one.
        ChangelogError: nothing is said of this version, or not of what went away.
    """
    if git("status", "--porcelain"):
        raise CannotReleaseError("commit first: the tree has changes")
    tags = git("tag", "--list", "v*").split()
    _check(version, tags)
    changes = unreleased(_CHANGELOG.read_text())
    engine = [str(ROOT / ".venv" / "bin" / "python"), "-m"]
    said = subprocess.run(
        [*engine, "release.compare"], cwd=ROOT, input=changes, capture_output=True, text=True, check=False
    )
    if said.returncode != 0:
        raise CannotReleaseError(said.stdout + said.stderr)
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    _CHANGELOG.write_text(released(_CHANGELOG.read_text(), version, today))
    text = _PYPROJECT.read_text()
    _PYPROJECT.write_text(
        re.sub(r'^version = ".*"$', f'version = "{version}"', text, count=1, flags=re.MULTILINE)
    )
    chart = re.sub(r"^(version: ).*$", rf"\g<1>{version}", _CHART.read_text(), flags=re.MULTILINE)
    _CHART.write_text(re.sub(r"^(appVersion: ).*$", rf'\g<1>"{version}"', chart, flags=re.MULTILINE))
    if tags:
        BEFORE.write_text(f"v{max(Version(tag[1:]) for tag in tags)}\n")
    for module in ("release.public_surface", "release.third_party"):
        subprocess.run([*engine, module], cwd=ROOT, check=True)
    git(
        "add",
        "CHANGELOG.md",
        "pyproject.toml",
        str(_CHART),
        "THIRD_PARTY.md",
        "release/public",
        "release/before",
    )
    git("commit", "--quiet", "--message", f"Release {version}")
    git("tag", "--annotate", f"v{version}", "--message", section(_CHANGELOG.read_text(), version))


def build() -> None:
    """Builds HEAD twice, from two checkouts of its own, and puts into ``dist/`` what is published."""
    epoch = int(git("log", "-1", "--format=%ct"))
    _DIST.mkdir(exist_ok=True)
    for file in _DIST.iterdir():
        file.unlink()
    with tempfile.TemporaryDirectory(prefix="flower-release-") as folder:
        trees = Path(folder) / "one", Path(folder) / "two"
        for tree in trees:
            git("clone", "--quiet", "--no-hardlinks", str(ROOT), str(tree))
        built = build_twice(trees, _DIST, epoch)
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *built], check=True)
    for file in [*built, _bill(_version())]:
        sys.stdout.write(f"{file.relative_to(ROOT)}  {file.stat().st_size:,} bytes\n")


def reminders(pyproject: str, security: str) -> list[str]:
    """What only the owner can fill in, and has not yet; a sentence for each."""
    found: list[str] = []
    if not tomllib.loads(pyproject)["project"].get("urls"):
        found.append(
            "pyproject.toml has no [project.urls]: the index will show no way to the sources, the"
            " documentation and the changelog (docs/releasing.md)"
        )
    if not re.search(r"https?://|mailto:|@", security):
        found.append("SECURITY.md names no address to which people can report in private")
    return found


def git(*words: str) -> str:
    """What it prints.

    Raises:
        CalledProcessError: it failed.
    """
    done = subprocess.run(["git", *words], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def _check(version: str, tags: list[str]) -> None:
    try:
        wanted = Version(version)
    except InvalidVersion:
        raise CannotReleaseError(f"{version!r} is no version: VERSION=1.2.3") from None
    if str(wanted) != version:
        raise CannotReleaseError(f"write the version as {wanted}")
    newest = max((Version(tag[1:]) for tag in tags), default=None)
    if newest is not None and wanted <= newest:
        raise CannotReleaseError(f"version {version} is not newer than {newest}")


def _version() -> str:
    return str(tomllib.loads(_PYPROJECT.read_text())["project"]["version"])


def _bill(version: str) -> Path:
    """The SBOM of what requirements.lock brings, with licences, made of an environment that has just that."""
    bill = _DIST / f"flower_engine-{version}.cdx.json"
    with tempfile.TemporaryDirectory(prefix="flower-bill-") as folder:
        python = Path(folder) / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(python), "--quiet", "--disable-pip-version-check"]
        lock = str(ROOT / "requirements.lock")
        subprocess.run([*pip, "install", "--no-deps", "--requirement", lock], check=True)
        command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible"]
        subprocess.run(
            [*command, "--pyproject", str(_PYPROJECT), "--output-file", str(bill), str(python)], check=True
        )
    return bill


if __name__ == "__main__":
    try:
        if len(sys.argv) > 1:
            prepare(sys.argv[1])
        build()
        if len(sys.argv) > 1:
            for reminder in reminders(_PYPROJECT.read_text(), (ROOT / "SECURITY.md").read_text()):
                sys.stdout.write(f"before you publish: {reminder}\n")
            sys.stdout.write("before you publish: make test-upgrade, make audit\n")
            sys.stdout.write(f"to publish it: git push origin main v{sys.argv[1]}\n")
    except (CannotReleaseError, ChangelogError) as error:
        sys.exit(f"error: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {error}")
