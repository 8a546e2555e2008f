"""What comes along is listed, with its licence."""

import re

from release.third_party import PAGE, locked, page

from unit.pages import ROOT


def test_the_page_has_every_package_of_the_lock_in_its_version() -> None:
    named = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    listed = re.findall(r"^\| ([\w.-]+) \| (\d\S*) \|", PAGE.read_text(), re.MULTILINE)
    assert {(name.lower(), version) for name, version in listed} == {
        (name.lower(), version) for name, version in named
    }


def test_each_package_says_its_licence() -> None:
    found = locked(ROOT / "requirements.lock")
    assert [one.name for one in found if one.licence in ("", "not stated")] == []
    assert f"| {found[0].name} | {found[0].version} | {found[0].licence} |" in page(found)
