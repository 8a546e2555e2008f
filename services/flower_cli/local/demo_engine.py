"""The engine of the demo: one of its own on a throwaway folder, talked to as a user would."""

import contextlib
import time
from collections.abc import Generator
from typing import Any, Self

import httpx
import psycopg

from flower_cli.local.own_engine import EngineFailedError, OwnEngine

_PATIENCE_SECONDS = 60.0  # with an engine on a machine that has much to do
_POLL_SECONDS = 0.05

ROW_COLUMNS = (
    "task_exec_seq",
    "depends_task_exec_seq",
    "task_id",
    "task_seq",
    "exec_status",
    "task_priority",
    "parameters",
    "registered_ts",
    "started_ts",
    "finished_ts",
)


class DemoFailedError(EngineFailedError):
    """The demo could not show what it is for; says where it stopped."""


class DemoEngine(OwnEngine):
    """A running engine that leaves nothing behind."""

    client: httpx.Client

    @classmethod
    @contextlib.contextmanager
    def demonstrating(cls, *words: str, **settings: str) -> Generator[Self]:
        """One that knows nothing of what is set for a real engine; ``settings`` are its ``FLOWER_*``
        variables, ``words`` further ones for ``flower up``."""
        with (
            cls.started(*words, variables=settings) as engine,
            # No proxy of the environment may stand between this machine and itself.
            httpx.Client(
                base_url=engine.url, timeout=_PATIENCE_SECONDS, trust_env=False, verify=False
            ) as engine.client,
        ):
            yield engine

    def define(self, workflow: str, tasks: list[dict[str, Any]], **more: Any) -> None:
        """Define a workflow through the API; ``more`` is what its document says besides."""
        self._ask("PUT", f"/workflows/{workflow}", json={"tasks": tasks, **more})

    def register(self, workflow: str, parameters: dict[str, Any] | None = None) -> str:
        """Register a flow through the API; returns its id."""
        answer = self._ask("POST", f"/register/{workflow}", json={"parameters": parameters or {}})
        return str(answer["taskFlowId"])

    def flow(self, flow_id: str) -> dict[str, Any]:
        """A flow with its tasks, from the API."""
        return self._ask("GET", f"/flows/{flow_id}")

    def task_rows(self, flow_id: str, count: int) -> list[tuple[Any, ...]]:
        """The flow's rows of kr_task_stat, once so many of them show the end of their task."""
        names = ", ".join(ROW_COLUMNS)
        query = f"SELECT {names} FROM kr_task_stat WHERE task_flow_id = %s ORDER BY task_exec_seq"  # noqa: S608
        deadline = time.monotonic() + _PATIENCE_SECONDS
        with psycopg.connect(self.stores.database_url, autocommit=True) as connection:
            while True:
                rows = connection.execute(query.encode(), [flow_id]).fetchall()
                if len([row for row in rows if row[-1] is not None]) == count:
                    return rows
                if time.monotonic() >= deadline:
                    raise self._failed(f"kr_task_stat does not show the end of flow {flow_id}")
                time.sleep(_POLL_SECONDS)

    def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        try:
            reply = self.client.request(method, path, **request)
            reply.raise_for_status()
            return reply.json()
        except httpx.HTTPStatusError as error:
            answer = f"{error.response.status_code}: {error.response.text}"
            raise self._failed(f"{method} {path} answered {answer}") from error
        except (httpx.HTTPError, ValueError) as error:
            raise self._failed(f"{method} {path}: {error!r}") from error

    def _failed(self, what: str) -> DemoFailedError:
        return DemoFailedError(str(self.failure(what)))
