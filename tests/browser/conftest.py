"""People at real pages: Chromium, at the width of a desk and of a phone, by day and by night."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests import factories
from tests.components import AXE, missing, once
from tests.server import Server

# Both widths and both schemes; ``violations`` looks at the colours of the other scheme, too. How wide a page is shown
# concerns no database, so that the suite's second run, on PostgreSQL, looks at one of them.
in_both_views = pytest.mark.parametrize(
    ("width", "scheme"), [pytest.param(1280, "light", marks=once), (390, "dark")]
)

# Pages and agents take their time where much else runs; what comes at once is not waited for.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def sign_ins() -> dict[str, Any]:
    """The cookies of those who have signed in to the module's server, by name."""
    return {}


@pytest.fixture
def signed_in(server: Server, browser: Browser, sign_ins: dict[str, Any]) -> Callable[..., BrowserContext]:
    """Opens a browser in which somebody has signed in by the page: once for a module, or ``anew`` to sign out of it."""

    def open_as(name: str, *, anew: bool = False, **options: Any) -> BrowserContext:
        context = browser.new_context(base_url=server.url, **options)
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
        if name in sign_ins and not anew:
            context.add_cookies(sign_ins[name])
            return context
        page = context.new_page()
        page.goto("/sign-in")
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill("correct horse battery")
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/sessions")
        page.close()
        if not anew:
            sign_ins[name] = context.cookies()
        return context

    return open_as


@pytest.fixture
def shared(server: Server) -> Callable[..., dict[str, Any]]:
    """Puts a session on the server, as opencode would; answers its row of the API."""

    def share(
        items: list[Any] | None = None, owner: str = "alice", session_id: str = "ses_1"
    ) -> dict[str, Any]:
        with server.client(server.tokens[owner]) as client:
            made = client.post("/api/share", json={"sessionID": session_id}).json()
            # In ASCII, as hostile text holds what UTF-8 cannot.
            body = json.dumps({"secret": made["secret"], "data": items or factories.conversation()})
            assert client.post(f"/api/share/{made['id']}/sync", content=body).status_code == 200
            rows = client.get("/api/sessions", params={"limit": 200}).json()["items"]
            found: dict[str, Any] = next(row for row in rows if row["external_id"] == session_id)
            return {**found, "secret": made["secret"]}

    return share


def violations(page: Page) -> list[str]:
    """What axe finds wrong with the page, by day and by night, each with the elements it found it at."""
    if not AXE.exists():
        missing(f"axe-core is not installed; npm install --prefix {AXE.parents[2]} axe-core")
    page.evaluate(AXE.read_text())
    found = _violations(page)
    dark = page.evaluate("() => matchMedia('(prefers-color-scheme: dark)').matches")
    here, there = ("dark", "light") if dark else ("light", "dark")
    page.emulate_media(color_scheme=there)
    found += [f"{there}: {each}" for each in _violations(page, "color-contrast")]
    page.emulate_media(color_scheme=here)
    return found


def _violations(page: Page, *rules: str) -> list[str]:
    options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    found = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{rule['id']}: {[node['html'][:120] for node in rule['nodes'][:3]]}" for rule in found["violations"]
    ]


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(page.evaluate("() => document.documentElement.scrollWidth - innerWidth"))


def until(page: Page, true: Callable[[], Any]) -> None:
    """Waits until something holds that ``expect`` has no word for, as long as that waits."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "it never came to hold"
        page.wait_for_timeout(50)


def at_rest(page: Page, measure: str) -> Any:
    """What a measure of the page comes to when nothing moves any more: the same for half a second."""
    return page.evaluate(
        f"""async () => {{
            let last, same = 0;
            while (same < 10) {{
                const now = {measure};
                same = now === last ? same + 1 : 0;
                last = now;
                await new Promise((done) => setTimeout(done, 50));
            }}
            return last;
        }}"""
    )
