"""Agent turns over HTTP: the guide's session, failures of the provider, approvals, cancelling, coming back."""

import base64
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.agent.conftest import Talk, names, read, settings_for, text
from tests.agent.provider import KEY, Provider
from tests.server import Server


def test_the_guides_own_session(server: Server) -> None:
    client = server.client(server.tokens["alice"])
    made = client.post("/sessions", json={"cwd": ".", "name": "my-session"}).json()
    assert made["name"] == "my-session" and made["working_dir"].endswith("/workspaces/alice")
    assert {"id", "created_at"} <= made.keys()
    talk = Talk(server, cwd=".")
    (talk.directory / "notes.txt").write_text("hello\n")
    events = talk.send('call files__list {"path": "."}', "then", "say There is notes.txt.")
    assert names(events) == ["tool_call", "tool_result", "message_chunk", "message_complete"]
    call, result = events[0], events[1]
    assert (call["tool"], call["status"], call["arguments"]) == ("files__list", "pending", {"path": "."})
    assert (result["tool"], result["status"]) == ("files__list", "completed") and "notes.txt" in result[
        "result"
    ]
    assert text(events) == "There is notes.txt."
    assert events[-1]["stop_reason"] == "end_turn" and events[-1]["usage"]["total_tokens"] == 240
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    assert client.get(f"/sessions/{made['id']}").json()["id"] == made["id"]
    assert made["id"] in {row["id"] for row in client.get("/sessions").json()["items"]}
    assert [row["name"] for row in client.get("/extensions").json()["extensions"]] == ["files"]
    assert client.post("/extensions/files/disable").json()["enabled"] is False
    assert client.post("/extensions/files/enable").json()["enabled"] is True


