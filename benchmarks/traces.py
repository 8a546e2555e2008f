"""How fast traces are exported: ``python -m benchmarks.traces [FLOWS]`` (20,000 of three tasks by default).

A private Postgres is given the history of these flows, and then the projector's exporter sends their traces
to a receiver in a process of its own, which takes whatever comes. CPU is that of the exporter's process
alone, so it says what remains where the machine has other work; the load of the machine stands beside it.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.replay import archive
from flower_bench.environment import describe_environment
from flower_engine.embedded.home import Home
from flower_engine.embedded.postgres import EmbeddedPostgres
from flower_engine.projection.database import connect
from flower_engine.projection.maintain.migrations import migrate
from flower_engine.runtime.garbage import collect_rarely
from flower_engine.runtime.settings_loading import load_settings
from flower_projector.trace_export_loop import Round, TraceExportLoop

TASKS_A_FLOW = 3
RESULTS = Path(__file__).parent / "results"
_RECEIVER = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_): ...
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


async def _run(url: str, flows: int, endpoint: str) -> list[str]:
    loop = TraceExportLoop(load_settings(database_url=url, traces_endpoint=endpoint))
    async with await connect(url, "bench") as connection:
        await migrate(connection)
        await connection.execute(  # an exporter that is new begins with what comes then
            "INSERT INTO kr_follower (name, partition, position_ms, position_seq) VALUES ('traces', 0, 0, 0)"
        )
    await archive(url, flows)
    async with await connect(url, "bench") as connection:
        await connection.execute("ANALYZE kr_event, kr_flow_stat")
    began, cpu = time.perf_counter(), time.process_time()
    while await loop.run_once() is not Round.IDLE:
        pass
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    await loop.close()
    tasks = flows * TASKS_A_FLOW
    return [
        f"{flows:,} flows of {TASKS_A_FLOW} tasks; load of the machine {os.getloadavg()[0]:.1f}",
        "",
        "| s | tasks/s | CPU of the exporter, us a task | tasks/s that one core of it gives |",
        "|---|---|---|---|",
        f"| {seconds:.1f} | {tasks / seconds:,.0f} | {cpu / tasks * 1e6:.1f} | {tasks / cpu:,.0f} |",
    ]


def main() -> None:
    collect_rarely()  # as the projector does
    flows = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with (
        tempfile.TemporaryDirectory(prefix="flower-bench-") as folder,
        Home(Path(folder)) as home,
        subprocess.Popen([sys.executable, "-c", _RECEIVER], stdout=subprocess.PIPE, text=True) as receiver,
    ):
        postgres = EmbeddedPostgres(home)
        try:
            assert receiver.stdout is not None
            endpoint = f"http://127.0.0.1:{receiver.stdout.readline().strip()}"
            lines = asyncio.run(_run(postgres.start(), flows, endpoint))
        finally:
            receiver.kill()
            postgres.stop()
    text = "\n".join([
        *(f"- {name}: {value}" for name, value in describe_environment().items()), "", *lines, ""
    ])  # fmt: skip
    print(text)
    (RESULTS / f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}-traces.md").write_text(text)


if __name__ == "__main__":
    main()
