"""The agents' pages as plain forms, without a script: what each does, what it says no to, and who never sees it."""

import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from extensions.models import Enabled, Extension
from project.accounts.models import User
from project.config import Provider
from sessions_app.agent import turns, workspaces
from sessions_app.agent.models import Action, AgentSettings, Approval, State, ToolChoice, Turn
from sessions_app.diffs import unified
from sessions_app.live import changed
from sessions_app.models import Session
from sessions_app.reading import Reading
from sessions_app.render.tool import Tool
from tests import factories

Browsers = Callable[[User | None], Client]
PIXEL = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.fixture
def model(configure: Callable[..., None], tmp_path: Path) -> None:
    """A model that agents may run on; nobody takes the turns that these tests begin."""
    configure(provider=Provider.OPENAI, model="stub-model", workspaces=tmp_path / "workspaces")


@pytest.fixture
def session(model: None, alice: User) -> Session:
    return turns.create(alice, str(workspaces.own(alice)), title="Notes")


def page(client: Client, session: Session) -> str:
    return client.get(f"/sessions/{session.pk}").content.decode()


def said(response: Any) -> str:
    """The messages of the page that one is led to."""
    found = re.search(r'<ul class="messages".*?</ul>', response.content.decode(), re.S)
    return re.sub(r"<[^>]+>", "", found[0]).strip() if found else ""


def waiting(session: Session, tool: str = "files__write", call: str = "call_1", **given: Any) -> Turn:
    """A turn in which a call of a tool waits for its owner's word."""
    turn = session.turns.filter(state=State.WAITING).first()
    if turn is None:
        turn, _ = turns.begin(session, "Write it")
        Turn.objects.filter(pk=turn.pk).update(state=State.WAITING)
        turn.refresh_from_db()
    answer = turns.answer(turn)
    state = {"status": "pending", "input": given, "raw": "", "metadata": {"approval": "asked"}}
    part = {"id": f"prt_{call}", "messageID": answer["id"], "sessionID": session.external_id}
    factories.apply(
        session,
        {"type": "message", "data": answer},
        {"type": "part", "data": {**part, "type": "tool", "callID": call, "tool": tool, "state": state}},
    )
    Approval.objects.create(turn=turn, call=call, tool=tool, message=answer["id"], part=part["id"])
    return turn


def test_a_session_is_begun_by_the_form(model: None, alice: User, browser_of: Browsers) -> None:
    client = browser_of(alice)
    own = workspaces.own(alice)
    form = client.get("/sessions/new").content.decode()
    assert f'value="{own}"' in form and "stub-model · OpenAI" in form
    assert "It answers from the conversation alone." in form and re.search(r'value="files" checked', form)
    assert '<a class="button begin-session" href="/sessions/new">' in client.get("/sessions").content.decode()
    answer = client.post(
        "/sessions/new",
        {"directory": str(own), "title": "Mine", "model": "", "mode": "auto", "extensions": ["files"]},
    )
    made = Session.objects.get(title="Mine")
    assert answer["Location"] == f"/sessions/{made.pk}#composer"
    assert (made.directory, made.agent_settings.mode) == (str(own), "auto")
    # All that are on are no choice of single ones.
    assert made.agent_settings.extensions is None
    assert f'<option value="{own}"' in client.get("/sessions/new").content.decode()


def test_the_form_makes_a_folder_where_one_says_so(
    model: None, alice: User, browser_of: Browsers, tmp_path: Path
) -> None:
    client, own = browser_of(alice), workspaces.own(alice)
    (own / "taken").write_text("a file")
    (own / "out").symlink_to(tmp_path)
    for directory, why in (
        ("new/folder", ""),
        ("taken", "cannot be made"),
        ("out/x", "may work under"),
        (str(tmp_path / "x"), "may work under"),
    ):
        given = {"directory": directory, "model": "", "mode": "chat", "make": "on"}
        answer = client.post("/sessions/new", given)
        assert answer.status_code == (200 if why else 302), directory
        assert why in answer.content.decode()
    assert Session.objects.get().directory == str(own / "new" / "folder")
    assert (own / "new" / "folder").is_dir() and not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"directory": "/etc"}, "may work under"),
        ({"directory": "no-such"}, "is not there"),
        ({"directory": ""}, "Name the folder"),
        ({"model": "openai/dear"}, "You may use openai/stub-model"),
        ({"mode": "loud"}, "Select a valid choice"),
    ],
)
def test_a_wrong_choice_is_said_at_its_field_and_the_rest_is_kept(
    model: None, alice: User, browser_of: Browsers, changed: dict[str, str], why: str
) -> None:
    given = {"directory": ".", "title": "Kept title", "model": "", "mode": "chat", **changed}
    answer = browser_of(alice).post("/sessions/new", given)
    html = answer.content.decode()
    assert answer.status_code == 200 and why in html and 'value="Kept title"' in html
    if "mode" not in changed:
        assert 'value="chat" checked' in html
    assert not re.search(r'value="files" checked', html)
    assert not Session.objects.exists()


