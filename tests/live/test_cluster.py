"""Several processes behind nginx, with PostgreSQL and Redis: whatever goes away, every viewer ends with everything."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from playwright.sync_api import expect

from tests import factories
from tests.browser.test_live import is_settled, mark
from tests.components import ROOT, missing
from tests.live.test_sockets import SOON, Live, run
from tests.live.watching import Watcher
from tests.server import Server, free_port

KEY = "a secret of the cluster's own, long enough"


class Redis:
    """A Redis that can go away and come back."""

    def __init__(self, directory: Path) -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            missing("redis-server is not installed; apt-get install redis-server")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.command = [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self.directory = directory
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, cwd=self.directory, stdout=subprocess.DEVNULL)
        for _ in range(100):
            with contextlib.suppress(redis.RedisError):
                redis.Redis.from_url(self.url).ping()
                return
            time.sleep(0.05)
        raise AssertionError("redis-server did not start")

    def listeners(self, group: str) -> int:
        """How many processes hear what is sent to a group."""
        client = redis.Redis.from_url(self.url)
        channels = client.pubsub_channels(f"*{group}")
        return sum(count for _, count in client.pubsub_numsub(*channels)) if channels else 0

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def nginx(directory: Path, ports: list[int]) -> tuple[subprocess.Popen[bytes], str]:
    """nginx with the site of ``deploy/``, but for its ports and TLS."""
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(binary).exists():
        missing("nginx is not installed; apt-get install nginx-light")
    site = (ROOT / "deploy" / "nginx.conf").read_text()
    port = free_port()
    servers = "".join(f"    server 127.0.0.1:{each} max_fails=0;\n" for each in ports)
    site, found = re.subn(r"(    server 127\.0\.0\.1:\d+ max_fails=0;\n)+", servers, site)
    assert found == 1
    site = site.replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
    site = site.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    site = re.sub(r".*ssl_certificate.*\n", "", site)
    temporary = "".join(
        f"{name}_temp_path {directory};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (directory / "nginx.conf").write_text(
        f"daemon off; pid {directory}/nginx.pid; error_log {directory}/error.log; worker_processes 1;\n"
        f"events {{ worker_connections 4096; }}\nhttp {{ access_log off;\n{temporary}{site}\n}}\n"
    )
    process = subprocess.Popen([binary, "-c", str(directory / "nginx.conf"), "-p", str(directory)])
    return process, f"http://127.0.0.1:{port}"


class Cluster:
    def __init__(self, directory: Path, prepared: Server) -> None:
        self.redis = Redis(directory)
        shared = {
            "REDIS_URL": self.redis.url,
            "GANDER_SECRET_KEY": KEY,
            "GANDER_TRUSTED_PROXIES": "127.0.0.1",
        }
        self.first = Server(directory / "one", like=prepared, **shared)
        shared["DATABASE_URL"] = self.first.environment["DATABASE_URL"]
        self.second = Server(directory / "two", **shared)
        self.nginx: subprocess.Popen[bytes] | None = None
        try:
            self.first.start()
            self.second.start()
            self.nginx, self.url = nginx(directory, [self.first.port, self.second.port])
            self.second.tokens = self.first.tokens
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self.nginx:
            self.nginx.terminate()
            self.nginx.wait()
        self.second.close()
        self.first.close()
        self.redis.stop()


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if "DATABASE_URL" not in os.environ:
        pytest.skip("several processes share a PostgreSQL database; this runs where the suite runs on one")
    running = Cluster(tmp_path_factory.mktemp("cluster"), request.getfixturevalue("prepared"))
    yield running
    running.close()


class Writer:
    """Writes to a session through one process, several times a second, and counts what failed."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.count = 0
        self.slowest = 0.0
        self.over = False

    async def run(self) -> None:
        while not self.over:
            began = time.monotonic()
            self.count += 1
            part = factories.text_part(f"p{self.count % 7}", "msg_2", f"version {self.count}")
            await asyncio.to_thread(self.live.sync, part)
            self.slowest = max(self.slowest, time.monotonic() - began)
            await asyncio.sleep(0.15)


def anyones(html: str) -> str:
    """A message without what differs by who reads it, and when: addresses, times, the owner's fork."""
    html = re.sub(
        r'href="[^"]*"|<time.*?</time>|<button form="fork-form".*?</button>', "", html, flags=re.DOTALL
    )
    return html.replace("/home/alice", "~")


