"""Pages that somebody watches while an agent works: they end like a fresh load, and never were loaded again."""

import contextlib
import random
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests import factories
from tests.browser.conftest import at_rest, in_both_views, overflow, until, violations
from tests.server import Server

SignedIn = Callable[..., BrowserContext]

SHAPE = """() => {
  const walk = (node) => {
    if (node.nodeType === 3) return node.textContent.trim();
    if (node.nodeType !== 1 || node.matches('time, .copy-code, svg')) return '';
    const name = node.tagName + (node.id ? '#' + node.id : '') + '.' + [...node.classList].filter((c) => !c.startsWith('htmx')).join('.');
    const inside = [...node.childNodes].map(walk).filter(Boolean);
    return name + '(' + inside.join(' ') + ')';
  };
  return [...document.querySelectorAll('#messages, .outline .prompts, #origin, #changes-count')].map(walk).join('\\n');
}"""


class Shared:
    """A session on the server that grows."""

    def __init__(self, server: Server, name: str, *items: dict[str, Any]) -> None:
        self.client = server.client(server.tokens["alice"])
        made = self.client.post("/api/share", json={"sessionID": name}).json()
        self.share_id, self.secret = made["id"], made["secret"]
        self.sync(*items)
        rows = self.client.get("/api/sessions", params={"limit": 200}).json()["items"]
        self.id = next(row["id"] for row in rows if row["external_id"] == name)

    def sync(self, *items: dict[str, Any]) -> None:
        body = {"secret": self.secret, "data": list(items)}
        assert self.client.post(f"/api/share/{self.share_id}/sync", json=body).status_code == 200

    @property
    def revision(self) -> int:
        return int(self.client.get(f"/api/sessions/{self.id}").json()["revision"])


def at(number: int) -> dict[str, int]:
    return {"created": factories.T0 + number * 1000}


def shape(page: Page) -> str:
    return str(page.evaluate(SHAPE))


def mark(page: Page) -> None:
    """Something that a reload would lose."""
    page.evaluate("window.neverLoadedAgain = true")


def is_settled(page: Page, fresh: Page) -> None:
    """Waits until the page shows what a fresh one does."""
    fresh.reload()
    fresh.locator(".outline .prompts [data-prompt]").first.wait_for(state="attached")
    expected = shape(fresh)
    with contextlib.suppress(AssertionError):
        until(page, lambda: shape(page) == expected)
    assert shape(page) == expected
    assert page.evaluate("window.neverLoadedAgain") is True


def live(page: Page) -> None:
    expect(page.locator("[data-connection=live]")).to_be_attached()


@in_both_views
def test_a_turn_arrives_in_place(
    server: Server, signed_in: SignedIn, browser: Any, width: int, scheme: str
) -> None:
    session = Shared(server, f"live {width} {scheme}", *factories.conversation())
    view = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    owner_context = signed_in("alice", **view)
    owner, fresh_owner = owner_context.new_page(), owner_context.new_page()
    reader_context = browser.new_context(base_url=server.url, **view)
    reader, fresh_reader = reader_context.new_page(), reader_context.new_page()
    for page in (owner, fresh_owner):
        page.goto(f"/sessions/{session.id}")
    for page in (reader, fresh_reader):
        page.goto(f"/share/{session.share_id}")
    for page in (owner, reader):
        live(page)
        page.locator(".outline .prompts [data-prompt]").first.wait_for(state="attached")
        mark(page)
    expect(owner.locator("[data-watching]")).to_have_attribute("data-watching", "")
    session.sync(
        factories.user_message("msg_3", time=at(10)), factories.text_part("prt_31", "msg_3", "Run it")
    )
    expect(owner.get_by_text("Run it").first).to_be_attached()
    expect(owner.locator("#origin .status")).to_have_attribute("data-status", "working")
    for step in range(4):
        id = f"msg_4{step}"
        message = factories.assistant_message(id, time=at(11 + step))
        call = {"input": {"command": f"echo {step}"}}
        session.sync(message, factories.tool_part("bash", f"prt_4{step}", id, **call, status="running"))
        session.sync(factories.tool_part("bash", f"prt_4{step}", id, **call, output=f"{step}"))
    expect(owner.locator("details.steps > summary", has_text="4 steps · ran 4 commands")).to_be_attached()
    session.sync(
        factories.assistant_message("msg_5", time={**at(20), "completed": factories.T0 + 21_000}),
        factories.text_part("prt_51", "msg_5", "All four ran."),
    )
    changed = {"file": "/home/alice/app/ran.py", "patch": "@@ -1 +1 @@\n-old\n+ran\n"}
    diff = {**changed, "additions": 1, "deletions": 1}
    session.sync(factories.user_message("msg_3", time=at(10), summary={"diffs": [diff]}))
    is_settled(owner, fresh_owner)
    is_settled(reader, fresh_reader)
    reader.locator(".changed summary", has_text="ran.py").click()
    expect(reader.locator(".changed .diff")).to_contain_text("ran")
    expect(owner.locator("#announcer p").last).to_have_text("All four ran.")
    for page in (owner, reader):
        assert violations(page) == [] and overflow(page) <= 0
    owner_context.close()
    reader_context.close()


