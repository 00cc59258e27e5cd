"""What hubs send to whom, without a network: viewers with different pasts, and lists."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.utils import timezone

from project.accounts.models import User
from sessions_app import acts, hints
from sessions_app.listing import Filters
from sessions_app.live import changed, doors, hub, list_hub
from sessions_app.live.changed import Cursor
from sessions_app.live.hubs import hubs
from sessions_app.live.list_hub import ListHub, ListViewer
from sessions_app.live.viewer import WINDOW, Form, Viewer
from sessions_app.models import STALE, Session, Status
from sessions_app.reading import Reading
from sharing import live as sharing_live
from tests import factories
from tests.scenes import Signed, play

pytestmark = pytest.mark.django_db(transaction=True)


def run(scene: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scene()

    play(bounded)


def test_a_stream_that_is_ahead_is_not_sent_back_by_one_that_begins(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changed, "_MOST_ROWS", 2)
    session = factories.session(alice)
    for number in range(12):
        factories.apply(session, factories.user_message(f"m{number:02}"))
    session.refresh_from_db()
    last = session.revision
    seen: dict[int, list[Cursor]] = {}

    async def scene() -> None:
        door = doors.of_owner(Signed(alice), session.pk)
        viewers: list[Viewer] = []

        def come(revision: int) -> None:
            at = seen[revision] = []

            async def write(_text: str) -> None:
                at.append(viewer.cursor)

            viewer = Viewer(door, Form.JSON, Cursor(revision), write, lambda *_: None, confirms=False)
            viewers.append(viewer)
            hubs().watch(str(session.pk), viewer)

        # More of them than are served at once.
        for revision in range(last):
            come(revision)
        while any(viewer.cursor != Cursor(last) for viewer in viewers):
            await asyncio.sleep(0.01)
        for viewer in viewers:
            hubs().leave(str(session.pk), viewer)

    run(scene)
    for revision, cursors in seen.items():
        positions = [(cursor.revision, cursor.row or (9, 0)) for cursor in cursors]
        assert positions == sorted(positions) and positions[0] > (revision, (-1, -1))


def list_viewer(user: User, frames: list[dict[str, Any]]) -> ListViewer:
    async def write(text: str) -> None:
        frames.append(json.loads(text))

    return ListViewer(Signed(user), timezone.now(), write, lambda *_: None)


def page_of_list(user: User, frames: list[dict[str, Any]], since: datetime, *shown: str) -> ListViewer:
    """An open page that comes back: it had its rows at some time."""
    viewer = list_viewer(user, frames)
    viewer.filters = Filters()
    viewer.since, viewer.shown, viewer.greeted = since, set(shown), False
    return viewer


def told_until(frames: list[dict[str, Any]], viewer: ListViewer, holds: Callable[[], bool]) -> None:
    async def scene() -> None:
        watched = ListHub(viewer.client.user_now().pk)
        watched.add(viewer)
        while not holds():
            await asyncio.sleep(0.01)
            viewer.confirm()
        watched.end()

    run(scene)


def test_a_page_that_was_away_learns_what_is_gone_and_what_fell_silent(alice: User) -> None:
    stays, silent, gone = (factories.session(alice, external_id=name) for name in ("a", "b", "c"))
    now = timezone.now()
    Session.objects.filter(pk=stays.pk).update(written_at=now - timedelta(hours=5))
    # It ceased to work half an hour ago, while nobody looked.
    away = now - timedelta(hours=1)
    was = away - STALE / 2
    Session.objects.filter(pk=silent.pk).update(written_at=was, status=Status.WORKING)
    name = str(gone.pk)
    acts.delete_for_good(gone)
    frames: list[dict[str, Any]] = []
    viewer = page_of_list(alice, frames, away, str(stays.pk), str(silent.pk), name)
    told_until(frames, viewer, lambda: any(frame["type"] == "now" for frame in frames))
    rows = {frame["id"]: frame["html"] for frame in frames if "id" in frame}
    assert rows.keys() == {str(silent.pk), name}
    assert rows[name] is None and "working" not in rows[str(silent.pk)]
    assert viewer.shown == {str(stays.pk), str(silent.pk)}


def test_a_row_of_a_session_deleted_for_good_goes_without_a_hint(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_hub, "_LOOK_EVERY", 0.2)
    session = factories.session(alice)
    frames: list[dict[str, Any]] = []

    async def scene() -> None:
        watched = ListHub(alice.pk)
        viewer = page_of_list(alice, frames, timezone.now(), str(session.pk))
        watched.add(viewer)
        while not frames:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(delete)
        while not any(frame.get("html", "") is None for frame in frames):
            await asyncio.sleep(0.3)
            viewer.confirm()
            watched.tick()
        watched.end()

    def delete() -> None:
        Session.objects.all().delete()
        connection.close()

    run(scene)


def test_many_that_change_at_once_are_told_once(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_hub, "_MOST_ROWS", 3)
    sessions = [factories.session(alice, external_id=f"s{number}") for number in range(5)]
    frames: list[dict[str, Any]] = []

    async def scene() -> None:
        watched = ListHub(alice.pk)
        viewer = page_of_list(alice, frames, timezone.now())
        watched.add(viewer)
        for session in sessions[:2]:
            while not any(frame["type"] == "now" for frame in frames):
                await asyncio.sleep(0.01)
            viewer.confirm()
            await asyncio.to_thread(write, session)
            watched.hear({"type": hints.UPDATED, "id": str(session.pk), "revision": 0})
            while not any(frame.get("id") == str(session.pk) for frame in frames):
                await asyncio.sleep(0.01)
        watched.end()

    def write(session: Session) -> None:
        factories.apply(session, factories.user_message("m9"))
        connection.close()

    run(scene)
    # Five rows are more than are told; two of them, later, are not.
    assert [frame["type"] for frame in frames].count("reload") == 1


@pytest.mark.parametrize("writes", [1, 3])
def test_what_is_new_is_told_as_new_however_soon_it_changed(alice: User, writes: int) -> None:
    frames: list[dict[str, Any]] = []

    async def scene() -> None:
        watched = ListHub(alice.pk)
        watched.add(list_viewer(alice, frames))
        await asyncio.sleep(0.5)
        session = await asyncio.to_thread(make)
        watched.hear({"type": hints.CREATED, "id": str(session.pk), "revision": 1})
        while not frames:
            await asyncio.sleep(0.01)
        watched.end()

    def make() -> Session:
        session = factories.session(alice)
        for number in range(writes):
            factories.apply(session, factories.user_message(f"m{number}"))
        connection.close()
        return session

    run(scene)
    assert frames[0]["type"] == "session-created"


def test_a_list_shows_what_a_hint_names_however_long_its_commit_took(alice: User) -> None:
    session = factories.session(alice)
    Session.objects.update(written_at=timezone.now() - timedelta(hours=1))
    frames: list[dict[str, Any]] = []

    async def scene() -> None:
        watched = ListHub(alice.pk)
        watched.add(list_viewer(alice, frames))
        await asyncio.sleep(0.5)
        assert not frames
        watched.hear({"type": hints.UPDATED, "id": str(session.pk), "revision": session.revision})
        while not frames:
            await asyncio.sleep(0.01)
        watched.end()

    run(scene)
    assert frames[0]["id"] == str(session.pk)


def test_who_only_listens_to_a_list_confirms_nothing_and_hears_on(alice: User) -> None:
    async def scene() -> None:
        viewer = list_viewer(alice, [])
        viewer.offer(["x" * (WINDOW + 1)])
        while not viewer.ready:
            await asyncio.sleep(0)

    run(scene)


def test_frames_that_cannot_be_made_keep_nobody_else_waiting(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = factories.session(alice, shared=True)
    make = hub._frames
    closed: list[int] = []

    def frames(reading: Reading, *arguments: Any) -> hub.Frames:
        if reading.masked:
            failures.append(reading.session.revision)
            raise ValueError("this is not for readers")
        return make(reading, *arguments)

    monkeypatch.setattr(hub, "_frames", frames)

    async def write(_text: str) -> None:
        pass

    def viewer(door: doors.Door) -> Viewer:
        made = Viewer(door, Form.HTML, Cursor(0), write, lambda code, _: closed.append(code), confirms=False)
        hubs().watch(str(session.pk), made)
        return made

    async def scene() -> None:
        reader = viewer(sharing_live.of_readers(session.share_id, Signed(alice)))
        owner = viewer(doors.of_owner(Signed(alice), session.pk))
        while owner.cursor.revision == 0:
            await asyncio.sleep(0.01)
        # What fails is not tried again at every change.
        tried = len(failures)
        for number in range(5):
            await asyncio.to_thread(write_to, f"m{number}")
            while owner.cursor.revision < revisions[-1]:
                hubs().hear({"type": hints.UPDATED, "id": str(session.pk), "revision": revisions[-1]})
                await asyncio.sleep(0.01)
        assert tried <= len(failures) <= tried + 2
        await asyncio.to_thread(close_link)
        while not closed:
            await asyncio.sleep(0.01)
        for each in (reader, owner):
            hubs().leave(str(session.pk), each)

    failures: list[int] = []
    revisions: list[int] = []

    def write_to(name: str) -> None:
        revisions.append(factories.apply(session, factories.user_message(name)).revision)
        connection.close()

    def close_link() -> None:
        acts.update(session, shared=False)
        connection.close()

    run(scene)
    assert closed == [hub.NOT_SHARED]


class Member(Signed):
    """Somebody who may sign out; counts how often it was asked."""

    asked = 0
    out = False

    def user_now(self) -> Any:
        type(self).asked += 1
        return AnonymousUser() if self.out else super().user_now()


def test_members_are_asked_who_they_are_now_and_then_and_not_at_every_change(
    alice: User, bob: User, configure: Callable[..., None]
) -> None:
    configure(sharing="team")
    session = factories.session(alice, shared=True)
    closed: list[Member] = []
    revisions: list[int] = []

    def write() -> None:
        revisions.append(factories.apply(session, factories.user_message("m9")).revision)
        connection.close()

    async def sent(_text: str) -> None:
        pass

    async def scene() -> None:
        hub = hubs()
        members = [Member(alice), Member(bob)]
        viewers = []
        for member in members:
            door = sharing_live.of_readers(session.share_id, member)
            leave = lambda _code, _last, member=member: closed.append(member)  # noqa: E731
            viewer = Viewer(door, Form.HTML, Cursor(0), sent, leave, confirms=False)
            viewers.append(viewer)
            hub.watch(str(session.pk), viewer)
        while any(viewer.cursor.revision == 0 for viewer in viewers):
            await asyncio.sleep(0.01)
        Member.asked = 0
        for _ in range(4):
            await asyncio.to_thread(write)
            hub.hear({"type": hints.UPDATED, "id": str(session.pk), "revision": revisions[-1]})
            while any(viewer.cursor.revision < revisions[-1] for viewer in viewers):
                await asyncio.sleep(0.01)
        assert Member.asked == 0
        members[1].out = True
        hub.sessions[str(session.pk)].ask_who()
        while not closed:
            await asyncio.sleep(0.01)
        assert closed == [members[1]]
        await asyncio.to_thread(close_link)
        hub.sessions[str(session.pk)].ask_doors()
        while len(closed) < 2:
            await asyncio.sleep(0.01)
        for viewer in viewers:
            hub.leave(str(session.pk), viewer)

    def close_link() -> None:
        acts.update(session, shared=False)
        connection.close()

    run(scene)
