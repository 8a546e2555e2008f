"""The stores of blobs."""

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

from flower_engine.blobs.filesystem_store import FilesystemStore
from flower_engine.blobs.store import API
from flower_engine.doctor.disk import space_left
from flower_engine.doctor.findings import Finding, ok, problem, warning
from flower_engine.doctor.subject import Subject
from flower_engine.errors import FlowerError

_SECONDS = 3.0


async def blobs(subject: Subject) -> list[Finding]:
    """Whether those of ``FLOWER_BLOBS`` can be read (nothing is written); the API is looked at as itself."""
    check, names = "blobs", subject.settings.blobs
    found: list[Finding] = []
    for name in names:
        if name == API:
            found.append(ok(check, f"blobs are kept by the API at {subject.settings.api_url}"))
            continue
        of_folder = _of_folder(check, name, subject)
        if any(one.state == "problem" for one in of_folder):
            found += of_folder
            continue
        advice = f"see that {name} is there, and that the credentials of services allow to write to it"
        try:
            async with asyncio.timeout(_SECONDS):
                is_there = await _beside(FilesystemStore(name).look)
        except TimeoutError:
            found.append(problem(check, f"{name} did not answer within {_SECONDS:g} s", advice))
        except FlowerError as error:
            found.append(problem(check, str(error), advice))
        else:
            if not is_there:
                found.append(_not_there(check, name))
            found += of_folder or ([ok(check, f"{name} can be read")] if is_there else [])
    return found or [
        ok(check, "FLOWER_BLOBS is not set here: results may have 1 MiB, where workers have none")
    ]


def _not_there(check: str, name: str) -> Finding:
    return warning(
        check,
        f"there is no store of blobs at {name}: no worker that writes there has begun one, or it is away",
        "if it should hold blobs bring it back (is it mounted? is the bucket the right one?): what needs them"
        " waits for it",
    )


def _of_folder(check: str, name: str, subject: Subject) -> list[Finding]:
    if not name.startswith("file://"):
        return []
    wanted = Path(name.removeprefix("file://"))
    # The first blob makes those that are not there yet.
    folder = next(one for one in (wanted, *wanted.parents) if os.path.exists(one))  # noqa: PTH110 # never raises
    if not folder.is_dir():
        return [problem(check, f"{folder} is no folder", "name a folder in FLOWER_BLOBS")]
    if not os.access(folder, os.W_OK):
        return [
            problem(check, f"{folder} cannot be written by this user", "give it to the user of the services")
        ]
    left = space_left(
        check, str(folder), subject.bounds, "make room: outcomes with large results wait until there is"
    )
    return [] if left is None else [left]


async def _beside(call: Callable[[], bool]) -> bool:
    """On a thread that nobody waits for, if it takes too long."""
    loop, done = asyncio.get_running_loop(), asyncio.Future[bool]()

    def tell(result: bool | Exception) -> None:
        if not done.done():
            done.set_exception(result) if isinstance(result, Exception) else done.set_result(result)

    def run() -> None:
        result: bool | Exception
        try:
            result = call()
        except Exception as raised:  # noqa: BLE001 # whoever asked gets it
            result = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, result)

    threading.Thread(target=run, daemon=True).start()
    return await done
