"""Sessions go out as goose's export, and come in from its files."""

import copy
import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from project.accounts.models import User
from sessions_app import ingest, json_text
from sessions_app.changes import Change, Malformed, MessageChange, PartChange, from_item
from sessions_app.formats import goose, goose_import, opencode
from sessions_app.models import Session
from sessions_app.reading import Reading
from sessions_app.render.part import part_html
from sharing.masking import mask
from tests import factories
from tests.components import RECORDED, ROOT, goose_binary, missing
from tests.recordings import share_data

EXPORT = (RECORDED / "goose" / "1.52.0-export-tool.json").read_text()
LEGACY = (RECORDED / "goose" / "legacy-20250513_231848.jsonl").read_text()
TRANSCRIPTS = ROOT.parent / "shared" / "fixtures" / "transcripts" / "goose"
VISIBLE = {"userVisible": True, "agentVisible": True}
IMAGE = "data:image/png;base64,aGVsbG8="


def transcript(name: str) -> str:
    if not TRANSCRIPTS.is_dir():
        missing("third-party transcripts are not here")
    return (TRANSCRIPTS / name).read_text()


def conversation(*messages: dict[str, Any], **fields: Any) -> str:
    session = {
        "id": "20261121_1",
        "working_dir": "/app",
        "name": "A name",
        "created_at": "2026-11-21T04:04:03Z",
    }
    return json.dumps({**session, "conversation": messages, **fields})


def said(role: str, *content: dict[str, Any], created: Any = 1_795_233_843, **fields: Any) -> dict[str, Any]:
    return {"role": role, "created": created, "content": list(content), "metadata": VISIBLE, **fields}


def text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def request(id: str = "c1", name: str = "shell", **arguments: Any) -> dict[str, Any]:
    value = {"name": name, "arguments": arguments}
    return {"type": "toolRequest", "id": id, "toolCall": {"status": "success", "value": value}}


def response(*content: dict[str, Any], id: str = "c1", **value: Any) -> dict[str, Any]:
    result = {"status": "success", "value": {"content": list(content), "isError": False, **value}}
    return {"type": "toolResponse", "id": id, "toolResult": result}


def messages(changes: list[Change]) -> list[dict[str, Any]]:
    return [change.data for change in changes if isinstance(change, MessageChange)]


def parts(changes: list[Change]) -> list[dict[str, Any]]:
    return [change.data for change in changes if isinstance(change, PartChange)]


def parsed(*content: dict[str, Any], role: str = "assistant") -> list[dict[str, Any]]:
    """The parts of a message with this content."""
    return parts(goose_import.parse(conversation(said(role, *content))).changes)


def imported(owner: User, text: str, external_id: str = "imported") -> Session:
    session = Session.objects.create(owner=owner, source="goose", external_id=external_id)
    return ingest.apply(session, goose_import.parse(text).changes)


def exported(session: Session, **reading: Any) -> dict[str, Any]:
    """The export as it comes out of the file."""
    found: dict[str, Any] = json.loads(json_text.dumps(goose.export(Reading(session, **reading))))
    return found


def content_of(session: dict[str, Any], *types: str) -> list[Any]:
    """What a goose session holds, in its order; a call or result without the fields that only goose uses."""
    found: list[Any] = []
    for message in session["conversation"]:
        for entry in message["content"]:
            match entry["type"]:
                case "text" | "thinking":
                    found.append((entry["type"], entry.get("text", entry.get("thinking"))))
                case "toolRequest":
                    found.append(("call", entry["id"], entry["toolCall"]["value"]))
                case "toolResponse":
                    value = entry["toolResult"]["value"]
                    content = value if isinstance(value, list) else value["content"]
                    found.append(
                        ("result", entry["id"], [piece["text"] for piece in content if "text" in piece])
                    )
                case other:
                    found.append((other, entry))
    return found


# Going out


