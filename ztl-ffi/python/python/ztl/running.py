"""A request that runs on an event loop, until it ends or its permit does: what ASGI and aiohttp have in common."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Callable

from ztl.judge import Asked, Permit

#: How long an application that was cut may take to end, in seconds.
_ENDS_WITHIN = 1.0


async def serve(
    guard: Any, asked: Asked, permit: Permit, generation: int, serving: "asyncio.Future[Any]", cut: Callable[[], None]
) -> Any:
    """What `serving` comes to, while the request is permitted: it is judged again after each change since `generation`, and when its permit
    ends. Where it is denied then, `cut` is called, has nothing more go out, and `ConnectionAbortedError` is raised (T14, T15). It is cut as
    well where nobody watches it any more; `cut` may be called twice."""
    bell = _Bell()
    stop = guard.watch(bell.ring)
    if generation != guard.generation:
        bell.ring()
    try:
        while not serving.done():
            # By the clock on the wall, step by step: a timer sleeps with the machine, and nobody else may look at the files.
            await asyncio.wait({serving, bell.rung}, timeout=guard.step, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                break
            bell.still()
            try:
                guard.look()
                if generation == guard.generation and not permit.is_over:
                    continue
                generation = guard.generation
                permit = guard.judge(asked, permit)
            except Exception as error:
                # Whether or not the application lets itself be cancelled, nothing more of it goes out.
                cut()
                guard.denied(error)
                serving.cancel()
                await asyncio.wait({serving}, timeout=_ENDS_WITHIN)
                # The server ends the connection where a response was begun.
                raise ConnectionAbortedError("what was permitted is no longer") from error
    finally:
        stop()
        serving.add_done_callback(forgotten)
        # Whoever cannot be watched any more is not served on.
        if not serving.done():
            cut()
            serving.cancel()
    return await serving


class _Bell:
    """Rung by any thread, and heard in the loop that it was made in."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.rung: "asyncio.Future[None]" = self._loop.create_future()

    def ring(self) -> None:
        # A loop that was closed serves nobody.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        if not self.rung.done():
            self.rung.set_result(None)

    def still(self) -> None:
        if self.rung.done():
            self.rung = self._loop.create_future()


def forgotten(serving: "asyncio.Future[Any]") -> None:
    """Who was cut ends as it likes, and nobody waits for what it says."""
    if not serving.cancelled():
        serving.exception()
