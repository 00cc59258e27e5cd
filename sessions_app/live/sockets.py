"""WebSockets: a session or a list, live, in HTML.

A client's first frame says what it has, ``{"since": revision}``; until then, and without one, it gets the bare news.
It confirms what it received with ``{"ack": revision}``, at the latest every ``WINDOW`` bytes, and may ask whether the
server is still there with ``{"ping": true}``.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from django.http import QueryDict

from sessions_app import json_text, listing
from sessions_app.live.changed import Cursor
from sessions_app.live.doors import Client, Door
from sessions_app.live.hub import NOT_SHARED
from sessions_app.live.hubs import hubs
from sessions_app.live.list_hub import MOST_SHOWN, ListViewer
from sessions_app.live.threads import in_thread
from sessions_app.live.viewer import Form, Viewer

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

UNAUTHENTICATED = 4401
_BAD_FRAME = 4400
_MOST_REVISION = 2**62
_PONG = '{"type": "pong"}'


class _Socket:
    """One connection's two directions."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._closing: asyncio.Task[None] | None = None

    async def accept(self) -> None:
        await self._receive()
        await self._send({"type": "websocket.accept", "subprotocol": None, "headers": []})

    async def write(self, text: str) -> None:
        await self._send({"type": "websocket.send", "text": text, "bytes": None})

    async def close(self, code: int, last: str = "") -> None:
        with contextlib.suppress(Exception):  # it may have gone already
            if last:
                await self.write(last)
            await self._send({"type": "websocket.close", "code": code, "reason": None})

    def leave(self, code: int, last: str) -> None:
        """Closes without waiting."""
        self._closing = asyncio.ensure_future(self.close(code, last))

    async def frames(self) -> Any:
        """The client's frames as objects, until it goes.

        A frame that is none is answered with what is wrong with it, and ends the connection.
        """
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                frame = json_text.loads(message.get("text") or "")
            except ValueError:
                frame = None
            if not isinstance(frame, dict):
                await self.refuse('Send JSON objects: {"since": revision}, then {"ack": revision}.')
                return
            yield frame

    async def refuse(self, message: str, field: str = "") -> None:
        error = {"code": "invalid", "message": message, **({"field": field} if field else {})}
        await self.close(_BAD_FRAME, json_text.dumps({"type": "error", "error": error}))


def _revision(value: Any) -> int | None:
    """A revision as a client sends it."""
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_REVISION
    return value if fits else None


def _ids(value: Any) -> set[str]:
    """Sessions' ids as a client sends them; what is none is left out."""
    found = set()
    for each in value[:MOST_SHOWN] if isinstance(value, list) else ():
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            found.add(str(uuid.UUID(each)))
    return found


async def watch_session(door: Door | None, receive: Receive, send: Send) -> None:
    """Serves one socket on a session; without a door, or with a shut one, it closes with 4404."""
    socket = _Socket(receive, send)
    everything = hubs()
    # Before the client hears that it is connected: what changes from then on is news to it.
    reading = await in_thread(door.open) if door else None
    await socket.accept()
    if door is None or reading is None:
        await socket.close(NOT_SHARED)
        return
    session_id = str(reading.session.pk)
    now = Cursor(reading.session.revision)
    viewer = Viewer(door, Form.NEWS, now, socket.write, socket.leave, confirms=False)
    # Plain news is worth hearing from the next change on; a page says what it has.
    viewer.greeted = True
    everything.watch(session_id, viewer)
    try:
        async for frame in socket.frames():
            if "since" in frame:
                since = _revision(frame["since"])
                if since is None:
                    await socket.refuse("Give the revision that you have, a number of 0 or more.", "since")
                    return
                viewer.begin(Form.HTML, Cursor(since))
                everything.watch(session_id, viewer)
            elif (acknowledged := _revision(frame.get("ack"))) is not None:
                viewer.confirm(acknowledged)
            elif "ping" in frame:
                viewer.say(_PONG)
    finally:
        viewer.closed = True
        everything.leave(session_id, viewer)


async def watch_list(client: Client, user_pk: int | None, receive: Receive, send: Send) -> None:
    """Serves one socket on somebody's own list; the first frame names the page's filters and its time.

    ``{"since": milliseconds since 1970, "query": the page's query, "shown": [ids of the sessions that it shows]}``
    """
    socket = _Socket(receive, send)
    await socket.accept()
    everything = hubs()
    if user_pk is None:
        await socket.close(UNAUTHENTICATED)
        return
    viewer = ListViewer(client, datetime.now(UTC), socket.write, socket.leave)
    everything.watch_list(user_pk, viewer)
    try:
        async for frame in socket.frames():
            if "since" in frame:
                since = _revision(frame["since"])
                if since is None or since > 10**14:
                    await socket.refuse("Give the time of your list in milliseconds since 1970.", "since")
                    return
                viewer.filters = listing.Filters.read(QueryDict(str(frame.get("query", ""))[:2000]))
                viewer.since = datetime.fromtimestamp(since / 1000, UTC)
                viewer.seen = {}
                viewer.shown = _ids(frame.get("shown"))
                viewer.greeted = False
                everything.watch_list(user_pk, viewer)
            elif "ack" in frame:
                viewer.confirm()
            elif "ping" in frame:
                viewer.say(_PONG)
    finally:
        viewer.closed = True
        everything.leave_list(user_pk, viewer)
