"""Sockets and event streams of a running server."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests import factories
from tests.live.watching import Watcher
from tests.server import Server

# Seconds for what comes at once on a machine that does nothing else: less than until doors are asked again anyway, and
# than a stopping server gives what still runs.
SOON = 8


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def server(
    prepared: Server, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Server]:
    data = tmp_path_factory.mktemp(request.param) / "data"
    running = Server(data, "--server", request.param, like=prepared)
    try:
        running.start()
        yield running
    finally:
        running.close()


class Live:
    """A session of alice's on a server, and ways to change it."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.alice = {"Authorization": f"Bearer {server.tokens['alice']}"}
        self.client = httpx.Client(base_url=server.url, headers=self.alice, timeout=30)
        made = self.client.post("/api/share", json={"sessionID": name}).json()
        self.share_id, self.secret = made["id"], made["secret"]
        self.sync(*factories.conversation())
        rows = self.client.get("/api/sessions", params={"limit": 200}).json()["items"]
        self.id = next(row["id"] for row in rows if row["external_id"] == name)

    def sync(self, *items: dict[str, Any]) -> None:
        body = {"secret": self.secret, "data": list(items)}
        assert self.client.post(f"/api/share/{self.share_id}/sync", json=body).status_code == 200

    def patch(self, **changes: Any) -> None:
        assert self.client.patch(f"/api/sessions/{self.id}", json=changes).status_code == 200

    @property
    def revision(self) -> int:
        return int(self.client.get(f"/api/sessions/{self.id}").json()["revision"])

    def own(self, since: int = 0) -> Watcher:
        return Watcher(f"{self.server.url}/ws/sessions/{self.id}", since, **self.alice)

    def shared(self, since: int = 0, path: str = "/ws/share/") -> Watcher:
        return Watcher(f"{self.server.url}{path}{self.share_id}", since)


@pytest.fixture
def live(server: Server, request: pytest.FixtureRequest) -> Live:
    return Live(server, request.node.name[-150:])


