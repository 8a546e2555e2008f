"""What can be wrong with a site that was built: links that lead nowhere, and what a browser would fetch
elsewhere."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADING = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "object": "data"}
_FETCHED_BY_STYLE = re.compile(r"""(?:url\(\s*["']?|@import\s+["'])((?:https?:)?//[^"')\s]+)""")


def problems_of(folder: Path) -> list[str]:
    """A sentence for each; folder: the site."""
    files = sorted(folder.rglob("*.html"))
    if not files:
        return [f"there is no page in {folder}"]
    pages = {file: _read(file) for file in files}
    found = [problem for file in files for problem in _of_page(folder, file, pages)]
    for style in folder.rglob("*.css"):
        found += (f"{style.name} loads {url}" for url in _FETCHED_BY_STYLE.findall(style.read_text()))
    return found


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if (attribute := _LOADING.get(tag)) in given and given.get("rel") not in (
            "next",
            "prev",
            "canonical",
        ):
            self.loads.append(given[str(attribute)])


def _read(file: Path) -> _Page:
    page = _Page()
    page.feed(file.read_text())
    return page


def _of_page(folder: Path, file: Path, pages: dict[Path, _Page]) -> Iterator[str]:
    name = file.relative_to(folder)
    for url in pages[file].loads:
        if urlsplit(url).netloc:
            yield f"{name} loads {url}"
    if name.name == "404.html":  # its links begin at the root of wherever it is served
        return
    for link in [*pages[file].links, *pages[file].loads]:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
        if target.is_dir():
            target /= "index.html"
        if not target.is_file():
            yield f"{name} links to {link}, which is not there"
        elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
            yield f"{name} links to {link}, where there is no such place"
