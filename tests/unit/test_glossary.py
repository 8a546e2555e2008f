"""The glossary: each word stands once, in its place, and is in use; a thing that it points to is there."""

import itertools
import re

import pytest

from unit.pages import DOCS, ROOT, source_files, tables

TABLES = [[row["word"] for row in table] for table in tables("glossary.md")]
WORDS = list(itertools.chain.from_iterable(TABLES))


def _texts() -> str:
    pages = [page for page in [*DOCS.rglob("*.md"), ROOT / "README.md"] if page.name != "glossary.md"]
    files = [*pages, *source_files(".py", ".lua", ".sql")]
    return re.sub(r"[\s_]+", " ", "\n".join(file.read_text() for file in files)).lower()


@pytest.mark.parametrize("words", TABLES, ids=lambda words: words[0])
def test_words_stand_in_the_order_of_the_alphabet(words: list[str]) -> None:
    assert words == sorted(words)


def test_each_word_has_one_entry() -> None:
    assert [word for word in WORDS if WORDS.count(word) > 1] == []


def test_each_word_is_in_use() -> None:
    texts = _texts()
    assert [word for word in WORDS if not re.search(rf"\b{re.escape(word)}", texts)] == []


def test_each_word_has_a_meaning() -> None:
    assert [row["word"] for table in tables("glossary.md") for row in table if len(row["meaning"]) < 10] == []
