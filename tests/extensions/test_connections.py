"""Running extensions: shared, ended when idle, replaced when their entry changes."""

import asyncio
import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from extensions import connections
from extensions.complaints import Complaints
from extensions.connections import Connections
from extensions.runner import Launch
from extensions.tools import Outcome
from tests.processes import is_running

MCP = str(Path(__file__).parent / "mcp_stdio.py")
LAUNCH = Launch(
    name="stub",
    kind="stdio",
    command=sys.executable,
    arguments=(MCP,),
    url="",
    timeout=5.0,
    allowed=frozenset(),
    environment={"TOKEN": "hidden"},
    headers={},
)


def on_a_loop(work: Callable[[Connections], Awaitable[Any]]) -> Any:
    """On a thread: the main one may have a loop of playwright's."""

    async def scene() -> Any:
        running = Connections()
        try:
            return await asyncio.wait_for(work(running), 60)
        finally:
            await running.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(scene())).result()


async def pid_of(running: Connections, key: str = "alice", launch: Launch = LAUNCH) -> str:
    outcome: Outcome = await running.get(key, launch).call("process", {})
    assert not outcome.failed, outcome.text
    return outcome.text.split()[0]


async def until_gone(pid: str) -> None:
    deadline = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def test_one_persons_turns_share_a_process_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(running: Connections) -> None:
        first = await pid_of(running)
        assert await pid_of(running) == first
        assert await pid_of(running, "bob") != first

    on_a_loop(scene)


def test_it_ends_when_it_has_been_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.4)

    async def scene(running: Connections) -> None:
        pid = await pid_of(running)
        await until_gone(pid)
        assert await pid_of(running) != pid

    on_a_loop(scene)


def test_a_changed_entry_is_started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(running: Connections) -> None:
        pid = await pid_of(running)
        changed = replace(LAUNCH, environment={"TOKEN": "another"})
        assert await pid_of(running, launch=changed) != pid
        await until_gone(pid)

    on_a_loop(scene)


class ServerWithSessions(BaseHTTPRequestHandler):
    """An MCP server over HTTP of before the protocol did without sessions; forgets them all when it is told to."""

    sessions: ClassVar[set[str]] = set()

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        session = self.headers.get("mcp-session-id", "")
        match asked["method"]:
            case "initialize":
                session = uuid.uuid4().hex
                self.sessions.add(session)
                about = {"name": "old", "version": "1"}
                made = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": about}
                self.answer(200, asked, session, result=made)
            case "server/discover":
                self.answer(200, asked, session, error={"code": -32601, "message": "Method not found"})
            case _ if session not in self.sessions:
                self.answer(404, asked, session, error={"code": -32600, "message": "Session not found"})
            case "tools/list":
                tools = [{"name": "x", "inputSchema": {"type": "object"}}]
                self.answer(200, asked, session, result={"tools": tools})
            case "tools/call":
                said = [{"type": "text", "text": "here"}]
                self.answer(200, asked, session, result={"content": said})
            case _:
                self.answer(202, asked, session)

    def answer(self, status: int, asked: dict[str, Any], session: str, **said: Any) -> None:
        body = json.dumps({"jsonrpc": "2.0", "id": asked.get("id"), **said}).encode() if said else b""
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("mcp-session-id", session)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def test_a_server_over_http_that_forgot_its_session_is_spoken_to_anew() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), ServerWithSessions) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        launch = replace(
            LAUNCH,
            kind="streamable_http",
            command="",
            arguments=(),
            url=f"http://127.0.0.1:{server.server_port}/mcp",
        )

        async def scene(running: Connections) -> list[Outcome]:
            outcomes = [await running.get("alice", launch).call("x", {})]
            ServerWithSessions.sessions.clear()
            outcomes += [await running.get("alice", launch).call("x", {}) for _ in range(2)]
            return outcomes

        first, lost, again = on_a_loop(scene)
        server.shutdown()
    assert first.text == again.text == "here"
    assert lost.failed and "started anew at the next call" in lost.text


def test_calls_at_the_same_time_share_it() -> None:
    async def scene(running: Connections) -> None:
        connection = running.get("alice", LAUNCH)
        outcomes = await asyncio.gather(*(connection.call("echo", {"text": f"{n}"}) for n in range(20)))
        assert [outcome.text for outcome in outcomes] == [f"{n}" for n in range(20)]

    on_a_loop(scene)


def test_closing_ends_what_hangs() -> None:
    async def scene(running: Connections) -> str:
        pid = await pid_of(running)
        hanging = asyncio.ensure_future(running.get("alice", LAUNCH).call("never", {}))
        await asyncio.sleep(0.3)
        assert not hanging.done()
        return pid

    assert not is_running(on_a_loop(scene))


def test_a_launch_shows_no_secret() -> None:
    assert "hidden" not in repr(LAUNCH)


def test_of_what_a_process_complains_the_end_is_kept() -> None:
    complaints = Complaints()
    code = r"import sys; sys.stderr.buffer.write(b'x' * 20_000_000 + b' the \xff end')"
    subprocess.run([sys.executable, "-c", code], stderr=complaints, check=True)
    assert complaints.text().endswith("xx the \ufffd end") and len(complaints.text()) <= 8000
