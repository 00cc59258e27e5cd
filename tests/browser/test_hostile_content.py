"""Hostile text in a real browser, under the real policy: no script runs, no request leaves."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext

from tests.server import Server
from tests.sessions_app.test_hostile_content import HOSTILE, everywhere


def test_nothing_runs_and_nothing_leaves(
    server: Server, signed_in: Callable[..., BrowserContext], shared: Callable[..., dict[str, Any]]
) -> None:
    page = signed_in("alice").new_page()
    requests: list[str] = []
    dialogs: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for number, text in enumerate(HOSTILE):
        row = shared(everywhere(text), session_id=f"ses_hostile_{number}")
        views = ("", "/changes", "/changes?layout=split", "/info", "/outline", "/find?q=a")
        for url in (*(f"/sessions/{row['id']}{view}" for view in views), f"{row['share_url']}?view=reader"):
            page.goto(url)
            page.evaluate(
                "for (const fold of document.querySelectorAll('#main details:not(.menu)')) fold.open = true"
            )
            page.wait_for_timeout(20)
    page.goto("/sessions")
    assert dialogs == []
    assert {url for url in requests if not url.startswith((server.url, "data:"))} == set()