@pytest.fixture
def session(alice: User) -> Session:
    return factories.session(
        alice,
        factories.session_item(),
        factories.user_message(),
        factories.text_part(text="Look at this"),
        factories.text_part("prt_1a", text="whole file", synthetic=True),
        {"type": "part", "data": {"id": "prt_1b", "messageID": "msg_1", "type": "file", "mime": "image/png", "url": IMAGE}},
        {"type": "part", "data": {"id": "prt_1c", "messageID": "msg_1", "type": "file", "mime": "text/plain", "filename": "notes.txt", "url": "data:text/plain;base64,aGk="}},
        factories.assistant_message(),
        {"type": "part", "data": {"id": "prt_2", "messageID": "msg_2", "type": "step-start"}},
        {"type": "part", "data": {"id": "prt_2a", "messageID": "msg_2", "type": "reasoning", "text": "Hm."}},
        factories.text_part("prt_2b", "msg_2", "I look."),
        factories.tool_part("bash", "prt_2c", input={"command": "ls"}, output="one\ntwo"),
        {"type": "part", "data": {**factories.tool_part("read", "prt_2d", input={"filePath": "x"})["data"], "callID": "call_2", "state": {"status": "error", "input": {"filePath": "x"}, "error": "no such file"}}},
        {"type": "part", "data": {**factories.tool_part("edit", "prt_2e")["data"], "callID": "call_3", "state": {"status": "running", "input": {"filePath": "y"}}}},
        {"type": "part", "data": {"id": "prt_2f", "messageID": "msg_2", "type": "step-finish", "reason": "tool-calls"}},
    )  # fmt: skip


def test_a_session_goes_out_as_goose_writes_it(session: Session) -> None:
    found = exported(session)
    prompt, answer, results = found.pop("conversation")
    assert found == {
        "id": "ses_1",
        "working_dir": "/home/alice/app",
        "name": "Add a greet function",
        "user_set_name": True,
        "session_type": "user",
        "created_at": "2026-11-18T11:06:40Z",
        "updated_at": found["updated_at"],
        "extension_data": {},
        "usage": {"input_tokens": 112, "output_tokens": 23, "total_tokens": 135, "cache_read_input_tokens": 7, "cache_write_input_tokens": 5},
        "accumulated_usage": {"input_tokens": 112, "output_tokens": 23, "total_tokens": 135, "cache_read_input_tokens": 7, "cache_write_input_tokens": 5},
        "accumulated_cost": 0.25,
        "schedule_id": None,
        "recipe": None,
        "user_recipe_values": None,
        "message_count": 3,
    }  # fmt: skip
    assert prompt == {
        "id": "msg_1",
        "role": "user",
        "created": factories.T0 // 1000,
        "content": [
            text("Look at this"),
            {**text("whole file"), "annotations": {"audience": ["assistant"]}},
            {"type": "image", "data": "aGVsbG8=", "mimeType": "image/png"},
            text("[Attached: notes.txt]"),
        ],
        "metadata": VISIBLE,
    }
    assert answer["role"] == "assistant"
    assert answer["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        text("I look."),
        request("call_1", "bash", command="ls"),
        request("call_2", "read", filePath="x"),
        request("call_3", "edit", filePath="y"),
    ]
    assert answer["metadata"].items() >= VISIBLE.items()
    assert answer["metadata"]["inference"] == {"provider": "stub", "requestedModel": "stub-model"}
    assert (results["role"], results["metadata"]) == ("user", VISIBLE)
    assert results["content"] == [
        response(text("one\ntwo"), id="call_1"),
        response(text("no such file"), id="call_2", isError=True),
    ]


def test_usage_is_what_the_last_answer_took(session: Session) -> None:
    last = factories.assistant_message("msg_3"), factories.text_part("prt_3", "msg_3", "Done")
    found = exported(factories.apply(session, *last))
    assert (found["usage"]["total_tokens"], found["accumulated_usage"]["total_tokens"]) == (135, 270)
    assert found["accumulated_cost"] == 0.5


