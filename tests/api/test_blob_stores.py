"""The stores of blobs as a worker uses them: through the API, in a folder, in memory."""

import errno
import hashlib
import io
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem  # pyright: ignore[reportMissingTypeStubs]
from fsspec.implementations.memory import MemoryFileSystem  # pyright: ignore[reportMissingTypeStubs]

from api.serving import RunningApi
from flower_engine.blobs.api_store import ApiStore
from flower_engine.blobs.blob_stores import BlobStores, read
from flower_engine.blobs.filesystem_store import MARKER, FilesystemStore
from flower_engine.blobs.store import Store
from flower_engine.errors import BlobRefusedError, BlobStoreError, MissingBlobError, SettingsError
from flower_engine.model.values.blob_ref import BlobRef

WEEK_SECONDS = 7 * 86_400.0


def _ref(content: bytes, store: Store) -> BlobRef:
    return BlobRef(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content), store=store.name)


def _put(store: Store, content: bytes) -> BlobRef:
    ref = _ref(content, store)
    store.put(ref.sha256, ref.bytes, lambda: io.BytesIO(content))
    return ref


@pytest.fixture(params=["api", "file", "memory"])
def store(request: pytest.FixtureRequest, api: RunningApi, tmp_path: Path) -> Store:
    if request.param == "api":
        return ApiStore(api.url)
    return FilesystemStore("memory://blobs" if request.param == "memory" else f"file://{tmp_path}/blobs")


@pytest.mark.parametrize("size", [0, 10, 100_000, 5_000_000])
def test_what_is_put_is_read(store: Store, size: int) -> None:
    content = os.urandom(size)
    ref = _put(store, content)
    assert read(store, ref) == content
    assert _put(store, content) == ref  # again: nothing changes
    assert read(store, ref) == content


def test_what_is_not_there_is_missing(store: Store) -> None:
    _put(store, b"something else")
    with pytest.raises(MissingBlobError, match="is not in"):
        read(store, _ref(b"never stored", store))


def test_what_comes_damaged_is_not_given_to_anybody(store: Store) -> None:
    ref = _put(store, b"one thing")
    wrong = BlobRef(sha256=ref.sha256, bytes=ref.bytes + 1, store=ref.store)
    with pytest.raises(BlobStoreError, match="another hash"):
        read(store, wrong)


