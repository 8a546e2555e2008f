"""Following what a flow's tasks write, as it comes; what blocking and asynchronous clients have in common."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from flower_engine.client.api_calls import Answer, Patience, Request, Unreached, pause_after
from flower_engine.client.api_location import path_part
from flower_engine.client.flow_values import LogLine
from flower_engine.client.sent_events import SentEvents

_SILENCE_SECONDS = 60.0  # the API says every 15 s that nothing is new
_AGAIN_SECONDS = 1.0


class LogFollowing:
    """Where one who follows is. A connection that breaks off is made again, behind the last line."""

    def __init__(
        self, flow: str, task: int | str | None, query: Mapping[str, Any], patience: Callable[[], Patience]
    ) -> None:
        of_task = "" if task is None else f"/tasks/{path_part(str(task))}"
        self._path = f"/flows/{path_part(flow)}{of_task}/log"
        self._query = {**query, "follow": "true"}
        self._new_patience = patience
        self._patience = patience()
        self._events = SentEvents()
        self.is_over = False
        """Nothing more is to come."""

    def request(self) -> Request:
        """The next request."""
        mark = self._events.mark
        self._events = SentEvents(mark)
        return Request("GET", self._path, self._query, seconds=_SILENCE_SECONDS, last_event=mark)

    def take(self, line: str) -> LogLine | None:
        """A line of the answer; what a task wrote, where it ends that."""
        self._patience = self._new_patience()
        event = self._events.take(line)
        if event is None:
            return None
        if event.kind == "end":
            self.is_over = True
        return msgspec.json.decode(event.data, type=LogLine) if event.kind == "line" else None

    def pause_seconds(self, answer: Answer | Unreached | None) -> float:
        """How long to wait before it is asked again. ``answer``: why nothing comes; None: it broke off.

        Raises:
            ApiUnavailableError: it has been so for as long as may be.
            FlowerError: the API refused.
        """
        return _AGAIN_SECONDS if answer is None else pause_after(answer, _AGAIN_SECONDS, self._patience)
