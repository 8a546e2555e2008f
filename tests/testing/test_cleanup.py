"""The compensation of the reference of workflows does what the page says, however a flow goes."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from flower_cli.yaml_documents import documents_of
from flower_engine import program
from flower_engine.programs.registry import registry
from flower_engine.testing import FlowerTest, hangs
from unit.pages import DOCS

_BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", (DOCS / "workflows.md").read_text(), re.MULTILINE | re.DOTALL)
(SELLING,) = documents_of(next(one for one in _BLOCKS if one.startswith("taskId: selling\n")).encode())


def settle(payment: str | None = None, parcel: str | None = None) -> str:
    return f"refunded {payment}" if payment and not parcel else "nothing to undo"


@pytest.fixture(autouse=True)
def _settles() -> Iterator[None]:
    """The page has a program of this name, too, which its own tests register."""
    program("settle")(settle)
    yield
    registry.forget("settle")


def began(flower: FlowerTest, parcel: Any) -> Any:
    flower.stub("charge", "payment of ann")
    flower.stub("send_parcel", parcel)
    flower.stub("excuse", None)
    return flower.start(SELLING, customer="ann")


@pytest.mark.parametrize(
    ("parcel", "ends", "settled", "excused"),
    [
        ("parcel for ann", "Finish", "nothing to undo", "Ignore"),
        (ValueError("no parcel"), "Failed", "refunded payment of ann", "Finish"),
    ],
)
def test_what_was_done_is_undone_where_the_rest_fails(
    flower: FlowerTest, parcel: Any, ends: str, settled: str, excused: str
) -> None:
    run = began(flower, parcel)
    assert run.settle() == ends
    assert (run.tasks["settle"].result, run.tasks["excuse"].status) == (settled, excused)


def test_it_is_undone_where_somebody_cancels(flower: FlowerTest) -> None:
    run = began(flower, hangs())
    run.work()
    run.cancel()
    assert run.settle() == "Cancelled"
    assert run.tasks["settle"].result == "refunded payment of ann"
    assert run.tasks["excuse"].status == "Ignore"
