"""Every page at both widths, by day and by night: nothing for axe to find, nothing to scroll sideways for."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext

from tests.browser.conftest import in_every_view, overflow, violations
from tests.recordings import share_data
from tests.server import Server

PAGES = [
    "/sessions",
    "/sessions?q=nothing",
    "SESSION",
    "SHARE?view=reader",
    "SESSION/delete",
    "SESSION/changes",
    "SESSION/changes?layout=split",
    "SESSION/info",
    "SESSION/outline",
    "SESSION/find?q=greet",
    "/tokens",
    "/password",
    "/device",
    "/api/docs",
    "/nowhere",
]


@in_every_view
def test_pages_of_a_member(
    signed_in: Callable[..., BrowserContext], shared: Callable[..., dict[str, Any]], width: int, scheme: str
) -> None:
    row = shared(share_data("1.18.33-fixture-all-parts"), session_id="ses_all")
    page = signed_in("alice", viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
    errors: list[str] = []
    page.on(
        "console",
        lambda message: (
            errors.append(message.text) if message.type == "error" and "404" not in message.text else None
        ),
    )
    for path in PAGES:
        url = path.replace("SESSION", f"/sessions/{row['id']}").replace("SHARE", row["share_url"])
        page.goto(url)
        if path == "SESSION":
            page.evaluate(
                "for (const fold of document.querySelectorAll('#main details:not(.menu)')) fold.open = true"
            )
        assert violations(page) == [], path
        assert overflow(page) <= 0, path
    assert errors == []


@in_every_view
def test_pages_of_somebody_new(
    server: Server, signed_in: Callable[..., BrowserContext], browser: Any, width: int, scheme: str
) -> None:
    visitor = browser.new_page(
        base_url=server.url, viewport={"width": width, "height": 800}, color_scheme=scheme
    )
    visitor.goto("/sign-in")
    assert violations(visitor) == [] and overflow(visitor) <= 0
    page = signed_in("bob", viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
    page.goto("/sessions")
    assert page.get_by_text("Nothing here yet").is_visible()
    assert violations(page) == [] and overflow(page) <= 0


def test_the_theme_is_kept_and_applied_before_the_page_shows(
    signed_in: Callable[..., BrowserContext],
) -> None:
    page = signed_in("alice", color_scheme="light").new_page()
    page.goto("/sessions")
    page.locator("summary", has_text="alice").click()
    page.get_by_role("button", name="Dark").click()
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 20, 19)"


def test_targets_are_large_enough_on_a_phone(
    signed_in: Callable[..., BrowserContext], shared: Callable[..., dict[str, Any]]
) -> None:
    row = shared(share_data("1.18.33-fixture-all-parts"), session_id="ses_all")
    page = signed_in("alice", viewport={"width": 390, "height": 800}).new_page()
    for path in ("/sessions", f"/sessions/{row['id']}"):
        page.goto(path)
        small = page.evaluate(
            """() => [...document.querySelectorAll('button, .button, summary, select, input:not([type=hidden], [type=checkbox]), label.pick')]
                .filter((element) => element.checkVisibility())
                .map((element) => [element.outerHTML.slice(0, 100), element.getBoundingClientRect().height])
                .filter(([, height]) => height > 0 && height < 43.5)"""
        )
        assert small == [], path
