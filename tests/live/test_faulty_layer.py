"""Whatever the channel layer loses, doubles or delays, every viewer ends with what a fresh page shows."""

import asyncio
import contextlib
import itertools
import json
import random
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer, channel_layers
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from project.accounts.models import User
from sessions_app import acts, hints
from sessions_app.live import changed, doors, sockets, streams
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


def place_of(fragment: dict[str, Any]) -> str:
    """Where it stands on the page: a message, its line in the outline, and its turn's end have one id."""
    return f"{fragment.get('kind', 'piece')} {fragment['id']}"


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
        self.closed = 0
        self.task = asyncio.ensure_future(sockets.watch_session(door, self.incoming.get, self.receive))

    def say(self, frame: dict[str, Any]) -> None:
        self.incoming.put_nowait({"type": "websocket.receive", "text": json.dumps(frame)})

    async def receive(self, message: Any) -> None:
        if message["type"] == "websocket.close":
            self.closed = message["code"]
        if message["type"] != "websocket.send":
            return
        await asyncio.sleep(random.random() * 0.01)
        frame = json.loads(message["text"])
        for fragment in frame.get("fragments", []):
            self.fragments[place_of(fragment)] = without_number(fragment["html"])
        if "revision" in frame:
            self.revision = max(self.revision, frame["revision"])
            self.reload = self.reload or bool(frame.get("reload"))
            if self.confirms:
                self.say({"ack": self.revision})

    async def hang_up(self) -> None:
        self.incoming.put_nowait({"type": "websocket.disconnect"})
        await self.task


class FakeStream:
    """The client's end of an event stream: it keeps messages and parts by their ids."""

    def __init__(self, door: Any, before: "FakeStream | None" = None) -> None:
        self.rows: dict[tuple[str, ...], Any] = before.rows if before else {}
        self.last = before.last if before else "0"
        self.revision = 0
        self._door = door
        self._text = ""
        self._gone = asyncio.Event()
        self.task = asyncio.ensure_future(
            streams.watch_session(door, self.last, self._disconnect, self._receive, [])
        )

    async def _disconnect(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _receive(self, message: Any) -> None:
        *events, self._text = (self._text + message.get("body", b"").decode()).split("\n\n")
        for event in events:
            fields = dict(line.split(": ", 1) for line in event.splitlines() if not line.startswith(":"))
            data = json.loads(fields.get("data", "{}"))
            for message in data.get("messages", []):
                self.rows[message["id"],] = message
            for part in data.get("parts", []):
                self.rows[part["messageID"], part["id"]] = part
            self.last = fields.get("id", self.last)
            self.revision = int(self.last.partition("+")[0])

    async def back(self) -> "FakeStream":
        """It goes, and comes back from where it was."""
        await self.hang_up()
        return FakeStream(self._door, self)

    async def hang_up(self) -> None:
        self._gone.set()
        await self.task


class FakeList:
    """The client's end of a list's socket: it keeps the rows of sessions by their ids."""

    def __init__(self, user: User) -> None:
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.incoming.put_nowait({"type": "websocket.connect"})
        self.say({"since": 0, "query": ""})
        self.rows: dict[str, str] = {}
        self.revisions: dict[str, int] = {}
        self.task = asyncio.ensure_future(
            sockets.watch_list(Signed(user), user.pk, self.incoming.get, self._receive)
        )

    def say(self, frame: dict[str, Any]) -> None:
        self.incoming.put_nowait({"type": "websocket.receive", "text": json.dumps(frame)})

    async def _receive(self, message: Any) -> None:
        frame = json.loads(message.get("text") or "{}")
        if "html" in frame:
            self.rows[frame["id"]] = frame["html"]
            self.revisions[frame["id"]] = frame["revision"]
        if frame:
            self.say({"ack": 0})

    async def hang_up(self) -> None:
        self.incoming.put_nowait({"type": "websocket.disconnect"})
        await self.task


async def until(holds: Callable[[], bool], seconds: float = 8) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.02)


