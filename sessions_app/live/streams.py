"""Event streams: what a session's sockets get, for programs, as server-sent events in JSON.

An event's id says how far it brings its reader, so that ``Last-Event-ID`` or ``?since=`` goes on from there.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from sessions_app import json_text
from sessions_app.live.changed import Cursor
from sessions_app.live.doors import Door
from sessions_app.live.hubs import hubs
from sessions_app.live.threads import in_thread
from sessions_app.live.viewer import Form, Viewer

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

# A stream ends after so many bytes, and its client comes back for the rest: daphne keeps whatever is not read yet.
BUDGET = 512 * 1024
_LAST_WORD_SECONDS = 1.0
_HEADERS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"private, no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


async def in_time(writing: Awaitable[None]) -> None:
    """A last word, for which nobody is waited who does not read: there may be a server behind that would."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORD_SECONDS):
            await writing


class EventStream:
    """One response of server-sent events."""

    def __init__(self, receive: Receive, send: Send, budget: int = BUDGET) -> None:
        self._receive = receive
        self._send = send
        # Bytes that may still be sent.
        self.left = budget
        self.ended = asyncio.Event()

    async def start(self, headers: Headers) -> None:
        await self._send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [*_HEADERS, *headers],
                "trailers": False,
            }
        )
        # How soon a client comes back, in milliseconds; and something at once, for proxies and impatient people.
        await self.write("retry: 1000\n\n")

    async def write(self, text: str) -> None:
        body = text.encode("utf-8", "replace")
        self.left -= len(body)
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
        if self.left <= 0:
            self.ended.set()

    async def serve(self) -> None:
        """Stays until the client goes or the stream is ended, and ends the response."""
        gone = asyncio.ensure_future(self._gone())
        ended = asyncio.ensure_future(self.ended.wait())
        try:
            await asyncio.wait({gone, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not gone.done():
                await in_time(self._send({"type": "http.response.body", "body": b"", "more_body": False}))
        finally:
            gone.cancel()
            ended.cancel()

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


def last_event(scope: Any) -> str | None:
    """The id of the last event that a reconnecting client has; an empty one is none."""
    for name, value in scope["headers"]:
        if name == b"last-event-id" and value:
            return str(value.decode("latin-1"))
    return None


async def answer(send: Send, status: int, code: str, message: str, headers: Headers, field: str = "") -> None:
    """Answers with an error in the API's form."""
    error = {"code": code, "message": message, **({"field": field} if field else {})}
    body = json_text.dumps({"error": error}).encode()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", b"application/json"), *headers],
            "trailers": False,
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def watch_session(
    door: Door, since: str | None, receive: Receive, send: Send, headers: Headers
) -> None:
    """Serves a session's events; ``since`` is where to go on, without one the news begin now."""
    everything = hubs()
    try:
        cursor = None if since is None else Cursor.read(since)
    except ValueError:
        await answer(
            send,
            422,
            "invalid",
            "Give a revision, as the events' ids are, or leave it out.",
            headers,
            "since",
        )
        return
    reading = await in_thread(door.open)
    if reading is None:
        await answer(
            send,
            404,
            "not_found",
            "It does not exist, or it is not shared with you. Check the link.",
            headers,
        )
        return
    stream = EventStream(receive, send)
    await stream.start(headers)
    session_id = str(reading.session.pk)

    def leave(_code: int, last: str) -> None:
        asyncio.ensure_future(end(last))  # noqa: RUF006 - the stream's own task waits for what it sets

    async def end(last: str) -> None:
        try:
            if last:
                await in_time(stream.write(last))
        finally:
            stream.ended.set()

    viewer = Viewer(
        door,
        Form.JSON,
        cursor or Cursor(reading.session.revision),
        stream.write,
        leave,
        confirms=False,
    )
    everything.watch(session_id, viewer)
    try:
        await stream.serve()
    finally:
        viewer.closed = True
        everything.leave(session_id, viewer)