def test_without_a_model_the_pages_say_what_an_admin_does(
    alice: User, browser_of: Browsers, configure: Callable[..., None], tmp_path: Path
) -> None:
    configure(workspaces=tmp_path)
    client = browser_of(alice)
    for answer in (client.get("/sessions/new"), client.post("/sessions/new", {"directory": "."})):
        assert "GANDER_PROVIDER" in answer.content.decode() and "<textarea" not in answer.content.decode()
    assert not Session.objects.exists()
    session = turns.create(alice, str(tmp_path))
    html = page(client, session)
    assert "GANDER_PROVIDER" in html and "<textarea" not in html


def test_the_empty_list_offers_a_session_where_one_can_run(
    alice: User, browser_of: Browsers, configure: Callable[..., None]
) -> None:
    client = browser_of(alice)
    assert "begin a session" not in client.get("/sessions").content.decode()
    configure(provider=Provider.OPENAI, model="stub-model")
    assert "begin a session" in client.get("/sessions").content.decode()


def test_a_message_is_sent_by_the_form(session: Session, alice: User, browser_of: Browsers) -> None:
    client = browser_of(alice)
    image = SimpleUploadedFile("a.png", PIXEL, "image/png")
    answer = client.post(f"/sessions/{session.pk}/say", {"text": "Read\r\nthis", "images": [image]})
    turn = session.turns.get()
    assert answer["Location"] == f"/sessions/{session.pk}?at={turn.prompt}#{turn.prompt}"
    assert [part.kind for part in session.parts.all()] == ["text", "file"]
    assert session.parts.first().data["text"] == "Read\nthis"  # type: ignore[union-attr]
    html = page(client, session)
    assert 'data-active="true"' in html and "About to begin" in html
    assert re.search(r"<button class=\"primary\" data-send autocomplete=\"off\" disabled>", html)


def test_a_refused_message_comes_back_with_what_was_typed(
    session: Session, alice: User, browser_of: Browsers
) -> None:
    client = browser_of(alice)
    url = f"/sessions/{session.pk}/say"
    text = SimpleUploadedFile("a.txt", b"x", "text/plain")
    answer = client.post(url, {"text": "Look <here>", "images": [text]})
    assert (
        answer.status_code == 422
        and "Only PNG, JPEG" in said(answer)
        and "Attach the images again" in said(answer)
    )
    assert "Look &lt;here&gt;</textarea>" in answer.content.decode()
    empty = client.post(url, {"text": "  "})
    assert empty.status_code == 422 and "Write something" in said(empty)
    client.post(url, {"text": "First"})
    busy = client.post(url, {"text": "Second"})
    assert busy.status_code == 409 and "still at work" in said(busy)
    assert "Second</textarea>" in busy.content.decode() and session.turns.count() == 1


def test_a_turn_is_stopped_by_the_form(session: Session, alice: User, browser_of: Browsers) -> None:
    client = browser_of(alice)
    turn, _ = turns.begin(session, "Work")
    action = f"/sessions/{session.pk}/stop/{turn.pk}"
    assert f'action="{action}"' in page(client, session)
    assert client.post(action)["Location"] == f"/sessions/{session.pk}?at={turn.prompt}#composer"
    turn.refresh_from_db()
    assert turn.state == State.CANCELLED
    html = page(client, session)
    assert 'data-active="false"' in html and "Stop</button>" not in html
    assert client.post(f"/sessions/{session.pk}/stop/{uuid.uuid4()}").status_code == 404


def test_a_call_that_waits_is_shown_and_decided_by_the_form(
    session: Session, alice: User, browser_of: Browsers
) -> None:
    client = browser_of(alice)
    turn = waiting(session, path="notes.md", content="# <Notes>\n")
    html = page(client, session)
    card = html[
        html.index('<section class="approval"') : html.index("</section>", html.index('class="approval"'))
    ]
    assert "Write <code>notes.md</code>?" in card and "&lt;Notes&gt;" in card
    for action in Action:
        assert f'value="{action.value}"' in card and action.label in card
    assert "Waiting for you" in html and "waiting for you</span>" in html
    url = f"/sessions/{session.pk}/decide/call_1"
    assert "Say whether" in said(client.post(url, {"action": "maybe"}, follow=True))
    assert client.post(url, {"action": "always_allow"}).status_code == 302
    turn.refresh_from_db()
    assert turn.state == State.QUEUED and turn.approvals.get().action == Action.ALWAYS_ALLOW
    assert 'class="approval"' not in page(client, session)
    assert "decided already" in said(client.post(url, {"action": "deny_once"}, follow=True))
    assert client.post(f"/sessions/{session.pk}/decide/none", {"action": "deny_once"}).status_code == 404