def test_any_order_of_changes_ends_like_a_fresh_page(server: Server, signed_in: SignedIn) -> None:
    """Messages of every make-up, parts before their messages, late ones in between, changed over and over."""
    random.seed(7)
    items: list[dict[str, Any]] = []
    for number in range(24):
        id = f"m{number:02}"
        if number % 6 == 0:
            items.append(factories.user_message(id, time=at(number)))
            items.append(factories.text_part(f"p{id}", id, f"Prompt {number}"))
            continue
        # Some were stopped, failed, or say in short what came before; also where they hold nothing but steps.
        ends: list[dict[str, Any]] = [
            {},
            {"error": {"name": "MessageAbortedError", "data": {"message": "stopped"}}},
            {"error": {"name": "APIError", "data": {"message": "failed"}}},
            {"summary": True},
        ]
        end = random.choices(ends, [6, 1, 1, 1])[0]
        items.append(factories.assistant_message(id, time=at(number), tokens={"input": number}, **end))
        for part in range(random.randint(0, 3)):
            tool = random.choice(["bash", "read", "edit", "mcp_thing"])
            given = {"filePath": random.choice(["/home/alice/app/a.py", "/home/alice/b.py", ""])}
            status = random.choice(["completed", "error", "running"])
            # Halves too, which Python and JavaScript round differently.
            took = random.choice([250, 999, 1000, 3000, 59_950, 3_600_000])
            time = {"start": factories.T0, "end": factories.T0 + took}
            items.append(factories.tool_part(tool, f"p{id}{part}", id, input=given, status=status, time=time))
        if random.random() < 0.4:
            items.append(factories.text_part(f"p{id}z", id, f"Answer {number}"))
    prompts = [item for item in items if item["data"].get("role") == "user"]
    rest = [item for item in items if item not in prompts]
    # What a turn changed comes when it is over, or grows.
    for number in (0, 6, 6, 12):
        diff = {"file": f"{number}.py", "patch": "", "additions": random.randint(1, 9), "deletions": 0}
        rest.append(factories.user_message(f"m{number:02}", time=at(number), summary={"diffs": [diff]}))
    random.shuffle(rest)
    session = Shared(server, "any order", factories.session_item(), *prompts, *rest[:10])
    context = signed_in("alice")
    page, fresh = context.new_page(), context.new_page()
    for each in (page, fresh):
        each.goto(f"/sessions/{session.id}")
    live(page)
    page.locator(".outline .prompts [data-prompt]").first.wait_for(state="attached")
    mark(page)
    while rest:
        some, rest = rest[:3], rest[3:]
        session.sync(*some)
        if random.random() < 0.3:
            is_settled(page, fresh)
    is_settled(page, fresh)
    session.sync(factories.session_item(revert={"messageID": "m12"}, title="Taken back"))
    is_settled(page, fresh)
    expect(page.get_by_text("what follows was reverted")).to_have_count(1)


