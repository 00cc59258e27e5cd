"""One hub for each session that somebody watches in this process: it reads what changed once and writes it to all.

A hub is woken by hints, by a tick that makes up for lost ones, and by viewers that came or are ready again. A round
of a hub asks every door again, loads the rows that changed after what its viewers have, renders them once for the
owner and once for readers, and hands the same text to all of either.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sessions_app import hints, json_text
from sessions_app.live import changed
from sessions_app.live.changed import Cursor
from sessions_app.live.doors import Door
from sessions_app.live.threads import in_thread
from sessions_app.live.viewer import Form, Viewer
from sessions_app.reading import Reading

logger = logging.getLogger(__name__)

# Text that is still being written is sent about five times a second, however fast it comes.
TEXT_INTERVAL = 0.2
_REST_FOR_EACH = 0.00003
_AFTER_TROUBLE = 1.0
_LONGEST_PAUSE = 30.0
_MEMBERS_AT_ONCE = 10
NOT_SHARED = 4404
STOPPING = 1012

# Who gets the same frames: the form, whether only the newest is lacking, and from where on for those who are further
# behind or are sent a bounded piece at a time.
_Group = tuple[Form, bool, Cursor | None]
# How many such pieces are held at once.
_MOST_CATCHING_UP = 16
_NEWS_KINDS = frozenset({hints.CREATED, hints.UPDATED, hints.DELETED})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a round loads for the viewers behind one door: per form, and whether freshly come, from which cursor on."""

    door: Door
    groups: dict[_Group, Cursor]


@dataclass(slots=True)
class Frames:
    frames: list[str]
    size: int
    cursor: Cursor


@dataclass(slots=True)
class Loaded:
    """What a round found: which doors are shut, and the frames for each door's groups."""

    shut: set[Hashable] = field(default_factory=set)
    frames: dict[tuple[Hashable, _Group], Frames] = field(default_factory=dict)
    revision: int = 0
    still_written: bool = False
    # Whose frames could not be made; everybody else is served all the same.
    failed: set[tuple[Hashable, _Group]] = field(default_factory=set)


