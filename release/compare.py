"""Names what is public, different from the last release, and not in the changelog that it reads."""

import sys

from release.public_surface import released_surface, surface, unsaid

if __name__ == "__main__":
    left = unsaid(released_surface(), surface(), sys.stdin.read().strip())
    if left:
        sys.exit("\n".join(["say in CHANGELOG.md, under Unreleased, what became of:", *left]))
