"""What comes along is listed, with its licence."""

import re

from release.third_party import PAGE, bundled, locked, page

from unit.pages import ROOT


def test_the_page_is_that_of_the_lock_files() -> None:
    """Else: make third-party."""
    scripts = bundled(ROOT / "dashboard" / "package-lock.json")
    assert PAGE.read_text() == page(locked(ROOT / "requirements.lock"), scripts)
    assert {"preact", "uplot"} <= {one.name for one in scripts}
    named = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert len(named) == len(locked(ROOT / "requirements.lock")) > 40


def test_each_package_says_its_licence() -> None:
    found = locked(ROOT / "requirements.lock") + bundled(ROOT / "dashboard" / "package-lock.json")
    assert [one.name for one in found if one.licence in ("", "not stated")] == []