@pytest.mark.parametrize(
    ("tool", "given", "expected"),
    [
        (
            "files__edit",
            {"path": "a.py", "old": "one", "new": "two"},
            ["Edit <code>a.py</code>?", 'class="add"'],
        ),
        ("slack__post", {"channel": "team"}, ["Use slack · post?", "&quot;channel&quot;"]),
        ("bash", {"command": "rm -r build"}, ["Run <code>rm -r build</code>?"]),
        ("files__write", {"path": "a", "content": "x\n" * 500}, ["Read all of it in the conversation"]),
        ("odd/tool", {"x": 1}, ["Use odd/tool?"]),
    ],
)
def test_what_a_call_would_do_is_said_in_words(
    session: Session, alice: User, browser_of: Browsers, tool: str, given: dict[str, Any], expected: list[str]
) -> None:
    waiting(session, tool, call="call/1", **given)
    html = page(browser_of(alice), session)
    for piece in expected:
        assert piece in html
    assert html.count("x\n") < 200
    # A provider's ids may hold anything.
    assert (
        browser_of(alice).post(f"/sessions/{session.pk}/decide/call/1", {"action": "deny_once"}).status_code
        == 302
    )
    assert ToolChoice.objects.count() == 0


def test_what_is_pushed_goes_to_the_owner_alone(session: Session, alice: User, bob: User) -> None:
    waiting(session, path="notes.md", content="x")
    fragments = {each["id"]: each["html"] for each in changed.header(Reading(session))}
    assert "Allow once" in fragments["agent-state"] and "csrfmiddlewaretoken" not in fragments["agent-state"]
    masked = Reading(session, masked=True)
    assert "agent-state" not in {each["id"] for each in changed.header(masked)}
    elsewhere = factories.session(alice, *factories.conversation())
    assert "agent-state" not in {each["id"] for each in changed.header(Reading(elsewhere))}


def test_readers_find_nothing_of_it(
    session: Session, alice: User, bob: User, browser_of: Browsers, configure: Callable[..., None]
) -> None:
    waiting(session, path="notes.md", content="x")
    Session.objects.filter(pk=session.pk).update(shared=True)
    for client in (browser_of(bob), browser_of(None)):
        html = client.get(f"/share/{session.share_id}").content.decode()
        for word in (
            'id="composer"',
            'id="agent-state"',
            "Allow once",
            "composer.js",
            "fork-form",
            "waiting for you",
        ):
            assert word not in html, word
        assert "waiting for approval" in html
    html = browser_of(alice).get(f"/share/{session.share_id}?view=reader").content.decode()
    assert 'id="composer"' not in html and "Allow once" not in html


def test_a_session_from_elsewhere_has_no_composer_but_a_fork(
    model: None, alice: User, browser_of: Browsers
) -> None:
    client = browser_of(alice)
    session = factories.session(alice, *factories.conversation())
    html = page(client, session)
    assert "<textarea" not in html and 'id="agent-state"' not in html
    assert f'action="/sessions/{session.pk}/forks"' in html and 'form="fork-form"' in html
    refused = client.post(f"/sessions/{session.pk}/say", {"text": "Hello"}, follow=True)
    assert "Fork it" in said(refused)
    answer = client.post(f"/sessions/{session.pk}/forks", follow=True)
    made = AgentSettings.objects.get().session
    assert answer.redirect_chain[-1][0] == f"/sessions/{made.pk}" and "This is a fork of" in said(answer)
    assert made.messages.count() == session.messages.count()
    assert made.directory == str(workspaces.own(alice))


def test_a_fork_at_a_prompt_holds_what_was_answered_to_it(
    session: Session, alice: User, browser_of: Browsers
) -> None:
    client = browser_of(alice)
    for text in ("First", "Second"):
        turn, _ = turns.begin(session, text)
        turns.cancel(turn)
    first, answer, second, _ = session.messages.order_by("external_id")
    assert (first.role, answer.role, second.role) == ("user", "assistant", "user")
    url = f"/sessions/{session.pk}/forks"
    location = client.post(url, {"message": first.external_id})["Location"]
    made = Session.objects.get(pk=location.rsplit("/", 1)[1])
    assert [row.role for row in made.messages.all()] == ["user", "assistant"]
    assert "no such message" in said(client.post(url, {"message": "msg_none"}, follow=True))


def test_a_fork_of_a_turn_that_waits_waits_for_nobody(
    session: Session, alice: User, browser_of: Browsers
) -> None:
    client = browser_of(alice)
    waiting(session, path="notes.md", content="x")
    assert Session.objects.get(pk=session.pk).status == "waiting"
    location = client.post(f"/sessions/{session.pk}/forks")["Location"]
    made = Session.objects.get(pk=location.rsplit("/", 1)[1])
    assert made.status == "idle"
    html = page(client, made)
    assert "waiting for you" not in html and "forked before" in html