def run(work: Coroutine[Any, Any, None], seconds: float = 60) -> None:
    """On a thread: the main one may have a loop of playwright's."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(asyncio.wait_for(work, seconds))).result()


async def in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.to_thread(work, *arguments)


def test_owner_and_readers_get_what_changed(live: Live) -> None:
    async def scene() -> None:
        owner, reader, other = live.own(), live.shared(), live.shared(path="/ws/")
        tasks = [asyncio.ensure_future(each.run()) for each in (owner, reader, other)]
        first = await in_thread(lambda: live.revision)
        for each in (owner, reader, other):
            await each.reach(first)
        assert "greet" in owner.fragments["msg_2"] and "prompt-msg_1" in owner.fragments
        await in_thread(live.sync, factories.text_part("prt_9", "msg_2", "in /home/alice/app"))
        for each in (owner, reader, other):
            await each.reach(first + 1)
        assert "/home/alice/app" in owner.fragments["msg_2"]
        assert "/home/alice" not in reader.fragments["msg_2"] and "~/app" in reader.fragments["msg_2"]
        frame = reader.frames[-1]
        assert (frame["type"], frame["shared"], frame["revision"]) == ("messages-changed", True, first + 1)
        assert "msg_1" not in {fragment["id"] for fragment in frame["fragments"]}
        assert live.id not in json.dumps(reader.frames)
        for task in tasks:
            task.cancel()

    run(scene())


def test_plain_clients_get_the_news(live: Live) -> None:
    async def scene() -> None:
        async with connect(
            f"{live.server.url}/ws/sessions/{live.id}".replace("http", "ws", 1),
            additional_headers=live.alice,
        ) as socket:
            await in_thread(lambda: live.patch(title="New name"))
            news = json.loads(await asyncio.wait_for(socket.recv(), SOON))
            assert news == {
                "type": "session-updated",
                "id": live.id,
                "revision": live.revision,
                "shared": True,
                "title": "New name",
            }

    run(scene())


def test_unsharing_closes_readers_within_a_second_and_not_the_owner(live: Live) -> None:
    async def scene() -> None:
        owner, reader = live.own(), live.shared()
        watching = asyncio.ensure_future(owner.run())
        task = asyncio.ensure_future(reader.run())
        await reader.reach(live.revision)
        await in_thread(lambda: live.patch(shared=False))
        await asyncio.wait_for(task, SOON)
        assert reader.closed == 4404
        assert reader.frames[-1] == {"type": "session-deleted", "id": live.share_id}
        await owner.reach(live.revision)
        assert next(frame for frame in reversed(owner.frames) if "shared" in frame)["shared"] is False
        # Whoever comes now is closed likewise.
        late = live.shared()
        await asyncio.wait_for(late.run(), SOON)
        assert late.closed == 4404
        watching.cancel()

    run(scene())


def test_deletion_ends_everybodys_view(live: Live) -> None:
    async def scene() -> None:
        owner, reader = live.own(), live.shared()
        tasks = [asyncio.ensure_future(each.run()) for each in (owner, reader)]
        for each in (owner, reader):
            await each.reach(live.revision)
        await in_thread(live.client.delete, f"/api/sessions/{live.id}")
        await asyncio.wait_for(asyncio.gather(*tasks), SOON)
        assert (owner.closed, reader.closed) == (4404, 4404)
        assert owner.frames[-1]["type"] == reader.frames[-1]["type"] == "session-deleted"

    run(scene())


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("/ws/sessions/{id}", "bob"),
        ("/ws/sessions/{id}", ""),
        ("/ws/sessions/00000000-0000-4000-8000-000000000000", "alice"),
        ("/ws/share/unknown", ""),
        ("/ws/unknown", "alice"),
        ("/ws/sessions", ""),
    ],
)
def test_who_may_not_watch_is_closed(live: Live, path: str, who: str) -> None:
    headers = {"Authorization": f"Bearer {live.server.tokens[who]}"} if who else {}
    watcher = Watcher(f"{live.server.url}{path.format(id=live.id)}", **headers)
    run(asyncio.wait_for(watcher.run(), SOON))
    assert watcher.closed == (4401 if path == "/ws/sessions" else 4404)
    assert watcher.fragments == {}


def cookie(server: Server, name: str) -> str:
    with httpx.Client(base_url=server.url) as client:
        page = client.get("/sign-in")
        token = page.text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        data = {"csrfmiddlewaretoken": token, "username": name, "password": "correct horse battery"}
        assert client.post("/sign-in", data=data).status_code == 302
        return f"gander_session={client.cookies['gander_session']}"


def test_a_cookie_counts_only_from_a_page_of_ours(live: Live) -> None:
    async def scene() -> None:
        signed_in = await in_thread(cookie, live.server, "alice")
        url = f"{live.server.url}/ws/sessions/{live.id}"
        ours = Watcher(url, Cookie=signed_in, Origin=live.server.url)
        task = asyncio.ensure_future(ours.run())
        await ours.reach(live.revision)
        task.cancel()
        without = Watcher(url, Cookie=signed_in)
        await asyncio.wait_for(without.run(), SOON)
        assert without.closed == 4404
        for origin in ("https://evil.example", "null", "http://127.0.0.1.evil.example", "http://127.0.0.1"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(
                    url.replace("http", "ws", 1), additional_headers={"Cookie": signed_in, "Origin": origin}
                )
            assert refused.value.response.status_code == 403

    run(scene())


@pytest.mark.parametrize(
    "frame", ["", "no json", "[]", '{"since": "x"}', '{"since": -1}', '{"since": 1e99}', '{"since": true}']
)
def test_a_frame_that_is_none_is_answered_with_what_is_wrong(live: Live, frame: str) -> None:
    async def scene() -> None:
        url = f"{live.server.url}/ws/sessions/{live.id}".replace("http", "ws", 1)
        async with connect(url, additional_headers=live.alice) as socket:
            await socket.send(frame)
            answer = json.loads(await asyncio.wait_for(socket.recv(), SOON))
            assert answer["type"] == "error" and answer["error"]["message"]
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(socket.recv(), SOON)
            assert socket.close_code == 4400

    run(scene())


def test_too_much_at_once_is_loaded_by_the_page(live: Live) -> None:
    items = [factories.user_message(f"m{n:04}") for n in range(150)]
    live.sync(*items)

    async def scene() -> None:
        late = live.shared(since=1)
        task = asyncio.ensure_future(late.run())
        await late.reach(live.revision)
        assert late.reloads == 1 and "m0000" not in late.fragments
        task.cancel()

    run(scene())


def test_the_owner_sees_how_many_watch(live: Live) -> None:
    async def scene() -> None:
        owner = live.own()
        readers = [live.shared() for _ in range(3)]
        tasks = [asyncio.ensure_future(each.run()) for each in (owner, *readers)]
        async with asyncio.timeout(SOON):
            while owner.watching != 3:
                await asyncio.sleep(0.05)
        for task in tasks[1:]:
            task.cancel()
        async with asyncio.timeout(SOON):
            while owner.watching != 0:
                await asyncio.sleep(0.05)
        assert all(reader.watching is None for reader in readers)
        tasks[0].cancel()

    run(scene())


def events(response: httpx.Response, count: int) -> list[dict[str, Any]]:
    """The first events of a stream, comments left out."""
    found: list[dict[str, Any]] = []
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
        elif "data" in fields:
            found.append({**json.loads(fields["data"]), "event": fields["event"], "at": fields["id"]})
            fields = {}
            if len(found) == count:
                return found
    return found


@pytest.mark.parametrize("door", ["owner", "reader"])
def test_event_streams_are_the_same_in_json(live: Live, door: str) -> None:
    path = f"/api/sessions/{live.id}/events" if door == "owner" else f"/share/{live.share_id}/events"
    headers = live.alice if door == "owner" else {}
    with (
        httpx.Client(base_url=live.server.url, headers=headers, timeout=10) as client,
        client.stream("GET", path, params={"since": "0"}) as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-accel-buffering"] == "no"
        if door == "reader":
            assert response.headers["referrer-policy"] == "no-referrer"
        changed, news = events(response, 2)
        assert changed["event"] == changed["type"] == "messages-changed"
        assert [row["id"] for row in changed["messages"]] == ["msg_1", "msg_2"]
        assert [row["id"] for row in changed["parts"]] == ["prt_1", "prt_3"]
        assert news["event"] == "session-updated" and news["at"] == str(live.revision)
    live.sync(factories.text_part("prt_9", "msg_2", "see /home/alice/x"))
    with (
        httpx.Client(base_url=live.server.url, headers=headers, timeout=10) as client,
        client.stream("GET", path, headers={"Last-Event-ID": news["at"]}) as response,
    ):
        changed, _ = events(response, 2)
        assert [row["text"] for row in changed["parts"]] == [
            "see /home/alice/x" if door == "owner" else "see ~/x"
        ]


def test_event_streams_refuse_like_everything_else(live: Live) -> None:
    def get(path: str, **options: Any) -> httpx.Response:
        return httpx.get(f"{live.server.url}{path}", timeout=SOON, **options)

    own = f"/api/sessions/{live.id}/events"
    assert get(own).status_code == 401
    assert get(own, headers={"Authorization": "Bearer x"}).json()["error"]["code"] == "invalid_token"
    bob = {"Authorization": f"Bearer {live.server.tokens['bob']}"}
    assert get(own, headers=bob).status_code == 404
    assert get("/share/unknown/events").json()["error"]["code"] == "not_found"
    for since in ("x", "-1", "1+2", "1+2.x", "9" * 40, "١"):
        assert get(own, headers=live.alice, params={"since": since}).json()["error"]["field"] == "since"
    live.patch(shared=False)
    assert get(f"/share/{live.share_id}/events").status_code == 404


def test_a_large_revision_comes_in_pieces_and_goes_on_where_it_broke(live: Live) -> None:
    texts = {f"p{n:03}": f"{n} {'x' * 3000}" for n in range(700)}
    live.sync(*(factories.text_part(id, "msg_2", text) for id, text in texts.items()))
    got: dict[str, str] = {}
    at = "1"
    for _ in range(50):
        with live.client.stream(
            "GET", f"/api/sessions/{live.id}/events", headers={"Last-Event-ID": at}
        ) as response:
            (event,) = events(response, 1)
        at = event["at"]
        if event["event"] != "messages-changed":
            break
        assert not {part["id"] for part in event["parts"]} & got.keys(), "twice"
        got.update({part["id"]: part["text"] for part in event["parts"]})
        if "+" not in at:
            break
    assert got == texts


def test_a_stream_ends_after_its_budget_and_goes_on(live: Live) -> None:
    for part in range(12):
        live.sync(factories.text_part(f"p{part}", "msg_2", "y" * 90_000))
    got: set[str] = set()
    at, streams = "1", 0
    while len(got) < 12:
        streams += 1
        assert streams < 10
        with live.client.stream(
            "GET", f"/api/sessions/{live.id}/events", headers={"Last-Event-ID": at}
        ) as response:
            for event in events(response, 100 if streams < 3 else 12 - len(got)):
                at = event["at"]
                got |= {part["id"] for part in event.get("parts", [])}
    assert streams >= 2


@pytest.fixture(params=["daphne", "uvicorn"])
def fresh(prepared: Server, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    running = Server(tmp_path / "data", "--server", request.param, like=prepared)
    try:
        yield running.start()
    finally:
        running.close()


def test_a_stopping_server_closes_sockets_with_1012_and_streams_cleanly(fresh: Server) -> None:
    live = Live(fresh, "ses_stop")

    async def scene() -> None:
        url = f"{fresh.url}/ws/sessions/{live.id}".replace("http", "ws", 1)
        async with (
            connect(url, additional_headers=live.alice) as socket,
            httpx.AsyncClient(headers=live.alice, timeout=10) as client,
            client.stream("GET", f"{fresh.url}/api/sessions/{live.id}/events") as stream,
        ):
            assert fresh.process is not None
            fresh.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed):
                while True:
                    await asyncio.wait_for(socket.recv(), SOON)
            assert socket.close_code == 1012
            # Ended, not broken off: reading to the end raises nothing.
            assert "retry" in "".join([text async for text in stream.aiter_text()])
            # Well before it would give up on what still runs.
            assert await in_thread(fresh.process.wait, SOON) == 0

    run(scene())


def test_viewers_come_back_after_a_restart_with_nothing_missed(fresh: Server) -> None:
    live = Live(fresh, "ses_restart")

    async def scene() -> None:
        reader = live.shared()
        task = asyncio.ensure_future(reader.run())
        await reader.reach(live.revision)
        await in_thread(fresh.stop, signal.SIGKILL)
        await in_thread(fresh.start)
        await in_thread(live.sync, factories.text_part("prt_9", "msg_2", "after"))
        await reader.reach(live.revision, 10)
        assert "after" in reader.fragments["msg_2"]
        task.cancel()

    run(scene())


def test_somebodys_list_moves(live: Live) -> None:
    async def scene() -> None:
        url = f"{live.server.url}/ws/sessions".replace("http", "ws", 1)
        async with (
            connect(url, additional_headers=live.alice) as everything,
            connect(url, additional_headers=live.alice) as searched,
        ):
            now = int(time.time() * 1000)
            await everything.send(json.dumps({"since": now}))
            await searched.send(json.dumps({"since": now, "query": "q=renamed"}))

            async def next_of(socket: Any, title: str) -> dict[str, Any]:
                while True:
                    frame = json.loads(await asyncio.wait_for(socket.recv(), SOON))
                    if frame.get("id") == live.id and frame["title"] == title:
                        return frame

            await in_thread(lambda: live.patch(title="Renamed"))
            shown = await next_of(everything, "Renamed")
            assert f"session-{live.id}" in shown["html"] and shown["type"] == "session-updated"
            assert (await next_of(searched, "Renamed"))["html"]
            await in_thread(lambda: live.patch(title="Other"))
            assert (await next_of(everything, "Other"))["html"]
            assert (await next_of(searched, "Other"))["html"] is None

    run(scene())


def test_beginning_anew_again_and_again_gains_nothing(live: Live) -> None:
    """What is unconfirmed counts on: one that never reads cannot have more sent by asking again."""
    live.sync(
        factories.text_part("p1", "msg_2", "x" * 15_000), factories.text_part("p2", "msg_2", "y" * 15_000)
    )

    async def scene() -> None:
        url = f"{live.server.url}/ws/share/{live.share_id}".replace("http", "ws", 1)
        async with connect(url, max_queue=1000, max_size=None) as socket:
            for _ in range(100):
                await socket.send(json.dumps({"since": 0}))
                await asyncio.sleep(0.01)
            received = 0
            with contextlib.suppress(TimeoutError):
                while True:
                    received += len(await asyncio.wait_for(socket.recv(), 1))
            assert 30_000 < received < 250_000
            await socket.send(json.dumps({"ack": 2**61}))
            await socket.send(json.dumps({"since": 0}))
            assert await asyncio.wait_for(socket.recv(), SOON)

    run(scene())


def test_a_revoked_token_ends_its_stream(live: Live) -> None:
    token = live.server.token("alice")
    headers = {"Authorization": f"Bearer {token}"}
    with (
        httpx.Client(base_url=live.server.url, headers=headers, timeout=20) as client,
        client.stream("GET", f"/api/sessions/{live.id}/events") as stream,
    ):
        live.server.run_python(
            f"""
            from project.accounts.models import Token, digest
            Token.objects.filter(digest=digest("{token}")).delete()
            """
        )
        assert "session-deleted" in "".join(stream.iter_text())
