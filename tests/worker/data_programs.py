"""Programs that take results of others, files and secrets."""

import asyncio
import logging
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

from flower_engine import Blob, Context, Fatal, program

_log = logging.getLogger("programs")


@program
async def give(value: Any = None) -> Any:
    return value


@program
async def give_async(size: int) -> list[str]:
    return ["x" * 100] * (size // 103)


@program
def give_thread(size: int) -> str:
    return "x" * size


@program(kind="process")
def give_process(size: int) -> str:
    return "x" * size


@program
async def take_async(value: Any) -> str:
    return f"{type(value).__name__} {len(value)}"


@program
def take_thread(value: Any) -> str:
    return f"{type(value).__name__} {len(value)}"


@program(kind="process")
def take_process(value: Any) -> str:
    return f"{type(value).__name__} {len(value)}"


@program
async def echo_all(**values: Any) -> dict[str, Any]:
    return values


@program
async def take_int(count: int) -> int:
    return count + 1


@program(kind="process")
def take_int_process(count: int) -> int:
    return count + 1


@program
async def take_decimal(amount: Decimal) -> str:
    return str(amount)


@program
def make_file(folder: str, size: int) -> dict[str, Any]:
    path = Path(folder) / f"made-{os.getpid()}"
    path.write_bytes(os.urandom(size))
    blob = Blob.from_file(path)
    path.unlink()  # it is held open
    return {"file": blob, "sha256": blob.sha256}


@program(kind="process")
def make_file_process(folder: str, size: int) -> dict[str, Any]:
    return make_file(folder, size)


@program
async def make_blob(size: int) -> list[Blob]:
    return [Blob(b"y" * size), Blob(b"z")]


@program
def weigh(file: Blob, sha256: str) -> int:
    with file.open() as content:
        content.seek(0, os.SEEK_END)
        size = content.tell()
    assert (file.sha256, file.size) == (sha256, size)
    return size


@program(kind="process")
def weigh_process(file: Blob, folder: str) -> int:
    return file.save(Path(folder) / "saved").stat().st_size


@program
async def read_on_the_loop(files: list[Blob]) -> int:
    return len(files[0].read())


@program
async def read_beside_the_loop(files: list[Blob]) -> int:
    return len(await asyncio.to_thread(files[0].read))


@program
async def pass_on(files: list[Blob]) -> Blob:
    return files[0]


@program
async def leak(token: str, context: Context) -> dict[str, Any]:
    context.progress(0.5, f"using {token}")
    _log.warning("logging in with %s", token)
    return {"said": f"Bearer {token}", token: [token], "length": len(token)}


@program(kind="process")
def leak_process(token: str) -> str:
    _log.warning("logging in with %s", token)
    return f"Bearer {token}"


@program
def leak_error(token: str) -> None:
    raise Fatal(f"cannot log in with {token!r}")


@program
async def wait_for_file(file: Path) -> None:
    while not file.exists():  # noqa: ASYNC110, ASYNC240 # a test touches it
        await asyncio.sleep(0.05)
