"""Whether the events of each flow follow from each other: their versions count on by one."""

from collections.abc import Mapping

from flower_engine.model.events.beginnings import restates
from flower_engine.model.events.event_base import FlowEvent
from flower_engine.model.events.events import AnyEvent, FlowRegistered


class Ordering:
    """Follows the events of flows, each flow's in log order; ``broken`` says where one does not follow.

    What can only begin a history (a registration) follows nothing; what says anew how a flow stands follows
    anything. Behind an event that cannot be read, or with nothing known, whatever comes is taken as it is.
    """

    def __init__(self) -> None:
        self.broken: dict[str, str] = {}
        """By flow: the first event that does not follow, in a sentence."""
        self._versions: dict[str, int] = {}

    def know(self, versions: Mapping[str, int]) -> None:
        """Up to which version flows are known by now, and no others."""
        self._versions = dict(versions)

    def add(self, flow: str, position: tuple[int, int], event: AnyEvent | None) -> None:
        """The next event of the flow; None: one that cannot be read."""
        if event is None:
            self._versions.pop(flow, None)
        elif isinstance(event, FlowEvent):
            before = self._versions.get(flow)
            begins = isinstance(event, FlowRegistered)
            follows = before is None if begins else before is None or event.v == before + 1
            if not follows and not restates(event) and flow not in self.broken:
                kind = event.__struct_config__.tag
                self.broken[flow] = (
                    f"flow {flow}: its history is damaged: event v{event.v} ({kind}) at"
                    f" {position[0]}-{position[1]} follows v{before}"
                )
            self._versions[flow] = event.v
