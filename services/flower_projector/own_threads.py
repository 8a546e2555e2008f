"""What blocks, in a daemon thread of its own: it holds up nobody, and not the end of the process either."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_own_thread(work: Callable[[], T], ended: Callable[[], None] | None = None) -> T:
    """The result of the work, or what it raises. Whoever is cancelled while it waits leaves the thread to
    itself; ``ended`` is called in the thread when the work is over.

    Raises:
        RuntimeError: no thread can be made.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)  # pyright: ignore[reportArgumentType]

    def run() -> None:
        value: T | None = None
        failure: BaseException | None = None
        try:
            value = work()
        except StopIteration as error:  # no future takes it
            failure = RuntimeError(f"StopIteration: {error}")
        except asyncio.CancelledError as error:  # of the work's own making: who waits is not cancelled
            failure = RuntimeError(f"CancelledError: {error}")
        except BaseException as error:  # noqa: BLE001 # told to whoever waits
            failure = error
        if ended is not None:
            ended()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, value, failure)

    threading.Thread(target=run, name="hook", daemon=True).start()
    return await result
