"""All hubs of this process, and what feeds them: the channel layer's hints, and a tick that makes up for lost ones.

The process is one member of each group that somebody here watches: members cost the channel layer, viewers do not.
"""

import asyncio
import contextlib
import logging
import secrets
import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from channels.layers import get_channel_layer
from django.conf import settings

from sessions_app import hints, json_text
from sessions_app.live.hub import STOPPING, Hub
from sessions_app.live.list_hub import ListHub, ListViewer
from sessions_app.live.threads import in_thread
from sessions_app.live.viewer import Form, Outlet, Viewer
from sessions_app.models import Session, fell_silent

logger = logging.getLogger(__name__)

# Whatever a lost hint would have told is seen, and acted on, within a second.
TICK = 0.7
# Access depends on more than the session: people sign out, tokens and accounts end, anonymous shares expire.
_ASK_DOORS_EVERY = 10.0
_JOIN_AGAIN_EVERY = 3600.0
_SAY_WATCHING_EVERY = 15.0
_WATCHING_LASTS = 40.0
_HEARTBEAT_EVERY = 15.0
_WATCHING = "watching"
# What a process asks that begins to watch: others need not say again what did not change.
_WHO_WATCHES = "who-watches"
_QUERY_AT_ONCE = 500
# What the channel layer does not do in this time is given up, and tried again at the next tick.
_PATIENCE = 2.0