def test_what_one_reads_stays_and_a_pill_says_what_is_new(server: Server, signed_in: SignedIn) -> None:
    turns = [
        item
        for number in range(20)
        for item in (
            factories.user_message(f"m{number:02}", time=at(number)),
            factories.text_part(f"p{number:02}", f"m{number:02}", f"Prompt {number}\n" + "line\n" * 8),
        )
    ]
    session = Shared(server, "pill", factories.session_item(title="Pill"), *turns)
    page = signed_in("alice", viewport={"width": 1280, "height": 800}).new_page()
    page.goto(f"/sessions/{session.id}?at=m08#m08")
    live(page)
    where = "document.querySelector('#m08').getBoundingClientRect().top"
    top = at_rest(page, where)
    for number in range(20, 23):
        session.sync(
            factories.user_message(f"m{number}", time=at(number)),
            factories.text_part(f"p{number}", f"m{number}", f"New {number}"),
        )
    session.sync(factories.text_part("p00", "m00", "Prompt 0 has become much longer\n" + "line\n" * 40))
    expect(page.locator("#new-messages")).to_have_text("3 new messages")
    expect(page).to_have_title("(3) Pill · Gander")
    assert abs(at_rest(page, where) - top) < 3
    page.locator("#new-messages").click()
    expect(page.get_by_text("New 22").last).to_be_in_viewport()
    expect(page).to_have_title("Pill · Gander")
    # At the end one follows.
    session.sync(
        factories.user_message("m30", time=at(30)),
        factories.text_part("p30", "m30", "Followed\n" + "line\n" * 30),
    )
    expect(page.locator("#m30")).to_be_in_viewport()
    expect(page.locator("#new-messages")).to_be_hidden()


def test_what_one_opened_stays_open(server: Server, signed_in: SignedIn) -> None:
    long = "\n".join(f"row {n}" for n in range(100))
    session = Shared(
        server,
        "opened",
        *factories.conversation(),
        factories.tool_part("bash", "prt_4", "msg_2", input={"command": "x"}, output=long),
    )
    page = signed_in("alice").new_page()
    page.goto(f"/sessions/{session.id}")
    live(page)
    page.locator("#prt_4 > summary").click()
    page.get_by_text("Show all 100 lines").click()
    expect(page.get_by_text("row 99")).to_be_visible()
    session.sync(factories.text_part("prt_9", "msg_2", "And more"))
    expect(page.get_by_text("And more")).to_be_visible()
    expect(page.get_by_text("row 99")).to_be_visible()


@in_both_views
def test_a_reader_is_told_when_it_is_no_longer_shared(
    server: Server, signed_in: SignedIn, browser: Any, width: int, scheme: str
) -> None:
    session = Shared(server, f"closing {width} {scheme}", *factories.conversation())
    view = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    owner, other = signed_in("alice", **view).new_page(), signed_in("alice", **view).new_page()
    reader = browser.new_page(base_url=server.url, **view)
    for page in (owner, other):
        page.goto(f"/sessions/{session.id}")
        live(page)
    reader.goto(f"/share/{session.share_id}")
    live(reader)
    expect(other.locator(".pill")).to_be_visible()
    owner.get_by_role("button", name="Share", exact=True).click()
    owner.get_by_role("switch").click()
    expect(reader.get_by_role("heading", name="This session is no longer shared")).to_be_visible()
    assert "greet" not in reader.content()
    assert violations(reader) == [] and overflow(reader) <= 0
    expect(other.locator(".pill")).to_be_hidden()
    owner.get_by_role("switch").click()
    expect(other.locator(".pill")).to_be_visible()
    reader.close()


def test_the_page_says_when_it_is_reconnecting(server: Server, signed_in: SignedIn) -> None:
    session = Shared(server, "reconnecting", *factories.conversation())
    context = signed_in("alice")
    page = context.new_page()
    page.goto(f"/sessions/{session.id}")
    live(page)
    mark(page)
    server.stop()
    expect(page.get_by_text("reconnecting …")).to_be_visible()
    server.start()
    session.sync(factories.text_part("prt_9", "msg_2", "While you were away"))
    expect(page.get_by_text("While you were away")).to_be_visible()
    live(page)
    assert page.evaluate("window.neverLoadedAgain") is True