def test_calls_of_the_same_id_keep_apart(alice: User) -> None:
    calls = [factories.tool_part("bash", f"prt_{number}", output=str(number)) for number in (2, 3)]
    found = exported(factories.session(alice, *factories.conversation()[:4], *calls))
    assert [entry["id"] for message in found["conversation"][1:] for entry in message["content"]] == [
        "call_1",
        "prt_3",
    ] * 2


@pytest.mark.parametrize(
    ("given", "arguments"),
    [
        (None, {}),
        ("ls", {"input": "ls"}),
        ([1], {"input": "[1]"}),
        (deep := json.loads('{"a":' * 120 + "1" + "}" * 120), {"input": json_text.dumps(deep)}),
    ],
)
def test_arguments_are_an_object_that_goose_can_read(alice: User, given: Any, arguments: Any) -> None:
    call = factories.tool_part("bash")
    call["data"]["state"]["input"] = given
    found = exported(factories.session(alice, *factories.conversation()[:4], call))
    (entry,) = found["conversation"][1]["content"]
    assert entry["toolCall"]["value"]["arguments"] == arguments


def test_a_message_that_only_the_client_wrote_is_for_the_agent_alone(alice: User) -> None:
    found = exported(factories.session(alice, factories.user_message(), factories.text_part(synthetic=True)))
    (message,) = found["conversation"]
    assert message["metadata"] == {"userVisible": False, "agentVisible": True}


def test_what_was_taken_back_is_kept_from_the_agent(alice: User) -> None:
    items = factories.conversation()
    items[0]["data"]["revert"] = {"messageID": "msg_2"}
    found = exported(factories.session(alice, *items))
    assert [message["metadata"]["agentVisible"] for message in found["conversation"]] == [True, False]


def test_readers_get_the_masked_export(session: Session) -> None:
    found = exported(session, mask=mask, masked=True)
    assert found["working_dir"] == "~/app"
    assert "whole file" not in json.dumps(found) and "/home/alice" not in json.dumps(found)


def test_text_that_json_parsers_refuse_is_made_readable(alice: User) -> None:
    items = factories.conversation()
    items[2]["data"]["text"] = items[0]["data"]["title"] = "a\ud800b"
    found = goose.export(Reading(factories.session(alice, *items)))
    assert found["name"] == "a\ufffdb" and found["conversation"][0]["content"] == [text("a\ufffdb")]


