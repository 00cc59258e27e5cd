"""Talking to an agent in the browser: begin, send, watch it work, decide, stop; the same without JavaScript."""

import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.agent.conftest import Talk, settings_for
from tests.agent.provider import Provider
from tests.browser.conftest import in_both_views, overflow, violations
from tests.browser.test_live import live, mark
from tests.components import once
from tests.server import Server

SignedIn = Callable[..., BrowserContext]
WRITE = 'call files__write {"path": "notes.md", "content": "# Notes\\n"}'
EDIT = 'call files__edit {"path": "notes.md", "old": "Notes", "new": "More notes"}'
LONG = "wait 0.2\nsay " + "word " * 200
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc000000301"
    "0100c9fe92ef0000000049454e44ae426082"
)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    running = Provider()
    yield running
    running.close()


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, prepared: Server, provider: Provider
) -> Iterator[Server]:
    """One server for the module, whose agents ask the stub."""
    data = tmp_path_factory.mktemp("agent") / "data"
    running = Server(data, like=prepared, **settings_for(provider))
    try:
        running.start()
        # The first turn loads its provider's library, which takes a while.
        Talk(running).send("say Awake.")
        yield running
    finally:
        running.close()


@pytest.fixture
def talk(server: Server) -> Talk:
    return Talk(server)


@pytest.fixture
def alice(signed_in: SignedIn, talk: Talk) -> Page:
    """Alice at a session of hers that has just begun."""
    page = signed_in("alice", viewport={"width": 1280, "height": 800}).new_page()
    page.goto(f"/sessions/{talk.id}")
    live(page)
    mark(page)
    return page


def say(page: Page, *lines: str) -> None:
    page.get_by_label("Message to the agent").fill("\n".join(lines))
    page.get_by_label("Message to the agent").press("Enter")


def card(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title)


def is_over(page: Page) -> None:
    expect(page.locator("#agent-state")).to_have_attribute("data-active", "false")


def prompts(talk: Talk) -> list[str]:
    return [
        part.get("text", "")
        for message in talk.messages()
        if message["info"]["role"] == "user"
        for part in message["parts"]
        if part["type"] == "text"
    ]


def test_a_session_from_beginning_to_end(server: Server, signed_in: SignedIn) -> None:
    page = signed_in("alice").new_page()
    page.goto("/sessions")
    page.get_by_role("link", name="New session").click()
    folder = Path(server.data_dir) / "workspaces" / "alice" / f"made-{uuid.uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    page.get_by_label("Folder", exact=True).fill(folder.name)
    page.get_by_role("button", name="Begin").click()
    page.wait_for_url("**#composer")
    live(page)
    mark(page)
    # Kept within the page, for whoever looks from outside may come when it is over.
    page.evaluate(
        "window.seen = new Set(); new MutationObserver(() => "
        "seen.add(document.querySelector('.message.assistant .prose')?.textContent.trim() ?? ''))"
        ".observe(document.querySelector('#messages'), {subtree: true, childList: true, characterData: true})"
    )
    say(page, "wait 0.2", f"say One by {'one and ' * 12}all.", WRITE, "then", "say All **done**.")
    expect(page.locator(".message.assistant .prose").first).to_contain_text("all.")
    partly = [text for text in page.evaluate("[...seen]") if text.startswith("One by") and "all." not in text]
    assert partly, "the text came at once"
    expect(page.get_by_label("Message to the agent")).to_have_value("")
    waits = page.locator("details.card", has_text="notes.md").first
    expect(waits).to_contain_text("waiting for you")
    question = card(page, "Write notes.md?")
    expect(question.get_by_text("# Notes")).to_be_visible()
    assert not (folder / "notes.md").exists()
    question.get_by_role("button", name="Allow once").click()
    expect(page.locator(".message.assistant .prose strong")).to_have_text("done")
    is_over(page)
    expect(question).to_have_count(0)
    expect(page.locator("details.card", has_text="notes.md").first).to_contain_text("Wrote")
    assert (folder / "notes.md").read_text() == "# Notes\n"
    assert page.evaluate("window.neverLoadedAgain") is True
    # Who pressed the button that is gone goes on typing.
    expect(page.get_by_label("Message to the agent")).to_be_focused()


