"""``manage.py serve`` from an empty directory to a clean end, as a process."""

import concurrent.futures
import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import factories
from tests.components import ROOT
from tests.server import Server, free_port


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path / "data")
    yield running
    running.close()


def serve(**environment: str) -> subprocess.CompletedProcess[str]:
    """A start that is expected to fail."""
    clean = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    return subprocess.run(
        [sys.executable, "manage.py", "serve"],
        cwd=ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_from_nothing_to_the_first_account_and_a_clean_end(fresh: Server) -> None:
    fresh.start()
    assert stat.S_IMODE(fresh.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((fresh.data_dir / "secret_key").stat().st_mode) == 0o600
    log = fresh.log.read_text()
    link = next(line.strip() for line in log.splitlines() if "/setup/" in line)
    with fresh.client() as client:
        path = link[link.index("/setup/") :]
        page = client.get(path)
        token = page.text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        made = client.post(
            path,
            data={
                "csrfmiddlewaretoken": token,
                "username": "ada",
                "password1": "a long phrase",
                "password2": "a long phrase",
            },
        )
        assert made.status_code == 302
        assert client.get("/sessions").status_code == 200
        assert client.get("/healthz").json() == {"status": "ok"}
        ready = client.get("/readyz").json()
        assert ready == {"status": "ok", "checks": {"database": "ok", "channel_layer": "ok"}}
    assert fresh.stop() == 0
    fresh.start()
    assert "/setup/" not in fresh.log.read_text()[len(log) :]
    assert fresh.stop(signal.SIGINT) == 0


def test_health_answers_under_any_host_name(server: Server) -> None:
    assert httpx.get(f"{server.url}/healthz", headers={"Host": "10.1.2.3"}).status_code == 200
    assert httpx.get(f"{server.url}/sign-in", headers={"Host": "10.1.2.3"}).status_code == 400


def test_a_running_request_ends_before_the_server_does(fresh: Server) -> None:
    fresh.start()
    token = fresh.add_user("alice")
    with fresh.client(token) as client:
        made = client.post("/api/share", json={"sessionID": "ses_1"}).json()
        items = [factories.text_part(f"p{n}", f"m{n % 50}", "x" * 2000) for n in range(8000)]
        body = json.dumps({"secret": made["secret"], "data": items}).encode()
        begun, stopping = threading.Event(), threading.Event()

        def all_but_its_end() -> Iterator[bytes]:
            yield body[:-1]
            begun.set()
            stopping.wait(30)
            yield body[-1:]

        with concurrent.futures.ThreadPoolExecutor() as pool:
            running = pool.submit(client.post, f"/api/share/{made['id']}/sync", content=all_but_its_end())
            assert begun.wait(30)
            time.sleep(0.5)
            code = pool.submit(fresh.stop)
            time.sleep(0.5)
            stopping.set()
            assert running.result().json() == {"success": True, "syncCount": 1}
            assert code.result() == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(fresh.url)


@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
def test_an_answer_on_its_way_arrives_whole_before_the_server_ends(
    prepared: Server, tmp_path: Path, kind: str
) -> None:
    with Server(tmp_path / "data", "--server", kind, like=prepared) as running:
        with running.client(running.tokens["alice"]) as client:
            made = client.post("/api/share", json={"sessionID": "ses_1"}).json()
            items = [factories.assistant_message(f"m{n}") for n in range(50)]
            items += [factories.text_part(f"p{n}", f"m{n % 50}", "x" * 20_000) for n in range(1500)]
            body = {"secret": made["secret"], "data": items}
            assert client.post(f"/api/share/{made['id']}/sync", json=body).status_code == 200
            (row,) = client.get("/api/sessions").json()["items"]
            plain = {"Accept-Encoding": "identity"}
            with client.stream("GET", f"/sessions/{row['id']}.json", headers=plain) as answer:
                pieces = answer.iter_raw(65_536)
                size = len(next(pieces))
                assert running.process is not None
                running.process.send_signal(signal.SIGTERM)
                # More than the kernel holds is still with the server, for a while.
                time.sleep(1)
                size += sum(map(len, pieces))
                assert size == int(answer.headers["content-length"]) > 30_000_000
        assert running.process.wait(15) == 0


def test_it_may_open_as_many_files_as_the_system_lets_it(fresh: Server) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        fresh.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert fresh.process is not None
    allowed, _ = resource.prlimit(fresh.process.pid, resource.RLIMIT_NOFILE)
    assert allowed == (65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536))


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = serve(GANDER_DATA_DIR=str(tmp_path / "d"), GANDER_PORT=str(taken.getsockname()[1]))
    assert ended.returncode == 1
    assert "is in use" in ended.stderr and len(ended.stderr.strip().splitlines()) == 1


def test_an_unusable_directory_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = serve(GANDER_DATA_DIR=str(tmp_path / "file" / "data"))
    assert ended.returncode == 1
    assert "GANDER_DATA_DIR" in ended.stderr and len(ended.stderr.strip().splitlines()) == 1


def test_a_database_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    ended = serve(
        GANDER_DATA_DIR=str(tmp_path / "d"),
        GANDER_PORT=str(free_port()),
        DATABASE_URL=f"postgres://x:secret@127.0.0.1:{port}/x",
    )
    assert ended.returncode == 1
    assert "DATABASE_URL" in ended.stderr and len(ended.stderr.strip().splitlines()) == 1
    assert "secret" not in ended.stderr


def test_a_wrong_setting_is_one_line(tmp_path: Path) -> None:
    ended = serve(GANDER_DATA_DIR=str(tmp_path), GANDER_PORT="x")
    assert ended.returncode == 1
    assert "GANDER_PORT" in ended.stderr and len(ended.stderr.strip().splitlines()) == 1


def test_commands_for_scripts(server: Server) -> None:
    generated = server.manage("adduser", "gus").stdout.strip()
    assert len(generated) >= 15
    again = server.manage("adduser", "gus", check=False)
    assert again.returncode == 1 and "already exists" in again.stderr
    weak = server.manage("adduser", "hal", given="123\n", check=False)
    assert weak.returncode == 1 and "too short" in weak.stderr
    token = server.manage("addtoken", "gus", "--scope", "full", "--name", "ci").stdout
    assert token.count("\n") == 1 and token.startswith("gander_")
    assert server.client(token.strip()).get("/api/me").json()["name"] == "gus"
    assert server.manage("addtoken", "nobody", check=False).returncode == 1


def test_a_body_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    small = Server(tmp_path / "data", GANDER_MAX_SYNC_MB="1")
    try:
        small.start()
        with socket.create_connection(("127.0.0.1", small.port), timeout=10) as raw:
            raw.sendall(
                b"POST /api/share HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000000000\r\n\r\nx"
            )
            assert raw.recv(1000).startswith(b"HTTP/1.1 413")
        with small.client() as client:
            answer = client.post("/api/share/x/sync", content=b"x" * 1_500_000)
            assert answer.status_code == 413 and "GANDER_MAX_SYNC_MB" in answer.json()["error"]
            chunked = client.post("/api/share/x/sync", content=(b"x" * 100_000 for _ in range(15)))
            assert chunked.status_code == 413
            assert client.post("/api/share/x/sync", content=b"x" * 900_000).status_code == 400
    finally:
        small.close()


def test_a_clients_root_path_header_changes_no_links(server: Server) -> None:
    answer = httpx.get(f"{server.url}/sessions", headers={"Daphne-Root-Path": "/evil", "Accept": "text/html"})
    assert answer.headers["Location"] == "/sign-in?next=/sessions"


def test_after_a_kill_every_batch_is_whole_or_absent_and_syncing_goes_on(fresh: Server) -> None:
    fresh.start()
    token = fresh.add_user("alice")
    size = 40
    with fresh.client(token) as client:
        made = client.post("/api/share", json={"sessionID": "ses_1"}).json()

    def batch(number: int) -> list[dict[str, object]]:
        parts = [factories.text_part(f"p{number:04}_{n:02}", f"m{number:04}", "x" * 500) for n in range(size)]
        return [factories.assistant_message(f"m{number:04}", cost=1), *parts]

    acknowledged = 0

    def write() -> None:
        nonlocal acknowledged
        with fresh.client(token) as client:
            for number in range(10_000):
                answer = client.post(
                    f"/api/share/{made['id']}/sync", json={"secret": made["secret"], "data": batch(number)}
                )
                if answer.status_code == 200:
                    acknowledged += 1

    with concurrent.futures.ThreadPoolExecutor() as pool:
        writing = pool.submit(write)
        time.sleep(1.0)
        assert fresh.process is not None
        fresh.process.kill()
        fresh.process.wait()
        with pytest.raises(httpx.TransportError):
            writing.result()
    fresh.start()
    with fresh.client(token) as client:
        (row,) = client.get("/api/sessions").json()["items"]
        held = client.get(f"/api/share/{made['id']}").json()
        assert len(held["messages"]) in (acknowledged, acknowledged + 1)
        assert len(held["parts"]) == len(held["messages"]) * size
        assert (row["messages"], row["parts"]) == (len(held["messages"]), len(held["parts"]))
        assert row["cost"] == len(held["messages"]) and row["revision"] == len(held["messages"])
        assert client.post("/api/share", json={"sessionID": "ses_1"}).json() == made
        answer = client.post(
            f"/api/share/{made['id']}/sync", json={"secret": made["secret"], "data": batch(9999)}
        )
        assert answer.status_code == 200
