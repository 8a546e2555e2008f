"""Every event that was ever written is still decoded, to what it meant when it was written."""

import json
from itertools import chain
from pathlib import Path
from typing import get_args

import pytest

from flower_engine.model.events.events import AnyEvent, decode_event, encode_event
from golden.meanings import (
    attempts,
    maps,
    operations,
    partitions,
    registrations,
    rounds_of_flows,
    rules,
    snapshots,
    snapshots_of_waits,
    waits,
)

EVENTS = Path(__file__).parent / "events"
SUBJECTS = (
    attempts,
    maps,
    operations,
    partitions,
    registrations,
    rounds_of_flows,
    rules,
    snapshots,
    snapshots_of_waits,
    waits,
)
MEANINGS = dict(chain.from_iterable(subject.MEANINGS.items() for subject in SUBJECTS))
"""By event type and name of the file, where ``*`` stands for who wrote it."""

FILES = sorted(EVENTS.rglob("*.json"))
TYPES = sorted(str(kind.__struct_config__.tag) for kind in get_args(AnyEvent))


def meaning_of(file: Path) -> AnyEvent | None:
    variant = file.stem.removeprefix("lua").removeprefix("python")
    return MEANINGS.get(f"{file.parent.name}/*{variant}")


def test_every_subject_has_its_own_files_and_none_is_without() -> None:
    assert len(MEANINGS) == sum(len(subject.MEANINGS) for subject in SUBJECTS)
    folder = Path(__file__).parent / "meanings"
    assert {file.stem for file in folder.glob("*.py")} - {"names"} == {
        subject.__name__.rpartition(".")[2] for subject in SUBJECTS
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_an_event_once_written_still_means_the_same(file: Path) -> None:
    assert decode_event(file.read_bytes()) == meaning_of(file)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_golden_file_holds_one_event_of_its_folders_type(file: Path) -> None:
    raw = file.read_bytes()
    assert raw.count(b"\n") == 0
    assert json.loads(raw)["type"] == file.parent.name


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("writer", ["lua", "python"])
def test_every_event_type_has_golden_bytes_of_each_writer(kind: str, writer: str) -> None:
    assert list((EVENTS / kind).glob(f"{writer}*.json")), (
        f"no golden file of {kind} as {writer} writes it: see tests/golden/README.md"
    )


def test_every_golden_folder_belongs_to_an_event_type() -> None:
    assert sorted(folder.name for folder in EVENTS.iterdir()) == TYPES


@pytest.mark.parametrize("name", MEANINGS)
def test_what_python_writes_today_is_golden(name: str) -> None:
    written = encode_event(MEANINGS[name])
    assert written in {file.read_bytes() for file in EVENTS.glob(name.replace("*", "python*") + ".json")}
