"""One hub for each person whose list of sessions is open in this process."""

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils import timezone

from sessions_app import hints, json_text, listing
from sessions_app.live.doors import Client
from sessions_app.live.threads import in_thread
from sessions_app.live.viewer import Outlet
from sessions_app.models import STALE, Session, Status

logger = logging.getLogger(__name__)

_LOOK_EVERY = 2.0
# Clocks of several machines differ; and a row's time is taken before its commit, which may be long after.
_CLOCKS = timedelta(seconds=5)
_OVERLAP = timedelta(seconds=60)
_MOST_ROWS = 100
_MOST_TOUCHED = 2000
# Of so many rows that a page shows, it is looked whether they are still there.
MOST_SHOWN = 1000
_INTERVAL = 0.3
_ASK_CLIENTS_EVERY = 10.0
_ENDED = 4401


class ListViewer(Outlet):
    """A socket that shows somebody's list under some filters."""

    def __init__(
        self,
        client: Client,
        since: datetime,
        write: Callable[[str], Awaitable[None]],
        leave: Callable[[int, str], None],
    ) -> None:
        super().__init__(write, leave)
        self.client = client
        # Sessions that were deleted for good, of which it was not told yet.
        self.gone: dict[str, int] = {}
        # The rows that it shows, as far as it said so or was sent them.
        self.shown: set[str] = set()
        # Sessions that hints named since it was last told: one's commit may come long after its time was taken.
        self.hinted: set[str] = set()
        # Whether there was something for it while it was not ready, and whom that concerns.
        self.passed_over = False
        self.on_ready: Callable[[], None] | None = None
        # The page's; without them, it wants the bare news, from now on.
        self.filters: listing.Filters | None = None
        self.greeted = True
        self.since = since
        # What was sent of each: the overlap brings the same rows again.
        self.seen: dict[str, str] = {}

    def offer(self, frames: list[str]) -> None:
        """Begins to send frames."""
        # Who only listens for the bare news confirms nothing.
        if self.filters is not None:
            self.unconfirmed += sum(map(len, frames))
        self.send(frames)

    def confirm(self) -> None:
        self.unconfirmed = 0
        self.sent()

    def sent(self) -> None:
        if self.passed_over and self.ready and self.on_ready is not None:
            self.passed_over = False
            self.on_ready()


@dataclass(frozen=True, slots=True)
class Row:
    """A session as it stands in a list now."""

    id: str
    # Changes whenever the row does.
    key: str
    frame: str


@dataclass(slots=True)
class Loaded:
    """What a round found."""

    # Every session touched, with its row's key, and when it was written to.
    keys: dict[str, str]
    written: dict[str, datetime]
    # For each list the rows that somebody lacks; nothing where they are too many to tell.
    rows: dict[listing.Filters | None, list[Row] | None]
    # Of the rows that pages show, those whose sessions are not there any more.
    missing: set[str]


