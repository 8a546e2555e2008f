"""``docs/adding.md``: every file that it sends people to is there, and so is every test that it promises."""

import re

import pytest

from unit.pages import DOCS, ROOT, quoted

PAGE = (DOCS / "adding.md").read_text()
FILES = sorted({word for word in quoted(PAGE) if re.fullmatch(r"[\w./-]+(?:/|\.\w+)", word) and "/" in word})
TESTS = sorted({word for word in quoted(PAGE) if "::" in word})


@pytest.mark.parametrize("name", FILES)
def test_every_file_that_it_names_is_there(name: str) -> None:
    assert (ROOT / name).is_dir() if name.endswith("/") else (ROOT / name).is_file()


@pytest.mark.parametrize("name", TESTS)
def test_every_test_that_it_names_is_there(name: str) -> None:
    file, _, function = name.partition("::")
    assert re.search(rf"^(?:async )?def {function}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_it_names_files_and_tests() -> None:
    assert FILES
    assert TESTS
