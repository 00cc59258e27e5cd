"""Many viewers in one process, and when the last of them has what was sent."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed


class Viewers:
    """WebSockets that count frames; ``since`` is said first where it is given, and what comes is confirmed."""

    def __init__(self) -> None:
        self.sockets: list[ClientConnection] = []
        self.counts: list[int] = []
        self.revisions: list[int] = []
        self.last = 0.0
        # The last frame that one of them got.
        self.text = ""
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, url: str, number: int, since: int | None = None) -> None:
        for start in range(0, number, 50):
            await asyncio.gather(*(self._open(url, since) for _ in range(start, min(start + 50, number))))

    async def _open(self, url: str, since: int | None) -> None:
        socket = await connect(
            url.replace("http", "ws", 1),
            compression=None,
            ping_interval=None,
            max_size=None,
            open_timeout=60,
        )
        index = len(self.sockets)
        self.sockets.append(socket)
        self.counts.append(0)
        self.revisions.append(-1)
        if since is not None:
            await socket.send(json.dumps({"since": since}))
        self._tasks.append(asyncio.ensure_future(self._read(index, socket, since is not None)))

    async def _read(self, index: int, socket: ClientConnection, parses: bool) -> None:
        unconfirmed = 0
        async for text in _until_closed(socket):
            self.counts[index] += 1
            if index == 0:
                self.text = str(text)
            if parses:
                # The revision stands in the first characters; parsing it all would measure this side.
                at = text.find('"revision":')  # type: ignore[arg-type]
                if at >= 0:
                    end = at + 11
                    while text[end] in "0123456789":
                        end += 1
                    self.revisions[index] = int(text[at + 11 : end])
                unconfirmed += len(text)
                if unconfirmed > 16_000:
                    unconfirmed = 0
                    await socket.send(json.dumps({"ack": self.revisions[index]}))
            self.last = time.perf_counter()

    async def counted(self, number: int, seconds: float = 30) -> bool:
        """Whether everybody gets so many frames in time."""
        return await self._until(lambda: min(self.counts) >= number, seconds)

    async def reached(self, revision: int, seconds: float = 30) -> bool:
        return await self._until(lambda: min(self.revisions) >= revision, seconds)

    async def shut(self, seconds: float = 30) -> bool:
        """Whether everybody's socket is closed from the other side in time."""
        return await self._until(lambda: all(socket.close_code for socket in self.sockets), seconds)

    async def _until(self, holds: Any, seconds: float) -> bool:
        deadline = time.perf_counter() + seconds
        while not holds():
            if time.perf_counter() > deadline:
                return False
            await asyncio.sleep(0.001)
        return True

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(socket.close() for socket in self.sockets), return_exceptions=True)


async def _until_closed(socket: ClientConnection) -> AsyncIterator[str | bytes]:
    with contextlib.suppress(ConnectionClosed):
        async for text in socket:
            yield text
