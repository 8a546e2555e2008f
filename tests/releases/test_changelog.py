"""A version takes what stands under Unreleased."""

import pytest
from release.changelog import ChangelogError, released, section, unreleased

TEXT = """# Changelog

## Unreleased

### Added

- Maps.

## 0.1.0 - 2026-01-05

### Added

- Everything.
"""


def test_what_is_unreleased_becomes_the_section_of_the_version() -> None:
    after = released(TEXT, "0.2.0", "2026-02-01")
    assert unreleased(after) == ""
    assert section(after, "0.2.0") == "### Added\n\n- Maps."
    assert section(after, "0.1.0") == section(TEXT, "0.1.0") == "### Added\n\n- Everything."
    assert after.index("## Unreleased") < after.index("## 0.2.0 - 2026-02-01") < after.index("## 0.1.0")


def test_a_version_of_which_nothing_is_said_is_refused() -> None:
    with pytest.raises(ChangelogError, match="nothing stands under Unreleased"):
        released(released(TEXT, "0.2.0", "2026-02-01"), "0.3.0", "2026-03-01")


def test_a_version_has_one_section() -> None:
    with pytest.raises(ChangelogError, match=r"version 0\.1\.0 has a section already"):
        released(TEXT, "0.1.0", "2026-02-01")


@pytest.mark.parametrize("text", ["# Changelog\n", TEXT + "\n## Unreleased\n"])
def test_there_is_one_section_of_what_is_unreleased(text: str) -> None:
    with pytest.raises(ChangelogError, match="no single section"):
        unreleased(text)


def test_a_version_that_was_never_released_has_no_section() -> None:
    with pytest.raises(ChangelogError, match=r"0\.9\.0"):
        section(TEXT, "0.9.0")
