"""A viewer for tests, over a real socket: it keeps what a page would show."""

import asyncio
import contextlib
import json
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake


class Watcher:
    """Keeps the fragments it was sent by id, and reconnects from its revision as a page does."""

    def __init__(self, url: str, since: int = 0, **headers: str) -> None:
        self.url = url.replace("http", "ws", 1)
        self.headers = headers
        self.revision = since
        self.fragments: dict[str, str] = {}
        self.order: dict[str, str] = {}
        self.frames: list[dict[str, Any]] = []
        self.closed = 0
        self.reloads = 0
        self.watching: int | None = None
        self._unconfirmed = 0

    def take(self, text: str) -> None:
        frame = json.loads(text)
        self.frames.append(frame)
        if frame["type"] == "watching":
            self.watching = frame["count"]
        if "fragments" not in frame:
            return
        self.reloads += bool(frame.get("reload"))
        for fragment in frame["fragments"]:
            kind = fragment.get("kind", "message")
            id = fragment["id"] if kind == "message" else f"{kind}-{fragment['id']}"
            self.fragments[id] = fragment["html"]
            if "order" in fragment:
                self.order[id] = fragment["order"]
        self.revision = max(self.revision, frame["revision"])

    async def run(self, until: asyncio.Event | None = None) -> None:
        """Watches until it is closed for good, coming back whenever the connection breaks."""
        while not (until and until.is_set()):
            try:
                await self._connected()
            except ConnectionClosed as end:
                self.closed = end.rcvd.code if end.rcvd else 1006
                if self.closed in (4404, 4401):
                    return
            except (OSError, InvalidHandshake, TimeoutError):
                self.closed = 1006
            await asyncio.sleep(0.2)

    async def _connected(self) -> None:
        async with connect(
            self.url, additional_headers=self.headers, max_size=None, compression=None
        ) as socket:
            with contextlib.suppress(ConnectionClosed):  # its reason comes from reading
                await socket.send(json.dumps({"since": self.revision}))
            while True:
                text = str(await socket.recv())
                self.take(text)
                self._unconfirmed += len(text)
                if self._unconfirmed > 16_000:
                    self._unconfirmed = 0
                    await socket.send(json.dumps({"ack": self.revision}))

    async def reach(self, revision: int, seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while self.revision < revision:
                await asyncio.sleep(0.02)

    def text(self) -> list[str]:
        """The messages as they stand, in the session's order."""
        return [self.fragments[id] for id in sorted(self.order, key=lambda id: self.order[id])]
