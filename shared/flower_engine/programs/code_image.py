"""The code of people's modules as this process imported it: for its child processes, and to see later edits.

A worker runs for days beside files that people edit and deploy. Child processes that imported them anew
would run another version than the worker, without anybody being told.
"""

import contextlib
import importlib.util
import linecache
import logging
import marshal
import os
import site
import sys
import sysconfig
import time
from collections.abc import Generator, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import msgspec

_log = logging.getLogger(__name__)
_FLOWER = {
    *("flower_engine", "flower_schema", "flower_worker", "flower_cli", "flower_bench"),
    *("flower_api", "flower_projector", "flower_watcher"),
}
_LOOKS_A_LIBRARY_LOOK = 12
_TRIES = 5  # to read a file that is being written

_Stat = tuple[int, int]
"""When a file was written, and its size; (0, 0): it is gone."""


class Kept(msgspec.Struct, frozen=True):
    """A module as it was imported; ``code`` is marshalled, for the same interpreter."""

    name: str
    path: str
    is_package: bool
    code: bytes
    source: bytes


_kept: dict[str, Kept] = {}  # of this process, whoever looks at them


class Image:
    """The modules that were imported while it is kept; ``programs`` are the modules that people name.

    What is imported later than ``since`` (wall clock, seconds) from a file that was changed later is said.
    """

    def __init__(
        self, programs: Sequence[str], since: float | None = None, pause_seconds: float = 5.0
    ) -> None:
        """``pause_seconds`` lie between two looks at the files."""
        self.since = since
        self._pause_seconds = pause_seconds
        self._looked_at = float("-inf")
        self._found: list[str] = []
        self._tops = {name.partition(".")[0] for name in programs}
        self._own: dict[
            str, tuple[_Stat, bool]
        ] = {}  # path -> as it was at the last look, and whether changed
        self._libraries: dict[str, _Stat] = {}  # path -> as it was at the first look
        self._new_libraries: set[str] = set()
        self._looks = 0
        self._late: set[str] = set()
        self._said: set[str] = set()
        self.finder = _Keeper(self)

    @contextlib.contextmanager
    def keeping(self) -> Generator[None]:
        """Keeps what is imported in this block."""
        sys.meta_path.insert(0, self.finder)
        try:
            yield
        finally:
            sys.meta_path.remove(self.finder)

    def complete(self) -> None:
        """All programs are imported."""
        self.since = time.time()
        self._libraries = {path: _stat(path) for path in _files_of_others()}

    @property
    def modules(self) -> tuple[Kept, ...]:
        """For the child processes."""
        return tuple(_kept.values())

    def outdated(self) -> list[str]:
        """Files that are not as they were when this process began; says in the log what is new among them.

        Cost: every few seconds a stat for each file of people's, and a read where it was written; every
        minute one for each other file.
        """
        now = time.monotonic()
        if now - self._looked_at >= self._pause_seconds:
            self._looked_at = now
            self._found = self._look()
        return self._found

    def _look(self) -> list[str]:
        found = {kept.path for kept in self.modules if self._is_changed(kept)} | self._late
        found |= self._look_at_libraries()
        if new := sorted(found - self._said):
            _log.warning(
                "changed since this worker began: %s. It goes on with the code that it has, in its child"
                " processes, too (but for libraries); restart it to take up what is new",
                ", ".join(new[:10]) + (", ..." if len(new) > 10 else ""),
            )
        self._said |= found
        return sorted(found)

    def _look_at_libraries(self) -> set[str]:
        """Not each time: they are many, and change seldom."""
        self._looks += 1
        if self._looks % _LOOKS_A_LIBRARY_LOOK == 0:
            self._new_libraries = {path for path, then in self._libraries.items() if _stat(path) != then}
            late = _files_of_others() - self._libraries.keys()
            self._libraries |= {path: _stat(path) for path in late}
        return self._new_libraries

    def _is_changed(self, kept: Kept) -> bool:
        stat = _stat(kept.path)
        known = self._own.get(kept.path)
        if known is None or known[0] != stat:
            self._own[kept.path] = known = (stat, _read(kept.path) != kept.source)
        return known[1]

    def is_of_people(self, name: str, path: str) -> bool:
        """Whether a module is theirs, and not one of Python, of Flower, or of an installed library."""
        top = name.partition(".")[0]
        return top in self._tops or (top not in _FLOWER and not path.startswith(_LIBRARIES))

    def note_import(self, name: str, path: str) -> None:
        """A module is imported now."""
        if self.since is None or path in self._late:
            return
        with contextlib.suppress(OSError):
            found = os.stat(path)  # noqa: PTH116 # on the way to a task
            if max(found.st_mtime, found.st_ctime) > self.since:
                self._late.add(path)
                _log.warning(
                    "%s is imported for the first time now, and was changed after this worker began (%s):"
                    " it may not fit the rest; restart the worker",
                    *(name, path),
                )


