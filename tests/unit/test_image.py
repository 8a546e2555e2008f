"""A process keeps the code that it imported, notices what was changed since, and gives it to its children."""

import importlib
import logging
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from flower_engine.programs.code_image import Image, Kept

FIRST = "def version() -> str:\n    return 'first'\n\n\ndef fail() -> None:\n    raise LookupError  # first\n"
SECOND = "# another line\n" + FIRST.replace("first", "second")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of people's code that can be imported from."""
    package = tmp_path / "image_people"
    package.mkdir()
    (package / "__init__.py").write_text("from image_people.inner import version\n")
    (package / "inner.py").write_text(FIRST)
    (package / "late.py").write_text(FIRST)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    before = list(sys.meta_path)
    yield package
    assert sys.meta_path == before
    for name in [name for name in sys.modules if name.startswith("image_people")]:
        del sys.modules[name]


def kept(image: Image) -> list[Kept]:
    return [module for module in image.modules if module.name.startswith("image_people")]


def changed(image: Image, folder: Path) -> list[str]:
    return [Path(path).name for path in image.outdated() if path.startswith(str(folder))]


def test_a_child_imports_what_the_process_imported(folder: Path) -> None:
    image = Image(["image_people"], pause_seconds=0)
    with image.keeping():
        importlib.import_module("image_people")
    image.complete()
    (folder / "inner.py").write_text(SECOND)
    (folder / "__init__.py").write_text("def")
    child = (
        "import sys, msgspec, traceback\n"
        "from flower_engine.programs.code_image import Kept, import_from\n"
        "import_from(msgspec.msgpack.decode(sys.stdin.buffer.read(), type=list[Kept]))\n"
        "import image_people.inner\n"
        "print(image_people.version())\n"
        "try:\n    image_people.inner.fail()\n"
        "except LookupError: print(traceback.format_exc())\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", child],
        input=msgspec.msgpack.encode(kept(image)),
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert said.startswith("first\n")
    assert "raise LookupError  # first" in said


def test_a_change_is_noticed_and_said_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    image = Image(["image_people"], pause_seconds=0)
    with image.keeping():
        importlib.import_module("image_people")
    image.complete()
    assert changed(image, folder) == []
    (folder / "inner.py").write_text(FIRST)  # another time, the same content
    assert changed(image, folder) == []
    (folder / "inner.py").write_text(SECOND)
    with caplog.at_level(logging.WARNING):
        assert changed(image, folder) == changed(image, folder) == ["inner.py"]
    assert caplog.text.count("inner.py") == 1
    (folder / "inner.py").unlink()
    assert changed(image, folder) == ["inner.py"]
    (folder / "inner.py").write_text(FIRST)
    assert changed(image, folder) == []


def test_a_library_that_is_updated_is_noticed_after_some_looks(tmp_path: Path) -> None:
    file = tmp_path / "library.py"
    file.write_text(FIRST)
    library = ModuleType("image_library")
    library.__file__ = str(file)
    sys.modules["image_library"] = library
    try:
        image = Image(["x"], pause_seconds=0)
        image.complete()
        file.write_text(SECOND)
        found = [changed(image, tmp_path) for _ in range(12)]
    finally:
        del sys.modules["image_library"]
    assert found == [[]] * 11 + [["library.py"]]


def test_a_late_import_of_a_changed_file_is_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    image = Image(["image_people"], pause_seconds=0)
    with image.keeping():
        importlib.import_module("image_people")
        image.complete()
        image.since = time.time() - 1.0
        (folder / "late.py").write_text(SECOND)
        with caplog.at_level(logging.WARNING):
            importlib.import_module("image_people.late")
    assert "image_people.late is imported for the first time now" in caplog.text
    assert "late.py" in changed(image, folder)


def test_a_traceback_shows_the_lines_that_ran(folder: Path) -> None:
    with Image(["image_people"], pause_seconds=0).keeping():
        inner = importlib.import_module("image_people.inner")
    (folder / "inner.py").write_text(SECOND)
    with pytest.raises(LookupError) as caught:
        inner.fail()
    assert "# first" in "".join(traceback.format_exception(caught.value))


def test_libraries_python_and_flower_are_not_kept() -> None:
    image = Image(["my_programs"])
    assert not image.is_of_people("msgspec", str(msgspec.__file__))
    assert not image.is_of_people("json", str(importlib.import_module("json").__file__))
    assert not image.is_of_people("flower_engine.programs.builtin", "/srv/flower/builtin.py")
    assert image.is_of_people("my_programs.inner", str(Path(msgspec.__file__).parent / "my_programs.py"))
    assert image.is_of_people("flower_of_mine", "/srv/flower_of_mine.py")
