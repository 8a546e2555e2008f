"""The page about tests of workflows holds what it says."""

import re
from pathlib import Path

import pytest

from flower_engine.programs.registry import registry
from flower_engine.testing import FlowerTest, Run

_PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
_CODE = "\n".join(re.findall(r"```python\n(.*?)```", _PAGE, re.DOTALL))
_TESTS = re.findall(r"^def (test_\w+)\(", _CODE, re.MULTILINE)


@pytest.mark.parametrize("name", _TESTS)
def test_a_test_of_the_page_passes(name: str, flower: FlowerTest, tmp_path: Path) -> None:
    file = tmp_path / "test_page.py"  # the names of steps are read off the source
    file.write_text(_CODE)
    found: dict[str, object] = {"__name__": "page"}
    try:
        exec(compile(_CODE, file, "exec", dont_inherit=True), found)
        test = found[name]
        assert callable(test)
        test(flower)
    finally:
        registry.forget("load")
        registry.forget("report")


def test_what_the_page_names_is_there() -> None:
    names = re.findall(r"`(flower|run)\.(\w+)", _PAGE)
    assert ("run", "lose_worker") in names
    missing = [
        f"{of}.{name}"
        for of, name in names
        if not hasattr({"flower": FlowerTest, "run": Run}[of], name) and name != "secrets"
    ]
    assert missing == []
