"""Blobs and large results go from task to task in a test, too."""

from flower_engine import program, workflow
from flower_engine.blobs.blob import Blob
from flower_engine.testing import FlowerTest, StuckError

_SIZE = 3 * 1024 * 1024


@program("testing.file")
def file() -> Blob:
    return Blob(b"x" * _SIZE)


@program("testing.text")
async def text(blob: Blob) -> str:
    return blob.read().decode()


@program("testing.length")
def length(text: str) -> int:
    return len(text)


@workflow("testing.large")
def large() -> int:
    blob = file.step()
    whole = text.step(blob)
    return length.step(whole)


def test_a_blob_and_a_large_result_arrive(flower: FlowerTest) -> None:
    assert flower.run(large).result == _SIZE


def test_a_result_that_does_not_fit_its_reader_is_named(flower: FlowerTest) -> None:
    document = {
        "taskId": "testing.unfit",
        "tasks": [
            {"taskSeq": 1, "taskName": "first", "program": "testing.file"},
            {"taskSeq": 2, "program": "testing.length", "parameters": {"text": {"$from": "first"}}},
        ],
    }

    try:
        flower.run(document)
    except StuckError as error:
        assert "parameter 'text', which is the result of task first, has the value" in str(error)
    else:
        raise AssertionError


@workflow("testing.returned")
def returned() -> str:
    return text.step(file.step())


def test_a_large_result_is_what_a_flow_returns(flower: FlowerTest) -> None:
    assert flower.run(returned).result == "x" * _SIZE