def test_a_browser_gets_pages_and_a_program_gets_data(server: Server, talk: Talk) -> None:
    for path in ("/sessions", f"/sessions/{talk.id}", "/extensions"):
        page = talk.client.get(path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        data = talk.client.get(path)
        assert data.headers["content-type"].startswith("application/json"), path
        assert page.headers["content-type"].startswith("text/html"), path
        assert "Accept" in page.headers["vary"] and "Accept" in data.headers["vary"]
    assert server.client().get("/sessions").status_code == 401
    assert server.client().post("/sessions", json={}).json()["error"]["code"] == "unauthenticated"


@pytest.mark.parametrize("kind", ["openai", "anthropic", "ollama", "openai-compatible"])
def test_every_providers_stream_becomes_the_same_parts(
    server: Server, provider: Provider, kind: str, allowed: dict[str, str]
) -> None:
    talk = Talk(server, model=allowed[kind])
    events = talk.send(
        "think Let me see.", "say I look.", 'call files__list {"path": "."}', "then", "say Empty."
    )
    assert names(events) == [
        "reasoning_chunk",
        "message_chunk",
        "tool_call",
        "tool_result",
        "message_chunk",
        "message_complete",
    ]
    assert text(events, "reasoning_chunk") == "Let me see." and text(events) == "I look.Empty."
    kinds = [part["type"] for each in talk.messages()[1:] for part in each["parts"]]
    assert kinds == [
        "step-start",
        "reasoning",
        "text",
        "tool",
        "step-finish",
        "step-start",
        "text",
        "step-finish",
    ]
    row = talk.session()
    assert row["status"] == "idle" and row["tokens"]["output"] == 40
    assert row["tokens"]["cache_read"] == (80 if kind == "anthropic" else 0)
    # What one turn said and did is what the next one's model knows.
    talk.send("say Again.")
    told = str(provider.requests[-1]["messages"])
    assert "I look." in told and "The directory is empty." in told and "Empty." in told
    assert ("signature" in told) == (kind == "anthropic")


@pytest.fixture(scope="module")
def allowed(server: Server, provider: Provider) -> dict[str, str]:
    """Models of each dialect, allowed by an admin."""
    server.run_python(f"""
        from sessions_app.agent.models import AllowedModel
        for kind, path in (("anthropic", ""), ("ollama", "/v1"), ("openai-compatible", "/v1")):
            AllowedModel.objects.create(provider=kind, name="other", url="{provider.url}" + path)
    """)
    others = {kind: f"{kind}/other" for kind in ("anthropic", "ollama", "openai-compatible")}
    return {"openai": "openai/stub-model", **others}


def test_models_are_those_that_an_admin_allows(server: Server, allowed: dict[str, str], talk: Talk) -> None:
    models = talk.client.get("/api/models").json()["models"]
    assert [(model["id"], model["default"]) for model in models] == [
        ("openai/stub-model", True),
        ("anthropic/other", False),
        ("ollama/other", False),
        ("openai-compatible/other", False),
    ]
    refused = talk.client.post("/sessions", json={"model": "openai/dear"})
    assert (
        refused.status_code == 422 and "You may use openai/stub-model" in refused.json()["error"]["message"]
    )
    assert refused.json()["error"]["field"] == "model"
    changed = talk.client.patch(
        f"/api/sessions/{talk.id}/agent", json={"model": "anthropic/other", "mode": "chat"}
    )
    assert changed.json() == {"model": "anthropic/other", "mode": "chat", "extensions": None}
    talk.send("say Hello.")
    assert talk.messages()[1]["info"]["modelID"] == "other"


@pytest.mark.parametrize(
    ("lines", "code", "kept", "said"),
    [
        (["status 401"], "wrong_key", "", "OPENAI_API_KEY"),
        (["status 404"], "unknown_model", "", "Pick another"),
        (["status 429"], "rate_limit", "", "later"),
        (["status 500"], "provider_failed", "", "500"),
        (["say Half of it", "cut"], "connection", "Half of it", "broke off"),
    ],
)
def test_a_provider_that_fails_is_told_with_what_to_do(
    talk: Talk, lines: list[str], code: str, kept: str, said: str
) -> None:
    is_told(talk, lines, code, kept, said)


def test_a_provider_that_stalls_is_told_with_what_to_do(
    tmp_path: Path, prepared: Server, provider: Provider
) -> None:
    settings = settings_for(provider, GANDER_API_TIMEOUT="5")
    with Server(tmp_path / "data", like=prepared, **settings) as running:
        is_told(Talk(running), ["say Half of it", "stall"], "timeout", "Half of it", "api_timeout")
        is_told(Talk(running), ["stall"], "timeout", "", "5 seconds")


def is_told(talk: Talk, lines: list[str], code: str, kept: str, said: str) -> None:
    """A turn fails as expected, what was received is kept, and the session goes on."""
    events = talk.send(*lines)
    assert names(events)[-2:] == ["error", "message_complete"]
    assert events[-2]["code"] == code and said in events[-2]["message"] and KEY not in str(events)
    assert events[-1]["stop_reason"] == "error" and text(events) == kept
    message = talk.messages()[-1]
    assert message["info"]["error"]["data"]["message"] == events[-2]["message"]
    assert "".join(part.get("text", "") for part in message["parts"]) == kept
    assert talk.session()["status"] == "failed"
    assert text(talk.send("say Fine.")) == "Fine." and talk.session()["status"] == "idle"


def test_a_refused_request_is_tried_again_as_often_as_configured(
    tmp_path: Any, prepared: Server, provider: Provider
) -> None:
    settings = settings_for(provider, GANDER_MAX_RETRIES="1")
    with Server(tmp_path / "data", like=prepared, **settings) as running:
        before = len(provider.requests)
        Talk(running).send("status 500")
        assert len(provider.requests) == before + 2


def test_without_a_model_it_is_said_what_is_missing(tmp_path: Any, prepared: Server) -> None:
    with Server(tmp_path / "data", like=prepared) as running, Talk(running).stream("say Hello.") as answer:
        assert answer.status_code == 422 and "GANDER_PROVIDER" in answer.read().decode()


def test_a_missing_key_is_named(tmp_path: Any, prepared: Server, provider: Provider) -> None:
    with Server(tmp_path / "data", like=prepared, **settings_for(provider, OPENAI_API_KEY="")) as running:
        events = Talk(running).send("say Hello.")
        assert events[0]["code"] == "missing_key" and "OPENAI_API_KEY" in events[0]["message"]


def approve(talk: Talk, call: str, action: str) -> Any:
    return talk.client.post(f"/api/sessions/{talk.id}/approvals/{call}", json={"action": action})


WRITE = 'call files__write {"path": "a.txt", "content": "one\\n"}'


@pytest.mark.parametrize(
    ("action", "done"),
    [("allow_once", True), ("always_allow", True), ("deny_once", False), ("always_deny", False)],
)
def test_what_changes_something_waits_for_its_owners_word(server: Server, action: str, done: bool) -> None:
    who = "bob" if action.startswith("always") else "alice"
    talk = Talk(server, who)
    with talk.stream(WRITE, "then", "say So be it.") as answer:
        asked: list[dict[str, Any]] = []

        def is_question(event: dict[str, Any]) -> bool:
            if event["event"] == "approval_required":
                asked.append(event)
                while talk.session()["status"] != "waiting":
                    time.sleep(0.02)
                turn = talk.client.get(f"/api/sessions/{talk.id}/turns").json()["items"][0]
                assert turn["waiting"] == [event["call"]]
                assert approve(talk, turn["waiting"][0], action).status_code == 200
                assert approve(talk, turn["waiting"][0], action).json()["error"]["code"] == "decided"
            return False

        events = read(answer, is_question)
    assert names(events) == [
        "tool_call",
        "approval_required",
        "tool_result",
        "message_chunk",
        "message_complete",
    ]
    assert asked[0]["tool"] == "files__write" and "always_allow" in asked[0]["actions"]
    assert (talk.directory / "a.txt").exists() == done
    result = events[2]
    assert result["status"] == ("completed" if done else "error")
    assert done or "does not allow" in result["result"]
    if action.startswith("always"):
        again = talk.send(WRITE, "then", "say Again.")
        assert "approval_required" not in names(again)
        assert again[1]["status"] == ("completed" if done else "error")
        server.run_python("""
            from sessions_app.agent.models import ToolChoice
            ToolChoice.objects.all().delete()
        """)


def test_calls_that_need_no_word_are_made_beside_one_that_does(talk: Talk) -> None:
    (talk.directory / "b.txt").write_text("read me\n")
    turn = talk.begin(
        'call files__read {"path": "b.txt"}', WRITE, 'call files__write {"path": "c.txt", "content": "c"}'
    )
    wait_for(lambda: talk.turn(turn)["state"] == "waiting")
    read_call, first, second = talk.parts("tool")
    assert read_call["state"]["status"] == "completed" and first["state"]["status"] == "pending"
    assert sorted(talk.turn(turn)["waiting"]) == sorted([first["callID"], second["callID"]])
    approve(talk, first["callID"], "allow_once")
    assert talk.turn(turn)["state"] == "waiting"
    approve(talk, second["callID"], "deny_once")
    events = talk.follow(turn)
    assert names(events).count("tool_result") == 3 and events[-1]["stop_reason"] == "end_turn"
    assert (talk.directory / "a.txt").exists() and not (talk.directory / "c.txt").exists()
    # Read once, although the model's answer was gone through again.
    assert sum(event["event"] == "tool_call" for event in events) == 3


def test_auto_asks_nobody_and_chat_has_no_tools(talk: Talk, provider: Provider) -> None:
    events = talk.send(
        WRITE, "then", 'call files__edit {"path": "a.txt", "old": "one", "new": "two"}', mode="auto"
    )
    assert names(events).count("tool_result") == 2 and "approval_required" not in names(events)
    assert (talk.directory / "a.txt").read_text() == "two\n"
    row = talk.session()
    assert (row["files"], row["additions"], row["deletions"]) == (1, 1, 0)
    talk.send("say Only talk.", mode="chat")
    assert not provider.requests[-1].get("tools")


def test_a_repeated_request_follows_the_same_turn(talk: Talk) -> None:
    name = str(uuid.uuid4())
    lines = ("wait 0.1", "say one two three four five six")
    streams: list[list[dict[str, Any]]] = []
    threads = [
        threading.Thread(target=lambda: streams.append(talk.send(*lines, request_id=name))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert streams[0] == streams[1] == streams[2]
    assert talk.send("say other", request_id=name) == streams[0]
    assert len(talk.messages()) == 2


def test_a_second_message_while_the_agent_works_is_refused_with_the_turn(talk: Talk) -> None:
    turn = talk.begin("wait 0.2", "say one two three four five")
    with talk.stream("say More.") as refused:
        refused.read()
        assert refused.status_code == 409
        assert refused.json()["error"]["code"] == "busy" and refused.json()["error"]["turn"] == turn
    assert text(talk.follow(turn)) == "one two three four five"


@pytest.mark.parametrize("lines", [["wait 0.1", "say " + "word " * 100], ["stall"], [WRITE]])
def test_a_turn_is_cancelled_at_once(talk: Talk, provider: Provider, lines: list[str]) -> None:
    with talk.stream(*lines) as answer:
        turn = answer.headers["gander-turn"]
        time.sleep(1)
        assert talk.client.post(f"/api/sessions/{talk.id}/turns/{turn}/cancel").status_code == 200
        events = read(answer)
    assert events[-1]["stop_reason"] == "cancelled"
    assert talk.turn(turn)["state"] == "cancelled"
    assert talk.session()["status"] == "idle"
    assert talk.messages()[-1]["info"]["error"]["name"] == "MessageAbortedError"
    wait_for(lambda: provider.open == 0)
    assert talk.client.post(f"/api/sessions/{talk.id}/turns/{turn}/cancel").json()["state"] == "cancelled"
    assert text(talk.send("say Fine.")) == "Fine."


def test_a_turn_goes_on_when_its_client_hangs_up(talk: Talk) -> None:
    with talk.stream("wait 0.05", "say " + "word " * 20) as answer:
        turn = answer.headers["gander-turn"]
        read(answer, lambda event: True)
    wait_for(lambda: talk.turn(turn)["state"] == "done")
    assert text(talk.follow(turn)) == "word " * 20


def test_a_line_that_broke_is_taken_up_at_every_event(talk: Talk) -> None:
    turn = talk.begin(
        "wait 0.02",
        "think " + "hm " * 20,
        "say " + "word " * 30,
        'call files__list {"path": "."}',
        'call files__read {"path": "none"}',
        "then",
        "wait 0.02",
        "say " + "end " * 20,
    )
    whole = talk.follow(turn)
    assert len(whole) > 8 and names(whole).count("tool_result") == 2
    for event in whole[:-1]:
        assert talk.follow(turn, event["id"]) == whole[event["id"] :]
    with talk.client.stream(
        "GET", f"/api/sessions/{talk.id}/turns/{turn}/events", headers={"Last-Event-ID": "x"}
    ) as answer:
        assert answer.status_code == 422
    parts = [part["text"] for part in talk.parts("text")[1:]]
    assert "".join(parts) == text(whole)


def test_images_reach_the_model(talk: Talk, provider: Provider) -> None:
    pixel = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()
    image = {"type": "image", "data": pixel, "mimeType": "image/png"}
    answer = talk.client.post(
        f"/sessions/{talk.id}/messages", json={"content": [{"type": "text", "text": "say Seen."}, image]}
    )
    assert "Seen" in answer.text
    assert pixel in str(provider.requests[-1])
    (part,) = talk.parts("file")
    assert part["mime"] == "image/png" and part["url"].endswith(pixel)
    for bad in ({**image, "data": "%"}, {**image, "mimeType": "text/html"}, {"type": "audio"}):
        refused = talk.client.post(f"/sessions/{talk.id}/messages", json={"content": [bad]})
        assert refused.status_code == 422 and refused.json()["error"]["field"] == "content", bad


@pytest.mark.parametrize(
    ("cwd", "said"),
    [("/etc", "may work under"), ("../bob", "may work under"), ("no-such", "not there"), ("\0", "")],
)
def test_a_session_works_only_in_its_owners_workspace(
    server: Server, talk: Talk, cwd: str, said: str
) -> None:
    refused = talk.client.post("/sessions", json={"cwd": cwd})
    assert refused.status_code == 422 and said in refused.json()["error"]["message"]


def test_an_admin_adds_a_root(server: Server, tmp_path: Any) -> None:
    project = tmp_path / "project"
    project.mkdir()
    client = server.client(server.tokens["alice"])
    assert client.post("/sessions", json={"cwd": str(project)}).status_code == 422
    server.run_python(f"""
        from sessions_app.agent.models import WorkspaceRoot
        WorkspaceRoot.objects.create(path="{tmp_path}")
    """)
    assert client.post("/sessions", json={"cwd": str(project)}).json()["working_dir"] == str(project)


def test_a_session_is_forked_at_a_message(server: Server, talk: Talk, provider: Provider) -> None:
    talk.send("say First.")
    talk.send("say Second.")
    end = talk.messages()[1]["info"]["id"]
    made = talk.client.post(f"/api/sessions/{talk.id}/fork", json={"message": end})
    assert made.status_code == 201 and made.json()["working_dir"] == str(talk.directory)
    fork = Talk(server)
    fork.id = made.json()["id"]
    assert len(fork.messages()) == 2 and len(talk.messages()) == 4
    fork.send("say Third.")
    told = str(provider.requests[-1]["messages"])
    assert "First." in told and "Second." not in told
    whole = talk.client.post(f"/api/sessions/{talk.id}/fork", json={}).json()
    assert whole["messages"] == 4
    refused = talk.client.post(f"/api/sessions/{talk.id}/fork", json={"message": "msg_none"})
    assert refused.status_code == 422 and refused.json()["error"]["field"] == "message"


def test_a_fork_runs_as_its_session_did(server: Server) -> None:
    talk = Talk(server, mode="chat", extensions=[])
    talk.send("say First.")
    fork = talk.client.post(f"/api/sessions/{talk.id}/fork", json={}).json()["id"]
    setup = talk.client.get(f"/api/sessions/{fork}/agent").json()
    assert setup["mode"] == "chat" and setup["extensions"] == []


def test_a_session_from_elsewhere_is_read_and_forked_but_not_run(server: Server, talk: Talk) -> None:
    from tests import factories

    made = talk.client.post("/api/share", json={"sessionID": "ses_elsewhere"}).json()
    body = {"secret": made["secret"], "data": factories.conversation()}
    talk.client.post(f"/api/share/{made['id']}/sync", json=body)
    rows = talk.client.get("/sessions", params={"q": "greet"}).json()["items"]
    found = next(row for row in rows if row["external_id"] == "ses_elsewhere")
    refused = talk.client.post(f"/sessions/{found['id']}/messages", json={"content": "Hello"})
    assert refused.status_code == 409 and "Fork it" in refused.json()["error"]["message"]
    fork = Talk(server)
    fork.id = talk.client.post(f"/sessions/{found['id']}/fork", json={}).json()["id"]
    assert text(fork.send("say Going on.")) == "Going on."


def test_fifty_turns_at_once(server: Server) -> None:
    talks = [Talk(server) for _ in range(50)]
    found: dict[int, str] = {}

    def run(number: int) -> None:
        found[number] = text(talks[number].send("wait 0.05", f"say {number} " + "word " * 20))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: f"{number} " + "word " * 20 for number in range(50)}


def wait_for(true: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