class Hub:
    """The viewers of one session in this process."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.viewers: set[Viewer] = set()
        # Others who want to know of every word about the session, told its kind.
        self.listeners: set[Callable[[str], None]] = set()
        self.kind = hints.UPDATED
        # The newest revision heard of, and the one up to which everybody ready was served.
        self.heard = 0
        self.served = 0
        self.watching: dict[str, tuple[int, float]] = {}
        self._silent = False
        self._ask_doors = False
        self._woken = asyncio.Event()
        self._task = asyncio.ensure_future(self._run())
        self._asking: asyncio.Task[None] | None = None

    def add(self, viewer: Viewer) -> None:
        self.viewers.add(viewer)
        self.wake()

    def remove(self, viewer: Viewer) -> None:
        self.viewers.discard(viewer)

    def hear(self, revision: int, kind: str = hints.UPDATED) -> None:
        """A hint, or the tick's own look."""
        if revision > self.heard or kind != hints.UPDATED:
            for listener in list(self.listeners):
                listener(kind)
        if revision > self.heard:
            self.heard = revision
            self.kind = kind if kind in _NEWS_KINDS else hints.UPDATED
            self.ask_doors()

    def fall_silent(self, silent: bool) -> None:
        """Whether nothing has come for long: pages then say that the agent does not work, at no new revision."""
        if silent and not self._silent:
            for viewer in self.viewers:
                viewer.greeted = viewer.greeted and viewer.form is not Form.HTML
            self.wake()
        self._silent = silent

    def ask_doors(self) -> None:
        """Has every viewer's access asked again."""
        self._ask_doors = True
        self.wake()

    def ask_who(self) -> None:
        """Has everybody asked again who they are, beside the rounds: with many members that takes a while."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._ask_members())

    async def _ask_members(self) -> None:
        doors = {viewer.door.who: viewer.door for viewer in self.viewers if viewer.door.who is not None}
        members = list(doors.values())
        for start in range(0, len(members), _MEMBERS_AT_ONCE):
            try:
                strangers = await in_thread(_strangers, members[start : start + _MEMBERS_AT_ONCE])
            except Exception:
                logger.exception("who watches %s is asked again later", self.session_id)
                return
            for viewer in [viewer for viewer in self.viewers if viewer.door.who in strangers]:
                viewer.close(NOT_SHARED, _gone(viewer))

    def wake(self) -> None:
        self._woken.set()

    def end(self) -> None:
        self._task.cancel()
        if self._asking is not None:
            self._asking.cancel()

    @property
    def readers(self) -> int:
        """How many watch besides the owner."""
        return sum(not viewer.door.owner and not viewer.closed for viewer in self.viewers)

    async def _run(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            began = time.monotonic()
            try:
                still_written = await self._round()
            except Exception:
                # The database may be away; everybody is served when it is back.
                logger.exception("viewers of %s wait", self.session_id)
                self._ask_doors = True
                self._woken.set()
                await asyncio.sleep(_AFTER_TROUBLE)
                continue
            # With many viewers a round takes all that a process has: those who write get their turn between.
            rest = len(self.viewers) * _REST_FOR_EACH
            if still_written:
                rest = max(TEXT_INTERVAL - (time.monotonic() - began), rest)
            await asyncio.sleep(min(rest, TEXT_INTERVAL))

    async def _round(self) -> bool:
        asked, self._ask_doors = self._ask_doors, False
        kind, self.kind = self.kind, hints.UPDATED
        heard = self.heard
        groups = self._behind()
        had = {viewer: (viewer.form, viewer.cursor) for viewers in groups.values() for viewer in viewers}
        wanted: dict[Hashable, Wanted] = {}
        for (key, group), viewers in groups.items():
            entry = wanted.setdefault(key, Wanted(viewers[0].door, {}))
            entry.groups[group] = min((viewer.cursor for viewer in viewers), key=_position)
        if asked:
            for viewer in self.viewers:
                wanted.setdefault(viewer.door.key, Wanted(viewer.door, {}))
        if not wanted:
            return False
        loaded = await in_thread(_load, list(wanted.values()), kind)
        for viewer in [viewer for viewer in self.viewers if viewer.door.key in loaded.shut]:
            viewer.close(NOT_SHARED, _gone(viewer))
        for (key, group), viewers in groups.items():
            if (key, group) in loaded.failed:
                self._pause(viewers)
            found = loaded.frames.get((key, group))
            if found is None:
                continue
            for viewer in viewers:
                # One that began anew meanwhile is served by the next round, which that has asked for.
                if viewer.ready and (viewer.form, viewer.cursor) == had[viewer]:
                    viewer.pause = 0.0
                    viewer.offer(found.frames, found.size, found.cursor, self._viewer_is_ready)
        # Up to what everybody ready had heard of; a newcomer may have been served more.
        self.served = max(self.served, heard)
        # A newcomer's round may find what no hint has told yet, and the hint will then be none: it is the others' news.
        self.hear(loaded.revision)
        return loaded.still_written

    def _pause(self, viewers: list[Viewer]) -> None:
        """What could not be made is tried again, and the longer after the more often it failed."""
        loop = asyncio.get_running_loop()
        for viewer in viewers:
            viewer.pause = min(max(2 * viewer.pause, _AFTER_TROUBLE), _LONGEST_PAUSE)
            viewer.not_before = time.monotonic() + viewer.pause
        for pause in {viewer.pause for viewer in viewers}:
            loop.call_later(pause, self.wake)

    def _behind(self) -> dict[tuple[Hashable, _Group], list[Viewer]]:
        """Ready viewers that lack something. Those that lack only the newest are apart from those further behind."""
        found: dict[tuple[Hashable, _Group], list[Viewer]] = {}
        catching_up = 0
        now = time.monotonic()
        for viewer in self.viewers:
            if (
                viewer.ready
                and viewer.not_before <= now
                and (not viewer.greeted or viewer.cursor.revision < self.heard)
            ):
                current = (
                    viewer.greeted and viewer.cursor.row is None and viewer.cursor.revision >= self.served
                )
                # A piece brings its takers up to where it ends: whoever has more would go back. And those who lack
                # little are not to be sent what one lacks who was long away.
                apart = viewer.form is Form.JSON or (viewer.form is Form.HTML and not current)
                start = viewer.cursor if apart else None
                group = (viewer.door.key, (viewer.form, current, start))
                if start is not None and group not in found:
                    if catching_up == _MOST_CATCHING_UP:
                        self.wake()
                        continue
                    catching_up += 1
                found.setdefault(group, []).append(viewer)
        return found

    def _viewer_is_ready(self, viewer: Viewer) -> None:
        """Wakes the hub where one who was busy lacks something by now."""
        if not viewer.greeted or viewer.cursor.revision < self.heard:
            self.wake()


def _strangers(doors: Iterable[Door]) -> set[Hashable]:
    """Of those who came through these doors the ones who would not be let in any more; on a thread."""
    return {door.who for door in doors if door.open() is None}


def _gone(viewer: Viewer) -> str:
    """The last thing a viewer is told: the same whether the session was deleted or is no longer shared."""
    news = {"type": hints.DELETED, "id": viewer.door.name}
    return event(hints.DELETED, news) if viewer.form is Form.JSON else json_text.dumps(news)


def _position(cursor: Cursor) -> tuple[int, tuple[int, int]]:
    return cursor.revision, cursor.row or (-1, -1)


def _load(wanted: Iterable[Wanted], kind: str) -> Loaded:
    """Opens the doors and makes every group's frames; on a thread."""
    loaded = Loaded()
    made: dict[tuple[bool, str, _Group, Cursor], Frames] = {}
    for entry in wanted:
        reading = entry.door.open_again()
        if reading is None:
            loaded.shut.add(entry.door.key)
            continue
        loaded.revision = max(loaded.revision, reading.session.revision)
        if entry.groups:
            newest = max(cursor.revision for cursor in entry.groups.values())
            loaded.still_written = loaded.still_written or changed.still_written(reading, newest)
        for group, cursor in entry.groups.items():
            known = (reading.masked, entry.door.base, group, cursor)
            try:
                if known not in made:
                    made[known] = _frames(reading, entry.door, group[0], cursor, kind)
            except Exception:
                logger.exception("frames of %s could not be made", reading.session.pk)
                loaded.failed.add((entry.door.key, group))
                continue
            loaded.frames[entry.door.key, group] = made[known]
    return loaded


