"""Which files of the repository are pages of the site, and how links between them lead from page to page.

On the site ``docs/`` is the root; what lies beside it has its own name in lower case. A link to a file that
is no page leads to a page that shows the file; one to a folder is text, as there is nothing to show.
"""

import hashlib
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
BESIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "THIRD_PARTY.md": "third-party.md",
    "examples/README.md": "examples/index.md",
}
"""Files outside of ``docs/`` that are pages, and their places on the site."""

DIAGRAM = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""A diagram of a page; the first group is its text."""
DIAGRAMS = "docs/diagrams"
"""The folder with a picture of each (website/diagrams.py)."""

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^ *```")
_ITEM = re.compile(r"^(?:[-*]|\d+\.) ")
_LANGUAGES = {".py": "python", ".yaml": "yaml", ".sql": "sql", ".csv": "text", ".json": "json"}


class LinkError(Exception):
    """A page links to what is not in the repository; names both."""


def sources() -> dict[str, str]:
    """The Markdown files of the repository that are pages -> their places on the site."""
    docs = ROOT / "docs"
    inside = {
        f"docs/{name}": _place_in_docs(name)
        for file in sorted(docs.rglob("*.md"))
        for name in [file.relative_to(docs).as_posix()]
    }
    return BESIDE | inside


def diagram_name(diagram: str) -> str:
    """The name of its picture, without the ending: a hash of what it shows."""
    return hashlib.sha256(diagram.encode()).hexdigest()[:12]


class Site:
    """All files of the site, by place: texts of pages, and pictures, which are copied."""

    def __init__(self) -> None:
        self._places = sources()
        self.texts: dict[str, str] = {}
        self.pictures: dict[str, Path] = {}

    def add_pages(self) -> None:
        """Adds every page of the repository, and what they show.

        Raises:
            LinkError: one links to nothing.
        """
        for source, place in self._places.items():
            self.texts[place] = self.page(source, (ROOT / source).read_text())

    def page(self, source: str, text: str) -> str:
        """A page's text as the site has it: other links, and a blank line before each list, without which
        Python-Markdown sees none."""
        lines: list[str] = []
        is_code = False
        for line in DIAGRAM.sub(lambda found: self._picture(source, found[1]), text).splitlines():
            if _FENCE.match(line):
                is_code = not is_code
            elif not is_code and _ITEM.match(line) and lines and lines[-1] and not _is_in_list(lines):
                lines.append("")
            lines.append(line if is_code else _LINK.sub(lambda found: self._link(source, found), line))
        return "\n".join(lines) + "\n"

    def _picture(self, source: str, diagram: str) -> str:
        file = f"{DIAGRAMS}/{diagram_name(diagram)}.svg"
        if not (ROOT / file).is_file():
            raise LinkError(f"a diagram of {source} has no picture: run 'make diagrams'")
        target = self._way(source, file)
        return f'<a href="{target}"><img alt="diagram" class="diagram" src="{target}"></a>'

    def _link(self, source: str, found: re.Match[str]) -> str:
        is_picture, words, target = found.groups()
        if re.match(r"https?:|mailto:|#", target):
            return found[0]
        path, mark, anchor = target.partition("#")
        named = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        file = ROOT / named
        if not file.exists():
            raise LinkError(f"{source} links to {target}, which is not there")
        if file.is_dir():
            return words
        return f"{is_picture}[{words}]({self._way(source, named)}{mark}{anchor})"

    def _way(self, source: str, target: str) -> str:
        """From the place of a page to that of a file, both of the repository."""
        here = posixpath.dirname(self._places[source])
        return posixpath.relpath(self._place_of(target), here or ".")

    def _place_of(self, source: str) -> str:
        if source in self._places:
            return self._places[source]
        if source.endswith((".webp", ".svg", ".png")):
            place = _place_in_docs(source.removeprefix("docs/"))
            self.pictures[place] = ROOT / source
            return place
        place = f"{source.rpartition('.')[0].replace('.', '-')}.md"
        name = posixpath.basename(source)
        language = _LANGUAGES[posixpath.splitext(name)[1]]
        text = (ROOT / source).read_text()
        self.texts[place] = f"# {name}\n\n`{source}`\n\n````{language}\n{text}````\n"
        return place

    def named(self) -> Iterator[tuple[str, str]]:
        """Place and title of each page, in the order of their places."""
        for place, text in sorted(self.texts.items()):
            title = re.search(r"^# (.+)$", text, re.MULTILINE)
            yield place, title[1] if title else place


def _place_in_docs(name: str) -> str:
    return re.sub(r"(^|/)README\.md$", r"\1index.md", name)


def _is_in_list(lines: list[str]) -> bool:
    """Whether the last paragraph of these lines belongs to a list."""
    for line in reversed(lines):
        if not line:
            return False
        if _ITEM.match(line):
            return True
    return False
