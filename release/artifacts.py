"""Builds what is published, and shows that anybody can build the same bytes."""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path


class DifferentBuildsError(Exception):
    """Two builds of the same tree differ; names the files."""


def build(tree: Path, into: Path, epoch: int) -> list[Path]:
    """The sdist of a checked-out tree, and the wheel that is built from it; ``epoch``: the time that all
    files in them have, in seconds since 1970.

    Raises:
        CalledProcessError: the build failed; what it said was printed.
    """
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(into), str(tree)]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return sorted(into.iterdir())


def build_twice(trees: tuple[Path, Path], into: Path, epoch: int) -> list[Path]:
    """Builds two checkouts of the same commit, and keeps the first's files.

    Raises:
        DifferentBuildsError: they are not equal byte for byte.
    """
    built = build(trees[0], into, epoch)
    with tempfile.TemporaryDirectory(prefix="flower-build-") as other:
        again = build(trees[1], Path(other), epoch)
        ours, theirs = _digests(built), _digests(again)
    if ours != theirs:
        different = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
        raise DifferentBuildsError(f"two builds of the same commit differ: {', '.join(different)}")
    return built


def _digests(files: list[Path]) -> Mapping[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