def test_changes_and_info_follow(server: Server, signed_in: SignedIn) -> None:
    session = Shared(server, "views", *factories.conversation())
    page = signed_in("alice").new_page()
    page.goto(f"/sessions/{session.id}/changes")
    live(page)
    mark(page)
    diff = {"file": "live.py", "patch": "@@ -0,0 +1 @@\n+x\n", "additions": 1, "deletions": 0}
    session.sync(factories.user_message("msg_1", summary={"diffs": [diff]}))
    expect(page.get_by_text("live.py").first).to_be_visible()
    assert page.evaluate("window.neverLoadedAgain") is True


def test_a_change_that_somebody_opened_stays_while_the_agent_writes(
    server: Server, signed_in: SignedIn
) -> None:
    def diff(name: str, lines: int) -> dict[str, Any]:
        added = "".join(f"+row {n} of a long change that is shown on demand\n" for n in range(lines))
        return {"file": name, "patch": f"@@ -0,0 +1,{lines} @@\n{added}", "additions": lines, "deletions": 0}

    long = diff("long.py", 3000)
    session = Shared(server, "open change", *factories.conversation())
    session.sync(factories.user_message("msg_1", summary={"diffs": [long]}))
    page = signed_in("alice").new_page()
    page.goto(f"/sessions/{session.id}/changes")
    live(page)
    mark(page)
    page.get_by_text("Show this change").click()
    last_row = page.locator("td", has_text="row 2999 of")
    expect(last_row).to_be_attached()
    # What concerns no file changes nothing there; what does is put beside it.
    session.sync(factories.text_part("prt_8", "msg_2", "Only text"))
    session.sync(factories.user_message("msg_1", summary={"diffs": [long, diff("other.py", 1)]}))
    expect(page.get_by_text("other.py").first).to_be_attached()
    expect(last_row).to_be_attached()
    assert page.evaluate("window.neverLoadedAgain") is True


def test_a_row_under_the_pointer_is_not_exchanged(server: Server, signed_in: SignedIn) -> None:
    session = Shared(server, "pressed", factories.session_item(title="Pressed"), factories.user_message())
    page = signed_in("alice").new_page()
    page.goto("/sessions?q=pressed")
    live(page)
    title = page.get_by_role("link", name="Pressed", exact=True)
    title.hover()
    page.evaluate(
        "document.querySelector('.sessions li').dataset.same = ''; window.pressedRow = document.querySelector('.sessions li')"
    )
    page.mouse.down()
    for number in range(3):
        session.sync(factories.assistant_message(f"m{number}", time=at(number), tokens={"input": 1000}))
        expect(page.locator(".sessions li .meta")).to_contain_text(f"{number + 2} messages")
    assert page.evaluate("window.pressedRow.isConnected") is True
    page.mouse.up()
    page.wait_for_url(f"**/sessions/{session.id}")


def test_the_list_moves_and_keeps_what_is_selected(server: Server, signed_in: SignedIn) -> None:
    first = Shared(server, "list one", factories.session_item(title="List one"))
    Shared(server, "list two", factories.session_item(title="List two", time={"updated": factories.T0}))
    page = signed_in("alice").new_page()
    page.goto("/sessions?q=list")
    live(page)
    page.mouse.move(0, 0)
    mark(page)
    page.get_by_label("Select List two").check()
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(0, 0)
    first.sync(factories.user_message(), factories.text_part(text="hello"))
    expect(page.locator(".sessions li .title").first).to_have_text("List one")
    expect(page.locator(".sessions li").first).to_contain_text("working")
    third = Shared(server, "list three", factories.session_item(title="List three"))
    Shared(server, "elsewhere", factories.session_item(title="Elsewhere"))
    third.sync(factories.user_message())
    expect(page.locator(".sessions li .title").first).to_have_text("List three")
    expect(page.get_by_label("Select List two")).to_be_checked()
    expect(page.get_by_text("Elsewhere")).to_have_count(0)
    third.client.delete(f"/api/sessions/{third.id}")
    expect(page.get_by_text("List three")).to_have_count(0)
    assert page.evaluate("window.neverLoadedAgain") is True


