"""Reading: what the session page and the list cost as sessions grow, requests a second, and layout in a browser.

Floors: for time to first byte the smallest session's page, for throughput a constant from a bare Django view under the
same daphne, and the same view through Django's own ASGI handler.
"""

import gzip
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import sync_playwright

from benchmarks.table import show, wanted
from tests.components import CHROMIUM, ROOT
from tests.items import T0, assistant_message, text_part, tool_part, user_message
from tests.server import Server, free_port

MESSAGES = [50, 1_000, 5_000, 50_000]
SESSIONS = [100, 1_000, 10_000]
ROUNDS = 60
SECONDS = 4.0
CONNECTIONS = 8
# Without it, a program with a token is given JSON.
PAGE = {"Accept": "text/html"}
PROSE = "I looked at the file and changed how it **greets**. " * 6


def messages(first: int, count: int) -> list[dict[str, Any]]:
    """Turns of five messages: a prompt, two tool calls, two answers."""
    items: list[dict[str, Any]] = []
    for n in range(first, first + count):
        id = f"msg_{n:06}"
        created = {"created": T0 + n}
        if n % 5 == 0:
            items += [
                user_message(id, time=created),
                text_part(f"prt_{n:06}", id, f"Prompt {n // 5}: please look at it"),
            ]
        elif n % 5 in (1, 2):
            items += [
                assistant_message(id, time=created),
                tool_part("bash", f"prt_{n:06}", id, {"command": "make test"}, output="ok\n" * 8),
            ]
        else:
            items += [
                assistant_message(id, time=created),
                text_part(f"prt_{n:06}", id, PROSE),
            ]
    return items


def fill(client: httpx.Client, session_id: str, count: int) -> dict[str, Any]:
    made: dict[str, Any] = client.post("/api/share", json={"sessionID": session_id}).json()
    for first in range(0, count, 5_000):
        body = {"secret": made["secret"], "data": messages(first, min(5_000, count - first))}
        client.post(f"/api/share/{made['id']}/sync", json=body).raise_for_status()
    return made


def first_byte(port: int, path: str, token: str, rounds: int = ROUNDS) -> tuple[float, int, int]:
    """Median milliseconds to the answer's head, and the body's bytes as sent and inflated."""
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {**PAGE, "Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"}
    times, body, zipped = [], b"", False
    for index in range(rounds + 10):
        begun = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        taken = time.perf_counter() - begun
        zipped, body = answer.headers.get("Content-Encoding") == "gzip", answer.read()
        assert answer.status == 200, (path, answer.status)
        assert answer.headers["Content-Type"].startswith("text/html"), path
        if index >= 10:
            times.append(taken * 1000)
    return statistics.median(times), len(body), len(gzip.decompress(body)) if zipped else len(body)


def growth(title: str, what: str, figures: list[tuple[int, float, int, int]]) -> None:
    """What a page costs as what it shows grows."""
    show(
        title,
        [what, "first byte ms", "KB compressed", "KB"],
        [
            [f"{count:,}", f"{ms:.1f}", f"{sent / 1024:.1f}", f"{size / 1024:.0f}"]
            for count, ms, sent, size in figures
        ],
    )
    times = [ms for _, ms, _, _ in figures]
    wanted(
        "the slowest at most 1.3 x the fastest",
        max(times) / min(times) <= 1.3,
        f"{max(times) / min(times):.2f}",
    )
    largest = max(sent for _, _, sent, _ in figures) / 1024
    wanted("at most 40 KB compressed", largest <= 40, f"{largest:.1f} KB")


def pages(server: Server, token: str) -> dict[int, str]:
    """(a): the session page."""
    figures, found = [], {}
    with server.client(token) as client:
        for count in MESSAGES:
            fill(client, f"ses_{count}", count)
            rows = client.get("/api/sessions", params={"limit": 200}).json()["items"]
            found[count] = next(row["id"] for row in rows if row["external_id"] == f"ses_{count}")
    for count in MESSAGES:
        figures.append((count, *first_byte(server.port, f"/sessions/{found[count]}", token)))
    growth("(a) The session page", "messages", figures)
    return found


