"""The list: filters, selection, undo."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, expect

from tests import factories
from tests.browser.conftest import in_both_views, overflow, violations
from tests.server import Server

SignedIn = Callable[..., BrowserContext]


@pytest.fixture(autouse=True)
def sessions(server: Server, shared: Callable[..., dict[str, Any]]) -> None:
    for number in range(4):
        items = [
            factories.session_item(title=f"Session {number}", directory=f"/srv/project{number % 2}"),
            factories.user_message(),
            factories.text_part(text=f"Please do thing {number}\nand more"),
        ]
        shared(items, session_id=f"ses_list_{number}")


@in_both_views
def test_filters_become_chips_and_go_again(signed_in: SignedIn, width: int, scheme: str) -> None:
    page = signed_in("alice", viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    page.goto("/sessions")
    expect(page.get_by_text("Please do thing 0", exact=True)).to_be_visible()
    expect(page.locator(".summary")).to_contain_text("4 sessions")
    page.locator("summary", has_text="More").click()
    page.get_by_label("Project folder").fill("/srv/project1")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".sessions li")).to_have_count(2)
    expect(page.locator(".summary")).to_contain_text("2 sessions")
    assert violations(page) == [] and overflow(page) <= 0
    page.locator(".chip").click()
    expect(page.locator(".sessions li")).to_have_count(4)
    page.get_by_label("Search titles and folders").fill("session 3")
    page.keyboard.press("Enter")
    expect(page.locator(".sessions li")).to_have_count(1)
    assert "q=session" in page.url


@in_both_views
def test_selection_deletes_and_undo_brings_back(signed_in: SignedIn, width: int, scheme: str) -> None:
    page = signed_in("alice", viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    page.goto("/sessions")
    expect(page.get_by_role("button", name="Delete")).to_be_hidden()
    page.get_by_label("Select Session 1").check()
    page.get_by_label("Select Session 2").check()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Deleted 2 sessions.")).to_be_visible()
    expect(page.locator(".sessions li")).to_have_count(2)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".sessions li")).to_have_count(4)
    page.get_by_label("Select all").check()
    page.get_by_role("button", name="Archive").click()
    expect(page.get_by_text("Nothing here yet")).to_be_visible()
    page.goto("/sessions?shelf=archived")
    page.get_by_label("Select all").check()
    page.get_by_role("button", name="Take out of the archive").click()
    page.goto("/sessions")
    expect(page.locator(".sessions li")).to_have_count(4)


@in_both_views
def test_the_list_works_without_javascript(signed_in: SignedIn, width: int, scheme: str) -> None:
    view = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    page = signed_in("alice", java_script_enabled=False, **view).new_page()
    page.goto("/sessions")
    page.get_by_label("Search titles and folders").fill("session 3")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".sessions li")).to_have_count(1)
    page.locator(".chip").click()
    page.locator("summary", has_text="More").click()
    page.get_by_label("Project folder").fill("/srv/project1")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".sessions li")).to_have_count(2)
    page.goto("/sessions")
    page.get_by_role("link", name="Totals and activity").click()
    expect(page.get_by_text("4 sessions")).to_be_visible()
    page.goto("/sessions")
    page.get_by_label("Select Session 0").check()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".sessions li")).to_have_count(4)


def test_a_rows_own_buttons_act_on_it_alone(signed_in: SignedIn) -> None:
    page = signed_in("alice").new_page()
    page.goto("/sessions")
    page.get_by_label("Select Session 2").check()
    page.get_by_text("Session 1", exact=True).first.hover()
    page.get_by_role("button", name="Put away Session 1").click()
    expect(page.get_by_text("Archived 1 session.")).to_be_visible()
    expect(page.locator(".sessions li")).to_have_count(3)
    page.goto("/sessions?shelf=archived")
    page.get_by_text("Session 1", exact=True).first.hover()
    page.get_by_role("button", name="Bring back Session 1").click()
    page.goto("/sessions")
    expect(page.locator(".sessions li")).to_have_count(4)
