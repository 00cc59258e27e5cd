"""One that watches: a socket or an event stream, with what it was sent and what it has confirmed."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from enum import StrEnum

from sessions_app.live.changed import Cursor
from sessions_app.live.doors import Door

logger = logging.getLogger(__name__)

# Bytes on their way to a socket that its client has not confirmed. daphne queues whatever it is given.
WINDOW = 128 * 1024


class Form(StrEnum):
    """What a viewer wants to be sent."""

    NEWS = "news"
    HTML = "html"
    JSON = "json"


class Outlet:
    """The way to one client: takes frames without waiting, and is not ready for more while some are being written.

    Args:
        write: sends a frame to the client; may wait where the server has back-pressure.
        leave: ends the connection, with a close code and a last frame.
    """

    __slots__ = (
        "_task",
        "_write",
        "closed",
        "greeted",
        "last_said",
        "leave",
        "not_before",
        "pause",
        "unconfirmed",
    )

    def __init__(self, write: Callable[[str], Awaitable[None]], leave: Callable[[int, str], None]) -> None:
        # Whether it was sent anything yet: the first frame holds more than what changed.
        self.greeted = False
        # After frames for it could not be made: until when it is left in peace, by the monotonic clock, and how long
        # that was.
        self.not_before = 0.0
        self.pause = 0.0
        # When anything was last sent, by the monotonic clock.
        self.last_said = time.monotonic()
        self.closed = False
        self.leave = leave
        # Bytes that the client has not confirmed.
        self.unconfirmed = 0
        self._write = write
        self._task: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        return self._task is None and not self.closed and self.unconfirmed < WINDOW

    def say(self, text: str) -> None:
        """Sends something small beside the rest; nothing while that is on its way."""
        if self.ready:
            self.send([text])

    def send(self, frames: list[str]) -> None:
        """Begins to send."""
        self.last_said = time.monotonic()
        self._task = asyncio.ensure_future(self._send(frames))

    async def _send(self, frames: list[str]) -> None:
        try:
            for frame in frames:
                await self._write(frame)
        except Exception as error:
            # The client has gone; its own task notices and says so.
            logger.debug("a frame was not sent: %s", error)
        finally:
            self._task = None
        self.sent()

    def sent(self) -> None:
        """All of it is written."""

    def close(self, code: int, last: str = "") -> None:
        """Ends it, with a last word: 4404 where it may not read any more, 1012 where the server stops."""
        if not self.closed:
            self.closed = True
            self.leave(code, last)


class Viewer(Outlet):
    """One that watches a session.

    A viewer that is not ready is passed over and catches up from its own cursor later, so that a slow one neither
    holds up the others nor costs memory.

    Args:
        confirms: whether the client confirms what it received.
    """

    __slots__ = ("_on_ready", "_way", "confirms", "cursor", "door", "form", "told")

    def __init__(
        self,
        door: Door,
        form: Form,
        cursor: Cursor,
        write: Callable[[str], Awaitable[None]],
        leave: Callable[[int, str], None],
        *,
        confirms: bool,
    ) -> None:
        super().__init__(write, leave)
        self.door = door
        self.form = form
        self.cursor = cursor
        # How many it knows to watch.
        self.told = -1
        self.confirms = confirms
        self._way: deque[tuple[int, int]] = deque()
        self._on_ready: Callable[[Viewer], None] | None = None

    def offer(
        self, frames: list[str], size: int, cursor: Cursor, on_ready: Callable[["Viewer"], None]
    ) -> None:
        """Begins to send frames that bring the client up to a cursor; ``size`` is theirs in bytes."""
        self.cursor = cursor
        self.greeted = True
        if self.confirms:
            self._way.append((cursor.revision, size))
            self.unconfirmed += size
        self._on_ready = on_ready
        self.send(frames)

    def begin(self, form: Form, cursor: Cursor) -> None:
        """Begins anew from a cursor; what is unconfirmed stays so."""
        self.form, self.cursor, self.confirms = form, cursor, True
        self.greeted = False
        self.told = -1

    def sent(self) -> None:
        if self._on_ready is not None:
            self._on_ready(self)

    def confirm(self, revision: int) -> None:
        """The client has everything that it was sent up to a revision."""
        while self._way and self._way[0][0] <= revision:
            self.unconfirmed -= self._way.popleft()[1]
        if self._on_ready is not None and self.ready:
            self._on_ready(self)
