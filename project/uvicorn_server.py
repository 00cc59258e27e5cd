"""Gander under uvicorn, an optional extra: several times daphne's fan-out, with back-pressure on slow readers."""

import asyncio
import socket
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from project.request_pool import DRAIN_SECONDS


class DrainingUvicorn(uvicorn.Server):
    """A uvicorn that closes what waits when it stops, as :class:`project.server.DrainingServer` does."""

    def __init__(
        self,
        application: Any,
        listener: socket.socket,
        *,
        on_ready: Callable[[], None],
        on_drain: Callable[[], None],
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                log_config=None,
                access_log=False,
                server_header=False,
                # Forwarded headers are ours to believe or not.
                proxy_headers=False,
                ws_max_size=1024 * 1024,
                # All viewers are written the same bytes, which would be compressed anew for each.
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=int(DRAIN_SECONDS),
            )
        )
        self._listener = listener
        self._on_ready = on_ready
        self._on_drain = on_drain
        self._busy = busy

    def serve_until_stopped(self) -> None:
        """Serves until SIGINT or SIGTERM; returns when everything has ended."""
        self.run(sockets=[self._listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # It asks the database.
        await asyncio.to_thread(self._on_ready)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_drain()
        await super().shutdown(sockets)
        until = time.monotonic() + DRAIN_SECONDS
        while self._busy() and not self.force_exit and time.monotonic() < until:
            await asyncio.sleep(0.05)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins to stop. A second signal stops at once. (uvicorn's own would raise the signal again at the end.)"""
        self.force_exit = self.should_exit
        self.should_exit = True