async def all_have(viewers: Sequence[FakeSocket | FakeStream], revision: int) -> None:
    """Waits until they do; less long than until doors are asked again, which would make up for much."""
    await until(lambda: all(viewer.revision >= revision for viewer in viewers))


def on_page(reading: Reading, base: str) -> dict[str, str]:
    """What a page shows that is opened now."""
    messages = changed.messages_after(reading, 0)
    assert messages is not None
    shown = changed.fragments(reading, messages, base)
    assert shown is not None
    return {place_of(each): without_number(each["html"]) for each in [*shown, *changed.header(reading)]}


def rows_of(reading: Reading) -> dict[tuple[str, ...], Any]:
    """What a program that reads everything has."""
    messages = {(row.external_id,): reading.message(row) for row in reading.messages()}
    parts = reading.session.parts.select_related("message")
    return messages | {(row.message.external_id, row.external_id): reading.part(row) for row in parts}


def without_time(html: str) -> str:
    """Times that pass are no change."""
    return re.sub(r"<time.*?</time>", "", html)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("text"), st.integers(0, 5), st.integers(0, 3)),
        st.tuples(st.just("tool"), st.integers(0, 5), st.integers(0, 3)),
        st.tuples(st.just("message"), st.integers(0, 5), st.integers(0, 1)),
        st.tuples(st.just("files"), st.integers(0, 2), st.integers(0, 3)),
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
    if kind == "files":
        diff = {"file": f"{part}.py", "patch": "", "additions": count, "deletions": 0}
        return factories.user_message(
            f"m{2 * number}", time={"created": factories.T0 + 2 * number}, summary={"diffs": [diff]}
        )
    if kind == "tool":
        return factories.tool_part("bash", f"t{number}{part}", id, output=f"output {count}")
    return factories.text_part(f"p{number}{part}", id, f"text {count} in /home/alice")


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS, seed=st.integers(0, 2**16), deleted=st.booleans())
def test_every_viewer_ends_with_what_a_fresh_page_shows(
    alice: User,
    browser_of: Callable[[User], Client],
    steps: list[tuple[str, int, int]],
    seed: int,
    deleted: bool,
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
        readers, rows = [FakeStream(owner), FakeStream(reader)], FakeList(alice)
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
                readers[number % 2] = await readers[number % 2].back()
            else:
                await write(factories.apply, session, item(kind, number, part, count))
        current = await write(lambda: Session.objects.get(pk=session.pk).revision)
        await all_have([*viewers, *readers], current)
        await until(lambda: rows.revisions.get(name) == current, 10)
        if deleted:
            # Its doors shut, and those who come back after it was restored miss nothing of that.
            row = rows.rows[name]
            await write(acts.delete, session)
            await until(lambda: all(viewer.closed == 4404 for viewer in viewers))
            await until(lambda: all(reader.task.done() for reader in readers))
            await until(lambda: rows.rows[name] is None, 10)
            restored = await write(acts.restore, session)
            readers = [await reader.back() for reader in readers]
            await all_have(readers, restored.revision)
            await until(lambda: rows.revisions[name] == restored.revision, 10)
            assert without_time(rows.rows[name]) == without_time(row)
        everything = hubs()
        for viewer in (*viewers, *readers, rows):
            await viewer.hang_up()
        assert not everything.sessions and not everything.lists
        ends_of_streams.extend(reader.rows for reader in readers)
        assert rows.rows.keys() >= {name}
        row_frames.append(rows.rows[name])
        ends.extend((viewer.fragments, viewer.reload) for viewer in viewers)
        for task in list(everything._tasks):
            task.cancel()

    name = str(session.pk)
    ends: list[tuple[dict[str, str], bool]] = []
    ends_of_streams: list[dict[tuple[str, ...], Any]] = []
    row_frames: list[str] = []
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
    for rows, reading in zip(ends_of_streams, (Reading(session), opened), strict=True):
        assert rows == rows_of(reading)
    listed = browser_of(alice).get("/sessions", headers={"Accept": "text/html"}).content.decode()
    assert without_time(row_frames[0]) in without_time(listed)


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