class _Keeper:
    """A finder that has the others find a module, and keeps the code that it is loaded from."""

    def __init__(self, image: Image) -> None:
        self._image = image

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        for finder in list(sys.meta_path):
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                loader = spec.loader
                if type(loader) is SourceFileLoader and self._image.is_of_people(name, loader.path):
                    spec.loader = _KeepingLoader(name, loader.path)
                    self._image.note_import(name, loader.path)
                return spec
        return None


class _KeepingLoader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType | None:
        code, source = None, b""
        for _ in range(_TRIES):
            before = _stat(self.path)
            code = super().get_code(fullname)
            source = self.get_data(self.path)
            if _stat(self.path) == before:
                break
        if code is not None:
            kept = Kept(fullname, self.path, self.is_package(fullname), marshal.dumps(code), source)
            _kept[fullname] = kept
            _keep_lines(kept)
        return code


class _ImageFinder:
    """Finds modules in what the worker keeps; the others are for other finders."""

    def __init__(self, modules: Sequence[Kept]) -> None:
        self._modules = {kept.name: kept for kept in modules}

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        kept = self._modules.get(name)
        if kept is None:
            return None
        places = [str(Path(kept.path).parent)] if kept.is_package else None
        return importlib.util.spec_from_file_location(
            name, kept.path, loader=_ImageLoader(kept), submodule_search_locations=places
        )


class _ImageLoader(SourceFileLoader):
    def __init__(self, kept: Kept) -> None:
        super().__init__(kept.name, kept.path)
        self._kept = kept

    def get_code(self, fullname: str) -> CodeType | None:
        _keep_lines(self._kept)
        return marshal.loads(self._kept.code)  # from the worker that started this process

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self._kept.source)


def import_from(modules: Sequence[Kept]) -> None:
    """From now on these modules are imported as the worker imported them, whatever their files hold now."""
    sys.meta_path.insert(0, _ImageFinder(modules))


def _keep_lines(kept: Kept) -> None:
    """Tracebacks show the lines that run, whatever the file holds then."""
    with contextlib.suppress(SyntaxError, UnicodeDecodeError):
        lines = importlib.util.decode_source(kept.source).splitlines(keepends=True)
        linecache.cache[kept.path] = (len(kept.source), None, lines, kept.path)


def _read(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except OSError:
        return None


def _files_of_others() -> set[str]:
    """The files of all modules that are imported and not kept."""
    known = {kept.path for kept in list(_kept.values())}
    modules: list[object] = list(sys.modules.values())  # people put anything in there
    files = [vars(module).get("__file__") for module in modules if isinstance(module, ModuleType)]
    return {file for file in files if isinstance(file, str)} - known


def _stat(path: str) -> _Stat:
    try:
        found = os.stat(path)  # noqa: PTH116 # of every imported file, now and then
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


def _library_folders() -> tuple[str, ...]:
    folders = {sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {*site.getsitepackages(), site.getusersitepackages()}
    return tuple(folder.rstrip(os.sep) + os.sep for folder in folders)


_LIBRARIES = _library_folders()
