"""What goose's own clients know from goosed, over HTTP."""

import json
import threading
from typing import Any

import httpx

from tests.agent.conftest import Talk
from tests.components import RECORDED
from tests.server import Server

EXPORT = RECORDED / "goose" / "1.52.0-export-tool.json"


def reply(talk: Talk, *lines: str, on_event: Any = None) -> list[dict[str, Any]]:
    body = {"session_id": talk.id, "user_message": {"content": [{"type": "text", "text": "\n".join(lines)}]}}
    found = []
    headers = {"X-Secret-Key": talk.server.tokens["alice"]}
    with httpx.stream("POST", f"{talk.server.url}/reply", json=body, headers=headers, timeout=30) as answer:
        assert answer.status_code == 200
        for line in answer.iter_lines():
            assert not line.startswith(("event:", "id:"))
            if line.startswith("data: "):
                found.append(json.loads(line[6:]))
                if on_event:
                    on_event(found[-1])
    return found


def test_reply_streams_messages_and_finishes(talk: Talk) -> None:
    (talk.directory / "a.txt").write_text("hello\n")
    events = reply(
        talk, "wait 0.1", "say one two three four", 'call files__read {"path": "a.txt"}', "then", "say End."
    )
    assert {event["type"] for event in events} == {"Message", "Finish"}
    assert events[-1]["reason"] == "stop" and events[-1]["token_state"]["totalTokens"] == 240
    messages = [event["message"] for event in events[:-1]]
    texts = [message for message in messages if message["content"][0]["type"] == "text"]
    first = [message for message in texts if message["id"] == texts[0]["id"]]
    assert len(first) > 1 and "".join(m["content"][0]["text"] for m in first) == "one two three four"
    assert texts[-1]["content"][0]["text"] == "End." and texts[-1]["id"] != texts[0]["id"]
    (asked,) = [m["content"][0] for m in messages if m["content"][0]["type"] == "toolRequest"]
    (answered,) = [m for m in messages if m["content"][0]["type"] == "toolResponse"]
    assert asked["toolCall"]["value"] == {"name": "files__read", "arguments": {"path": "a.txt"}}
    assert answered["role"] == "user" and answered["content"][0]["id"] == asked["id"]
    assert "hello" in answered["content"][0]["toolResult"]["value"]["content"][0]["text"]


def test_a_confirmation_lets_a_call_through(talk: Talk) -> None:
    def confirm(event: dict[str, Any]) -> None:
        content = event.get("message", {}).get("content", [{}])[0]
        if content.get("type") == "actionRequired":
            body = {"id": content["data"]["id"], "sessionId": talk.id, "action": "allow_once"}
            answer: list[httpx.Response] = []
            thread = threading.Thread(
                target=lambda: answer.append(
                    talk.client.post("/action-required/tool-confirmation", json=body)
                )
            )
            thread.start()
            thread.join()
            assert (answer[0].status_code, answer[0].json()) == (200, {})

    events = reply(talk, 'call files__write {"path": "b.txt", "content": "b"}', on_event=confirm)
    assert events[-1]["type"] == "Finish" and (talk.directory / "b.txt").read_text() == "b"


def test_a_failing_provider_is_an_error_event(talk: Talk) -> None:
    events = reply(talk, "status 429")
    assert [event["type"] for event in events] == ["Error", "Finish"] and "later" in events[0]["error"]


def test_status_needs_no_credential(server: Server) -> None:
    answer = server.client().get("/status")
    assert (answer.status_code, answer.text) == (200, "ok")


def test_a_real_export_comes_in_and_goes_out(talk: Talk) -> None:
    made = talk.client.post("/sessions/import", json={"json": EXPORT.read_text()})
    assert made.status_code == 201 and made.json()["source"] == "goose" and made.json()["status"] == "idle"
    again = talk.client.post("/sessions/import", json={"json": EXPORT.read_text()})
    assert again.json()["id"] != made.json()["id"]
    exported = talk.client.get(f"/sessions/{made.json()['id']}/export")
    text = exported.json()
    assert isinstance(text, str)
    assert json.loads(text)["name"] == json.loads(EXPORT.read_text())["name"]
    page = talk.client.get(f"/sessions/{made.json()['id']}", headers={"Accept": "text/html"})
    assert page.status_code == 200
    refused = talk.client.post("/sessions/import", json={"json": "[]"})
    assert refused.status_code == 422 and refused.json()["error"]["field"] == "json"


def test_a_session_is_named(talk: Talk) -> None:
    assert talk.client.put(f"/sessions/{talk.id}/name", json={"name": " New name "}).status_code == 200
    assert talk.session()["name"] == "New name"
    for name in ("", "  ", "x" * 201):
        assert talk.client.put(f"/sessions/{talk.id}/name", json={"name": name}).status_code == 422