def _frames(reading: Reading, door: Door, form: Form, cursor: Cursor, kind: str) -> Frames:
    news = changed.news(reading, kind, door.name)
    match form:
        case Form.NEWS:
            return _news(reading, cursor, news)
        case Form.HTML:
            return _texts([_html(reading, door, cursor, news)], Cursor(reading.session.revision))
        case Form.JSON:
            return _events(reading, cursor, news)


def _news(reading: Reading, cursor: Cursor, news: dict[str, Any]) -> Frames:
    """The bare news: that messages changed, where they did, and what the session is by now."""
    told = [news]
    if changed.has_messages_after(reading, cursor.revision):
        told.insert(0, {**news, "type": "messages-changed"})
    return _texts([json_text.dumps(each) for each in told], Cursor(reading.session.revision))


def _html(reading: Reading, door: Door, cursor: Cursor, news: dict[str, Any]) -> str:
    messages = changed.messages_after(reading, cursor.revision)
    fragments = None if messages is None else changed.fragments(reading, messages, door.base)
    # From where on it tells: whoever asked for what was missed knows by that that this is it.
    frame = {
        **news,
        "since": cursor.revision,
        "revert": reading.revert_mark,
        "fragments": changed.header(reading),
    }
    if fragments is None:
        return json_text.dumps({**frame, "type": "messages-changed", "reload": True})
    if messages:
        frame["type"] = "messages-changed"
    frame["fragments"] += fragments
    return json_text.dumps(frame)


def _events(reading: Reading, cursor: Cursor, news: dict[str, Any]) -> Frames:
    """Server-sent events: the changed rows, a bounded number at a time, and the news behind them."""
    texts: list[str] = []
    position = cursor
    # More frames than one at a time would be held for a client that may not read.
    for at, frame in itertools.islice(changed.rows_after(reading, cursor), 1):
        texts.append(event("messages-changed", {"id": news["id"], "revision": at.revision, **frame}, str(at)))
        position = at
    revision = reading.session.revision
    if not texts or (position.revision == revision and position.row is None):
        position = Cursor(revision)
        texts.append(event(news["type"], news, str(position)))
    return _texts(texts, position)


def event(name: str, data: dict[str, Any], id: str = "") -> str:
    """One server-sent event (HTML standard §9.2)."""
    head = f"id: {id}\n" if id else ""
    return f"{head}event: {name}\ndata: {json_text.dumps({'type': name, **data})}\n\n"


def _texts(texts: list[str], cursor: Cursor) -> Frames:
    return Frames(texts, sum(len(text.encode("utf-8", "replace")) for text in texts), cursor)
