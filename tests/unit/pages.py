"""What tests read of the documents: their tables, row by row."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCES = ("schema", "shared", "services", "benchmarks", "examples")


def cells(row: str) -> list[str]:
    """The cells of a row of a Markdown table; an escaped bar is a bar."""
    parts = re.split(r"(?<!\\)\|", row.strip().removeprefix("|").removesuffix("|"))
    return [part.strip().replace("\\|", "|") for part in parts]


def tables(page: str) -> list[list[dict[str, str]]]:
    """Every table of a page of ``docs/``: its rows, each by the names of the columns."""
    found: list[list[dict[str, str]]] = []
    head: list[str] | None = None
    for line in (DOCS / page).read_text().splitlines():
        if not line.startswith("|"):
            head = None
        elif head is None:
            head = cells(line)
            found.append([])
        elif not set(line) <= set("|-: "):
            found[-1].append(dict(zip(head, cells(line), strict=True)))
    return found


def rows(page: str, column: str) -> list[dict[str, str]]:
    """The rows of all tables of a page whose first column is this one."""
    return [row for table in tables(page) for row in table if next(iter(row)) == column]


def blocks(page: str, language: str) -> list[str]:
    """The blocks of code of a page in this language."""
    text = (DOCS / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def quoted(text: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", text)


def source_files(*endings: str) -> list[Path]:
    """Every file of the sources with one of these endings, tests and documents apart."""
    return sorted(
        file
        for folder in SOURCES
        for file in (ROOT / folder).rglob("*")
        if file.suffix in endings and "__pycache__" not in file.parts
    )
