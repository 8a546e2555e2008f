"""``make audit``: compares the lock files with the advisories that are published.

Ends with 1 where there are some, with 2 where something could not be compared, as where the index that pip is
set to has no advisories.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
LOCKS = (
    "requirements.lock",
    "requirements-dev.lock",
    "release/requirements.lock",
    "website/requirements.lock",
)
_FOUND, _UNKNOWN = 1, 2


class Verdict(NamedTuple):
    """What to say, and the exit code."""

    said: str
    code: int


def judge(packages: Sequence[dict[str, Any]], failures: Sequence[str] = ()) -> Verdict:
    """``packages``: as pip-audit lists them in JSON; ``failures``: what it said where it listed none."""
    lines = [
        f"{package['name']} {package['version']}: {advisory['id']}, mended in"
        f" {', '.join(advisory['fix_versions']) or 'no version yet'}"
        for package in packages
        for advisory in package.get("vulns", ())
    ]
    skipped = sorted({package["name"] for package in packages if "skip_reason" in package})
    named = {package["name"] for package in packages}
    if skipped or failures:
        lines += failures
        lines.append(
            f"NOT COMPARED: {len(skipped)} of {len(named)} packages that the locks name. The index that was"
            " asked has no advisories of them, or cannot be reached: nothing is known of these versions. Run"
            " 'make audit' where pypi.org can be reached, before anything is published."
            + (f" ({', '.join(skipped[:5])}{'...' if len(skipped) > 5 else ''})" if skipped else "")
        )
    if any(package.get("vulns") for package in packages):
        return Verdict("\n".join(lines), _FOUND)
    if skipped or failures:
        return Verdict("\n".join(lines), _UNKNOWN)
    return Verdict(f"no advisory of any of {len(named)} packages", 0)


def audit() -> Verdict:
    """Asks pip-audit about each lock."""
    packages: list[dict[str, Any]] = []
    failures: list[str] = []
    for lock in LOCKS:
        command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--format", "json"]
        done = subprocess.run(
            [*command, "--progress-spinner", "off", "-r", lock],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        try:
            packages += json.loads(done.stdout)["dependencies"]
        except (ValueError, KeyError):
            failures.append(f"{lock}: {done.stderr.strip()[-500:] or f'exit code {done.returncode}'}")
    return judge(packages, failures)


if __name__ == "__main__":
    verdict = audit()
    sys.stdout.write(f"{verdict.said}\n")
    sys.exit(verdict.code)