def test_model_mode_and_extensions_are_changed_by_the_form(
    session: Session, alice: User, browser_of: Browsers
) -> None:
    client = browser_of(alice)
    slack = Extension.objects.create(name="slack", command="slack-mcp")
    Enabled.objects.create(user=alice, extension=slack, on=True)
    url = f"/sessions/{session.pk}/set-up"

    def change(**given: Any) -> AgentSettings:
        assert client.post(url, {"model": "", "extensions_given": "1", **given}).status_code == 302
        return AgentSettings.objects.get(session=session)

    assert change(mode="chat", extensions=["slack", "unknown"]).extensions == ["slack"]
    assert AgentSettings.objects.get(session=session).mode == "chat"
    assert change(extensions=["slack", "files"]).extensions is None
    assert change().extensions == []
    refused = client.post(url, {"model": "openai/dear"}, follow=True)
    assert "You may use openai/stub-model" in said(refused)


def test_standing_permissions_are_seen_and_taken_back(alice: User, bob: User, browser_of: Browsers) -> None:
    for user, tool in ((alice, "slack__post"), (bob, "files__write")):
        ToolChoice.objects.create(user=user, tool=tool, allowed=False)
    client = browser_of(alice)
    html = client.get("/sessions/permissions").content.decode()
    assert "slack · post" in html and "always denied" in html and "files · write" not in html
    client.post("/sessions/permissions", {"tool": "files__write"})
    assert ToolChoice.objects.count() == 2
    answer = client.post("/sessions/permissions", {"tool": "slack__post"}, follow=True)
    assert "asked again about slack · post" in said(answer) and "Nothing yet" in answer.content.decode()
    assert ToolChoice.objects.get().user == bob


def test_staff_test_an_extension(dora: User, alice: User, browser_of: Browsers) -> None:
    Extension.objects.create(name="slack", command="slack-mcp", tools=["post"])
    staff, member = browser_of(dora), browser_of(alice)
    html = staff.get("/extensions").content.decode()
    assert "Allowed tools: post" in html and "/extensions/slack/test" in html
    html = member.get("/extensions").content.decode()
    assert "Allowed tools" not in html and "/test" not in html
    assert "files works. It has 5 tools: list, read" in said(
        staff.post("/extensions/files/test", follow=True)
    )
    assert "slack does not work" in said(staff.post("/extensions/slack/test", follow=True))
    assert member.post("/extensions/files/test").status_code == 404
    assert staff.post("/extensions/none/test").status_code == 404


def test_a_turn_that_failed_says_how_to_go_on(session: Session, alice: User, browser_of: Browsers) -> None:
    turn, _ = turns.begin(session, "Work")
    Turn.objects.filter(pk=turn.pk).update(state=State.FAILED)
    html = page(browser_of(alice), session)
    assert "The last turn failed" in html and 'data-active="false"' in html


@pytest.mark.parametrize(
    ("tool", "given", "kind", "says"),
    [
        ("files__list", {"path": "src"}, "search", "Listed src"),
        ("files__read", {"path": "a.py"}, "read", "Read a.py"),
        ("files__search", {"text": "greet", "path": "src"}, "search", "Searched greet in src"),
        ("files__write", {"path": "a.py", "content": "x"}, "write", "Wrote a.py"),
        ("files__edit", {"path": "a.py", "old": "x", "new": "y"}, "edit", "Edited a.py"),
        ("slack__post", {}, "generic", "slack · post"),
        ("mcp__slack__post", {}, "generic", "slack · post"),
        # Another agent's tool of that name is none that we know.
        ("search", {"text": "greet"}, "generic", "search"),
    ],
)
def test_tools_read_alike_whoever_brings_them(tool: str, given: dict[str, Any], kind: str, says: str) -> None:
    made = Tool({"tool": tool, "state": {"status": "completed", "input": given}})
    assert (made.kind, f"{made.verb} {made.object}".strip()) == (kind, says)


def test_what_was_not_allowed_is_not_said_to_have_been_done() -> None:
    state = {"status": "error", "input": {"path": "a"}, "metadata": {"approval": "deny_once"}}
    made = Tool({"tool": "files__write", "state": state})
    assert (made.verb, made.status_word) == ("Write", "not allowed")


def test_a_file_that_was_replaced_is_shown_as_a_change() -> None:
    diff = unified("a", "old\n", "new\n")
    for patch, replaced in ((diff, True), (unified("a", "", "new\n"), False)):
        state = {"status": "completed", "input": {"path": "a"}, "metadata": {"diff": patch}}
        assert Tool({"tool": "files__write", "state": state}).replaced == replaced