def through_goose(session: dict[str, Any], home: Path) -> dict[str, Any]:
    """What a real goose exports of a session that it imported."""
    binary, file = goose_binary(), home / "session.json"
    file.write_text(json_text.dumps(session))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "GOOSE_PATH_ROOT": str(home),
        "GOOSE_DISABLE_KEYRING": "1",
        "GOOSE_TELEMETRY_ENABLED": "false",
    }

    def run(*arguments: str) -> str:
        ran = subprocess.run(
            [binary, "session", *arguments], env=environment, capture_output=True, text=True, timeout=60
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    run("import", str(file))
    (listed,) = json.loads(run("list", "--format", "json"))
    found: dict[str, Any] = json.loads(run("export", "--session-id", listed["id"], "--format", "json"))
    return found


@pytest.mark.parametrize("recording", ["1.1.53-fixture-all-parts", "1.18.33-fixture-all-parts"])
def test_a_real_goose_takes_an_opencode_session(alice: User, tmp_path: Path, recording: str) -> None:
    session = Session.objects.create(owner=alice, source="opencode", external_id="recorded")
    ingest.apply(session, [change for item in share_data(recording) for change in from_item(item)])
    found = exported(session)
    assert len(found["conversation"]) > 3
    assert_same(through_goose(found, tmp_path), found)


def test_a_real_goose_takes_every_kind_of_part(session: Session, tmp_path: Path) -> None:
    factories.apply(
        session,
        factories.tool_part("odd name!", "prt_2g", input=json.loads('{"a":' * 109 + "{}" + "}" * 109)),
    )
    found = exported(session)
    assert_same(through_goose(found, tmp_path), found)


def assert_same(after: dict[str, Any], before: dict[str, Any]) -> None:
    assert after["conversation"] == before["conversation"]
    for name in ("name", "working_dir", "usage", "accumulated_usage", "accumulated_cost"):
        assert after[name] == before[name], name


# Coming in


def test_the_recorded_export_becomes_a_session(alice: User) -> None:
    session = imported(alice, EXPORT)
    assert (session.title, session.directory) == ("Hello from the stub.", "/tmp/wd")
    assert session.created_at == session.updated_at == datetime(2026, 11, 21, 4, 4, 3, tzinfo=UTC)
    assert (session.status, session.agent, session.model_names) == ("idle", "goose", ["gpt-4o"])
    assert (session.prompt, session.messages_count) == ("please use the shell tool", 4)
    assert (session.tokens_input, session.tokens_output, session.cost) == (240, 30, 0.0009)
    shown = parts(goose_import.parse(EXPORT).changes)
    assert [(part["type"], part.get("synthetic", False)) for part in shown] == [
        ("text", False),
        ("text", True),
        ("text", False),
        ("tool", False),
        ("text", False),
    ]
    assert shown[3]["tool"] == "shell" and shown[3]["callID"] == "call_chatcmpl-3"
    assert shown[3]["state"] == {
        "status": "completed",
        "input": {"command": "echo hello-from-shell"},
        "output": "hello-from-shell",
        "title": "",
        "metadata": {"exit": 0},
        "time": {"start": 1_795_233_843_002, "end": 1_795_233_843_003},
        "attachments": [],
    }


def test_the_recorded_file_of_an_older_goose_becomes_a_session(alice: User) -> None:
    session = imported(alice, LEGACY)
    assert (session.title, session.prompt) == (
        "File watcher config setup",
        "I have started a basic mcp template",
    )
    assert (session.created_at, session.messages_count) == (datetime(2025, 5, 13, 23, 18, 48, tzinfo=UTC), 3)
    # It says only what it used as a whole.
    assert (session.tokens_input, session.tokens_output) == (72872, 2408)
    (call,) = [part for part in parts(goose_import.parse(LEGACY).changes) if part["type"] == "tool"]
    assert (call["tool"], call["state"]["output"]) == ("developer__shell", "total 8")


def test_every_page_shows_what_came_in(alice: User, client: Any) -> None:
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    unknown = {"type": "systemNotification", "notificationType": "inlineMessage", "msg": "Heads up"}
    for number, text in enumerate([EXPORT, LEGACY, conversation(said("assistant", unknown))]):
        session = imported(alice, text, str(number))
        for part in session.parts.select_related("message"):
            assert 'class="note"' not in part_html(Reading(session), part, role=part.message.role)
        assert client.get(f"/sessions/{session.pk}").status_code == 200
    assert "Heads up" in client.get(f"/sessions/{session.pk}").content.decode()


def test_messages_and_parts_have_what_opencode_requires(alice: User) -> None:
    found = opencode.export(Reading(imported(alice, EXPORT)))
    assert found["info"].keys() >= {"id", "slug", "projectID", "directory", "title", "version", "time"}
    prompt, _, answer, last = (message["info"] for message in found["messages"])
    assert prompt.keys() >= {"id", "sessionID", "role", "time", "agent", "model"}
    assert answer["parentID"] == last["parentID"] == prompt["id"]
    assert answer.keys() >= {"modelID", "providerID", "mode", "agent", "path", "cost", "tokens", "time"}


def test_ids_sort_in_order_and_stay_the_same_in_a_longer_file() -> None:
    rows = [said("user", text(str(number)), text("x")) for number in range(12)]
    shorter, longer = (goose_import.parse(conversation(*some)).changes for some in (rows[:3], rows))
    ids = [part["id"] for part in parts(longer)]
    assert ids == sorted(ids) and len(set(ids)) == 24
    assert parts(shorter) == parts(longer)[:6]
    times = [message["time"]["created"] for message in messages(longer)]
    assert times == sorted(set(times)) and times[0] == 1_795_233_843_000
    other = goose_import.parse(conversation(*rows, created_at="2026-11-21T04:04:04Z")).changes
    assert not {part["id"] for part in parts(other)} & set(ids)


@pytest.mark.parametrize("created", [None, -1, "soon", 1e300, True, 5_000_000_000, [], 1])
def test_messages_stay_in_order_whatever_their_times(created: Any) -> None:
    rows = [
        said("user", text("a")),
        said("user", text("b"), created=created),
        said("user", text("c"), created=None),
    ]
    times = [
        message["time"]["created"] for message in messages(goose_import.parse(conversation(*rows)).changes)
    ]
    assert times == [1_795_233_843_000, 1_795_233_843_001, 1_795_233_843_002]


def test_a_session_without_any_time_is_of_now() -> None:
    before = datetime.now(UTC).timestamp()
    found = goose_import.parse(conversation(said("user", text("a"), created=None), created_at="once"))
    assert abs(found.created_at.timestamp() - before) < 60
    assert messages(found.changes)[0]["time"]["created"] == round(found.created_at.timestamp() * 1000)


def test_a_result_completes_the_call_of_its_id() -> None:
    found = goose_import.parse(
        conversation(
            said("assistant", request("c1", command="a"), request("c2", "fetch"), request("c3")),
            said("user", response(text("second"), id="c2"), created=1_795_233_850),
            said("user", response(text("no"), id="c1", isError=True, structuredContent={"exit_code": 2})),
        )
    )
    assert len(messages(found.changes)) == 1
    first, second, third = (part["state"] for part in parts(found.changes))
    assert (first["status"], first["error"], first["metadata"]) == ("error", "no", {"exit": 2})
    assert (second["status"], second["output"], third["status"]) == ("completed", "second", "pending")
    assert second["time"] == {"start": 1_795_233_843_000, "end": 1_795_233_850_000}


def test_a_result_beside_a_prompt_leaves_the_prompt() -> None:
    found = goose_import.parse(
        conversation(said("assistant", request()), said("user", response(text("out")), text("go on")))
    )
    assert [message["role"] for message in messages(found.changes)] == ["assistant", "user"]
    assert [part.get("text") for part in parts(found.changes)] == [None, "go on"]


def test_a_result_that_answers_nothing_is_kept() -> None:
    orphan = response(text("out"), id="gone")
    (part,) = parsed(orphan, role="user")
    assert (part["type"], part["content"]) == ("goose-toolResponse", orphan)


def test_a_second_result_of_a_call_is_kept_beside_the_first() -> None:
    found = goose_import.parse(
        conversation(said("assistant", request()), said("user", response(text("1")), response(text("2"))))
    )
    assert [part["type"] for part in parts(found.changes)] == ["tool", "goose-toolResponse"]


@pytest.mark.parametrize(
    ("result", "status", "said"),
    [
        ({"status": "success", "value": [text("a"), text("b")]}, "completed", "a\nb"),
        ({"status": "error", "error": "denied"}, "error", "denied"),
        ({"status": "error", "error": {"code": 1}}, "error", '{\n  "code": 1\n}'),
        ({"status": "success", "value": {"content": [], "structuredContent": [1]}}, "completed", "[\n  1\n]"),
        ({"status": "success", "value": "odd"}, "completed", "odd"),
        ({"status": "success", "value": [{"type": "resource", "resource": {"uri": "file:///a", "text": "in it"}}]}, "completed", "in it"),
        ({"status": "success", "value": [{"type": "resource_link", "uri": "file:///a", "name": "a"}]}, "completed", "file:///a"),
        ({"status": "success", "value": [{"type": "odd"}, 5]}, "completed", '{\n  "type": "odd"\n}\n5'),
        ({"status": "success", "value": [{**text("for the model"), "annotations": {"audience": ["assistant"]}}, {**text("on the screen"), "annotations": {"audience": ["user"]}}]}, "completed", "for the model"),
        ({"status": "success", "value": [{**text("on the screen"), "annotations": {"audience": ["user"]}}]}, "completed", "on the screen"),
        (None, "completed", ""),
    ],
)  # fmt: skip
def test_results_of_every_shape(result: Any, status: str, said: str) -> None:
    answer = {"type": "toolResponse", "id": "c1", "toolResult": result}
    text = conversation({"role": "assistant", "content": [request()]}, {"role": "user", "content": [answer]})
    (part,) = parts(goose_import.parse(text).changes)
    state = part["state"]
    assert (state["status"], state["error" if status == "error" else "output"]) == (status, said)


def test_a_picture_in_a_result_is_attached_to_the_call() -> None:
    picture = {"type": "image", "data": "aGVsbG8=", "mimeType": "image/png"}
    sound = {"type": "resource", "resource": {"uri": "x", "mimeType": "audio/wav", "blob": "aGk="}}
    found = goose_import.parse(
        conversation(said("assistant", request()), said("user", response(picture, text("seen"), sound)))
    )
    (part,) = parts(found.changes)
    assert part["state"]["output"] == "seen"
    assert [file["url"] for file in part["state"]["attachments"]] == [IMAGE, "data:audio/wav;base64,aGk="]
    assert all(file["messageID"] == part["messageID"] for file in part["state"]["attachments"])


def test_a_call_that_could_not_be_read_has_failed() -> None:
    (part,) = parsed(
        {"type": "toolRequest", "id": "c1", "toolCall": {"status": "error", "error": "bad JSON"}}
    )
    assert (part["tool"], part["state"]["status"], part["state"]["error"]) == ("invalid", "error", "bad JSON")


def test_thoughts_and_pictures_are_parts_of_their_own() -> None:
    kinds = parsed(
        {"type": "thinking", "thinking": "Hm.", "signature": "abc"},
        {"type": "reasoning", "text": "Older."},
        {"type": "image", "data": "aGVsbG8=", "mimeType": "image/png"},
    )
    assert [part.get("text", part.get("url")) for part in kinds] == ["Hm.", "Older.", IMAGE]
    assert [part["type"] for part in kinds] == ["reasoning", "reasoning", "file"]


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "systemNotification", "notificationType": "inlineMessage", "msg": "Heads up"},
        {"type": "redactedThinking", "data": "x"},
        {"type": "not\0 storable\ud800" + "x" * 500},
        {"type": "text", "text": 5},
        {"type": "thinking"},
        {"type": "image", "data": "aGk=", "mimeType": '"><script>'},
        {"type": "toolRequest", "id": "c1", "toolCall": {"status": "success", "value": {}}},
    ],
)
def test_what_we_cannot_read_is_kept_as_it_is(entry: dict[str, Any]) -> None:
    (part,) = parsed(entry)
    assert part["content"] == entry and part["type"].startswith(f"goose-{entry['type'][:3]}")


