"""What an approval asks for, and who may answer it."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from flower_engine.model.waits.wait_parameters import DEFAULT_FORM


class Asked(msgspec.Struct, frozen=True):
    """An approval's parameters as far as they are known. ``roles``: names or roles of tokens that may answer,
    none: everybody; ``of``: how many names must; ``form``: JSON Schema of the answer."""

    roles: tuple[str, ...]
    of: int
    not_registrant: bool
    form: Any
    on_timeout: str

    @classmethod
    def of_parameters(cls, known: Mapping[str, Any]) -> "Asked":
        """As the task's parameters say, those that are known."""
        return cls(
            roles=tuple(known.get("roles") or ()),
            of=known.get("of", 1),
            not_registrant=bool(known.get("not_registrant")),
            form=known.get("form", DEFAULT_FORM),
            on_timeout=known.get("on_timeout", "suspend"),
        )

    def asks_role(self, role: str) -> bool:
        """Whether it names this role."""
        return role in self.roles

    def refusal(self, name: str, roles: Collection[str] | None, registered_by: str) -> str | None:
        """Why somebody of this name and these roles may not answer; None: they may. Roles None: somebody who
        may give links has asked this name."""
        if (
            roles is not None
            and self.roles
            and name not in self.roles
            and not set(roles).intersection(self.roles)
        ):
            return f"{name!r} is not among those who are asked: {', '.join(self.roles)}"
        if self.not_registrant and name == registered_by:
            return f"{name!r} registered the flow, and may not approve it as well"
        return None
