"""One name, one file: no two modules of the engine are called the same."""

from collections import defaultdict
from pathlib import Path

ENGINE = Path(__file__).parents[2] / "shared" / "flower_engine"
EXCEPTIONS: dict[str, str] = {}
"""File names that several modules may have, each with the reason."""


def _places() -> dict[str, list[str]]:
    places: dict[str, list[str]] = defaultdict(list)
    for file in sorted(ENGINE.rglob("*.py")):
        if file.name != "__init__.py":
            places[file.name].append(str(file.relative_to(ENGINE)))
    return places


def test_no_two_modules_of_the_engine_share_a_file_name() -> None:
    shared = {name: places for name, places in _places().items() if len(places) > 1}
    assert {name: places for name, places in shared.items() if name not in EXCEPTIONS} == {}


def test_every_exception_is_needed() -> None:
    places = _places()
    assert [name for name in EXCEPTIONS if len(places.get(name, [])) < 2] == []


def test_every_folder_of_the_engine_says_what_lives_in_it() -> None:
    folders = {file.parent for file in ENGINE.rglob("*.py")}
    unsaid = [str(folder) for folder in folders if not (folder / "__init__.py").read_text().startswith('"""')]
    assert unsaid == []
