"""What hubs send to whom, without a network: viewers with different pasts, and lists."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from project.accounts.models import User
from sessions_app import acts, hints
from sessions_app.live import changed, doors, hub
from sessions_app.live.changed import Cursor
from sessions_app.live.hubs import hubs
from sessions_app.live.list_hub import ListHub, ListViewer
from sessions_app.live.viewer import WINDOW, Form, Viewer
from sessions_app.models import Session
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
        await asyncio.to_thread(close_link)
        while not closed:
            await asyncio.sleep(0.01)
        for each in (reader, owner):
            hubs().leave(str(session.pk), each)

    def close_link() -> None:
        acts.update(session, shared=False)
        connection.close()

    run(scene)
    assert closed == [hub.NOT_SHARED]