@once
@in_both_views
def test_pages_and_cards_in_both_views(
    server: Server, talk: Talk, signed_in: SignedIn, width: int, scheme: str
) -> None:
    server.run_python("""
        from extensions.models import Extension
        from project.accounts.models import User
        from sessions_app.agent.models import ToolChoice
        Extension.objects.get_or_create(name="slack", defaults={"command": "slack-mcp", "tools": ["post"]})
        for user in User.objects.all():
            ToolChoice.objects.get_or_create(user=user, tool="slack__post", defaults={"allowed": False})
    """)
    view: dict[str, Any] = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    page = signed_in("alice", **view).new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    for path in ("/sessions/new", "/sessions/permissions", "/sessions"):
        page.goto(path)
        assert violations(page) == [] and overflow(page) <= 0, path
    page.goto(f"/sessions/{talk.id}")
    live(page)
    assert violations(page) == [] and overflow(page) <= 0
    say(page, WRITE, EDIT, 'call files__write {"path": "b", "content": "' + "long line " * 60 + '"}')
    expect(page.locator(".approval")).to_have_count(3)
    page.locator(".set-up summary").click()
    page.set_input_files("#images", {"name": "a.png", "mimeType": "image/png", "buffer": PIXEL})
    assert violations(page) == [] and overflow(page) <= 0
    small = page.evaluate(
        """() => [...document.querySelectorAll('#composer :is(button, summary, select, textarea, .picks label)')]
            .filter((element) => element.checkVisibility())
            .map((element) => [element.outerHTML.slice(0, 100), element.getBoundingClientRect().height])
            .filter(([, height]) => height < 43.5)"""
    )
    assert small == []
    page.get_by_role("button", name="Stop").click()
    is_over(page)
    assert violations(page) == [] and overflow(page) <= 0 and errors == []
    staff = signed_in("dora", **view).new_page()
    staff.goto("/extensions")
    staff.get_by_role("button", name="Test files").click()
    expect(staff.get_by_text("files works. It has 5 tools")).to_be_visible()
    assert violations(staff) == [] and overflow(staff) <= 0


@once
def test_enter_sends_and_shift_enter_breaks_the_line(talk: Talk, alice: Page) -> None:
    text = alice.get_by_label("Message to the agent")
    text.press("Enter")
    text.press_sequentially("say one")
    text.press("Shift+Enter")
    text.press_sequentially("say two")
    text.dispatch_event("keydown", {"key": "Enter", "isComposing": True, "bubbles": True})
    assert text.input_value() == "say one\nsay two"
    text.press("Enter")
    expect(alice.locator(".message.assistant .prose")).to_have_text("onetwo")
    assert prompts(talk) == ["say one\nsay two"]


@once
def test_what_one_types_while_the_agent_works_stays_and_waits(talk: Talk, alice: Page) -> None:
    say(alice, LONG)
    expect(alice.get_by_role("button", name="Stop")).to_be_visible()
    text = alice.get_by_label("Message to the agent")
    text.press_sequentially("say after that", delay=60)
    expect(text).to_be_focused()
    expect(alice.get_by_role("button", name="Send")).to_be_disabled()
    text.press("Enter")
    text.press("Escape")
    assert text.input_value() == "say after that" and len(prompts(talk)) == 1
    # Text that arrives does not take the button away from under the focus.
    stop = alice.get_by_role("button", name="Stop")
    stop.focus()
    alice.wait_for_timeout(700)
    expect(stop).to_be_focused()
    stop.press("Enter")
    is_over(alice)
    expect(text).to_be_focused()
    assert talk.messages()[-1]["info"]["error"]["name"] == "MessageAbortedError"
    alice.get_by_role("button", name="Send").click()
    expect(alice.locator(".message.assistant .prose").last).to_have_text("after that")


@once
def test_what_one_has_typed_outlives_a_reload(talk: Talk, alice: Page) -> None:
    text = alice.get_by_label("Message to the agent")
    text.press_sequentially("say later")
    alice.goto("/sessions")
    alice.goto(f"/sessions/{talk.id}")
    expect(text).to_have_value("say later")
    text.press("Enter")
    is_over(alice)
    expect(alice.locator(".message.assistant .prose")).to_have_text("later")
    alice.reload()
    expect(text).to_have_value("")


