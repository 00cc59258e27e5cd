"""How a queued turn is made known to whoever may run it, without importing what runs it."""

import asyncio
from collections.abc import Callable

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings

from sessions_app import hints

# Channels' own name for what a worker process is started with: ``runworker agent-turns``.
CHANNEL = "agent-turns"
_PATIENCE = 2.0
_here: Callable[[], None] | None = None


def use(wake: Callable[[], None] | None) -> None:
    """Names the executor of this process; called on its event loop."""
    global _here
    _here = wake


def wake() -> None:
    """Says that a turn waits. A word that is lost costs an executor's tick."""
    if settings.GANDER.turns_run_in == "server":
        if _here is not None:
            hints.on_loop(_here)
        return
    if not hints.on_loop(lambda: _keep(asyncio.ensure_future(_send()))):
        async_to_sync(_send)()


_running: set[asyncio.Future[None]] = set()


def _keep(task: asyncio.Future[None]) -> None:
    # A loop holds only weak references to its tasks.
    _running.add(task)
    task.add_done_callback(_running.discard)


async def _send() -> None:
    try:
        async with asyncio.timeout(_PATIENCE):
            await get_channel_layer().send(CHANNEL, {"type": "turn.queued"})
    except Exception as error:
        hints.logger.warning("workers find a turn by their tick only: %s: %s", type(error).__name__, error)
