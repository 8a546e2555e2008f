"""Python functions as hooks: called in this service, each in a thread of its own."""

import asyncio
import inspect
from collections import Counter
from typing import Any

import msgspec

from flower_engine.hooks.hook import Hook
from flower_engine.hooks.python_hooks import HookFunction, registered_hook, registered_names
from flower_engine.programs.outcomes import Fatal
from flower_engine.projection.hooks.deliveries import Outcome, Taken
from flower_engine.secrets import hide_secrets
from flower_projector.own_threads import in_own_thread

_MOST_THREADS = 4  # of one hook: a thread that hangs cannot be ended


class Functions:
    """Calls the functions that modules of ``FLOWER_HOOK_MODULES`` registered."""

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._running = Counter[str]()

    async def tell(self, hook: Hook, taken: Taken) -> Outcome:
        """One attempt; whatever becomes of it is told, not raised."""
        function = registered_hook(hook.target)
        if function is None:
            known = ", ".join(registered_names()) or "none"
            return Outcome(
                error=f"no module of the projector's FLOWER_HOOK_MODULES registers a hook {hook.target}"
                f" (registered: {known})"
            )
        if self._running[hook.name] >= _MOST_THREADS:
            return Outcome(error=f"{_MOST_THREADS} calls of it have not come back")
        self._running[hook.name] += 1
        notification = msgspec.json.decode(taken.body)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                answer = await in_own_thread(
                    lambda: _call(function, notification), lambda: self._running.subtract([hook.name])
                )
        except TimeoutError:
            return Outcome(error=f"it took more than {self._timeout_seconds:g} s; it may go on unseen")
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 # whatever people's code raises, and SystemExit too
            said = hide_secrets(f"{type(error).__name__}: {error}")
            return Outcome(error=said, is_final=isinstance(error, Fatal))
        return Outcome(answer="" if answer is None else hide_secrets(str(answer)))


def _call(function: HookFunction, notification: dict[str, Any]) -> Any:
    result = function(notification)
    return asyncio.run(_wait_for(result)) if inspect.isawaitable(result) else result


async def _wait_for(result: Any) -> Any:
    return await result