def test_several_calls_are_decided_one_after_the_other(talk: Talk, alice: Page) -> None:
    say(alice, WRITE, 'call files__write {"path": "other.md", "content": "x"}', "then", "say So be it.")
    first, second = card(alice, "Write notes.md?"), card(alice, "Write other.md?")
    expect(second).to_be_visible()
    expect(alice.locator("#announcer")).to_contain_text("The agent waits for you: Write notes.md?")
    first.get_by_role("button", name="Deny", exact=True).click()
    expect(first).to_have_count(0)
    assert alice.evaluate("document.activeElement.closest('#agent-state') !== null")
    second.get_by_role("button", name="Allow once").click()
    is_over(alice)
    expect(alice.locator("details.card", has_text="notes.md").first).to_contain_text("not allowed")
    assert not (talk.directory / "notes.md").exists() and (talk.directory / "other.md").exists()


@once
def test_images_are_attached_taken_away_and_sent(talk: Talk, alice: Page, provider: Provider) -> None:
    with alice.expect_file_chooser() as chooser:
        alice.get_by_role("button", name="Attach image").click()
    files = [{"name": f"{name}.png", "mimeType": "image/png", "buffer": PIXEL} for name in ("one", "two")]
    chooser.value.set_files(files)  # type: ignore[arg-type]
    alice.get_by_role("button", name="Remove one.png").click()
    expect(alice.locator(".attached li")).to_have_text(["two.png"])
    alice.set_input_files("#images", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"x"})
    expect(alice.get_by_role("alert")).to_contain_text("Only PNG, JPEG, GIF and WebP")
    say(alice, "say Seen.")
    expect(alice.locator(".message.user img")).to_have_count(1)
    expect(alice.locator(".message.assistant .prose")).to_have_text("Seen.")
    expect(alice.locator(".attached li")).to_have_count(0)
    assert "image/png" in str(provider.requests[-1])


@once
def test_what_could_not_be_sent_stays_and_is_sent_once(talk: Talk, alice: Page) -> None:
    asked: list[Any] = []
    address = "**/api/sessions/*/messages"

    def lose_the_answer(route: Any) -> None:
        asked.append(route.request.post_data_json["request_id"])
        if len(asked) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    alice.route(address, lose_the_answer)
    text = alice.get_by_label("Message to the agent")
    say(alice, "say Once.")
    expect(alice.get_by_role("alert")).to_contain_text("Check the connection")
    expect(text).to_have_value("say Once.")
    # It was taken all the same, and the page sees it begin and end.
    expect(alice.locator(".message.assistant .prose")).to_have_text("Once.")
    is_over(alice)
    expect(alice.get_by_role("button", name="Send")).to_be_enabled()
    text.press("Enter")
    expect(text).to_have_value("")
    assert asked[0] == asked[1] and prompts(talk) == ["say Once."]
    alice.unroute(address)
    # Also where the page was had anew before it was sent again.
    alice.route(address, lose_the_answer)
    asked.clear()
    say(alice, "say Twice?")
    expect(alice.get_by_role("alert")).to_contain_text("Check the connection")
    is_over(alice)
    alice.reload()
    live(alice)
    expect(text).to_have_value("say Twice?")
    text.press("Enter")
    expect(text).to_have_value("")
    assert asked[0] == asked[1] and prompts(talk) == ["say Once.", "say Twice?"]
    alice.unroute(address)
    refusal = {"error": {"code": "busy", "message": "The server says <no>."}}
    alice.route(address, lambda route: route.fulfill(status=409, json=refusal))
    say(alice, "say More.")
    expect(alice.get_by_role("alert")).to_have_text("The server says <no>.")
    expect(text).to_have_value("say More.")


@once
def test_without_crypto_random_uuid(talk: Talk, alice: Page) -> None:
    alice.add_init_script("delete Crypto.prototype.randomUUID")
    alice.reload()
    live(alice)
    with alice.expect_request("**/messages") as asked:
        say(alice, "say Fine.")
    assert uuid.UUID(asked.value.post_data_json["request_id"]).version == 4
    expect(alice.locator(".message.assistant .prose")).to_have_text("Fine.")