def test_content_that_cannot_be_read_leaves_nothing_behind(tmp_path: Path) -> None:
    store = FilesystemStore(f"file://{tmp_path}/blobs")

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("the disk is broken")

    with pytest.raises(BlobStoreError, match="the disk is broken"):
        store.put("0" * 64, 10, Broken)
    assert [path.name for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == [MARKER]


def _away_and_back(folder: Path) -> Iterator[None]:
    """A disk that is not mounted, then one whose folder is gone as a whole, then all is as it was."""
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.mkdir()
    yield
    folder.rmdir()
    yield
    aside.rename(folder)


def test_a_store_that_is_away_is_not_one_without_the_blob(tmp_path: Path) -> None:
    url, folder = f"file://{tmp_path}/blobs", tmp_path / "blobs"
    writer = FilesystemStore(url)
    ref = _put(writer, b"stored")
    never = _ref(b"never stored", writer)
    for _ in _away_and_back(folder):
        for store in (writer, FilesystemStore(url)):  # one that is of a process begun later knows it, too
            for asked in (ref, never):
                with pytest.raises(BlobStoreError, match="is not there: no file 'flower-store'"):
                    read(store, asked)
                with pytest.raises(BlobStoreError, match="is not there"):
                    store.touch(asked.sha256, asked.bytes)
                with pytest.raises(BlobStoreError, match="is not there"):
                    store.read_range(asked.sha256, 0, 1)
            assert not store.look()
            assert store.prune(lambda _: set(), 0) == (0, 0)
        with pytest.raises(BlobStoreError, match="mounted"):
            _put(writer, b"more")  # it would be hidden as soon as the disk is back
        with pytest.raises(BlobStoreError, match="mounted"):
            writer.begin()
        with pytest.raises(BlobStoreError, match="mounted"):
            _put(FilesystemStore(url, begins=False), b"more")
        assert not folder.exists() or list(folder.iterdir()) == []
    assert read(writer, ref) == b"stored"
    with pytest.raises(MissingBlobError):
        read(writer, never)


def test_a_store_whose_blobs_were_all_pruned_is_there(tmp_path: Path) -> None:
    store = FilesystemStore(f"file://{tmp_path}/blobs")
    ref = _put(store, b"unused")
    for path in (tmp_path / "blobs").rglob("*"):
        os.utime(path, (0, 0))
    assert store.prune(lambda _: set(), WEEK_SECONDS)[0] == 1
    for path in (tmp_path / "blobs").iterdir():
        if path.is_dir():
            path.rmdir()  # as in a bucket, which has no empty folders
    with pytest.raises(MissingBlobError):
        read(store, ref)
    assert store.look()


def test_a_store_of_a_version_before_is_there_and_gets_its_marker(tmp_path: Path) -> None:
    url, marker = f"file://{tmp_path}/blobs", tmp_path / "blobs" / MARKER
    ref = _put(FilesystemStore(url), b"stored")
    marker.unlink()
    assert FilesystemStore(url).look()
    with pytest.raises(MissingBlobError):
        read(FilesystemStore(url), _ref(b"never stored", FilesystemStore(url)))
    assert read(FilesystemStore(url), ref) == b"stored"
    _put(FilesystemStore(url, begins=False), b"more")
    assert marker.exists()


def test_a_store_of_a_version_before_that_can_only_be_read_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, marker = f"file://{tmp_path}/blobs", tmp_path / "blobs" / MARKER
    ref = _put(FilesystemStore(url), b"stored")
    marker.unlink()

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(LocalFileSystem, "pipe_file", refused)
    store = FilesystemStore(url)
    store.begin()
    assert not marker.exists()
    assert read(store, ref) == b"stored"
    with pytest.raises(BlobStoreError, match="Read-only"):
        FilesystemStore(f"file://{tmp_path}/other").begin()


def test_a_bucket_that_is_gone_is_waited_for() -> None:
    files: Any = MemoryFileSystem()
    store = FilesystemStore("memory://bucket/blobs")
    ref = _put(store, b"stored")
    files.mv("/bucket", "/aside", recursive=True)
    with pytest.raises(BlobStoreError, match="bucket the right one"):
        read(store, ref)
    files.mv("/aside", "/bucket", recursive=True)
    assert read(store, ref) == b"stored"


def test_a_store_that_cannot_be_looked_at_is_no_empty_one(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("no folder")
    store = FilesystemStore(f"file://{tmp_path}/blobs/below")
    calls: list[Callable[[], object]] = [
        lambda: store.touch("0" * 64, 1),
        lambda: store.prune(lambda _: set(), 0),
        store.look,
        store.begin,
    ]
    for call in calls:
        with pytest.raises(BlobStoreError, match="NotADirectoryError"):
            call()


def test_a_part_of_a_blob_is_written_again(tmp_path: Path) -> None:
    store = FilesystemStore(f"file://{tmp_path}/blobs")
    ref = _put(store, b"all of it")
    path = tmp_path / "blobs" / ref.sha256[:2] / ref.sha256
    path.write_bytes(b"all")  # as a disk that was full may leave it
    _put(store, b"all of it")
    assert read(store, ref) == b"all of it"


def test_old_files_that_nobody_uses_are_pruned_and_others_stay(tmp_path: Path) -> None:
    store = FilesystemStore(f"file://{tmp_path}/blobs")
    names = ("used", "unused", "fresh", "touched")
    refs = {name: _put(store, name.encode()) for name in names}
    paths = {name: tmp_path / "blobs" / ref.sha256[:2] / ref.sha256 for name, ref in refs.items()}
    left = tmp_path / "blobs" / "uploads" / "left"
    left.write_bytes(b"of an upload that was killed")
    old = time.time() - WEEK_SECONDS - 60
    for path in (*(paths[name] for name in names if name != "fresh"), left):
        os.utime(path, (old, old))
    _put(store, b"touched")
    used = {refs["used"].sha256}
    count, _ = store.prune(lambda asked: used & set(asked), WEEK_SECONDS)
    assert count == 1
    assert {name for name, path in paths.items() if path.exists()} == {"used", "fresh", "touched"}
    assert not left.exists()


def test_a_store_that_is_away_or_refuses_is_told_apart(start_api: Callable[..., RunningApi]) -> None:
    with start_api(max_blob_mb=1, api_tokens="worker:W-SECRET-1") as api:
        url = api.url
        with pytest.raises(BlobStoreError, match=r"401.*FLOWER_TOKEN"):  # somebody may give it one
            _put(ApiStore(url), b"some")
        with pytest.raises(BlobRefusedError, match="FLOWER_MAX_BLOB_MB"):
            _put(ApiStore(url, "W-SECRET-1"), os.urandom(2 << 20))
        with pytest.raises(BlobStoreError, match="404"):  # another server than ours
            read(ApiStore(f"{url}/elsewhere", "W-SECRET-1"), _ref(b"x", ApiStore(url)))
    with pytest.raises(BlobStoreError, match="cannot be reached"):
        _put(ApiStore(url), b"some")


def test_only_stores_of_the_settings_are_read(tmp_path: Path) -> None:
    new, old = f"file://{tmp_path}/new", f"file://{tmp_path}/old/"
    stores = BlobStores([new, old], "http://127.0.0.1:1", None)
    assert stores.writing is not None and stores.writing.name == new
    ref = _put(FilesystemStore(old), b"of before")
    assert read(stores.reading(ref.store), ref) == b"of before"
    with pytest.raises(MissingBlobError, match="none of its FLOWER_BLOBS"):
        stores.reading(f"file://{tmp_path}/other")
    assert BlobStores([], "http://127.0.0.1:1", None).writing is None


def test_a_kind_of_url_that_is_not_installed_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsError, match=r"flower-engine\[blobs\]"):
        FilesystemStore("nosuch://bucket/blobs")
