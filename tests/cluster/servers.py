"""Real servers on loopback, the embedded Valkey each: a cluster, and a set that sentinels watch."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from flower_engine.embedded import binaries
from flower_engine.embedded.processes import spawn, tail
from flower_engine.log.keys import Keys

_PATIENCE_SECONDS = 120.0
SLOTS = 16_384
NODE_TIMEOUT_MS = 2_000
_FIRST_PORT, _LAST_PORT = 11_000, 32_000


def wait_for(what: str, condition: Callable[[], bool]) -> None:
    """Polls until the condition holds; a server that does not answer yet is waited for, too."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        with contextlib.suppress(RedisError, OSError):
            if condition():
                return
        assert time.monotonic() < deadline, f"waited {_PATIENCE_SECONDS:g} s for {what}"
        time.sleep(0.05)


class _Ports:
    """Free ports below those that the system gives to connections. Several processes may take some at the
    same moment: who takes one holds the port of UDP with its number, which nobody else uses, till he ends."""

    next = 11_000 + os.getpid() % 10_000
    held: ClassVar[list[socket.socket]] = []

    @classmethod
    def take(cls) -> int:
        while True:
            cls.next = cls.next + 1 if cls.next < _LAST_PORT else _FIRST_PORT
            holding = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with socket.socket() as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    holding.bind(("127.0.0.1", cls.next))
                    tried.bind(("127.0.0.1", cls.next))
                except OSError:
                    holding.close()
                    continue
            cls.held.append(holding)
            return cls.next


