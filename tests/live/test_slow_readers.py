"""Clients that never read, and many that do: neither costs memory, and nobody misses the end."""

import asyncio
import base64
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import factories
from tests.components import once
from tests.live.test_sockets import Live, run
from tests.live.watching import Watcher
from tests.server import Server


@pytest.fixture(params=["daphne", "uvicorn"])
def own(prepared: Server, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    running = Server(tmp_path / "data", "--server", request.param, like=prepared)
    try:
        yield running.start()
    finally:
        running.close()


def memory(server: Server) -> int:
    """Bytes that the server's process keeps; a database's pages that it sees through the kernel's cache are not its own."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024


def silent_socket(live: Live) -> socket.socket:
    """A WebSocket that says what it has, and never reads again."""
    connection = socket.create_connection(("127.0.0.1", live.server.port))
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(
        f"GET /ws/share/{live.share_id} HTTP/1.1\r\nHost: 127.0.0.1:{live.server.port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert b" 101 " in connection.recv(4096)
    payload, masks = b'{"since": 0}', os.urandom(4)
    masked = bytes(byte ^ masks[index % 4] for index, byte in enumerate(payload))
    connection.sendall(bytes([0x81, 0x80 | len(payload)]) + masks + masked)
    return connection


def silent_stream(live: Live) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", live.server.port))
    connection.sendall(
        f"GET /share/{live.share_id}/events?since=0 HTTP/1.1\r\nHost: 127.0.0.1:{live.server.port}\r\n\r\n".encode()
    )
    return connection


def grow(own: Server, live: Live) -> int:
    """Has a session grow by 50 MB before somebody who reads, and one who comes late; the most memory that it took."""
    live.sync(
        *(
            factories.assistant_message(f"m{number}", time={"created": factories.T0 + number})
            for number in range(50)
        )
    )
    most = 0

    async def scene() -> None:
        nonlocal most
        reader, late = live.shared(), live.shared()
        tasks = [asyncio.ensure_future(reader.run())]
        for number in range(250):
            part = factories.text_part(f"p{number}", f"m{number // 5}", f"{number} " + "y" * 200_000)
            await asyncio.to_thread(live.sync, part)
            most = max(most, memory(own))
        # Those who read are not held up by those who do not.
        tasks.append(asyncio.ensure_future(late.run()))
        for each in (reader, late):
            await each.reach(live.revision, 10)
        await asyncio.sleep(1)
        most = max(most, memory(own))
        for task in tasks:
            task.cancel()

    run(scene(), 150)
    return most


@once
def test_fifty_that_never_read_cost_less_than_what_the_session_grew_by(own: Server) -> None:
    # The same without them, for what a session of this size takes by itself.
    before = grow(own, Live(own, "ses_read"))
    live = Live(own, "ses_silent")
    silent = [silent_socket(live) for _ in range(25)] + [silent_stream(live) for _ in range(25)]
    time.sleep(2)
    most = grow(own, live)
    assert most - before < 50 * 1024 * 1024, f"{(most - before) >> 20} MB"
    # Nor do they keep a door open that was shut.
    live.patch(shared=False)

    async def scene() -> None:
        owner = live.own()
        task = asyncio.ensure_future(owner.run())
        async with asyncio.timeout(10):
            while owner.watching != 0:
                await asyncio.sleep(0.05)
        task.cancel()

    run(scene())
    for connection in silent:
        connection.close()


def test_many_viewers_of_one_session_and_of_many(own: Server) -> None:
    sessions = [Live(own, f"ses_{number}") for number in range(20)]

    async def scene() -> None:
        watchers: list[tuple[Watcher, Live]] = [(sessions[0].shared(), sessions[0]) for _ in range(100)]
        watchers += [(live.shared(), live) for live in sessions for _ in range(5)]
        tasks = [asyncio.ensure_future(watcher.run()) for watcher, _ in watchers]
        for watcher, _ in watchers:
            await watcher.reach(1, 20)
        for number in range(60):
            live = sessions[0] if number % 2 else sessions[number % 20]
            await asyncio.to_thread(live.sync, factories.text_part(f"p{number % 9}", "msg_2", f"{number}"))
        revisions: dict[str, int] = {}
        for live in sessions:
            revisions[live.id] = await asyncio.to_thread(lambda live=live: live.revision)  # type: ignore[misc]
        for watcher, live in watchers:
            await watcher.reach(revisions[live.id], 10)
        ends: dict[str, set[Any]] = {}
        for watcher, live in watchers:
            ends.setdefault(live.id, set()).add(tuple(watcher.text()))
        assert all(len(texts) == 1 for texts in ends.values())
        for task in tasks:
            task.cancel()

    run(scene(), 90)
    assert "Traceback" not in own.log.read_text()
