"""The stock opencode shares, is read, imported back, unshared; and signs in by device code."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_live import is_settled, mark
from tests.components import ROOT, once, opencode_binary
from tests.recordings import Replay
from tests.server import Server, free_port

RECIPE = ROOT / "tests" / "clients" / "opencode"


@pytest.mark.parametrize("version", ["1.18.33", pytest.param("1.3.2", marks=once)])
def test_shared_read_imported_and_unshared(server: Server, page: Page, tmp_path: Path, version: str) -> None:
    binary = opencode_binary(version)
    work = tmp_path / "work"
    key = server.token("alice", "ingest")
    environment = {
        **os.environ,
        "SHARE_URL": f"{server.url}/k/{key}",
        "OPENCODE_VERSION": version,
        "OPENCODE_PREFIX": str(binary.parents[3]),
        "WORK": str(work),
        "LLM_PORT": str(free_port()),
        "OC_PORT": str(free_port()),
        "WAIT": "1",
    }
    recipe = subprocess.Popen(
        ["bash", str(RECIPE / "ci_real_client.sh")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until(lambda: (work / "waiting").exists() or recipe.poll() is not None, 220)
        assert (work / "waiting").exists(), told(work)
        url = (work / "url").read_text().strip()
        # A visitor reads it under the URL that opencode printed.
        page.goto(url)
        expect(page.locator(".message.user").first).to_contain_text("Add a greet function to app.py")
        expect(page.locator(".message details.card").first).to_be_visible()
        (work / "waiting").unlink()
        printed = recipe.communicate(timeout=60)[0]
    finally:
        # Its whole group: the recipe's own servers would outlive it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(recipe.pid, signal.SIGKILL)
    assert recipe.returncode == 0, printed
    assert "identical" in printed and "after unshare, data -> 404" in printed
    answer = page.goto(url)
    assert answer is not None and answer.status == 404
    # It stays with its owner, private.
    with server.client(server.tokens["alice"]) as client:
        rows = client.get("/api/sessions").json()["items"]
        assert url.rpartition("/")[2] in {
            row["share_url"].rpartition("/")[2] for row in rows if not row["shared"]
        }


def told(work: Path) -> str:
    """What the recipe's programs said so far."""
    return "\n".join(
        f"{file.name}: {file.read_text()}" for file in work.glob("*.*") if file.suffix in (".out", ".err")
    )


def isolated(directory: Path) -> dict[str, str]:
    """An environment in which opencode keeps everything below the directory and asks nothing of the network."""
    (directory / "home").mkdir(parents=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory / "home"),
        **{
            f"XDG_{kind}_HOME": str(directory / kind.lower()) for kind in ("CONFIG", "DATA", "CACHE", "STATE")
        },
        "NO_PROXY": "127.0.0.1,localhost",
        "NO_COLOR": "1",
        **{
            f"OPENCODE_DISABLE_{what}": "1"
            for what in ("MODELS_FETCH", "AUTOUPDATE", "LSP_DOWNLOAD", "DEFAULT_PLUGINS")
        },
    }


