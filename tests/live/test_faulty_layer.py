"""Whatever the channel layer loses, doubles or delays, every viewer ends with what a fresh page shows."""

import asyncio
import contextlib
import itertools
import json
import random
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer, channel_layers
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from project.accounts.models import User
from sessions_app import acts, hints
from sessions_app.live import changed, doors, sockets
from sessions_app.live.hubs import Hubs, hubs
from sessions_app.models import Session
from sessions_app.reading import Reading
from sharing import access
from sharing import live as sharing_live
from tests import factories
from tests.scenes import Signed, play

pytestmark = pytest.mark.django_db(transaction=True)
names = itertools.count()


class FaultyLayer(InMemoryChannelLayer):  # type: ignore[misc]
    """Drops, doubles and delays messages to groups."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance = chance
        self.late: set[asyncio.Task[None]] = set()

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        fate = self.chance.random()
        if fate < 0.4:
            return
        await super().group_send(group, message)
        if fate > 0.6:
            task = asyncio.ensure_future(self._later(group, message))
            self.late.add(task)
            task.add_done_callback(self.late.discard)

    async def _later(self, group: str, message: dict[str, Any]) -> None:
        await asyncio.sleep(self.chance.random() * 0.3)
        await super().group_send(group, message)


def without_number(html: str) -> str:
    """The outline's lines are numbered by the page, as one that comes late moves those behind it."""
    return re.sub(r'(<span class="number">)\d+', r"\1", html)


class FakeSocket:
    """The client's end of a socket without a network: it keeps fragments as a page does."""

    def __init__(self, door: Any, since: int, confirms: bool) -> None:
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.incoming.put_nowait({"type": "websocket.connect"})
        self.say({"since": since})
        self.confirms = confirms
        self.fragments: dict[str, str] = {}
        self.revision = since
        self.reload = False
        self.task = asyncio.ensure_future(sockets.watch_session(door, self.incoming.get, self.receive))

    def say(self, frame: dict[str, Any]) -> None:
        self.incoming.put_nowait({"type": "websocket.receive", "text": json.dumps(frame)})

    async def receive(self, message: Any) -> None:
        if message["type"] != "websocket.send":
            return
        await asyncio.sleep(random.random() * 0.01)
        frame = json.loads(message["text"])
        for fragment in frame.get("fragments", []):
            self.fragments[fragment["id"]] = without_number(fragment["html"])
        if "revision" in frame:
            self.revision = max(self.revision, frame["revision"])
            self.reload = self.reload or bool(frame.get("reload"))
            if self.confirms:
                self.say({"ack": self.revision})

    async def hang_up(self) -> None:
        self.incoming.put_nowait({"type": "websocket.disconnect"})
        await self.task


async def all_have(viewers: list[FakeSocket], revision: int) -> None:
    """Waits until they do; less long than until doors are asked again, which would make up for much."""
    async with asyncio.timeout(5):
        while any(viewer.revision < revision for viewer in viewers):
            await asyncio.sleep(0.02)


def on_page(reading: Reading, base: str) -> dict[str, str]:
    """What a page shows that is opened now."""
    messages = changed.messages_after(reading, 0)
    assert messages is not None
    shown = changed.fragments(reading, messages, base)
    assert shown is not None
    return {each["id"]: without_number(each["html"]) for each in [*shown, *changed.header(reading)]}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("text"), st.integers(0, 5), st.integers(0, 3)),
        st.tuples(st.just("tool"), st.integers(0, 5), st.integers(0, 3)),
        st.tuples(st.just("message"), st.integers(0, 5), st.integers(0, 1)),
        st.tuples(st.just("title"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 20), st.just(0)),
        st.tuples(st.just("come"), st.integers(0, 1), st.integers(0, 1)),
        st.tuples(st.just("go"), st.integers(0, 3), st.just(0)),
    ),
    min_size=3,
    max_size=25,
)