async def converge(watchers: list[Watcher], live: Live, seconds: float) -> None:
    revision = await asyncio.to_thread(lambda: live.revision)
    for watcher in watchers:
        await watcher.reach(revision, seconds)
    fresh = live.own()
    task = asyncio.ensure_future(fresh.run())
    await fresh.reach(revision)
    task.cancel()
    for watcher in watchers:
        assert [anyones(text) for text in fresh.text()] == [anyones(text) for text in watcher.text()]


def test_everything_goes_away_and_comes_back(cluster: Cluster, browser: Any) -> None:
    live = Live(cluster.first, "ses_cluster")
    page, fresh = browser.new_page(), browser.new_page()
    page.goto(f"{cluster.second.url}/share/{live.share_id}")
    expect(page.locator("[data-connection=live]")).to_be_attached()
    mark(page)
    # What the page says is kept by itself, as this thread waits for the rest.
    page.evaluate(
        "window.said = []; new MutationObserver(() => said.push(document.querySelector('[data-connection]').textContent.trim()))"
        ".observe(document.querySelector('[data-connection]'), {subtree: true, attributes: true, childList: true})"
    )

    async def heard_everywhere() -> None:
        """Waits until hints reach both processes: what comes within a second without them would hide that they do not."""
        async with asyncio.timeout(5):
            while cluster.redis.listeners(f"session.{live.id}") < 2 or cluster.redis.listeners("owner.*") < 1:
                await asyncio.sleep(0.1)

    async def scene() -> None:
        watchers = [
            Watcher(f"{cluster.url}/ws/share/{live.share_id}")
            if number % 2
            else Watcher(f"{cluster.url}/ws/sessions/{live.id}", **live.alice)
            for number in range(10)
        ]
        direct = [Watcher(f"{cluster.second.url}/ws/share/{live.share_id}") for _ in range(2)]
        listing = Watcher(f"{cluster.second.url}/ws/sessions", **live.alice)
        tasks = [asyncio.ensure_future(watcher.run()) for watcher in (*watchers, *direct, listing)]
        writer = Writer(live)
        writing = asyncio.ensure_future(writer.run())
        await asyncio.sleep(2)
        await heard_everywhere()
        await asyncio.to_thread(cluster.redis.stop)
        await asyncio.sleep(10)
        # Without Redis the tick serves those whose process was not written through.
        behind = await asyncio.to_thread(lambda: live.revision)
        for watcher in (*watchers, *direct):
            await watcher.reach(behind, 5)
        await asyncio.to_thread(cluster.redis.start)
        await heard_everywhere()
        assert cluster.second.process is not None
        cluster.second.process.send_signal(signal.SIGKILL)
        await asyncio.sleep(3)
        assert not writing.done(), "a write failed"
        await asyncio.to_thread(cluster.second.start)
        await asyncio.sleep(1)
        writer.over = True
        await writing
        await converge([*watchers, *direct], live, 5)
        assert writer.count > 50 and writer.slowest < 5
        for task in tasks:
            task.cancel()

    run(scene(), 120)
    assert "reconnecting …" in page.evaluate("window.said")
    fresh.goto(f"{cluster.url}/share/{live.share_id}")
    is_settled(page, fresh)
    page.close()
    fresh.close()