class Tls:
    """A server that speaks TLS, which the embedded Valkey does not, and a certificate for it."""

    def __init__(self, folder: Path) -> None:
        """Makes the certificate. Raises LookupError: the machine has not what that takes; says what."""
        found = {name: shutil.which(name) for name in ("redis-server", "openssl")}
        missing = [name for name, path in found.items() if path is None]
        if missing:
            raise LookupError(
                f"{' and '.join(missing)} cannot be found (Debian: apt install redis-server openssl)"
            )
        self.server = found["redis-server"] or ""
        folder.mkdir(parents=True)
        self.certificate, self.key = folder / "server.crt", folder / "server.key"
        made = subprocess.run(
            [
                *(found["openssl"] or "", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"),
                *("-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=flower-test"),
                *("-addext", "subjectAltName=IP:127.0.0.1"),
                *("-keyout", str(self.key), "-out", str(self.certificate)),
            ],
            capture_output=True,
            check=False,
        )
        if made.returncode:
            raise LookupError(f"openssl made no certificate: {made.stderr.decode()[-300:]}")

    def options(self, port: int) -> dict[str, str | int]:
        """Of a server that listens with TLS alone."""
        return {
            "port": 0,
            "tls-port": port,
            "tls-cert-file": str(self.certificate),
            "tls-key-file": str(self.key),
            "tls-ca-cert-file": str(self.certificate),
            "tls-auth-clients": "no",
            "tls-replication": "yes",
        }


class Server:
    """One process."""

    def __init__(
        self,
        folder: Path,
        name: str,
        options: dict[str, str | int],
        *,
        sentinel: str = "",
        tls: Tls | None = None,
    ) -> None:
        self._tls = tls
        self.name = name
        self.port = _Ports.take()
        self.told_port = self.port  # by which others know it
        self._folder = folder / name
        self._folder.mkdir(parents=True)
        self.options = options
        self._sentinel = sentinel
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, with what it left behind, if it ran before; returns when it answers."""
        self.begin()
        self.wait_until_up()

    def begin(self) -> None:
        """Starts it, and does not wait for it."""
        with (self._folder / "server.log").open("ab") as output:
            self._process = spawn(
                [self._tls.server if self._tls else binaries.valkey_server(), *self._words()],
                folder=self._folder,
                output=output,
                dies_by=signal.SIGKILL,
            )

    def wait_until_up(self) -> None:
        wait_for(f"{self.name} to answer", lambda: bool(self.send("PING")))

    def _words(self) -> list[str]:
        if self._sentinel:
            settings = self._folder / "sentinel.conf"
            if not settings.exists():
                own = self._tls.options(self.port) if self._tls else {"port": self.port}
                lines = "".join(f"{name} {value}\n" for name, value in own.items())
                settings.write_text(f"{lines}bind 127.0.0.1\n{self._sentinel}")
            return [str(settings), "--sentinel"]
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "repl-diskless-sync-delay": 0,
            "stream-node-max-bytes": 0,
            "stream-node-max-entries": 64,
            **(self._tls.options(self.port) if self._tls else {}),
            **self.options,
        }
        return [word for name, value in options.items() for word in (f"--{name}", str(value))]

    @property
    def runs(self) -> bool:
        return self._process is not None

    @property
    def at(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def send(self, *words: str | int) -> Any:
        """The reply to one command, on a connection of its own."""
        tls: dict[str, Any] = {"ssl": True, "ssl_ca_certs": str(self._tls.certificate)} if self._tls else {}
        with Redis(
            host="127.0.0.1",
            port=self.port,
            socket_timeout=5,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
            **tls,
        ) as client:
            return client.execute_command(*words)  # pyright: ignore

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It stands still, and its connections stand (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def log(self) -> str:
        return tail(self._folder / "server.log", lines=20)


class _Servers:
    def __init__(self, folder: Path, tls: Tls | None = None) -> None:
        self.folder = folder
        self.tls = tls
        self.servers: list[Server] = []

    @property
    def _scheme(self) -> str:
        return "rediss" if self.tls else "redis"

    @property
    def _end(self) -> str:
        return f"?ssl_ca_certs={self.tls.certificate}" if self.tls else ""

    @classmethod
    @contextlib.contextmanager
    def started(cls, folder: Path, *, tls: Tls | None = None, **options: Any) -> Generator[Self]:
        """They run until the block is left."""
        made = cls(folder, tls)
        try:
            made.start(**options)
            yield made
        finally:
            made.close()

    def close(self) -> None:
        """Nothing runs any more."""
        for server in self.servers:
            with contextlib.suppress(ProcessLookupError, AssertionError):
                server.thaw()
            server.kill()

    def start(self, **options: Any) -> None:
        raise NotImplementedError

    def add(self, name: str, options: dict[str, str | int], *, sentinel: str = "") -> Server:
        """One more, which answers."""
        server = self.begin(name, options, sentinel=sentinel)
        server.wait_until_up()
        return server

    def begin(self, name: str, options: dict[str, str | int], *, sentinel: str = "") -> Server:
        """One more, which need not answer yet."""
        server = Server(self.folder, name, options, sentinel=sentinel, tls=self.tls)
        self.servers.append(server)
        server.begin()
        return server

    @staticmethod
    def wait_until_up(servers: Sequence[Server]) -> None:
        for server in servers:
            server.wait_until_up()


class ClusterServers(_Servers):
    """Some masters, each with a replica."""

    def start(self, *, masters: int = 3, replicas: int = 3, **options: str | int) -> None:
        """``options`` of each server, with _ for -."""
        own = {name.replace("_", "-"): value for name, value in options.items()}
        self._replicas = replicas
        for number in range(masters + replicas):
            self.begin(f"node-{number}", {**self._common(), **own})
        self.wait_until_up(self.servers)
        first = self.servers[0]
        for number, server in enumerate(self.servers[:masters]):
            low, high = SLOTS * number // masters, SLOTS * (number + 1) // masters - 1
            server.send("CLUSTER", "ADDSLOTSRANGE", low, high)
            server.send("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        self.meet(*self.servers[1:])
        for number, server in enumerate(self.servers[masters:]):
            server.send("CLUSTER", "REPLICATE", self.id_of(self.servers[number % masters]))
        wait_for("the cluster to be whole", self.is_whole)
        assert first.send("CLUSTER", "INFO")

    def _common(self) -> dict[str, str | int]:
        return {
            "cluster-enabled": "yes",
            "cluster-port": _Ports.take(),
            "cluster-node-timeout": NODE_TIMEOUT_MS,
            "cluster-require-full-coverage": "no",
            "cluster-replica-validity-factor": 0,
            **({"tls-cluster": "yes"} if self.tls else {}),
        }

    def add_master(self) -> Server:
        """Another node, without slots."""
        server = self.add(f"node-{len(self.servers)}", self._common())
        self.meet(server)
        return server

    def meet(self, *servers: Server) -> None:
        """They are nodes of the cluster, and all know it."""
        for server in servers:
            port = server.options["cluster-port"]
            self.servers[0].send("CLUSTER", "MEET", "127.0.0.1", server.port, port)
        running = [one for one in self.servers if one.runs]
        names = [self.id_of(server) for server in running]
        wait_for(
            "all to know each other",
            lambda: all(name in str(one.send("CLUSTER", "NODES")) for one in running for name in names),
        )

    def id_of(self, server: Server) -> str:
        return str(server.send("CLUSTER", "MYID"))

    def is_whole(self) -> bool:
        """All nodes are there, and each replica follows its master."""
        for server in self.servers:
            info = str(server.send("CLUSTER", "INFO"))
            if "cluster_state:ok" not in info or f"cluster_slots_assigned:{SLOTS}" not in info:
                return False
        linked = [server.send("INFO", "replication") for server in self.servers]
        return sum(one.get("master_link_status") == "up" for one in linked) == self._replicas

    @property
    def url(self) -> str:
        """Of three nodes, as a deployment has it."""
        nodes = ",".join(server.at for server in self.servers[:3])
        return f"{self._scheme}+cluster://{nodes}{self._end}"

    def slot_of(self, partition: int) -> int:
        return int(self._any().send("CLUSTER", "KEYSLOT", Keys(partition).meta))

    def master_of(self, partition: int) -> Server:
        """The master that has a partition now, as a running node sees it."""
        slot = self.slot_of(partition)
        for first, last, master, *_ in self._any().send("CLUSTER", "SLOTS"):
            if int(first) <= slot <= int(last):
                return next(one for one in self.servers if one.port == int(master[1]))
        raise LookupError(f"nobody serves slot {slot}")

    def replica_of(self, master: Server) -> Server:
        """The one that follows it."""
        found = [one for one in self.servers if one.runs and one is not master]
        return next(
            one for one in found if int(one.send("INFO", "replication").get("master_port", 0)) == master.port
        )

    def apart(self, count: int) -> dict[Server, list[int]]:
        """The partitions of each master."""
        found: dict[Server, list[int]] = {}
        for partition in range(count):
            found.setdefault(self.master_of(partition), []).append(partition)
        return found

    def _any(self) -> Server:
        return next(one for one in self.servers if one.runs)

    def wait_for_failover(self, from_server: Server, partition: int) -> Server:
        """Until another node has the partition."""
        wait_for("a failover", lambda: self._other_than(from_server, partition))
        return self.master_of(partition)

    def _other_than(self, server: Server, partition: int) -> bool:
        for one in self.servers:
            if one is server or not one.runs:
                continue
            slot = self.slot_of(partition)
            rows = one.send("CLUSTER", "SLOTS")
            if any(
                int(low) <= slot <= int(high) and int(row[0][1]) == server.port for low, high, *row in rows
            ):
                return False
        return True


class SentinelServers(_Servers):
    """A primary, a replica, and three sentinels."""

    name = "mymaster"

    def start(self, *, replicas: int = 1, sentinels: int = 3, **options: str | int) -> None:
        own = {name.replace("_", "-"): value for name, value in options.items()}
        self.data = [self.add("data-0", {**own})]
        follows: dict[str, str | int] = {"replicaof": f"127.0.0.1 {self.data[0].told_port}", **own}
        self.data += [self.begin(f"data-{number + 1}", follows) for number in range(replicas)]
        wait_for("the replicas to follow", self._follow)
        watch = (
            f"sentinel monitor {self.name} 127.0.0.1 {self.data[0].told_port} {sentinels // 2 + 1}\n"
            f"sentinel down-after-milliseconds {self.name} {NODE_TIMEOUT_MS}\n"
            f"sentinel failover-timeout {self.name} 10000\n"
        )
        self.sentinels = [self.begin(f"sentinel-{number}", {}, sentinel=watch) for number in range(sentinels)]
        wait_for("the sentinels to know all", lambda: all(map(self._knows_all, self.sentinels)))

    def _follow(self) -> bool:
        return all(one.send("INFO", "replication").get("master_link_status") == "up" for one in self.data[1:])

    def _knows_all(self, sentinel: Server) -> bool:
        state = sentinel.send("SENTINEL MASTER", self.name)
        others = len(self.sentinels) - 1
        return state["num-slaves"] == len(self.data) - 1 and state["num-other-sentinels"] == others

    @property
    def url(self) -> str:
        sentinels = ",".join(one.at for one in self.sentinels)
        return f"{self._scheme}+sentinel://{sentinels}/{self.name}/0{self._end}"

    def is_whole(self) -> bool:
        """All are there, and the others follow the primary."""
        primary = self.primary()
        others = [one for one in self.data if one is not primary]
        follow = [one.send("INFO", "replication") for one in others]
        return self._is_primary() and all(
            one["role"] == "slave" and one["master_link_status"] == "up" for one in follow
        )

    def primary(self) -> Server:
        """As the sentinels that run know it."""
        running = next(one for one in self.sentinels if one.runs)
        port = int(running.send("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)[1])
        return next(one for one in self.data if one.told_port == port)

    def wait_for_failover(self, from_server: Server) -> Server:
        wait_for("a failover", lambda: self.primary() is not from_server and self._is_primary())
        return self.primary()

    def _is_primary(self) -> bool:
        return self.primary().send("INFO", "replication")["role"] == "master"
