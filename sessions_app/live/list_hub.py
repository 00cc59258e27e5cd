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

_LOOK_EVERY = 5.0
# Clocks of several machines differ, and a row's time is taken before its commit.
_OVERLAP = timedelta(seconds=5)
_MOST_ROWS = 100
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


class ListHub:
    """The open lists of one person."""

    def __init__(self, owner_id: int) -> None:
        self.owner_id = owner_id
        self.viewers: set[ListViewer] = set()
        self._looked = 0.0
        self._asked = time.monotonic()
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
        earliest = min(viewer.since for viewer in ready) - _OVERLAP
        hinted = {viewer: frozenset(viewer.hinted) for viewer in ready}
        rows = await in_thread(
            _load,
            self.owner_id,
            earliest,
            frozenset().union(*hinted.values()),
            {viewer.filters for viewer in ready},
        )
        for viewer in ready:
            # One that began anew meanwhile is served by the next round.
            if viewer.ready and (viewer.since, viewer.filters) == had[viewer]:
                viewer.hinted -= hinted[viewer]
                self._tell(viewer, rows[viewer.filters], now)

    @staticmethod
    def _tell(viewer: ListViewer, shown: list[Row], now: datetime) -> None:
        there = {row.id for row in shown}
        # Hints have no order: one that was restored, or only rests, is found, and says itself what it is.
        frames = [
            json_text.dumps({"type": hints.DELETED, "id": id, "revision": revision, "html": None})
            for id, revision in viewer.gone.items()
            if id not in there
        ]
        if len(shown) > _MOST_ROWS:
            frames.append(json_text.dumps({"type": "reload"}))
        else:
            frames += [row.frame for row in shown if viewer.seen.get(row.id) != row.key]
        viewer.since = now
        viewer.gone = {}
        viewer.seen = {row.id: row.key for row in shown}
        if frames or not viewer.greeted:
            viewer.greeted = True
            told = {"type": "now", "since": int(now.timestamp() * 1000)}
            viewer.offer([*frames, json_text.dumps(told)])


def _ended(viewers: list[ListViewer], owner_id: int) -> list[ListViewer]:
    """The viewers whose sign-in has ended."""
    return [viewer for viewer in viewers if viewer.client.user_now().pk != owner_id]


def _load(
    owner_id: int, since: datetime, hinted: frozenset[str], filters: set[listing.Filters | None]
) -> dict[listing.Filters | None, list[Row]]:
    """The sessions written to since then or hinted at, as each list shows them.

    One more than are told, where there are too many.
    """
    user = get_user_model()(pk=owner_id)
    named = list(itertools.islice(hinted, _MOST_ROWS + 1))
    # What fell silent ceases to work without being written to.
    silent = timezone.now() - STALE
    fell_silent = Q(status=Status.WORKING, written_at__range=(silent - 4 * _OVERLAP, silent))
    touched = Session.objects.filter(
        Q(written_at__gte=since) | Q(pk__in=named) | fell_silent, owner_id=owner_id
    ).defer("info")
    rows = list(touched.order_by("-written_at")[: _MOST_ROWS + 1])
    rows.reverse()
    found: dict[listing.Filters | None, list[Row]] = {}
    for each in filters:
        if each is None:
            found[each] = [Row(str(row.pk), str(row.revision), json_text.dumps(_news(row))) for row in rows]
            continue
        shown = set(each.of(user).filter(pk__in=[row.pk for row in rows]).values_list("pk", flat=True))
        found[each] = [_row(row, each.sort, fits=row.pk in shown) for row in rows]
    return found


def _news(session: Session) -> dict[str, Any]:
    kind = hints.CREATED if session.revision <= 1 else hints.UPDATED
    return {
        "type": hints.DELETED if session.deleted_at else kind,
        "id": str(session.pk),
        "revision": session.revision,
        "shared": session.shared,
        "title": session.shown_title,
    }


def _row(session: Session, sort: listing.Sort, *, fits: bool) -> Row:
    """The row, where the list shows the session, and where in the list it stands."""
    session.order = listing.order_of(session, sort)  # type: ignore[attr-defined]
    frame = {
        **_news(session),
        "html": render_to_string("sessions_app/row.html", {"session": session}).strip() if fits else None,
        "order": session.order,  # type: ignore[attr-defined]
        "group": listing.group_of(session, sort),
    }
    return Row(str(session.pk), f"{session.revision} {session.shown_status}", json_text.dumps(frame))