class Hubs:
    """What is watched in this process; it lives on one event loop."""

    def __init__(self) -> None:
        self.process = secrets.token_hex(8)
        self.sessions: dict[str, Hub] = {}
        self.lists: dict[int, ListHub] = {}
        self.stopping = False
        # Two channels: a hint does not say by which kind of group it came.
        self._channel = ""
        self._list_channel = ""
        self._joined: dict[str, float] = {}
        self._said: dict[str, tuple[int, float]] = {}
        self._doors_asked = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []

    # Viewers come and go.

    def watch(self, session_id: str, viewer: Viewer) -> None:
        self._hub(session_id).add(viewer)
        if self.stopping:
            viewer.close(STOPPING)

    def leave(self, session_id: str, viewer: Viewer) -> None:
        if hub := self.sessions.get(session_id):
            hub.remove(viewer)
            self._end_unwatched(session_id, hub)

    def listen(self, session_id: str, listener: Callable[[str], None]) -> None:
        """Has a listener called with the kind of every hint about a session, of lost ones a second later."""
        self._hub(session_id).listeners.add(listener)

    def unlisten(self, session_id: str, listener: Callable[[str], None]) -> None:
        if hub := self.sessions.get(session_id):
            hub.listeners.discard(listener)
            self._end_unwatched(session_id, hub)

    def _hub(self, session_id: str) -> Hub:
        self._start()
        hub = self.sessions.get(session_id)
        if hub is None:
            hub = self.sessions[session_id] = Hub(session_id)
            self._soon(self._join(hints.session_group(session_id)))
        return hub

    def _end_unwatched(self, session_id: str, hub: Hub) -> None:
        if not hub.viewers and not hub.listeners:
            hub.end()
            del self.sessions[session_id]
            self._soon(self._part(hints.session_group(session_id)))
            self._soon(self._say_watching(session_id, 0))

    def watch_list(self, owner_id: int, viewer: ListViewer) -> None:
        self._start()
        hub = self.lists.get(owner_id)
        if hub is None:
            hub = self.lists[owner_id] = ListHub(owner_id)
            self._soon(self._join(hints.owner_group(owner_id)))
        hub.add(viewer)
        if self.stopping:
            viewer.close(STOPPING)

    def leave_list(self, owner_id: int, viewer: ListViewer) -> None:
        hub = self.lists.get(owner_id)
        if hub is None:
            return
        hub.remove(viewer)
        if not hub.viewers:
            hub.end()
            del self.lists[owner_id]
            self._soon(self._part(hints.owner_group(owner_id)))

    def stop(self) -> None:
        """Closes every socket and stream, for their clients to come back elsewhere; whoever comes later is closed too."""
        self.stopping = True
        viewers: list[Outlet] = []
        for hub in self.sessions.values():
            viewers += hub.viewers
        for list_hub in self.lists.values():
            viewers += list_hub.viewers
        for viewer in viewers:
            viewer.close(STOPPING)
        for hub in self.sessions.values():
            for listener in list(hub.listeners):
                listener(hints.UPDATED)

    # Hints arrive.

    def _start(self) -> None:
        if not self._tasks:
            self._tasks = [
                asyncio.ensure_future(self._listen()),
                asyncio.ensure_future(self._listen_for_lists()),
                asyncio.ensure_future(self._tick()),
                asyncio.ensure_future(self._keep_in_touch()),
            ]

    def _soon(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.append(task)
        task.add_done_callback(self._tasks.remove)

    async def _listen(self) -> None:
        """Reads the process's channel for sessions for as long as the loop runs."""
        while not _is_to_end():
            try:
                layer = get_channel_layer()
                if self._channel:
                    self.hear(await layer.receive(self._channel))
                else:
                    self._channel = await layer.new_channel("live")
            except Exception as error:
                logger.warning("the channel layer fails, the tick serves viewers meanwhile: %s", error)
                await asyncio.sleep(TICK)

    async def _listen_for_lists(self) -> None:
        while not _is_to_end():
            try:
                layer = get_channel_layer()
                if self._list_channel:
                    self._hear_for_lists(await layer.receive(self._list_channel))
                else:
                    self._list_channel = await layer.new_channel("lists")
            except Exception as error:
                logger.warning("the channel layer fails, the tick serves lists meanwhile: %s", error)
                await asyncio.sleep(TICK)

    def _hear_for_lists(self, hint: dict[str, Any]) -> None:
        if hub := self.lists.get(hint["owner"]):
            hub.hear(hint)

    def hear(self, hint: dict[str, Any]) -> None:
        """Passes a message of the channel layer on to whom it concerns."""
        if hint["type"] == _WHO_WATCHES:
            if hint["process"] != self.process and hint["id"] in self._said:
                self._said[hint["id"]] = (-1, 0.0)
            return
        if hint["type"] == _WATCHING:
            if (hub := self.sessions.get(hint["id"])) and hint["process"] != self.process:
                hub.watching[hint["process"]] = (hint["count"], time.monotonic())
            return
        if hub := self.sessions.get(hint["id"]):
            hub.hear(hint["revision"], hint["type"])

    def _channel_of(self, group: str) -> str:
        return self._list_channel if group.startswith(hints.OWNER_GROUP) else self._channel

    async def _join(self, group: str) -> None:
        with contextlib.suppress(Exception):  # tried again at the next tick
            async with asyncio.timeout(_PATIENCE):
                # The first viewer comes before the channel does.
                while not (channel := self._channel_of(group)):
                    await asyncio.sleep(0.01)
                await get_channel_layer().group_add(group, channel)
                if settings.GANDER.redis_url and not group.startswith(hints.OWNER_GROUP):
                    asked = {"type": _WHO_WATCHES, "process": self.process}
                    id = group.removeprefix(hints.session_group(""))
                    await get_channel_layer().group_send(group, {**asked, "id": id})
            self._joined[group] = time.monotonic()

    async def _part(self, group: str) -> None:
        self._joined.pop(group, None)
        with contextlib.suppress(Exception):  # a hint for nobody does no harm
            if channel := self._channel_of(group):
                async with asyncio.timeout(_PATIENCE):
                    await get_channel_layer().group_discard(group, channel)

    # The tick.

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._show_watching()
            self._beat()
            try:
                await self._look()
            except Exception:
                logger.exception("a look at what is watched failed; it is tried again")

    async def _keep_in_touch(self) -> None:
        """What needs the channel layer, apart from the tick: the layer may hang."""
        while not _is_to_end():
            await asyncio.sleep(TICK)
            try:
                await self._join_missing()
                await self._tell_watching()
            except Exception:
                logger.exception("the channel layer fails; it is tried again")

    async def _look(self) -> None:
        """Compares every watched session's revision with what its hub has heard."""
        watched = list(self.sessions)
        for start in range(0, len(watched), _QUERY_AT_ONCE):
            some = watched[start : start + _QUERY_AT_ONCE]
            revisions = await in_thread(_revisions, some)
            for session_id in some:
                hub = self.sessions.get(session_id)
                if hub is None:
                    continue
                if session_id in revisions:
                    revision, silent = revisions[session_id]
                    hub.hear(revision)
                    hub.fall_silent(silent)
                else:
                    hub.ask_doors()
        now = time.monotonic()
        if now - self._doors_asked > _ASK_DOORS_EVERY:
            self._doors_asked = now
            for session_hub in self.sessions.values():
                session_hub.ask_doors()
                session_hub.ask_who()
        for list_hub in self.lists.values():
            list_hub.tick()

    async def _join_missing(self) -> None:
        now = time.monotonic()
        groups = [hints.session_group(session_id) for session_id in self.sessions]
        groups += [hints.owner_group(owner_id) for owner_id in self.lists]
        for group in groups:
            # Memberships end after a day in some layers.
            if now - self._joined.get(group, -_JOIN_AGAIN_EVERY) >= _JOIN_AGAIN_EVERY:
                await self._join(group)

    async def _tell_watching(self) -> None:
        """Tells other processes how many readers are here."""
        now = time.monotonic()
        for session_id, hub in list(self.sessions.items()):
            count, said = hub.readers, self._said.get(session_id, (0, 0.0))
            if count != said[0] or (count and now - said[1] > _SAY_WATCHING_EVERY):
                await self._say_watching(session_id, count)

    def _show_watching(self) -> None:
        """Shows owners how many read along, here and elsewhere."""
        now = time.monotonic()
        for hub in self.sessions.values():
            hub.watching = {
                process: entry for process, entry in hub.watching.items() if now - entry[1] < _WATCHING_LASTS
            }
            total = hub.readers + sum(entry[0] for entry in hub.watching.values())
            for viewer in _owners(hub):
                if viewer.greeted and viewer.ready and viewer.told != total:
                    viewer.told = total
                    viewer.say(json_text.dumps({"type": _WATCHING, "id": viewer.door.name, "count": total}))

    async def _say_watching(self, session_id: str, count: int) -> None:
        if count:
            self._said[session_id] = (count, time.monotonic())
        elif self._said.pop(session_id, None) is None:
            return
        if not settings.GANDER.redis_url:
            return  # nobody else could hear it
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_PATIENCE):
                await get_channel_layer().group_send(
                    hints.session_group(session_id),
                    {"type": _WATCHING, "id": session_id, "process": self.process, "count": count},
                )

    def _beat(self) -> None:
        """Keeps quiet event streams open, through proxies that close what is silent."""
        now = time.monotonic()
        for hub in self.sessions.values():
            for viewer in hub.viewers:
                if viewer.form is Form.JSON and viewer.ready and now - viewer.last_said > _HEARTBEAT_EVERY:
                    viewer.say(": still here\n\n")


def _is_to_end() -> bool:
    """Whether this task was cancelled, and went on all the same.

    redis waits with ``asyncio.wait_for``, which on Python 3.11 loses a cancellation that comes together with its result.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _owners(hub: Hub) -> list[Viewer]:
    return [viewer for viewer in hub.viewers if viewer.door.owner and viewer.form is Form.HTML]


def _revisions(session_ids: Iterable[str]) -> dict[str, tuple[int, bool]]:
    """Each session's revision, and whether its agent fell silent at work."""
    rows = Session.objects.filter(pk__in=list(session_ids), deleted_at=None)
    return {
        str(pk): (revision, fell_silent(status, written_at))
        for pk, revision, status, written_at in rows.values_list("pk", "revision", "status", "written_at")
    }


_by_loop: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Hubs]" = weakref.WeakKeyDictionary()


def hubs() -> Hubs:
    """The hubs of the running event loop."""
    return _by_loop.setdefault(asyncio.get_running_loop(), Hubs())