def run(command: list[str], repo: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        cwd=repo,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return done


@once
def test_a_downloaded_session_imports(server: Server, tmp_path: Path) -> None:
    opencode = str(opencode_binary("1.18.33"))
    environment = isolated(tmp_path)
    repo = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    with server.client(server.tokens["dora"]) as client:
        Replay(client).run("1.18.33-serve-full")
        row = next(row for row in client.get("/api/sessions").json()["items"] if row["messages"] > 10)
        whole = client.get(f"/sessions/{row['id']}.json").json()
    (tmp_path / "session.json").write_text(json.dumps(whole))

    imported = run([opencode, "import", str(tmp_path / "session.json")], repo, environment)
    assert "Imported session" in imported.stdout
    back = json.loads(run([opencode, "export", row["external_id"]], repo, environment).stdout)
    assert [entry["parts"] for entry in back["messages"]] == [entry["parts"] for entry in whole["messages"]]


def wait_until(holds: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.2)


@contextlib.contextmanager
def model_stub(log: Path) -> Iterator[int]:
    port = free_port()
    stub = subprocess.Popen(
        ["python3", str(RECIPE / "stub.py"), str(port), str(log), "--scenario", "rich"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        stub.kill()
        stub.wait()


def configuration(model_port: int, **more: Any) -> dict[str, Any]:
    """opencode's, with the model stub as its only provider."""
    stub = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Stub",
        "options": {"baseURL": f"http://127.0.0.1:{model_port}/v1", "apiKey": "sk-stub"},
        "models": {
            "stub-model": {
                "name": "Stub",
                "tool_call": True,
                "reasoning": True,
                "limit": {"context": 128000, "output": 8192},
            }
        },
    }
    return {
        "autoupdate": False,
        # It would run whatever formatter is installed, and some of those download another.
        "formatter": False,
        "share": "manual",
        "permission": "allow",
        "model": "stub/stub-model",
        "small_model": "stub/stub-model",
        "provider": {"stub": stub},
        **more,
    }


@once
def test_device_login_then_share(server: Server, tmp_path: Path) -> None:
    opencode = str(opencode_binary("1.18.33"))
    repo = tmp_path / "repo"
    repo.mkdir()
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    with model_stub(tmp_path / "llm.jsonl") as llm:
        (tmp_path / "opencode.json").write_text(json.dumps(configuration(llm)))
        environment = {**isolated(tmp_path), "OPENCODE_CONFIG": str(tmp_path / "opencode.json")}
        log = tmp_path / "login.log"
        with log.open("wb") as out:
            login = subprocess.Popen(
                [opencode, "console", "login", server.url],
                cwd=repo,
                env=environment,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
            )
        try:
            wait_until(
                lambda: (
                    re.search(r"[BCDFGHJ-NP-TV-XZ]{4}-[BCDFGHJ-NP-TV-XZ]{4}", log.read_text())
                    or login.poll() is not None
                ),
                60,
            )
            code = re.search(r"[BCDFGHJ-NP-TV-XZ]{4}-[BCDFGHJ-NP-TV-XZ]{4}", log.read_text())
            assert code, log.read_text()
            confirm(server, "bob", code[0])
            assert login.wait(60) == 0, log.read_text()
        finally:
            login.kill()
        ran = run([opencode, "run", "--share", "Say hello"], repo, environment)
    url = re.search(r"https?://\S+/share/[\w-]+", ran.stderr)
    assert url, ran.stderr
    with server.client(server.tokens["bob"]) as client:
        (row,) = client.get("/api/sessions").json()["items"]
    assert row["share_url"] == url[0] and row["shared"] and row["source"] == "opencode"


def confirm(server: Server, name: str, code: str) -> None:
    """What a person does in the browser."""
    with httpx.Client(base_url=server.url, follow_redirects=True) as browser:
        page = browser.get("/sign-in").text
        browser.post("/sign-in", data={**csrf(page), "username": name, "password": "correct horse battery"})
        page = browser.get("/device", params={"user_code": code}).text
        assert code in page
        done = browser.post("/device", data={**csrf(page), "user_code": code, "answer": "approve"})
        assert "Signed in" in done.text


def csrf(page: str) -> dict[str, str]:
    return {"csrfmiddlewaretoken": page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]}


@contextlib.contextmanager
def opencode_server(binary: str, repo: Path, environment: dict[str, str]) -> Iterator[httpx.Client]:
    """``opencode serve``, and a client of its own API."""
    port = free_port()
    with (repo.parent / "serve.log").open("wb") as log:
        running = subprocess.Popen(
            [binary, "serve", "--hostname", "127.0.0.1", "--port", str(port)],
            cwd=repo,
            env=environment,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"x-opencode-directory": str(repo)}, timeout=120
    )

    def answers() -> bool:
        with contextlib.suppress(httpx.TransportError):
            # One that comes while it starts may never be answered.
            return client.get("/config", timeout=5).status_code == 200
        return False

    try:
        wait_until(answers, 60)
        yield client
    finally:
        client.close()
        running.kill()
        running.wait()


def test_two_people_watch_it_work(server: Server, browser: Any, tmp_path: Path) -> None:
    """The owner and a visitor see all of it arrive, with no reload, and end with what a fresh page shows."""
    repo = tmp_path / "repo"
    repo.mkdir()
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    (repo / "app.py").write_text("print('hi')\n")
    (repo / "README.md").write_text("hello repo\n")
    key = server.token("alice", "ingest")
    with model_stub(tmp_path / "llm.jsonl") as llm:
        config = configuration(llm, enterprise={"url": f"{server.url}/k/{key}"})
        (tmp_path / "opencode.json").write_text(json.dumps(config))
        environment = {**isolated(tmp_path), "OPENCODE_CONFIG": str(tmp_path / "opencode.json")}
        with opencode_server(str(opencode_binary("1.18.33")), repo, environment) as client:
            session = client.post("/session", json={}).json()["id"]
            url = client.post(f"/session/{session}/share").json()["share"]["url"]
            with server.client(server.tokens["alice"]) as own:
                rows = own.get("/api/sessions").json()["items"]
            row = next(row for row in rows if row["external_id"] == session)
            owner, fresh_owner = signed_in_page(server, browser), signed_in_page(server, browser)
            reader, fresh_reader = browser.new_page(), browser.new_page()
            for page, address in (
                (owner, f"{server.url}/sessions/{row['id']}"),
                (fresh_owner, f"{server.url}/sessions/{row['id']}"),
                (reader, url),
                (fresh_reader, url),
            ):
                page.goto(address)
            for page in (owner, reader):
                expect(page.locator("[data-connection=live]")).to_be_attached()
                mark(page)
            ask = {"parts": [{"type": "text", "text": "Add a greet function to app.py"}]}
            with ThreadPoolExecutor(1) as pool:
                asked = pool.submit(client.post, f"/session/{session}/message", json=ask)
                expect(owner.locator(".message.user").first).to_contain_text("greet", timeout=30_000)
                expect(owner.locator("#origin .status")).to_have_attribute("data-status", "working")
                while not asked.done():
                    owner.wait_for_timeout(200)
                assert asked.result().status_code == 200
            # The last batch leaves opencode a second after the end.
            owner.wait_for_timeout(2500)
            is_settled(owner, fresh_owner)
            is_settled(reader, fresh_reader)
            expect(owner.locator("details.card").first).to_be_attached()
            for page in (owner, fresh_owner, reader, fresh_reader):
                page.close()


def signed_in_page(server: Server, browser: Any) -> Page:
    context = browser.new_context(base_url=server.url)
    page: Page = context.new_page()
    page.goto("/sign-in")
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/sessions")
    return page