def test_what_goose_hides_from_its_user_is_marked_as_added() -> None:
    hidden = said("user", text("<turn-context>"), metadata={"userVisible": False, "agentVisible": True})
    for_agent = {**text("file"), "annotations": {"audience": ["assistant"]}}
    found = goose_import.parse(conversation(hidden, said("user", text("Hi"), for_agent)))
    assert [part.get("synthetic") for part in parts(found.changes)] == [True, None, True]


def test_tokens_that_the_cache_served_are_no_input(alice: User) -> None:
    usage = {
        "inputTokens": 900,
        "outputTokens": 50,
        "cacheReadTokens": 300,
        "cacheWriteTokens": 100,
        "cost": 0.5,
    }
    session = imported(alice, conversation(said("assistant", text("Hi"), metadata={"usage": usage})))
    assert (session.tokens_input, session.tokens_cache_read, session.tokens_cache_write) == (500, 300, 100)


@pytest.mark.parametrize(
    "fields",
    [
        {"accumulated_usage": {"input_tokens": 10, "output_tokens": 2, "cache_read_input_tokens": 4}},
        {"accumulated_input_tokens": 10, "accumulated_output_tokens": 2, "accumulated_cache_read_tokens": 4},
    ],
)
def test_totals_of_a_session_are_taken_nested_and_flat(alice: User, fields: dict[str, Any]) -> None:
    answer = said("assistant", text("Hi"))
    session = imported(alice, conversation(answer, **fields, accumulated_cost=0.25))
    assert (session.tokens_input, session.tokens_output, session.tokens_cache_read) == (6, 2, 4)
    assert session.cost == 0.25


