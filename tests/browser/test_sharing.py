"""Sharing as people do it: the button, the dialog, the link, and its end."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import in_both_views
from tests.server import Server

SignedIn = Callable[..., BrowserContext]
Shared = Callable[..., dict[str, Any]]


def test_the_switch_opens_and_shuts_the_link(server: Server, signed_in: SignedIn, shared: Shared) -> None:
    row = shared()
    page = signed_in("alice").new_page()
    page.goto(f"/sessions/{row['id']}")
    expect(page.locator(".session-head .pill")).to_be_visible()
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_role("button", name="Copy link")).to_be_focused()
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == row["share_url"]
    toggle = page.get_by_role("switch", name="Shared")
    toggle.click()
    expect(toggle).to_have_attribute("aria-checked", "false")
    assert httpx.get(row["share_url"]).status_code == 404
    expect(page.locator(".session-head .pill")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="Share")).to_be_focused()
    page.get_by_role("button", name="Share").click()
    expect(toggle).to_be_focused()
    page.keyboard.press("Space")
    expect(toggle).to_have_attribute("aria-checked", "true")
    assert httpx.get(row["share_url"]).status_code == 200


def test_a_page_that_embeds_gander_takes_over_the_dialog(signed_in: SignedIn, shared: Shared) -> None:
    row = shared()
    page = signed_in("alice").new_page()
    page.goto(f"/sessions/{row['id']}")
    page.evaluate(
        "addEventListener('gander:share', (event) => { event.preventDefault(); window.asked = event.detail; })"
    )
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert page.evaluate("window.asked") == {"sessionId": row["id"], "url": row["share_url"], "shared": True}


@in_both_views
def test_rename_in_place_by_enter_and_esc(
    signed_in: SignedIn, shared: Shared, width: int, scheme: str
) -> None:
    row = shared(session_id=f"ses_rename_{width}_{scheme}")
    page = signed_in("alice", viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
    page.goto(f"/sessions/{row['id']}")
    page.get_by_role("button", name="Rename").click()
    field = page.get_by_label("Title")
    expect(field).to_be_focused()
    field.fill("Not this")
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", level=1)).to_have_text("Add a greet function")
    page.get_by_role("button", name="Rename").click()
    field.fill("A name of my own")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("A name of my own")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("A name of my own")


@pytest.mark.parametrize("width", [1280, 390])
def test_rename_without_javascript(signed_in: SignedIn, shared: Shared, width: int) -> None:
    row = shared(session_id=f"ses_plain_rename_{width}")
    view = {"viewport": {"width": width, "height": 800}, "java_script_enabled": False}
    page = signed_in("alice", **view).new_page()
    page.goto(f"/sessions/{row['id']}")
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Title").fill("Named by a form")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Named by a form")


@in_both_views
def test_delete_asks_first_and_can_be_undone(
    signed_in: SignedIn, shared: Shared, width: int, scheme: str
) -> None:
    row = shared(session_id=f"ses_delete_{width}_{scheme}")
    page = signed_in("alice", viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
    page.goto(f"/sessions/{row['id']}")
    page.locator("summary", has_text="More").click()
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.wait_for_url("**/sessions")
    assert httpx.get(row["share_url"]).status_code == 404
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Restored 1 session")).to_be_visible()
    assert httpx.get(row["share_url"]).status_code == 200


def test_everything_works_without_javascript(signed_in: SignedIn, shared: Shared) -> None:
    row = shared(session_id="ses_nojs")
    page = signed_in("alice", java_script_enabled=False).new_page()
    page.goto(f"/sessions/{row['id']}")
    page.locator("summary", has_text="More").click()
    page.get_by_role("button", name="Stop sharing").click()
    expect(page.get_by_text("No longer shared")).to_be_visible()
    assert httpx.get(row["share_url"]).status_code == 404
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_text(row["share_url"])).to_be_visible()
    page.locator("summary", has_text="More").click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/sessions")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Restored 1 session")).to_be_visible()
