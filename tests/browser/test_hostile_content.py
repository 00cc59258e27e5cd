"""Hostile text in a real browser, under the real policy: no script runs, no request leaves."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext

from tests.components import once
from tests.server import Server
from tests.sessions_app.test_hostile_content import HOSTILE, everywhere

VIEWS = ("", "/changes", "/changes?layout=split", "/info", "/outline", "/find?q=a")


def all_of_it() -> list[dict[str, Any]]:
    """A session that holds every text everywhere, but for the very long ones: they are read alone."""
    items: list[dict[str, Any]] = []
    for number, text in enumerate(HOSTILE):
        if len(text) > 10_000:
            continue
        for item in everywhere(text):
            data = item["data"]
            names = {name: f"{data[name]}_{number}" for name in ("id", "messageID") if name in data}
            items.append({**item, "data": {**data, **names}} if item["type"] != "session" else item)
    return items


@once
def test_nothing_runs_and_nothing_leaves(
    server: Server, signed_in: Callable[..., BrowserContext], shared: Callable[..., dict[str, Any]]
) -> None:
    page = signed_in("alice").new_page()
    requests: list[str] = []
    dialogs: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))

    def read(*urls: str) -> None:
        for url in urls:
            page.goto(url)
            page.evaluate(
                "for (const fold of document.querySelectorAll('#main details:not(.menu)')) fold.open = true"
            )
            page.wait_for_timeout(20)

    for number, text in enumerate(HOSTILE):
        row = shared(everywhere(text), session_id=f"ses_hostile_{number}")
        read(f"/sessions/{row['id']}")
    row = shared(all_of_it(), session_id="ses_hostile")
    read(*(f"/sessions/{row['id']}{view}" for view in VIEWS), f"{row['share_url']}?view=reader")
    assert page.get_by_text("could not be shown").count() == 0
    page.goto("/sessions")
    assert dialogs == []
    assert {url for url in requests if not url.startswith((server.url, "data:"))} == set()
