"""Every page at both widths, by day and by night: nothing for axe to find, nothing to scroll sideways for."""

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext

from tests import factories
from tests.browser.conftest import in_both_views, overflow, violations
from tests.components import once
from tests.recordings import share_data
from tests.server import Server

pytestmark = once
# What no recording holds: a long title, a task list, and a prompt that was taken back.
MORE = [
    factories.session_item(title="A title " * 40, revert={"messageID": "zzz_2"}),
    factories.user_message("zzz_1", time={"created": factories.T0 * 2}),
    factories.text_part("zzz_p1", "zzz_1", "Make a list"),
    factories.assistant_message("zzz_1a", time={"created": factories.T0 * 2 + 1}),
    factories.text_part("zzz_p1a", "zzz_1a", "- [x] done\n- [ ] not done\n\n| a | b |\n|---|---|\n| 1 | 2 |"),
    factories.user_message("zzz_2", time={"created": factories.T0 * 2 + 2}),
    factories.text_part("zzz_p2", "zzz_2", "Taken back, with `code` and [a link](https://example.org)"),
    factories.assistant_message("zzz_3", time={"created": factories.T0 * 2 + 3}),
    factories.tool_part(
        "bash", "zzz_t3", "zzz_3", {"command": "seq 99"}, output="\n".join(map(str, range(99)))
    ),
    factories.text_part("zzz_p3", "zzz_3", "```python\nprint(1)\n```\nand more"),
]
PAGES = [
    "/sessions",
    "/sessions?q=nothing",
    "SESSION",
    "SHARE?view=reader",
    "SHARE/changes",
    "SHARE/info",
    "SESSION?rename",
    "/sessions/summary",
    "SESSION/delete",
    "SESSION/changes",
    "SESSION/changes?layout=split",
    "SESSION/info",
    "SESSION/outline",
    "SESSION/find?q=greet",
    "SESSION?q=greet",
    "SESSION/parts/PART",
    "SESSION/changes/CHANGE",
    "SHARE/outline",
    "SHARE/find?q=greet",
    "/sessions?shelf=archived",
    "/sessions?shelf=deleted",
    "/tokens",
    "/password",
    "/device",
    "/api/docs",
    "/nowhere",
]


@in_both_views
def test_pages_of_a_member(
    signed_in: Callable[..., BrowserContext], shared: Callable[..., dict[str, Any]], width: int, scheme: str
) -> None:
    row = shared([*share_data("1.18.33-fixture-all-parts"), *MORE], session_id="ses_all")
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
        if path.endswith(("/PART", "/CHANGE")):
            page.goto(f"/sessions/{row['id']}{'/changes' if path.endswith('/CHANGE') else '?at=zzz_3'}")
            found = page.locator("a.more[href*='/parts/'], details.change").first
            number = re.search(r"\d+$", found.get_attribute("href") or found.get_attribute("id") or "")
            assert number
            url = url.replace("PART", number[0]).replace("CHANGE", number[0])
        page.goto(url)
        if path == "SESSION":
            page.evaluate(
                "for (const fold of document.querySelectorAll('#main details:not(.menu)')) fold.open = true"
            )
        assert violations(page) == [], path
        assert overflow(page) <= 0, path
    assert errors == []


@in_both_views
def test_dialogs(
    signed_in: Callable[..., BrowserContext], shared: Callable[..., dict[str, Any]], width: int, scheme: str
) -> None:
    row = shared(share_data("1.18.33-fixture-all-parts"), session_id="ses_all")
    page = signed_in("alice", viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
    page.goto(f"/sessions/{row['id']}")
    page.get_by_role("button", name="Share", exact=True).click()
    assert violations(page) == [] and overflow(page) <= 0
    page.keyboard.press("Escape")
    if width < 900:
        page.get_by_role("link", name="Outline").click()
        page.locator(".sheet .prompts").wait_for()
        assert violations(page) == [] and overflow(page) <= 0
        page.keyboard.press("Escape")
    page.locator("summary", has_text="More").click()
    page.get_by_role("link", name="Delete …").click()
    assert violations(page) == [] and overflow(page) <= 0


@in_both_views
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


def test_paper_is_light(
    signed_in: Callable[..., BrowserContext], shared: Callable[..., dict[str, Any]]
) -> None:
    row = shared(share_data("1.18.33-fixture-all-parts"), session_id="ses_all")
    page = signed_in("alice", color_scheme="dark").new_page()
    page.goto(f"/sessions/{row['id']}")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.emulate_media(media="print")
    ink = page.evaluate("getComputedStyle(document.querySelector('.message .typed')).color")
    assert max(int(value) for value in re.findall(r"\d+", ink)[:3]) < 100
    # What one could only press is not printed; what was folded is.
    for nowhere in (".bar", ".session-head button", ".tabs", "#composer"):
        assert not page.locator(nowhere).filter(visible=True).count(), nowhere
    assert page.get_by_text("hello repo").first.is_visible()
    # Nothing is cut off at the paper's edge.
    for wide in page.locator(".diff, .prose table, pre").filter(visible=True).all():
        assert wide.evaluate("(box) => box.scrollWidth - box.clientWidth") <= 1, wide.inner_text()[:80]


def test_targets_are_large_enough_on_a_phone(
    signed_in: Callable[..., BrowserContext], shared: Callable[..., dict[str, Any]]
) -> None:
    row = shared(share_data("1.18.33-fixture-all-parts"), session_id="ses_all")
    page = signed_in("alice", viewport={"width": 390, "height": 800}).new_page()
    for path in ("/sessions", f"/sessions/{row['id']}", f"/sessions/{row['id']}/changes"):
        page.goto(path)
        small = page.evaluate(
            """() => [...document.querySelectorAll('button, .button, nav a, a.more, summary, select, input:not([type=hidden], [type=checkbox]), label.pick')]
                .filter((element) => element.checkVisibility())
                .map((element) => [element.outerHTML.slice(0, 100), element.getBoundingClientRect()])
                .filter(([, { width, height }]) => height > 0 && (height < 43.5 || width < 43.5))
                .map(([html, { width, height }]) => [html, width, height])"""
        )
        assert small == [], path
