"""Windows of maps: how many of their items may run at once, and whether items that fail for good stop them.

A window is a limit that stands in the names of its items' lanes, and needs no setting:
``<most, "-": any number>[t].<flow>.<map>``; "t": the map tolerates failures, and no item starts while it is
held because there were too many. In Lua it is ``lua/lib/limits.lua``.
"""

import re
from typing import NamedTuple

_WINDOW = re.compile(r"(-|\d+)(t?)\.([^.]*)\.(\d+)")


class Window(NamedTuple):
    """What the text says."""

    most: int | None
    is_tolerant: bool
    flow: str
    map: int

    @property
    def text(self) -> str:
        """As a lane's name has it; "": it stops nothing."""
        if self.most is None and not self.is_tolerant:
            return ""
        return f"{'-' if self.most is None else self.most}{'t' * self.is_tolerant}.{self.flow}.{self.map}"

    @classmethod
    def parse(cls, text: str) -> "Window | None":
        """The other side; None: it is no window."""
        found = _WINDOW.fullmatch(text)
        if found is None:
            return None
        most, tolerant, flow, map_ = found.groups()
        return cls(None if most == "-" else int(most), bool(tolerant), flow, int(map_))
