"""Agents: memory before and in turns, from the provider's word to the client's, and how soon a server answers.

Floors in the same run: a bare Django view under the same daphne (memory, start), the provider's own stream read without
anything between (words), and tasks that read such streams in a bare process (memory of a turn).
"""

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx

from benchmarks.live import resident
from benchmarks.table import show, wanted
from tests.agent.provider import KEY
from tests.components import ROOT
from tests.server import Server, free_port

TURNS = 50
WORDS = 120
PAUSE = 0.05


@contextlib.contextmanager
def provider() -> Iterator[str]:
    """The stub as a process of its own, so that it shares no interpreter with what is measured."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.agent.provider", str(port)], cwd=ROOT)
    try:
        for _ in range(100):
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{port}/")
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def bare(directory: Path) -> Iterator[tuple[int, float]]:
    """A bare Django view under daphne: its process, and the seconds until it answered."""
    port = free_port()
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "benchmarks.constant",
        "GANDER_DATA_DIR": str(directory / "bare"),
    }
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.daphne", "pool", str(port)], cwd=ROOT, env=environment
    )
    try:
        yield process.pid, _until_answered(f"http://127.0.0.1:{port}/constant", begun)
    finally:
        process.kill()
        process.wait()


def _until_answered(url: str, begun: float) -> float:
    while True:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(url, timeout=5)
            return time.perf_counter() - begun
        time.sleep(0.005)


def start(server: Server, directory: Path) -> None:
    """From ``manage.py serve`` to the first answer, on a database that is there."""
    found = []
    for _ in range(5):
        begun = time.perf_counter()
        with server.log.open("ab") as log:
            server.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve"],
                cwd=ROOT,
                env=server.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        found.append(_until_answered(f"{server.url}/sign-in", begun))
        server.stop()
    floors = []
    for _ in range(5):
        with bare(directory) as (_, seconds):
            floors.append(seconds)
    median = statistics.median(found)
    show(
        "From the start to the first answer",
        ["what", "median s", "longest s"],
        [
            ["Gander", f"{median:.2f}", f"{max(found):.2f}"],
            ["bare Django under daphne", f"{statistics.median(floors):.2f}", f"{max(floors):.2f}"],
        ],
    )
    wanted("start to the first answered request, at most 2 s", median <= 2, f"{median:.2f} s")


async def _words(lines: AsyncIterator[str]) -> list[float]:
    """How old each word of a stream was when it arrived, in seconds."""
    found: list[float] = []
    async for line in lines:
        if not line.startswith("data: {"):
            continue
        now = time.time()
        data: Any = json.loads(line[6:])
        said = data.get("text") or "".join(
            choice["delta"].get("content") or "" for choice in data.get("choices", [])
        )
        found += [now - float(word) for word in said.split()]
    return found


async def _turn(client: httpx.AsyncClient, session: str) -> list[float]:
    content = f"wait {PAUSE}\nclock {WORDS}"
    async with client.stream("POST", f"/sessions/{session}/messages", json={"content": content}) as answer:
        answer.raise_for_status()
        return await _words(answer.aiter_lines())


async def _cancelled(client: httpx.AsyncClient, session: str) -> float:
    """Seconds from asking that a turn be cancelled to the end of its stream."""
    content = "wait 0.05\nclock 400"
    async with client.stream("POST", f"/sessions/{session}/messages", json={"content": content}) as answer:
        turn = answer.headers["gander-turn"]
        lines = answer.aiter_lines()
        while not (await anext(lines)).startswith("data: {"):
            pass
        begun = time.perf_counter()
        (await client.post(f"/sessions/{session}/turns/{turn}/cancel")).raise_for_status()
        async for _ in lines:
            pass
        return time.perf_counter() - begun


async def _direct(client: httpx.AsyncClient, url: str) -> list[float]:
    body = {
        "model": "stub",
        "messages": [{"role": "user", "content": f"wait {PAUSE}\nclock {WORDS}"}],
        "stream": True,
    }
    headers = {"Authorization": f"Bearer {KEY}"}
    async with client.stream("POST", f"{url}/v1/chat/completions", json=body, headers=headers) as answer:
        return await _words(answer.aiter_lines())


def _row(name: str, ages: list[list[float]]) -> tuple[list[str], float]:
    every = sorted(age for one in ages for age in one)
    p99 = every[int(len(every) * 0.99)]
    return [name, str(len(ages)), f"{statistics.median(every) * 1000:.0f}", f"{p99 * 1000:.0f}"], p99


async def words(server: Server, token: str, url: str) -> None:
    """From the provider's word to the client, and what fifty turns at once take in memory."""
    assert server.process is not None
    pid = server.process.pid
    headers = {"Authorization": f"Bearer {token}"}
    limits = httpx.Limits(max_connections=200)
    rows: list[list[str]] = []
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=120, limits=limits) as client:
        sessions = [(await client.post("/sessions", json={})).json()["id"] for _ in range(TURNS)]
        first = time.perf_counter()
        await _turn(client, sessions[0])
        first = time.perf_counter() - first - WORDS * PAUSE
        row, _ = _row("Gander", [await _turn(client, sessions[0])])
        rows.append(row)
        ended = [await _cancelled(client, sessions[0]) for _ in range(15)]
        # Connections and threads that fifty turns need are made by the first fifty.
        await asyncio.gather(*(_turn(client, session) for session in sessions))
        quiet = resident(pid)
        running = [asyncio.ensure_future(_turn(client, session)) for session in sessions]
        highest = 0
        while not all(task.done() for task in running):
            highest = max(highest, resident(pid))
            await asyncio.sleep(0.1)
        row, p99 = _row("Gander", [task.result() for task in running])
        rows.append(row)
    async with httpx.AsyncClient(timeout=120, limits=limits) as client:
        for count in (1, TURNS):
            mine = resident(os.getpid())
            tasks = [asyncio.ensure_future(_direct(client, url)) for _ in range(count)]
            top = mine
            while not all(task.done() for task in tasks):
                top = max(top, resident(os.getpid()))
                await asyncio.sleep(0.1)
            rows.append(_row("the provider's own stream", [task.result() for task in tasks])[0])
    show("From the provider's word to the client", ["how", "turns", "median ms", "p99 ms"], rows)
    wanted("p99 with 50 turns at once, at most 250 ms", p99 <= 0.25, f"{p99 * 1000:.0f} ms")
    show(
        "From cancelling to the end of the stream",
        ["median ms", "longest ms"],
        [[f"{statistics.median(ended) * 1000:.0f}", f"{max(ended) * 1000:.0f}"]],
    )
    wanted("cancelled within 300 ms", max(ended) <= 0.3, f"{max(ended) * 1000:.0f} ms")
    each = (highest - quiet) / TURNS / 1024
    show(
        "Turns",
        ["what", "value"],
        [
            ["KB an active turn", f"{each:.0f}"],
            ["KB a stream that is read in a bare process", f"{(top - mine) / TURNS / 1024:.0f}"],
            ["seconds that the very first turn takes more (imports)", f"{first:.1f}"],
            ["MB of the process after all of them", f"{resident(pid) >> 20}"],
        ],
    )
    wanted("memory of an active turn, at most 1 MB", each <= 1024, f"{each:.0f} KB")


def run() -> None:
    with tempfile.TemporaryDirectory() as directory, provider() as url:
        server = Server(
            Path(directory) / "data",
            GANDER_PROVIDER="openai",
            GANDER_MODEL="stub",
            GANDER_PROVIDER_URL=f"{url}/v1",
            OPENAI_API_KEY=KEY,
        ).start()
        try:
            token = server.add_user("ada")
            assert server.process is not None
            with server.client(token) as client:
                for _ in range(20):
                    client.get("/api/sessions").raise_for_status()
            before = resident(server.process.pid)
            maps = Path(f"/proc/{server.process.pid}/maps").read_text()
            with bare(Path(directory)) as (pid, _):
                floor = resident(pid)
            show(
                "Memory before the first turn",
                ["what", "MB"],
                [["Gander", str(before >> 20)], ["bare Django under daphne", str(floor >> 20)]],
            )
            imported = [name for name in ("tiktoken", "jiter") if name in maps]
            wanted("no provider's library is loaded", not imported, ", ".join(imported) or "none")
            asyncio.run(words(server, token, url))
            server.stop()
            start(server, Path(directory))
        finally:
            server.close()
