"""The site can be laid out: links have their pages, diagrams their pictures, pages their chapters."""

import re
from pathlib import Path

import pytest
from website.built_site import problems_of
from website.command_reference import command_page
from website.diagrams import FOLDER, drawn_in_pages
from website.http_reference import http_page
from website.navigation import chapters
from website.pages import LinkError, Site
from website.python_reference import python_pages

ROOT = Path(__file__).parents[2]
SITE = Site()
SITE.add_pages()


def test_every_page_has_its_chapter() -> None:
    made = dict.fromkeys(["reference/http.md", "reference/commands.md", *python_pages()], "made of the code")
    titles = dict(SITE.named()) | made | {"new.md": "New"}
    listed = chapters(titles)
    assert listed[-1] == ("More", [("New", "new.md")]), "a page that is to stay gets a chapter of its own"
    found = {place for _, pages in listed for _, place in pages}
    assert titles.keys() - found == {"index.md", "tutorial.md"}, "which come first"


def test_every_diagram_has_its_picture_and_no_picture_is_left_over() -> None:
    assert sorted(file.stem for file in FOLDER.iterdir()) == sorted(drawn_in_pages())


def test_links_lead_from_page_to_page() -> None:
    picture = "![b](screenshots/flows-768-dark.webp)"
    text = f"[a](../README.md#develop) `x` {picture} [c](decisions/0089-releases.md) [d](screenshots)"
    assert SITE.page("docs/tutorial.md", text) == (
        f"[a](index.md#develop) `x` {picture} [c](decisions/0089-releases.md) d\n"
    )
    assert SITE.page("docs/decisions/README.md", "[e](../../compose.yaml)") == "[e](../compose.md)\n"
    with pytest.raises(LinkError, match=r"docs/tutorial\.md links to nowhere\.md"):
        SITE.page("docs/tutorial.md", "[f](nowhere.md)")
    with pytest.raises(LinkError, match="make diagrams"):
        SITE.page("docs/tutorial.md", "```mermaid\nflowchart LR\n```\n")


def test_links_to_a_part_of_a_page_name_one_that_it_has() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert len(pages) > 100
    lost: list[str] = []
    for page in pages:
        for place, part in re.findall(r"\]\(([^()#\s]*)#([^()\s]+)\)", page.read_text()):
            there = (page.parent / place).resolve() if place else page
            if there.suffix == ".md" and part not in _parts(there.read_text()):
                lost.append(f"{page.relative_to(ROOT)}: {place}#{part}")
    assert lost == []


def _parts(text: str) -> set[str]:
    """The names of a page's headings, as they are in links."""
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def test_lists_are_lists_on_the_site_and_code_is_left_alone() -> None:
    assert SITE.page("README.md", "words\n- one\n  more\n- two\n") == "words\n\n- one\n  more\n- two\n"
    assert SITE.page("README.md", "```\nx\n- y\n[z](q)\n```\n") == "```\nx\n- y\n[z](q)\n```\n"


def test_references_are_made_of_the_code() -> None:
    assert "## flower register\n" in command_page() and "`--workflow-version`" in command_page()
    assert "## POST /register/{task_id}\n" in http_page() and "### FlowView\n" in http_page()
    assert "::: flower_engine.RetryPolicy\n" in python_pages()["reference/flower_engine.md"]


def test_a_built_page_is_searched_for_what_is_wrong_with_it(tmp_path: Path) -> None:
    assert problems_of(tmp_path) == [f"there is no page in {tmp_path}"]
    (tmp_path / "index.html").write_text(
        '<script src="https://example.org/a.js"></script><h1 id="top">x</h1><a href="#top">a</a>'
        '<a href="#end">b</a>'
        '<a href="gone.html">c</a><a href="https://example.org">d</a><link rel="stylesheet" href="a.css">'
    )
    (tmp_path / "a.css").write_text(
        "@import '//example.org/b.css'; a{background:url(https://example.org/c.png)} b{background:url(d.png)}"
    )
    assert problems_of(tmp_path) == [
        "index.html loads https://example.org/a.js",
        "index.html links to #end, where there is no such place",
        "index.html links to gone.html, which is not there",
        "a.css loads //example.org/b.css",
        "a.css loads https://example.org/c.png",
    ]


def test_a_diagram_is_a_picture_that_opens() -> None:
    for place, to in (("index.md", "diagrams/"), ("lifecycle.md", "diagrams/"), ("glossary.md", "")):
        shown = SITE.texts[place].count(f'<img alt="diagram" class="diagram" src="{to}')
        assert bool(shown) == bool(to) and "```mermaid" not in SITE.texts[place], place
