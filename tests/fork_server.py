"""The process whose copies run Flower: it has imported all of it, so that a copy is at work at once.

Run as a script with the number of a socket, on which it takes requests one by one (``forked_flower`` sends
them), and the folder of the data that a new Postgres begins with. It has one thread, and ends with whoever
holds the other end of the socket; its copies end with it.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import flower_api
import flower_cli.main
import flower_projector
import flower_watcher
import flower_worker
import fork_children
from api.known_parameters import remember_parameters
from flower_api.app import create_app
from flower_engine import crash_points
from flower_engine.transitions.loader import Script, Timing
from prepared_postgres import begin_with_copies

if TYPE_CHECKING:
    from flower_engine.flows.postgres_stores import PostgresStores

_LONGEST_REQUEST = 200_000


def serve(requests: socket.socket) -> dict[str, Any]:
    """Answers requests. Returns in each copy only, with what it is to be.

    A request is ``{"pid": 7}``, how that copy ended (null: it has not), or the words of a command of Python
    with its environment and folder, and with it what its copy writes to; the answer is the copy's pid. One
    with ``serves`` makes a copy that does the same as this process for the socket that comes with it, until
    nobody holds the other end, or this process ends; nothing is answered.
    """
    server = os.getpid()
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, _LONGEST_REQUEST, 2)
        if not message:
            os._exit(0)
        request = json.loads(message)
        if "serves" in request:
            if os.fork() == 0:
                requests.close()
                requests = socket.socket(fileno=descriptors[0])
                fork_children.dies_with_its_parent(signal.SIGKILL, server)
                server = os.getpid()
            else:
                os.close(descriptors[0])
            continue
        if "pid" in request:
            ended, status = os.waitpid(request["pid"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        else:
            answer = os.fork()
            if answer == 0:
                requests.close()
                _become({**request, "parent": server, "dies_by": signal.SIGKILL}, descriptors)
                return request
        for descriptor in descriptors:
            os.close(descriptor)
        requests.sendall(json.dumps(answer).encode())


def _become(request: dict[str, Any], descriptors: list[int]) -> None:
    """What a process of its own would have been started with."""
    os.setsid()
    fork_children.dies_with_its_parent(request["dies_by"], request["parent"])
    for target, descriptor in enumerate(descriptors, start=1):
        os.dup2(descriptor, target)
        os.close(descriptor)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    importlib.reload(crash_points)  # which reads the environment while it is imported, as nothing else does
    folders = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:0] = folders
    for folder in folders:  # what is there stands before what was imported
        there = {path.stem for path in Path(folder).glob("*") if path.stem in sys.modules}
        for name in [name for name in sys.modules if name.partition(".")[0] in there]:
            del sys.modules[name]
    fork_children.show_as(request["words"])


def run(words: list[str]) -> None:
    """``-m module ...`` or ``-c code ...``, as Python would."""
    kind, what, *more = words
    sys.argv = [what, *more]
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(what, {"__name__": "__main__"})  # code of a test


def end(code: int) -> None:
    """Ends this process as Python does, without taking apart before what the kernel takes away anyway: that
    writes to each page that the copies share, and costs more than most commands do."""
    threading._shutdown()  # pyright: ignore # waits for threads, as there is no other way to
    atexit._run_exitfuncs()  # pyright: ignore
    with contextlib.suppress(OSError, ValueError):  # else Python says what is wrong with its outputs
        for output in (sys.stdout, sys.stderr):
            output.flush()
        os._exit(code)


def _import_all() -> None:
    """Also what commands import when they run."""
    flower_cli.main.make_app()
    for package in (flower_cli, flower_api, flower_projector, flower_watcher, flower_worker):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(("__main__", "demo_workflow")):  # which has programs of its own
                importlib.import_module(module.name)
    remember_parameters()
    create_app(cast("PostgresStores", None))  # what FastAPI finds out of the routes is there for all copies
    Timing.by_script = None  # only those who tell of them time their transitions
    for module in list(sys.modules.values()):
        for script in vars(module).values():
            if isinstance(script, Script):
                _ = script.sha  # put together once, where each service would for those that it sends


if __name__ == "__main__":
    sys.path.remove(str(Path(__file__).parent))
    _import_all()
    begin_with_copies(Path(sys.argv[2]))
    assert threading.active_count() == len(list(Path("/proc/self/task").iterdir())) == 1
    gc.freeze()  # what is here already stays out of the copies' collections
    with contextlib.closing(socket.socket(fileno=int(sys.argv[1]))) as given:
        asked = serve(given)
    while fork_children.starts_services(asked["words"]):
        service = fork_children.begin(_become)
        if service is None:
            break
        asked = service
    status: Any = None
    try:
        run(asked["words"])
    except SystemExit as ended:
        status = ended.code
    if status is None or isinstance(status, int):
        end(status or 0)
    sys.exit(status)