def item(kind: str, number: int, part: int, count: int) -> dict[str, Any]:
    id = f"m{number}"
    if kind == "message":
        # A message keeps its role in life.
        make = factories.assistant_message if number % 2 else factories.user_message
        return make(id, time={"created": factories.T0 + number}, cost=part)
    if kind == "tool":
        return factories.tool_part("bash", f"t{number}{part}", id, output=f"output {count}")
    return factories.text_part(f"p{number}{part}", id, f"text {count} in /home/alice")


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS, seed=st.integers(0, 2**16))
def test_every_viewer_ends_with_what_a_fresh_page_shows(
    alice: User, steps: list[tuple[str, int, int]], seed: int
) -> None:
    session = factories.session(alice, external_id=f"faulty {next(names)}", shared=True)
    writers = ThreadPoolExecutor(1)

    async def write(work: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(writers, work, *arguments)

    async def scene() -> None:
        hints.use_loop(asyncio.get_running_loop())
        owner = doors.of_owner(Signed(alice), session.pk)
        reader = sharing_live.of_readers(session.share_id, Signed(alice))
        viewers = [FakeSocket(owner, 0, True), FakeSocket(reader, 0, True), FakeSocket(reader, 0, False)]
        for count, (kind, number, part) in enumerate(steps):
            if kind == "wait":
                await asyncio.sleep(number / 100)
            elif kind == "title":
                await write(lambda title=f"Title {number}": acts.update(session, title=title))
            elif kind == "come":
                viewers.append(FakeSocket(reader if number else owner, 0, bool(part)))
            elif kind == "go":
                # It comes back from where it was, as a page does.
                left = viewers[number % len(viewers)]
                await left.hang_up()
                back = FakeSocket(owner, left.revision, True)
                if left.fragments and "/share/" in "".join(left.fragments.values()):
                    back.task.cancel()
                    back = FakeSocket(reader, left.revision, True)
                back.fragments = left.fragments
                viewers[number % len(viewers)] = back
            else:
                await write(factories.apply, session, item(kind, number, part, count))
        current = await write(lambda: Session.objects.get(pk=session.pk).revision)
        await all_have(viewers, current)
        everything = hubs()
        for viewer in viewers:
            await viewer.hang_up()
        assert not everything.sessions
        ends.extend((viewer.fragments, viewer.reload) for viewer in viewers)
        for task in list(everything._tasks):
            task.cancel()

    ends: list[tuple[dict[str, str], bool]] = []
    try:
        play(scene, FaultyLayer(random.Random(seed)))
    finally:
        writers.submit(lambda: connection.close()).result()
        writers.shutdown()
    session.refresh_from_db()
    own = on_page(Reading(session), f"/sessions/{session.pk}")
    opened = access.open(session.share_id, alice)
    assert opened is not None
    shared = on_page(opened, f"/share/{session.share_id}")
    for fragments, reload in ends:
        assert not reload
        expected = shared if "/share/" in "".join(fragments.values()) else own
        assert fragments == expected


class SilentLayer(InMemoryChannelLayer):  # type: ignore[misc]
    """Loses everything."""

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        pass


def test_what_a_newcomer_is_shown_reaches_those_who_were_there(alice: User) -> None:
    session = factories.session(alice, shared=True)
    revisions = [session.revision]

    def write() -> None:
        revisions.append(factories.apply(session, factories.user_message("m9")).revision)
        connection.close()

    async def scene() -> None:
        reader = sharing_live.of_readers(session.share_id, Signed(alice))
        first = FakeSocket(reader, 0, True)
        await all_have([first], revisions[0])
        await asyncio.to_thread(write)
        # It comes before the tick looks, and is served at once.
        second = FakeSocket(reader, 0, True)
        await all_have([first, second], revisions[1])
        for viewer in (first, second):
            await viewer.hang_up()

    play(scene, SilentLayer())
    assert revisions[0] < revisions[1]


class DeafLayer(InMemoryChannelLayer):  # type: ignore[misc]
    """Loses a cancellation that comes while it subscribes, as redis does on Python 3.11."""

    async def new_channel(self, prefix: str = "specific") -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return str(await super().new_channel(prefix))

    async def group_add(self, group: str, channel: str) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await super().group_add(group, channel)


def test_a_loop_ends_whatever_its_layer_makes_of_that(db: None) -> None:
    async def scene() -> None:
        everything = Hubs()
        everything._start()
        await asyncio.sleep(0.05)

    before = channel_layers.set("default", DeafLayer())
    try:
        running = threading.Thread(target=asyncio.run, args=(scene(),), daemon=True)
        running.start()
        running.join(20)
    finally:
        channel_layers.set("default", before)
    assert not running.is_alive()
