"""What is said before a release is published: advisories that were found or could not be asked for, and what
only the owner can fill in."""

import subprocess
from pathlib import Path
from typing import Any

from release.__main__ import reminders
from release.audit import judge
from release.version_before import NoVersionBeforeError, commit_before

ROOT = Path(__file__).parents[2]
FINE: dict[str, Any] = {"name": "fine", "version": "1.0", "vulns": []}
BAD: dict[str, Any] = {
    "name": "bad",
    "version": "2.0",
    "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["2.1"]}, {"id": "PYSEC-2026-2", "fix_versions": []}],
}
SKIPPED: dict[str, Any] = {"name": "skipped", "skip_reason": "Dependency not found on PyPI"}


def test_advisories_are_named_with_the_version_that_mends_them() -> None:
    said, code = judge([FINE, BAD])
    assert said.splitlines() == [
        "bad 2.0: PYSEC-2026-1, mended in 2.1",
        "bad 2.0: PYSEC-2026-2, mended in no version yet",
    ]
    assert code == 1
    assert judge([FINE, FINE]) == ("no advisory of any of 1 packages", 0)


def test_what_was_not_compared_is_no_good_news() -> None:
    said, code = judge([FINE, SKIPPED])
    assert said.startswith("NOT COMPARED: 1 of 2 packages") and "nothing is known" in said and code == 2
    said, code = judge([], ["requirements.lock: no connection"])
    assert said.startswith("requirements.lock: no connection\nNOT COMPARED") and code == 2
    said, code = judge([BAD, SKIPPED])
    assert "PYSEC-2026-1" in said and "NOT COMPARED" in said and code == 1


def test_the_owner_is_reminded_of_what_only_he_can_fill_in() -> None:
    bare = '[project]\nname = "x"\n'
    assert len(reminders(bare, "Tell the maintainers in private")) == 2
    assert reminders(bare + '[project.urls]\nSource = "https://x.test"\n', "mailto:security@x.test") == []


def test_the_version_before_is_in_this_repository() -> None:
    try:
        assert len(commit_before()) == 40
    except NoVersionBeforeError as error:
        if (ROOT / ".git").exists() and not _is_shallow():
            raise
        assert "git fetch" in str(error)


def _is_shallow() -> bool:
    asked = ["git", "rev-parse", "--is-shallow-repository"]
    return subprocess.run(asked, cwd=ROOT, capture_output=True, check=True).stdout.strip() == b"true"