class ListHub:
    """The open lists of one person."""

    def __init__(self, owner_id: int) -> None:
        self.owner_id = owner_id
        self.viewers: set[ListViewer] = set()
        self._looked = 0.0
        self._asked = time.monotonic()
        self._compared = 0.0
        # Sessions whose hints said that they are new.
        self._created: set[str] = set()
        self._woken = asyncio.Event()
        self._task = asyncio.ensure_future(self._run())

    def add(self, viewer: ListViewer) -> None:
        viewer.on_ready = self.wake
        self.viewers.add(viewer)
        self.wake()

    def remove(self, viewer: ListViewer) -> None:
        self.viewers.discard(viewer)

    def hear(self, hint: dict[str, Any]) -> None:
        """A hint. What was deleted for good is not found any more, so its row is taken away at once."""
        if hint["type"] == hints.CREATED:
            self._created.add(hint["id"])
        if hint["type"] == hints.DELETED:
            for viewer in self.viewers:
                viewer.gone[hint["id"]] = hint["revision"]
        for viewer in self.viewers:
            viewer.hinted.add(hint["id"])
        self.wake()

    def wake(self) -> None:
        self._woken.set()

    def tick(self) -> None:
        if time.monotonic() - self._looked > _LOOK_EVERY:
            self.wake()

    def end(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            self._looked = time.monotonic()
            try:
                await self._round()
            except Exception:
                logger.exception("the list of user %s waits", self.owner_id)
            await asyncio.sleep(_INTERVAL)

    async def _round(self) -> None:
        ready = [viewer for viewer in self.viewers if viewer.ready]
        for viewer in self.viewers:
            viewer.passed_over = not viewer.ready
        if not ready:
            return
        if time.monotonic() - self._asked > _ASK_CLIENTS_EVERY:
            self._asked = time.monotonic()
            for viewer in await in_thread(_ended, list(self.viewers), self.owner_id):
                viewer.close(_ENDED)
        had = {viewer: (viewer.since, viewer.filters) for viewer in ready}
        now = timezone.now()
        hinted = {viewer: frozenset(viewer.hinted) for viewer in ready}
        created, self._created = frozenset(self._created), set()
        wanted: dict[listing.Filters | None, list[dict[str, str]]] = {}
        for viewer in ready:
            wanted.setdefault(viewer.filters, []).append(dict(viewer.seen))
        loaded = await in_thread(
            _load,
            self.owner_id,
            min(viewer.since for viewer in ready),
            frozenset().union(*hinted.values()),
            created,
            wanted,
            self._to_compare(ready),
        )
        for viewer in ready:
            # One that began anew meanwhile is served by the next round.
            if viewer.ready and (viewer.since, viewer.filters) == had[viewer]:
                viewer.hinted -= hinted[viewer]
                self._tell(viewer, loaded, hinted[viewer], now)

    def _to_compare(self, ready: list[ListViewer]) -> set[str]:
        """The rows that pages show, for those who begin and now and then: a session deleted for good is not touched."""
        if all(viewer.greeted for viewer in ready) and time.monotonic() - self._compared < _LOOK_EVERY:
            return set()
        self._compared = time.monotonic()
        return set().union(*(viewer.shown for viewer in ready))

    @staticmethod
    def _tell(viewer: ListViewer, loaded: Loaded, hinted: frozenset[str], now: datetime) -> None:
        # Hints have no order: one that was restored, or only rests, is found, and says itself what it is.
        gone = {id: revision for id, revision in viewer.gone.items() if id not in loaded.keys}
        gone |= dict.fromkeys(loaded.missing & viewer.shown, 0)
        frames = [
            json_text.dumps({"type": hints.DELETED, "id": id, "revision": revision, "html": None})
            for id, revision in gone.items()
        ]
        rows = loaded.rows[viewer.filters]
        if rows is None:
            frames.append(json_text.dumps({"type": "reload"}))
        else:
            lacking = [
                row
                for row in rows
                if viewer.seen.get(row.id) != row.key
                # The bare news begin now, but for clocks that differ.
                and (
                    viewer.filters is not None
                    or row.id in hinted
                    or loaded.written[row.id] > viewer.since - _CLOCKS
                )
            ]
            frames += [row.frame for row in lacking]
            viewer.shown |= {row.id for row in lacking[: MOST_SHOWN - len(viewer.shown)]}
        viewer.since = now
        viewer.gone = {}
        viewer.shown -= gone.keys()
        viewer.seen = loaded.keys
        if frames or not viewer.greeted:
            viewer.greeted = True
            told = {"type": "now", "since": int(now.timestamp() * 1000)}
            viewer.offer([*frames, json_text.dumps(told)])


def _ended(viewers: list[ListViewer], owner_id: int) -> list[ListViewer]:
    """The viewers whose sign-in has ended."""
    return [viewer for viewer in viewers if viewer.client.user_now().pk != owner_id]


def _load(
    owner_id: int,
    since: datetime,
    hinted: frozenset[str],
    created: frozenset[str],
    wanted: dict[listing.Filters | None, list[dict[str, str]]],
    shown: set[str],
) -> Loaded:
    """The sessions written to since then or hinted at, as each list shows them.

    Args:
        wanted: for each list, what each of its viewers has seen of late: sessions with their rows' keys.
        shown: the rows of which it is asked whether their sessions are still there.
    """
    user = get_user_model()(pk=owner_id)
    own = Session.objects.filter(owner_id=owner_id)
    # What fell silent ceases to work without being written to, also while nobody looked.
    silent = timezone.now() - STALE
    fell_silent = Q(status=Status.WORKING, written_at__range=(since - STALE - _OVERLAP, silent))
    named = Q(pk__in=list(itertools.islice(hinted, _MOST_TOUCHED)))
    touched = own.filter(Q(written_at__gte=since - _OVERLAP) | named | fell_silent)
    heads = touched.only("revision", "status", "written_at").order_by("-written_at")[:_MOST_TOUCHED]
    keys = {str(row.pk): _key(row) for row in heads}
    lacking = {
        each: [id for id, key in keys.items() if any(seen.get(id) != key for seen in viewers)]
        for each, viewers in wanted.items()
    }
    told = {id for ids in lacking.values() if len(ids) <= _MOST_ROWS for id in ids}
    rows = list(own.filter(pk__in=told).defer("info").order_by("written_at")) if told else []
    found: dict[listing.Filters | None, list[Row] | None] = {}
    for each, ids in lacking.items():
        found[each] = None if len(ids) > _MOST_ROWS else _rows(rows, set(ids), each, user, created)
    there = own.filter(pk__in=shown).values_list("pk", flat=True) if shown else ()
    return Loaded(
        keys, {str(row.pk): row.written_at for row in heads}, found, shown - {str(pk) for pk in there}
    )


def _rows(
    rows: list[Session], ids: set[str], filters: listing.Filters | None, user: Any, created: frozenset[str]
) -> list[Row]:
    """Those of these rows as one list shows them."""
    some = [row for row in rows if str(row.pk) in ids]
    if filters is None:
        return [Row(str(row.pk), _key(row), json_text.dumps(_news(row, created))) for row in some]
    keys = [row.pk for row in some]
    fitting = set(filters.of(user).filter(pk__in=keys).values_list("pk", flat=True)) if keys else set()
    return [_row(row, filters.sort, created, fits=row.pk in fitting) for row in some]


def _key(session: Session) -> str:
    return f"{session.revision} {session.shown_status}"


def _news(session: Session, created: frozenset[str]) -> dict[str, Any]:
    is_new = session.revision <= 1 or str(session.pk) in created
    kind = hints.CREATED if is_new else hints.UPDATED
    return {
        "type": hints.DELETED if session.deleted_at else kind,
        "id": str(session.pk),
        "revision": session.revision,
        "shared": session.shared,
        "title": session.shown_title,
    }


def _row(session: Session, sort: listing.Sort, created: frozenset[str], *, fits: bool) -> Row:
    """The row, where the list shows the session, and where in the list it stands."""
    session.order = listing.order_of(session, sort)  # type: ignore[attr-defined]
    frame = {
        **_news(session, created),
        "html": render_to_string("sessions_app/row.html", {"session": session}).strip() if fits else None,
        "order": session.order,  # type: ignore[attr-defined]
        "group": listing.group_of(session, sort),
    }
    return Row(str(session.pk), _key(session), json_text.dumps(frame))