@pytest.mark.parametrize("door", ["owner", "reader"])
def test_no_error_reaches_the_console(server: Server, signed_in: SignedIn, browser: Any, door: str) -> None:
    session = Shared(server, f"console {door}", *factories.conversation())
    page = signed_in("alice").new_page() if door == "owner" else browser.new_page(base_url=server.url)
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"/sessions/{session.id}" if door == "owner" else f"/share/{session.share_id}")
    live(page)
    session.sync(factories.text_part("prt_9", "msg_2", "```python\nprint(1)\n```"))
    expect(page.get_by_text("print(1)")).to_be_visible()
    assert errors == []
    page.close()


def test_what_a_failed_reload_missed_comes_all_the_same(server: Server, signed_in: SignedIn) -> None:
    # One reads its beginning, and is not taken along to its end.
    long = factories.text_part("prt_3", "msg_2", "line\n\n" * 100)
    session = Shared(server, "failed reload", *factories.conversation(), long)
    page = signed_in("alice").new_page()
    page.goto(f"/sessions/{session.id}")
    live(page)
    mark(page)
    failures: list[str] = []

    def fail_twice(route: Any) -> None:
        if len(failures) < 2:
            failures.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    page.route(f"**/sessions/{session.id}*", fail_twice)
    many = [
        item
        for number in range(130)
        for item in (
            factories.user_message(f"m{number:03}", time=at(100 + number)),
            factories.text_part(f"p{number:03}", f"m{number:03}", f"Many {number}"),
        )
    ]
    session.sync(*many)
    session.sync(factories.text_part("prt_9", "msg_2", "A later change"))
    expect(page.get_by_text("Many 3", exact=True).first).to_be_attached()
    expect(page.get_by_text("A later change").first).to_be_attached()
    assert len(failures) == 2 and page.evaluate("window.neverLoadedAgain") is True
    # Another window's message changed: nothing more is new.
    pill = "document.querySelector('#new-messages').innerText"
    new = at_rest(page, pill)
    assert "new message" in new
    session.sync(factories.text_part("p120", "m120", "Edited, far behind"))
    assert at_rest(page, pill) == new


def test_selection_and_focus_stay_while_text_grows(server: Server, signed_in: SignedIn) -> None:
    session = Shared(server, "selected", *factories.conversation())
    page = signed_in("alice").new_page()
    page.goto(f"/sessions/{session.id}")
    live(page)
    page.evaluate(
        "getSelection().selectAllChildren(document.querySelector('#msg_2 .prose strong'));"
        "document.querySelector('#msg_2 .anchor').focus()"
    )
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#msg_2 .prose strong'))")
    for number in range(3):
        session.sync(factories.text_part("prt_9", "msg_2", f"growing {number}"))
        expect(page.get_by_text(f"growing {number}")).to_be_visible()
    assert page.evaluate("getSelection().toString()") == "greet"
    assert page.evaluate("document.activeElement.className").startswith("anchor")


def test_a_sign_out_ends_what_is_open(server: Server, signed_in: SignedIn) -> None:
    session = Shared(server, "signed out", *factories.conversation())
    context = signed_in("alice", anew=True)
    page, other = context.new_page(), context.new_page()
    page.goto(f"/sessions/{session.id}")
    live(page)
    other.goto("/tokens")
    other.locator("summary", has_text="alice").click()
    other.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="This session is not here any more")).to_be_visible()


def test_an_empty_list_fills(server: Server, signed_in: SignedIn) -> None:
    page = signed_in("alice").new_page()
    page.goto("/sessions?q=appearing")
    live(page)
    expect(page.get_by_text("No session fits")).to_be_visible()
    Shared(server, "appearing", factories.session_item(title="Appearing"))
    expect(page.locator(".sessions li .title")).to_have_text("Appearing")
    expect(page.get_by_text("No session fits")).to_have_count(0)
    expect(page.get_by_label("Select Appearing")).to_be_visible()


def test_the_tabs_title_follows(server: Server, signed_in: SignedIn) -> None:
    session = Shared(server, "titled", *factories.conversation())
    page = signed_in("alice").new_page()
    for view in ("", "/changes"):
        page.goto(f"/sessions/{session.id}{view}")
        live(page)
        session.client.patch(f"/api/sessions/{session.id}", json={"title": f"Named{view}"})
        expect(page).to_have_title(f"Named{view} · Gander")
