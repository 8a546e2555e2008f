"""The changelog: what stands under Unreleased becomes the section of a version."""

import re

UNRELEASED = "## Unreleased"
_SECTION = re.compile(r"^## ", re.MULTILINE)


class ChangelogError(Exception):
    """The changelog cannot be released as it stands; says why."""


def unreleased(text: str) -> str:
    """What stands under Unreleased, without its heading.

    Raises:
        ChangelogError: there is no such section, or more than one.
    """
    if text.count(f"\n{UNRELEASED}\n") != 1:
        raise ChangelogError(f"CHANGELOG.md has no single section {UNRELEASED!r}")
    begun = text.partition(f"\n{UNRELEASED}\n")[2]
    return _SECTION.split(begun, 1)[0].strip()


def released(text: str, version: str, day: str) -> str:
    """The changelog in which Unreleased is this version's, and a new Unreleased is empty.

    Raises:
        ChangelogError: nothing stands there, or the version has a section already.
    """
    if not unreleased(text):
        raise ChangelogError("nothing stands under Unreleased: say what users meet in this version")
    if re.search(rf"^## {re.escape(version)}\b", text, re.MULTILINE):
        raise ChangelogError(f"version {version} has a section already")
    return text.replace(f"\n{UNRELEASED}\n", f"\n{UNRELEASED}\n\n## {version} - {day}\n", 1)


def section(text: str, version: str) -> str:
    """What a version's section says, without its heading.

    Raises:
        ChangelogError: it has none.
    """
    found = re.search(rf"^## {re.escape(version)} - .*\n", text, re.MULTILINE)
    if found is None:
        raise ChangelogError(f"version {version} has no section")
    return _SECTION.split(text[found.end() :], 1)[0].strip()
