"""Follows a turn as server-sent events, from any event on, until its last. What waits holds no thread and no connection."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Iterator

from sessions_app.agent import events
from sessions_app.agent.models import ACTIVE, Turn, TurnEvent
from sessions_app.agent.record import Batch
from sessions_app.live.doors import Door
from sessions_app.live.hubs import hubs
from sessions_app.live.streams import EventStream, Headers, Receive, Send, answer
from sessions_app.live.threads import in_thread

_HEARTBEAT_SECONDS = 15.0
# Access is asked again no more often than this.
_ASK_SECONDS = 2.0
# What is not read piles up, so a stream ends after so many bytes, and its client goes on with Last-Event-ID. Not every
# client can: in the second half only heads of results are sent, of which thousands fit in.
BUDGET = 8 * 1024 * 1024
# A stream that is handed its events reads all the same, in case that one was lost, no more often than this.
_READ_SECONDS = 1.0
_NOT_FOUND = "It does not exist, or is not yours."


async def follow(
    door: Door,
    turn: uuid.UUID,
    last: str | None,
    receive: Receive,
    send: Send,
    encode: Callable[[events.Event], str] = str,
) -> None:
    """Serves one response; ``last`` is the id of the last event that the client has."""
    if not is_number(last):
        await refuse_last(send)
        return
    reading = await in_thread(door.open)
    if reading is None or not await in_thread(_is_of, turn, reading.session.pk):
        await answer(send, 404, "not_found", _NOT_FOUND, [])
        return
    number = int(last or 0)
    if number and await in_thread(_has_no_more, turn, number):
        # Tells browsers not to come back (HTML standard §9.2).
        await send({"type": "http.response.start", "status": 204, "headers": [], "trailers": False})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return
    headers: Headers = [(b"gander-turn", str(turn).encode())]
    stream = EventStream(receive, send, BUDGET)
    await stream.start(headers)
    session_id = str(reading.session.pk)
    follower = _Follower(turn, number)

    def listen(_kind: str) -> None:
        follower.hinted = True
        follower.woken.set()

    everything = hubs()
    everything.listen(session_id, listen)
    _followers.setdefault(turn, set()).add(follower)
    writing = asyncio.ensure_future(_write(stream, door, follower, encode))
    try:
        await stream.serve()
    finally:
        writing.cancel()
        everything.unlisten(session_id, listen)
        _followers[turn].discard(follower)
        if not _followers[turn]:
            del _followers[turn]


def is_number(last: str | None) -> bool:
    """Whether this can be the id of a turn's event, or is none at all."""
    return last is None or (last.isascii() and last.isdigit() and len(last) < 10)


async def refuse_last(send: Send) -> None:
    """Answers whoever sent another."""
    await answer(send, 422, "invalid", "Give the id of an event, a number.", [], "Last-Event-ID")


class _Follower:
    """Where a stream stands, and what it has been handed."""

    def __init__(self, turn: uuid.UUID, number: int) -> None:
        self.turn = turn
        self.number = number
        self.handed: list[events.Event] = []
        # Something happened to the session, whatever it was.
        self.hinted = True
        self.woken = asyncio.Event()


_followers: dict[uuid.UUID, set[_Follower]] = {}
# Turns that this process runs: whoever follows them here is handed their events, and need not read them.
_published: set[uuid.UUID] = set()


@contextlib.contextmanager
def published(turn: uuid.UUID) -> Iterator[None]:
    """Around a run whose events are all published."""
    _published.add(turn)
    try:
        yield
    finally:
        _published.discard(turn)
        for follower in _followers.get(turn, ()):
            follower.hinted = True
            follower.woken.set()


def publish(turn: uuid.UUID, batch: Batch) -> None:
    """Hands those who follow the turn in this process the events of a batch that was just written."""
    if batch.events and (here := _followers.get(turn)):
        found = events.of(batch)
        for follower in here:
            follower.handed += found
            follower.woken.set()


def _is_of(turn: uuid.UUID, session: uuid.UUID) -> bool:
    return Turn.objects.filter(pk=turn, session=session).exists()


def _has_no_more(turn: uuid.UUID, number: int) -> bool:
    """Whether the turn has ended, and with an event that is not behind this one."""
    ended = Turn.objects.exclude(state__in=ACTIVE).filter(pk=turn).exists()
    return ended and not TurnEvent.objects.filter(turn=turn, number__gt=number).exists()


async def _write(
    stream: EventStream, door: Door, follower: _Follower, encode: Callable[[events.Event], str]
) -> None:
    asked = read = time.monotonic()
    try:
        found = await in_thread(events.after, follower.turn, follower.number)
        more = len(found) == events.AT_ONCE
        while not stream.ended.is_set():
            for event in found:
                await stream.write(encode(event if stream.left > BUDGET // 2 else event.shortened()))
                follower.number = event.number
                if event.name == events.LAST or stream.ended.is_set():
                    return
            if hubs().stopping:
                return
            now = time.monotonic()
            if now - asked > _ASK_SECONDS:
                asked = now
                if await in_thread(door.open) is None:
                    return
            if not found and not follower.handed:
                try:
                    await asyncio.wait_for(follower.woken.wait(), _HEARTBEAT_SECONDS)
                except TimeoutError:
                    await stream.write(": still here\n\n")
            follower.woken.clear()
            found = _next(follower)
            late = time.monotonic() - read > _READ_SECONDS
            # What it was handed and does not follow on what it has leaves a gap.
            gap = not found and bool(follower.handed)
            told = follower.hinted and (late or follower.turn not in _published)
            if gap or (not found and (more or told)):
                follower.handed, follower.hinted = [], False
                read = time.monotonic()
                found = await in_thread(events.after, follower.turn, follower.number)
                more = len(found) == events.AT_ONCE
                # A client that named an event which there never was would wait for one behind it.
                if not found and await in_thread(_has_no_more, follower.turn, follower.number):
                    return
    finally:
        stream.ended.set()


def _next(follower: _Follower) -> list[events.Event]:
    """What it was handed that follows on what it has; what leaves a gap is left for a reading."""
    number = follower.number
    found = []
    for event in follower.handed:
        if event.number == number + 1:
            found.append(event)
            number = event.number
    follower.handed = [event for event in follower.handed if event.number > number]
    return found
