"""Data between tasks over real processes: a few bytes, and a file of 70 MB, whoever of them is killed."""

from pathlib import Path
from typing import Any

import psycopg

from acceptance.running import RunningEngine

MB = 1 << 20
_PROGRAMS = """
import hashlib, os
from pathlib import Path
from flower_engine import Blob, program

@program("Give")
async def give(size: int) -> str:
    return "x" * size

@program("Length")
async def length(value: str) -> int:
    return len(value)

@program("MakeFile", kind="process")
def make_file(folder: str, size: int) -> dict[str, object]:
    path = Path(folder) / f"made-{os.getpid()}"
    path.write_bytes(os.urandom(1 << 20) * (size >> 20))
    blob = Blob.from_file(path)
    path.unlink()
    return {"file": blob, "sha256": blob.sha256}

@program("Weigh")
def weigh(file: Blob, sha256: str) -> int:
    with file.open() as content:
        assert hashlib.file_digest(content, "sha256").hexdigest() == sha256
        return content.tell()

@program("Total")
def total(*, small: int, middle: int, large: int, file: int) -> dict[str, int]:
    return {"small": small, "middle": middle, "large": large, "file": file}
"""


def _task(seq: int, name: str, program: str, **parameters: Any) -> dict[str, Any]:
    task: dict[str, Any] = {"taskSeq": seq, "taskName": name, "program": program, "taskPriority": 0}
    return {**task, "dependsOn": [], "parameters": parameters}


def _tasks(folder: Path) -> list[dict[str, Any]]:
    of_file = {"file": {"$from": "make", "path": "/file"}, "sha256": {"$from": "make", "path": "/sha256"}}
    names = ("small", "middle", "large", "file")
    return [
        _task(1, "give_small", "Give", size=10),
        _task(2, "small", "Length", value={"$from": "give_small"}),
        _task(3, "give_middle", "Give", size=100_000),
        _task(4, "middle", "Length", value={"$from": "give_middle"}),
        _task(5, "give_large", "Give", size=5 * MB),
        _task(6, "large", "Length", value={"$from": "give_large"}),
        _task(7, "make", "MakeFile", folder=str(folder), size=70 * MB),
        _task(8, "file", "Weigh", **of_file),
        _task(9, "total", "Total", **{name: {"$from": name} for name in names}),
    ]


def test_data_of_any_size_arrives_whatever_is_killed_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "data_programs_of_a_test.py").write_text(_PROGRAMS)
    with RunningEngine.started(tmp_path, "api", "projector", "watcher") as engine:
        engine.set_environment(
            FLOWER_URL=engine.url,
            FLOWER_BLOBS="api",
            FLOWER_PROGRAMS="data_programs_of_a_test",
            PYTHONPATH=str(tmp_path),
        )
        engine.start("worker")
        engine.define("carry", _tasks(tmp_path))
        with psycopg.connect(engine.addresses.database_url, autocommit=True) as connection:

            def chunks(least: int) -> bool:
                row = connection.execute("SELECT count(*) FROM kr_blob_chunk").fetchone()
                return row is not None and row[0] >= least

            flows = engine.register("carry", 1)
            engine.wait_for("the beginning of an upload", lambda: chunks(8))
            engine.kill("worker")  # in the middle of it, or behind it
            engine.start("worker-2")
            engine.wait_for("more of an upload", lambda: chunks(16))
            engine.kill("api")
            engine.start("api")
            engine.wait_until_ended(flows)
            row = connection.execute(
                "SELECT result FROM kr_task_stat WHERE task_flow_id = %s AND program = 'Total'", flows
            ).fetchone()
            used = connection.execute(
                "SELECT count(*) FROM kr_blob JOIN kr_blob_use USING (sha256) WHERE task_flow_id = %s", flows
            ).fetchone()
        verdict = engine.verify()
    assert verdict.problems == []
    assert row == ({"small": 10, "middle": 100_000, "large": 5 * MB, "file": 70 * MB},)
    assert used == (3,)  # two results, and the file