@once
def test_model_mode_and_extensions_are_saved_as_they_are_picked(talk: Talk, alice: Page) -> None:
    def agent() -> Any:
        return talk.client.get(f"/api/sessions/{talk.id}/agent").json()

    with alice.expect_response("**/agent"):
        alice.get_by_label("What it may do").select_option("chat")
    alice.locator(".set-up summary").click()
    with alice.expect_response("**/agent"):
        alice.get_by_label("files").uncheck()
    assert agent() == {"model": "", "mode": "chat", "extensions": []}
    with alice.expect_response("**/agent"):
        alice.get_by_label("files").check()
    assert agent()["extensions"] is None
    alice.route("**/agent", lambda route: route.abort())
    alice.get_by_label("What it may do").select_option("auto")
    expect(alice.get_by_role("alert")).to_be_visible()
    expect(alice.get_by_label("What it may do")).to_have_value("chat")


def test_a_prompt_is_forked(talk: Talk, alice: Page) -> None:
    say(alice, "say First.")
    is_over(alice)
    say(alice, "say Second.")
    is_over(alice)
    alice.locator(".message.user").first.hover()
    alice.get_by_role("button", name="Fork after this turn").first.click()
    alice.wait_for_url(re.compile(rf"/sessions/(?!{talk.id})"))
    expect(alice.locator(".message .prose", has_text="First.")).to_have_count(2)
    expect(alice.get_by_text("Second.")).to_have_count(0)
    live(alice)
    say(alice, "say Third.")
    expect(alice.locator(".message.assistant .prose").last).to_have_text("Third.")


def test_readers_are_sent_nothing_of_what_the_owner_is_asked(
    server: Server, talk: Talk, alice: Page, signed_in: SignedIn
) -> None:
    session = talk.client.patch(f"/api/sessions/{talk.id}", json={"shared": True}).json()
    page = signed_in("bob").new_page()
    frames: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda text: frames.append(str(text))))
    page.goto(session["share_url"])
    live(page)
    say(alice, WRITE)
    expect(card(alice, "Write notes.md?")).to_be_visible()
    expect(page.locator("details.card")).to_contain_text("waiting for approval")
    assert frames and not any("agent-state" in frame or "fork-form" in frame for frame in frames)
    expect(page.locator("#composer, #agent-state, [form=fork-form]")).to_have_count(0)
    alice.get_by_role("button", name="Stop").click()
    is_over(alice)


def test_the_same_without_javascript(server: Server, talk: Talk, signed_in: SignedIn) -> None:
    page = signed_in("alice", java_script_enabled=False).new_page()

    def until(locator: Locator) -> None:
        for _ in range(60):
            if locator.count():
                return
            page.wait_for_timeout(250)
            page.reload()
        raise AssertionError(f"{locator} never came")

    page.goto("/sessions/new")
    page.get_by_label("Folder", exact=True).fill("nowhere-at-all")
    page.get_by_label("Talk only").check()
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("alert")).to_contain_text("is not there")
    expect(page.get_by_label("Talk only")).to_be_checked()
    page.get_by_label("Folder", exact=True).fill(str(talk.directory))
    page.get_by_label("Ask before changes").check()
    page.get_by_role("button", name="Begin").click()
    text = page.get_by_label("Message to the agent")
    text.fill(f"{WRITE}\nthen\nsay Written.")
    page.set_input_files("#images", {"name": "a.png", "mimeType": "image/png", "buffer": PIXEL})
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".message.user img")).to_have_count(1)
    until(page.locator(".approval"))
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    page.get_by_role("button", name="Allow once").click()
    until(page.locator(".message.assistant .prose", has_text="Written."))
    assert (talk.directory / "notes.md").exists()
    page.get_by_label("What it may do").select_option("chat")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("What it may do")).to_have_value("chat")
    until(page.locator("#agent-state[data-active=false]"))
    page.get_by_label("Message to the agent").fill(LONG)
    page.get_by_role("button", name="Send").click()
    until(page.get_by_role("button", name="Stop"))
    page.get_by_role("button", name="Stop").click()
    until(page.get_by_text("Interrupted"))
    page.locator("summary", has_text="More").click()
    page.get_by_role("button", name="Fork", exact=True).click()
    expect(page.get_by_text("This is a fork of")).to_be_visible()