def test_event_streams_pass_through_nginx_at_once(cluster: Cluster) -> None:
    live = Live(cluster.first, "ses_stream")
    with (
        httpx.Client(timeout=10) as client,
        client.stream("GET", f"{cluster.url}/share/{live.share_id}/events") as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == "retry: 1000"
        began = time.monotonic()
        live.sync(factories.text_part("prt_9", "msg_2", "through"))
        assert any("through" in line for line in (next(lines) for _ in range(8)))
        assert time.monotonic() - began < 2


def test_a_redis_that_hangs_holds_nothing_up(cluster: Cluster) -> None:
    live = Live(cluster.first, "ses_hang")

    async def scene() -> None:
        reader = Watcher(f"{cluster.second.url}/ws/share/{live.share_id}")
        task = asyncio.ensure_future(reader.run())
        await reader.reach(live.revision)
        cluster.redis.process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(3)
            began = time.monotonic()
            await asyncio.to_thread(live.sync, factories.text_part("prt_9", "msg_2", "meanwhile"))
            assert time.monotonic() - began < 2
            await reader.reach(await asyncio.to_thread(lambda: live.revision), 3)
            await asyncio.to_thread(lambda: live.patch(shared=False))
            await asyncio.wait_for(task, 2)
            assert reader.closed == 4404
        finally:
            cluster.redis.process.send_signal(signal.SIGCONT)

    run(scene())


@pytest.mark.parametrize("server", ["daphne", "uvicorn"])
def test_workers_share_a_port_and_stop_together(
    cluster: Cluster, prepared: Server, tmp_path: Path, server: str
) -> None:
    """Also where the whole group of processes is told to stop, as terminals and service managers do."""
    arguments = ("--workers", "3", "--server", server)
    running = Server(tmp_path / "workers", *arguments, like=prepared, REDIS_URL=cluster.redis.url)
    try:
        running.start()
        live = Live(running, "ses_workers")

        async def scene() -> None:
            watchers = [live.shared() for _ in range(12)]
            tasks = [asyncio.ensure_future(watcher.run()) for watcher in watchers]
            for number in range(10):
                await asyncio.to_thread(live.sync, factories.text_part("p1", "msg_2", f"{number}"))
            await converge(watchers, live, 5)
            assert running.process is not None
            children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text()
            assert len(children.split()) == 3
            os.kill(int(children.split()[0]), signal.SIGKILL)
            await asyncio.sleep(2.5)
            await asyncio.to_thread(live.sync, factories.text_part("p1", "msg_2", "after"))
            await converge(watchers, live, 5)
            body = b'{"sessionID": "ses_half"}'
            with socket.create_connection(("127.0.0.1", running.port), timeout=10) as half:
                half.sendall(b"POST /api/share HTTP/1.1\r\nHost: localhost\r\n")
                half.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body[:-1]))
                await asyncio.sleep(0.5)
                os.killpg(running.process.pid, signal.SIGTERM)
                await asyncio.sleep(0.5)
                # Nobody is let in who would not be served.
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", running.port), timeout=5)
                half.sendall(body[-1:])
                assert half.recv(100).startswith(b"HTTP/1.1 401")
            for task in tasks:
                task.cancel()
            assert await asyncio.to_thread(running.process.wait, 15) == 0

        run(scene(), 60)
    finally:
        running.close()


def test_several_workers_without_redis_are_refused(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    for arguments, more in ((["--workers", "2"], {}), ([], {"GANDER_WORKERS": "2"})):
        ended = subprocess.run(
            [sys.executable, "manage.py", "serve", *arguments],
            cwd=ROOT,
            env={**environment, **more, "GANDER_DATA_DIR": str(tmp_path), "GANDER_PORT": str(free_port())},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ended.returncode == 1 and "REDIS_URL" in ended.stderr


def test_unsharing_through_one_closes_readers_of_the_other(cluster: Cluster) -> None:
    live = Live(cluster.first, "ses_close")

    async def scene() -> None:
        reader = Watcher(f"{cluster.second.url}/ws/share/{live.share_id}")
        task = asyncio.ensure_future(reader.run())
        await reader.reach(live.revision)
        await asyncio.to_thread(lambda: live.patch(shared=False))
        await asyncio.wait_for(task, SOON)
        assert reader.closed == 4404

    run(scene())


def test_owners_see_viewers_of_all_processes(cluster: Cluster) -> None:
    live = Live(cluster.first, "ses_watching")

    async def scene() -> None:
        owner = live.own()
        readers = [
            Watcher(f"{server.url}/ws/share/{live.share_id}") for server in (cluster.first, cluster.second)
        ]
        tasks = [asyncio.ensure_future(each.run()) for each in (owner, *readers)]
        async with asyncio.timeout(10):
            while owner.watching != 2:
                await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()

    run(scene())


def test_links_and_pages_behind_nginx_bear_its_address(cluster: Cluster) -> None:
    live = Live(cluster.first, "ses_links")
    with httpx.Client(base_url=cluster.url, headers=live.alice) as client:
        row: dict[str, Any] = client.get(f"/api/sessions/{live.id}").json()
        assert row["share_url"] == f"{cluster.url}/share/{live.share_id}"
        assert client.get(row["share_url"]).status_code in (200, 302)
