"""What one workload of one peer runs on: a fresh store, the peer's servers, and its enqueuing process."""

import contextlib
import socket
import tempfile
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import redis

from benchmarks.peers.errors import PeerError
from benchmarks.peers.marks import Reading, read
from benchmarks.peers.messages import Description, Order
from benchmarks.peers.process import Client, last_words, running
from flower_cli.local.demo_engine import DemoEngine
from flower_engine.embedded.home import Home
from flower_engine.embedded.postgres import EmbeddedPostgres
from flower_engine.embedded.valkey import EmbeddedValkey

_POLL_SECONDS = 0.01
_OPEN_SECONDS = 90.0


class Stage:
    """A peer that is ready for a workload; its workers are started when the workload says so."""

    def __init__(
        self, name: str, peer: Description, client: Client, variables: Mapping[str, str], folder: Path
    ) -> None:
        self.client = client
        self._name = name
        self._peer = peer
        self._variables = variables
        self._folder = folder

    @classmethod
    @contextlib.contextmanager
    def set_up(cls, name: str, peer: Description) -> Generator["Stage"]:
        """Start it all, and leave nothing behind."""
        with tempfile.TemporaryDirectory(prefix="peers-") as text, contextlib.ExitStack() as stack:
            folder = Path(text)
            marks = folder / "marks"
            marks.mkdir()
            store = stack.enter_context(_store(peer.store, folder))
            own = {"PEER_MARKS": str(marks), "PEER_FOLDER": str(folder), "PEER_PORT": str(_free_port())}
            variables = {**peer.variables, **own, **store}
            for number, words in enumerate(peer.servers):
                stack.enter_context(running(name, words, variables, folder, f"server-{number}"))
            client = stack.enter_context(Client.started(name, variables, folder))
            client.tell(Order("open"), _OPEN_SECONDS)  # workers may need the tables that this makes
            yield cls(name, peer, client, variables, folder)

    @contextlib.contextmanager
    def workers(self) -> Generator[None]:
        """The peer's workers, for as long as the block lasts."""
        with contextlib.ExitStack() as stack:
            self._processes = [
                stack.enter_context(
                    running(self._name, words, self._variables, self._folder, f"worker-{number}")
                )
                for number, words in enumerate(self._peer.workers)
            ]
            yield

    def wait_for(self, tasks: int, seconds: float) -> Reading:
        """Wait until so many tasks have ended since the stage was set up, else raise PeerError."""
        deadline = time.monotonic() + seconds
        while (reading := read(self._folder / "marks")).tasks < tasks:
            for number, process in enumerate(self._processes):
                if process.poll() is not None:
                    raise PeerError(f"a worker ended: {last_words(self._folder / f'worker-{number}.log')}")
            if time.monotonic() > deadline:
                raise PeerError(
                    f"{reading.tasks} of {tasks} tasks after {seconds:g} s; its worker said last: "
                    + last_words(self._folder / "worker-0.log")
                )
            time.sleep(_POLL_SECONDS)
        return reading


def _free_port() -> int:
    """A port for the peer's server, if it has one."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@contextlib.contextmanager
def _store(kind: str, folder: Path) -> Generator[dict[str, str]]:
    """A fresh store, as variables that name it.

    The Redis queues get a Valkey that writes nothing to disk, which is the quickest that there is for them.
    The Postgres of the durable ones, and all of Flower, wait for the disk.
    """
    if kind == "none":
        yield {}
        return
    if kind == "flower":
        with DemoEngine.demonstrating("--workers", "0") as engine:
            yield {"FLOWER_HOME": str(engine.home.path), "PEER_FLOWER_API": str(engine.client.base_url)}
        return
    home = Home(folder / "home")
    with home:
        server = EmbeddedValkey(home, durable=False) if kind == "valkey" else EmbeddedPostgres(home)
        url = server.start()
        try:
            if kind == "valkey":
                with redis.Redis(unix_socket_path=unquote(urlsplit(url).path)) as client:
                    client.config_set("appendonly", "no")  # pyright: ignore[reportUnknownMemberType]
            yield {"PEER_STORE_URL": url}
        finally:
            server.stop()
