"""Live views: from a sync's request to the last viewer, deliveries a second, closing, memory, a minute of load.

Floors, under the same daphne in the same run: the same bytes by a bare loop over the sockets, and by a stock Channels
group.
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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from benchmarks.table import show, wanted
from benchmarks.viewers import Viewers
from tests.components import ROOT
from tests.items import conversation, text_part
from tests.server import Server, free_port

COUNTS = [1, 100, 1_000]
ROUNDS = 30
LOAD_SECONDS = 60.0
LOAD_RATE = 20.0


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def floor(kind: str, directory: Path) -> Iterator[tuple[str, int]]:
    port = free_port()
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "GANDER_DATA_DIR": str(directory / kind),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.fanout", kind, str(port)], cwd=ROOT, env=environment
    )
    try:
        for _ in range(200):
            with contextlib.suppress(httpx.TransportError):
                httpx.post(f"http://127.0.0.1:{port}/", content="ready")
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.kill()
        process.wait()


class Session:
    def __init__(self, server: Server, token: str, name: str) -> None:
        self.server = server
        self.client = server.client(token)
        made = self.client.post("/api/share", json={"sessionID": name}).json()
        self.id, self.secret = made["id"], made["secret"]
        self.revision = 0
        self.sync(*conversation())
        self.url = f"{server.url}/ws/share/{self.id}"

    def sync(self, *items: dict[str, Any]) -> None:
        body = {"secret": self.secret, "data": list(items)}
        self.client.post(f"/api/share/{self.id}/sync", json=body).raise_for_status()
        self.revision += 1


async def times(
    viewers: Viewers, act: Callable[[int], None], arrived: Callable[[int], Any], rounds: int = ROUNDS
) -> tuple[list[float], bool]:
    """Seconds from each act to its arrival at the last viewer."""
    found: list[float] = []
    for number in range(rounds + 3):
        begun = time.perf_counter()
        await asyncio.to_thread(act, number)
        if not await arrived(number):
            return found or [float("inf")], False
        if number >= 3:
            found.append(viewers.last - begun)
    return found, True


async def latency(server: Server, token: str, directory: Path) -> None:
    rows: list[list[str]] = []
    per_second: dict[tuple[str, int], float] = {}
    for count in COUNTS:
        session = Session(server, token, f"latency {count}")
        viewers = Viewers()
        await viewers.open(session.url, count, session.revision)
        await viewers.reached(session.revision)

        def sync(number: int, session: Session = session) -> None:
            session.sync(text_part("p1", "msg_2", f"version {number} " + "word " * 80))

        found, complete = await times(
            viewers, sync, lambda _, session=session, viewers=viewers: viewers.reached(session.revision)
        )
        await viewers.close()
        rows.append(_row("Gander", count, found, complete))
        per_second["Gander", count] = count / statistics.median(found) if complete else 0
    # The floors send the very bytes that Gander's viewers got.
    payload = viewers.text
    for kind, name in (("loop", "bare loop"), ("group", "stock group")):
        for count in COUNTS:
            with floor(kind, directory) as (url, _):
                viewers = Viewers()
                await viewers.open(url, count)
                with httpx.Client(timeout=60) as client:

                    def post(_: int, client: httpx.Client = client, url: str = url) -> None:
                        client.post(url, content=payload)

                    found, complete = await times(
                        viewers,
                        post,
                        lambda number, viewers=viewers: viewers.counted(number + 1),
                        ROUNDS if kind == "loop" else 10,
                    )
                await viewers.close()
                rows.append(_row(name, count, found, complete))
                per_second[name, count] = count / statistics.median(found) if complete else 0
    show(
        "From the request to the last viewer",
        ["how", "viewers", "median ms", "p99 ms", "deliveries/s", "all arrived"],
        rows,
    )
    share = per_second["Gander", 1000] / per_second["bare loop", 1000]
    wanted("deliveries to 1,000 viewers, at least 60 % of a bare loop's", share >= 0.6, f"{share:.0%}")
    stock = per_second["stock group", 1000]
    times_stock = per_second["Gander", 1000] / stock if stock else float("inf")
    wanted(
        "deliveries to 1,000 viewers, at least 5 x a stock group's", times_stock >= 5, f"{times_stock:.1f} x"
    )


def _row(name: str, count: int, found: list[float], complete: bool) -> list[str]:
    ordered = sorted(found)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    median = statistics.median(found)
    return [
        name,
        str(count),
        f"{median * 1000:.1f}",
        f"{p99 * 1000:.1f}",
        f"{count / median:.0f}" if complete else "-",
        "yes" if complete else "NO",
    ]


async def shutting(server: Server, token: str) -> None:
    """How long readers go on watching whose link was closed."""
    session = Session(server, token, "shutting")
    rows = session.client.get("/api/sessions", params={"limit": 200}).json()["items"]
    own = next(row["id"] for row in rows if row["external_id"] == "shutting")
    found: list[float] = []
    complete = True
    for _ in range(5):
        session.revision = session.client.get(f"/api/sessions/{own}").json()["revision"]
        viewers = Viewers()
        await viewers.open(session.url, COUNTS[-1], session.revision)
        await viewers.reached(session.revision)
        begun = time.perf_counter()
        await asyncio.to_thread(session.client.patch, f"/api/sessions/{own}", json={"shared": False})
        complete = await viewers.shut() and complete
        found.append(time.perf_counter() - begun)
        await viewers.close()
        session.client.patch(f"/api/sessions/{own}", json={"shared": True}).raise_for_status()
    said = f"{max(found) * 1000:.0f} ms" if complete else "NO"
    wanted("the last of 1,000 readers is shut out within a second", complete and max(found) < 1, said)


async def idle(server: Server, token: str, directory: Path) -> None:
    """Memory of idle viewers, and what they cost other requests."""
    assert server.process is not None
    session = Session(server, token, "idle")
    with server.client(token) as client:
        alone = _list_milliseconds(client)
        viewers = Viewers()
        await viewers.open(session.url, 100, session.revision)
        await viewers.reached(session.revision)
        before = resident(server.process.pid)
        await viewers.open(session.url, 300, session.revision)
        await viewers.reached(session.revision)
        beside = await asyncio.to_thread(_list_milliseconds, client)
        await viewers.open(session.url, 700, session.revision)
        await viewers.reached(session.revision)
        each = (resident(server.process.pid) - before) / 1000 / 1024
        again = await asyncio.to_thread(_list_milliseconds, client)
        await viewers.close()
    with floor("loop", directory) as (url, pid):
        viewers = Viewers()
        await viewers.open(url, 100)
        before = resident(pid)
        await viewers.open(url, 1000)
        bare = (resident(pid) - before) / 1000 / 1024
        await viewers.close()
    show(
        "Idle viewers",
        ["what", "value"],
        [
            ["KB a viewer", f"{each:.0f}"],
            ["KB a bare socket under the same daphne", f"{bare:.0f}"],
            ["JSON list alone, ms", f"{alone:.2f}"],
            ["beside 400 viewers, ms", f"{beside:.2f}"],
            ["beside 1,100 viewers, ms", f"{again:.2f}"],
        ],
    )
    wanted("memory of an idle viewer, at most 60 KB", each <= 60, f"{each:.0f} KB")
    wanted(
        "300 more viewers slow a JSON list by at most 10 %",
        beside <= alone * 1.1,
        f"{beside / alone - 1:+.0%}",
    )


def _list_milliseconds(client: httpx.Client) -> float:
    found = []
    for _ in range(150):
        begun = time.perf_counter()
        client.get("/api/sessions").raise_for_status()
        found.append((time.perf_counter() - begun) * 1000)
    return statistics.median(found)


async def load(server: Server, token: str, spread: int) -> None:
    """1,000 sockets over so many sessions, 20 batches a second for a minute."""
    assert server.process is not None
    sessions = [Session(server, token, f"load {spread} {number}") for number in range(spread)]
    groups: list[Viewers] = []
    for session in sessions:
        viewers = Viewers()
        await viewers.open(session.url, 1000 // spread, session.revision)
        groups.append(viewers)
    start = resident(server.process.pid)
    asked = {
        "url": server.url,
        "sessions": [[session.id, session.secret] for session in sessions],
        "rate": LOAD_RATE,
        "seconds": LOAD_SECONDS,
    }
    sender = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.sender",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    sending = asyncio.ensure_future(sender.communicate(json.dumps(asked).encode()))
    await asyncio.sleep(LOAD_SECONDS / 2)
    middle = resident(server.process.pid)
    sent = json.loads((await sending)[0])
    for number, session in enumerate(sessions):
        session.revision += len(range(number, sent["batches"], spread))
    complete = all(
        [
            await viewers.reached(session.revision, 20)
            for viewers, session in zip(groups, sessions, strict=True)
        ]
    )
    end = resident(server.process.pid)
    for viewers in groups:
        await viewers.close()
    errors = server.log.read_text().count("ERROR")
    print(
        f"  1,000 viewers of {spread}: {sent['batches']} batches in {sent['seconds']:.0f} s ({sent['late']} late); memory {start >> 20} MB, "
        f"{middle >> 20} MB half-way, {end >> 20} MB at the end; {errors} errors in the log",
        flush=True,
    )
    wanted("nobody misses the end, without an error", complete and errors == 0, "yes" if complete else "NO")
    rate = sent["batches"] / sent["seconds"]
    wanted(f"{LOAD_RATE:.0f} batches a second", rate >= 0.98 * LOAD_RATE, f"{rate:.1f}")
    wanted("memory is flat from half-way on", end <= 1.05 * middle, f"{(end - middle) / 2**20:+.1f} MB")


def run() -> None:
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory) / "data").start()
        try:
            token = server.add_user("ada")
            asyncio.run(latency(server, token, Path(directory)))
            asyncio.run(idle(server, token, Path(directory)))
            asyncio.run(shutting(server, token))
            for spread in (1, 200):
                asyncio.run(load(server, token, spread))
        finally:
            server.close()