def test_an_older_export_says_description_for_name() -> None:
    assert goose_import.parse(conversation(name=None, description="Older")).title == "Older"


def test_the_answer_of_goosed_to_an_export_is_read_too() -> None:
    assert goose_import.parse(json.dumps(EXPORT)) == goose_import.parse(EXPORT)


def test_settings_of_the_machine_stay_out() -> None:
    secrets = {"extension_data": {"x": {"envs": {"TOKEN": "hunter2"}}}, "recipe": {"prompt": "hunter2"}}
    assert "hunter2" not in repr(goose_import.parse(conversation(said("user", text("Hi")), **secrets)))


def test_lines_that_cannot_be_read_are_passed_over() -> None:
    torn = (
        LEGACY.replace('{"role":"user","created":1747178328', '{"role":"us', 1)
        + '\n{"role":"user"}\nnull\n{"torn'
    )
    assert [message["role"] for message in messages(goose_import.parse(torn).changes)] == ["assistant"] * 2


def test_a_file_without_its_first_line_is_read() -> None:
    _, rest = LEGACY.split("\n", 1)
    found = goose_import.parse(rest)
    assert (found.title, len(messages(found.changes))) == ("", 3)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "this is no session of goose's"),
        ("\ufeff", "this is no session of goose's"),
        ("# Session Export: N", "this is no session of goose's"),
        ('{"info": {}, "messages": []}', "this is no session of goose's"),
        ('{"conversation": null}', "this is no session of goose's"),
        (LEGACY.split("\n", 1)[0], "this is no session of goose's"),
        (EXPORT[:2000], "this is no session of goose's"),
        ('{"conversation": [{"role": "user"}]}', "message 1 of the conversation is none of goose's"),
        ('{"conversation": [' + json.dumps(said("user")) + ", 5]}", "message 2 of the conversation is none of goose's"),
        ('{"conversation": [{"role": "user", "content": ["x"]}]}', "message 1 of the conversation is none"),
        ('{"conversation": [' + "[" * 300 + "]" * 301 + "}", "nested more than 200 levels deep"),
        ("[" * 100_000, "this is no session of goose's"),
        (conversation(said("user", *[text("x")] * 10_000)), "more than 9999 entries"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_words(text: str, sentence: str) -> None:
    with pytest.raises(Malformed, match=sentence):
        goose_import.parse(text)


ANY_TEXT = st.text() | st.text(st.characters())
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=15,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, child in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from places(child, (*path, key))


RECORDED_EXPORT = json.loads(EXPORT)
PLACES = [path for path in places(RECORDED_EXPORT) if path and path[0] != "extension_data"]


@st.composite
def damaged(draw: Any) -> Any:
    """The recorded export with anything at all in some of its places."""
    value = copy.deepcopy(RECORDED_EXPORT)
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(PLACES))
        into = value
        try:
            for step in way:
                into = into[step]
            into[last] = draw(ANY)
        except (KeyError, IndexError, TypeError):
            continue
    return value