def lists(server: Server) -> str:
    """(b): the list. Returns the token of who owns 1,000 sessions."""
    figures, tokens = [], {}
    for count in SESSIONS:
        name = f"owner{count}"
        tokens[count] = server.add_user(name)
        server.run_python(
            f"""
            from datetime import timedelta
            from django.utils import timezone
            from project.accounts.models import User
            from sessions_app.models import Session
            owner, now = User.objects.get(username={name!r}), timezone.now()
            Session.objects.bulk_create(
                Session(owner=owner, source="opencode", external_id=f"s{{n}}", title=f"Session {{n}}", directory="/srv/app",
                        models_used="opus", messages_count=9, tokens_input=900, cost_nano=10**8, prompt="Please look",
                        updated_at=now - timedelta(minutes=n))
                for n in range({count})
            )
            """
        )
    for count in SESSIONS:
        figures.append((count, *first_byte(server.port, "/sessions", tokens[count])))
    growth("(b) The list", "sessions", figures)
    return tokens[1_000]


def per_second(port: int, path: str, token: str) -> float:
    """Requests a second over some keep-alive connections."""
    stop = time.perf_counter() + SECONDS
    counts = [0] * CONNECTIONS

    def ask(number: int) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {**PAGE, "Authorization": f"Bearer {token}"} if token else {}
        while time.perf_counter() < stop:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, (path, answer.status)
            counts[number] += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS


def other_daphne(server: Server, kind: str, settings: str) -> tuple[subprocess.Popen[bytes], int]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.daphne", kind, str(port)],
        cwd=ROOT,
        env={**server.environment, "DJANGO_SETTINGS_MODULE": settings},
    )
    for _ in range(200):
        try:
            HTTPConnection("127.0.0.1", port, timeout=1).connect()
            return process, port
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the other daphne did not start")


def throughput(server: Server, token: str, session_id: str, owner: str) -> None:
    """(c): requests a second."""
    json_list = "/api/sessions?limit=20"
    rows = {
        "list": per_second(server.port, "/sessions", token),
        "session page, 1,000 messages": per_second(server.port, f"/sessions/{session_id}", owner),
        "JSON list": per_second(server.port, json_list, token),
    }
    floor, port = other_daphne(server, "pool", "benchmarks.constant")
    try:
        constant = per_second(port, "/constant", "")
    finally:
        floor.terminate()
    plain, port = other_daphne(server, "asgi", "project.settings")
    try:
        stock = per_second(port, json_list, token)
    finally:
        plain.terminate()
    show(
        "(c) Requests a second",
        ["what", "per second", "of the constant"],
        [
            *([name, f"{value:.0f}", f"{value / constant:.0%}"] for name, value in rows.items()),
            ["JSON list through get_asgi_application()", f"{stock:.0f}", f"{stock / constant:.0%}"],
            ["constant from a bare view", f"{constant:.0f}", "100%"],
        ],
    )
    wanted(
        "the JSON list at least 3 x Django's own ASGI handler",
        rows["JSON list"] >= 3 * stock,
        f"{rows['JSON list'] / stock:.1f}",
    )


def layout(server: Server, session_id: str) -> None:
    """(d): layout of 5,000 loaded messages."""
    if not CHROMIUM.exists():
        print("\n(d) Not measured: Chromium is not installed.")
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(base_url=server.url, viewport={"width": 1280, "height": 900})
        page.goto("/sign-in")
        page.get_by_label("Username").fill("ada")
        page.get_by_label("Password").fill("correct horse battery")
        page.get_by_role("button", name="Sign in").click()
        page.goto(f"/sessions/{session_id}")
        page.wait_for_function("window.htmx")
        for _ in range(600):
            page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
            page.wait_for_timeout(20)
            if not page.locator("[data-window=after]").count():
                break
        measure = """(skip) => {
            for (const turn of document.querySelectorAll(".turn")) turn.style.contentVisibility = skip ? "" : "visible";
            document.body.getBoundingClientRect();
            const times = [];
            for (let round = 0; round < 7; round++) {
                document.body.style.width = round % 2 ? "" : "900px";
                const begun = performance.now();
                document.body.getBoundingClientRect();
                times.push(performance.now() - begun);
            }
            return times.sort((a, b) => a - b)[3];
        }"""
        loaded = page.locator(".message.user").count() * 5
        plain, ours = page.evaluate(measure, False), page.evaluate(measure, True)
        browser.close()
    show(
        "(d) Layout in Chromium",
        ["messages", "ms", "ms without content-visibility"],
        [[f"{loaded:,}", f"{ours:.1f}", f"{plain:.1f}"]],
    )
    wanted("at most 100 ms for 5,000 messages", loaded >= 5_000 and ours <= 100, f"{ours:.1f} ms")


def run() -> None:
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory) / "data", GANDER_LOG_LEVEL="warning")
        try:
            server.start()
            owner = server.add_user("ada")
            found = pages(server, owner)
            thousand = lists(server)
            throughput(server, thousand, found[1_000], owner)
            layout(server, found[5_000])
        finally:
            server.close()
