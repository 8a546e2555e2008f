"""Programs of the flows that the dashboard is tried with."""

import logging
import sys
import time
from pathlib import Path
from typing import Any

from flower_engine import CONTEXT, Context, Fatal, program

_log = logging.getLogger("shop")


@program("read_rows")
def read_rows(source: str = "orders", rows: int = 3, **_more: Any) -> dict[str, Any]:
    """Writes some lines, gives some rows."""
    for number in range(rows):
        _log.info("row %d of %s", number, source)
    return {"source": source, "rows": [{"id": number, "cents": 100 * number} for number in range(rows)]}


@program("load")
def load(table: str = "sales", broken: bool = False, **_more: Any) -> dict[str, int]:
    """Fails for good where it is told so."""
    sys.stdout.write(f"loading into {table}\n")
    if broken:
        _log.error("relation %s has no column day", table)
        raise Fatal(f"relation {table!r} has no column 'day'")
    return {"rows": 57}


@program("flaky")
def flaky(ctx: Context = CONTEXT, **_more: Any) -> str:
    """Works at the second attempt."""
    if ctx.attempt == 1:
        raise ConnectionError("the warehouse did not answer")
    return "loaded at last"


@program("until_told")
def until_told(file: str, ctx: Context = CONTEXT, **_more: Any) -> str:
    """Runs until a file is there."""
    for step in range(100_000):
        if Path(file).exists():
            return "told"
        ctx.progress((step % 100) / 100, f"step {step}")
        time.sleep(0.2)
    return "never told"


@program("nothing")
def nothing(**_more: Any) -> None:
    """Does nothing."""


@program("take_stock")
def take_stock(**_more: Any) -> None:
    """Fails for good."""
    raise Fatal("nothing is left of item 17")


@program("numbers")
def numbers(count: int) -> list[int]:
    """So many numbers, for a map to go over."""
    return list(range(count))


@program("find_images")
def find_images(count: int = 60) -> list[str]:
    """Names of so many images."""
    return [f"image-{number}.jpg" for number in range(count)]


@program("resize")
def resize(image: str, width: int) -> str:
    """Fails for good for one of thirteen."""
    _log.info("%s to %d", image, width)
    if hash_of(image) % 13 == 7:
        raise Fatal(f"{image} is no image")
    return f"small-{image}"


@program("stamp")
def stamp(image: str, broken: int = -1) -> str:
    """Fails for good for the image with this number."""
    _log.info("a stamp on %s", image)
    if hash_of(image) == broken:
        raise Fatal(f"{image} has no place for a stamp")
    return image


def hash_of(image: str) -> int:
    """The number in its name."""
    return int("".join(filter(str.isdigit, image)))