def understood(text: str) -> None:
    """The text is read or refused, and what is read can be written to the database."""
    try:
        found = goose_import.parse(text)
    except Malformed as error:
        assert str(error)
        return
    for change in found.changes:
        json_text.dumps(getattr(change, "data", None))


@settings(deadline=None)
@given(ANY_TEXT)
def test_any_text_is_read_or_refused(text: str) -> None:
    understood(text)


@settings(deadline=None)
@given(ANY)
def test_any_json_is_read_or_refused(value: Any) -> None:
    understood(json.dumps(value))
    understood(
        json.dumps(value) + "\n" + json.dumps({"role": "user", "content": [{"type": "x", "y": value}]})
    )


@settings(deadline=None, max_examples=200)
@given(damaged())
def test_a_damaged_export_is_read_or_refused(value: Any) -> None:
    understood(json.dumps(value))


# There and back


def test_what_goes_out_comes_back(alice: User, session: Session) -> None:
    once = exported(session)
    again = imported(alice, json.dumps(once))
    assert content_of(exported(again)) == content_of(once)
    for name in (
        "tokens_input",
        "tokens_cache_read",
        "tokens_cache_write",
        "cost_nano",
        "models_used",
        "title",
    ):
        assert getattr(again, name) == getattr(session, name), name
    assert [part.data.get("synthetic", False) for part in again.parts.all()][:3] == [False, True, False]


@pytest.mark.parametrize("recording", ["1.1.53-fixture-all-parts", "1.18.33-fixture-all-parts"])
def test_a_recorded_session_of_opencode_comes_back(alice: User, recording: str) -> None:
    session = Session.objects.create(owner=alice, source="opencode", external_id="recorded")
    ingest.apply(session, [change for item in share_data(recording) for change in from_item(item)])
    again = imported(alice, json.dumps(exported(session)))

    def held(session: Session) -> list[Any]:
        found = []
        for part in session.parts.filter(message__placeholder=False).order_by(
            "message__created_at", "message__external_id", "external_id"
        ):
            data, state = part.data, part.data.get("state", {})
            if part.kind in ("text", "reasoning") and data["text"]:
                found.append((part.kind, data["text"]))
            elif part.kind == "tool":
                said = [state.get(name) or "" for name in ("output", "error")]
                found.append((data["tool"], state.get("input") or {}, *said))
        return found

    # A file that is no picture comes back as the text that names it.
    texts = [entry for entry in held(again) if not str(entry[1]).startswith("[Attached")]
    assert texts == held(session) and len(texts) > 5


@pytest.mark.parametrize("text", [EXPORT, LEGACY], ids=["export", "legacy"])
def test_a_recorded_session_of_goose_keeps_all_that_was_said(alice: User, text: str) -> None:
    came = (
        json.loads(text)
        if text is EXPORT
        else {"conversation": [json.loads(row) for row in text.split("\n")[1:] if row]}
    )
    assert content_of(exported(imported(alice, text))) == content_of(came)


@pytest.mark.parametrize("name", ["generated-1.52.0-export.json", "teck968-sample_session.jsonl"])
def test_transcripts_of_others_keep_all_that_was_said(alice: User, name: str) -> None:
    text = transcript(name)
    if name.endswith(".json"):
        came = json.loads(text)
    else:
        came = {"conversation": [json.loads(row) for row in text.split("\n")[1:] if row]}
    session = imported(alice, text)
    assert content_of(exported(session)) == content_of(came)
    if accumulated := came.get("accumulated_usage"):
        assert session.cost == came["accumulated_cost"]
        assert session.tokens + session.tokens_cache_read == accumulated["total_tokens"]
