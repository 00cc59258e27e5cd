"""What clients, providers and moments can do that nobody expects."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.agent.conftest import Talk, names, text
from tests.agent.provider import Provider
from tests.agent.test_turns import WRITE, approve, wait_for
from tests.server import Server


@pytest.mark.parametrize("delay", [0.0, 0.005, 0.01, 0.02, 0.03, 0.05])
def test_a_turn_is_cancelled_also_while_it_pauses(talk: Talk, delay: float) -> None:
    for _ in range(3):
        with talk.stream(WRITE) as answer:
            turn = answer.headers["gander-turn"]
            for line in answer.iter_lines():
                if line == "event: tool_call":
                    break
        time.sleep(delay)
        talk.client.post(f"/sessions/{talk.id}/turns/{turn}/cancel")
        assert talk.follow(turn)[-1]["stop_reason"] == "cancelled"
        assert talk.turn(turn)["state"] == "cancelled" and talk.session()["status"] == "idle"


def test_a_call_id_used_again_is_another_call(talk: Talk) -> None:
    (talk.directory / "one").write_text("ONE\n")
    (talk.directory / "two").write_text("TWO\n")
    events = talk.send(
        'as call_0 files__read {"path": "one"}',
        "then",
        'as call_0 files__read {"path": "two"}',
        "then",
        "say Both.",
    )
    results = [event["result"] for event in events if event["event"] == "tool_result"]
    assert results == ["1: ONE", "1: TWO"] and text(events) == "Both."
    assert len({part["callID"] for part in talk.parts("tool")}) == 2


def test_an_answer_whose_calls_have_one_id_is_refused_and_nothing_hangs(talk: Talk) -> None:
    second = WRITE.replace("a.txt", "b.txt").replace("call ", "as call_0 ")
    events = talk.send(WRITE.replace("call ", "as call_0 "), second, "then", "say Done.")
    (error,) = [event for event in events if event["event"] == "error"]
    assert "unique" in error["message"] and "call_0" in error["message"]
    assert events[-1]["stop_reason"] == "error"
    assert all(part["state"]["status"] == "error" for part in talk.parts("tool"))


def test_a_long_turn_is_told_to_its_end(talk: Talk, server: Server) -> None:
    turn = talk.begin("say Short.")
    assert talk.follow(turn)[-1]["event"] == "message_complete"
    server.run_python(f"""
        from sessions_app.agent.models import Turn, TurnEvent
        turn = Turn.objects.get(pk="{turn}")
        last = turn.events.order_by("-number").first()
        number = last.number
        TurnEvent.objects.filter(pk=last.pk).update(number=number + 1000)
        TurnEvent.objects.bulk_create(
            TurnEvent(turn=turn, number=number + each, name="error", data={{"code": "x", "message": "x"}})
            for each in range(1000)
        )
    """)
    events = talk.follow(turn)
    assert len(events) > 1000 and events[-1]["event"] == "message_complete"
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))


def test_an_event_that_there_never_was_is_no_reason_to_wait(talk: Talk) -> None:
    turn = talk.begin("wait 0.1", "say " + "word " * 20)
    events = talk.follow(turn, 99_999)
    assert events == [] and talk.turn(turn)["state"] == "done"
    # A client that repeats its POST begins another turn, and has none of its events.
    answer = talk.client.post(
        f"/sessions/{talk.id}/messages", json={"content": "say Again."}, headers={"Last-Event-ID": "57"}
    )
    assert "Again." in answer.text and "message_complete" in answer.text


def test_what_a_turn_changed_is_told_while_it_goes_on(talk: Talk) -> None:
    turn = talk.begin(WRITE, "then", "stall", mode="auto")
    wait_for(lambda: bool((prompt_of(talk).get("summary") or {}).get("diffs")))
    assert talk.turn(turn)["state"] == "running"
    talk.client.post(f"/sessions/{talk.id}/turns/{turn}/cancel")
    assert talk.follow(turn)[-1]["stop_reason"] == "cancelled"


def test_a_decision_is_for_one_call_also_where_ids_repeat(talk: Talk) -> None:
    second = WRITE.replace("a.txt", "b.txt").replace("call ", "as call_0 ")
    turn = talk.begin(WRITE.replace("call ", "as call_0 "), "then", second, "then", "say Done.")
    wait_for(lambda: talk.turn(turn)["state"] == "waiting")
    approve(talk, talk.turn(turn)["waiting"][0], "allow_once")
    wait_for(lambda: talk.turn(turn)["state"] == "waiting" and (talk.directory / "a.txt").exists())
    assert not (talk.directory / "b.txt").exists()
    approve(talk, talk.turn(turn)["waiting"][0], "deny_once")
    assert text(talk.follow(turn)) == "Done." and not (talk.directory / "b.txt").exists()


@pytest.mark.parametrize("call_id", ["functions.list:0", "a/b?c=d#e", "x" * 300, "ümlaut"])
def test_odd_call_ids_can_be_decided_about(talk: Talk, call_id: str) -> None:
    turn = talk.begin(WRITE.replace("call ", f"as {call_id} "), "then", "say Done.")
    wait_for(lambda: talk.turn(turn)["state"] == "waiting")
    (waiting,) = talk.turn(turn)["waiting"]
    assert approve(talk, waiting, "allow_once").status_code == 200
    assert text(talk.follow(turn)) == "Done."
    assert text(talk.send("say Again.")) == "Again."


def test_numbers_that_json_has_not_break_nothing(talk: Talk) -> None:
    talk.send(
        'call files__read {"path": "x", "a": 1e999, "b": 123456789012345678901234567890}', "then", "say On."
    )
    assert talk.client.get(f"/api/sessions/{talk.id}/messages").status_code == 200
    assert talk.client.get(f"/sessions/{talk.id}/export").status_code == 200
    page = talk.client.get(f"/sessions/{talk.id}", headers={"Accept": "text/html"})
    assert page.status_code == 200 and text(talk.send("say Fine.")) == "Fine."


def test_whoever_has_the_last_event_is_told_that_there_is_no_more(talk: Talk) -> None:
    turn = talk.begin("say Hello.")
    last = talk.follow(turn)[-1]["id"]
    for number in (last, 99999):
        answer = talk.client.get(
            f"/api/sessions/{talk.id}/turns/{turn}/events", headers={"Last-Event-ID": str(number)}, timeout=5
        )
        assert answer.status_code == 204


def test_usage_counts_what_came_before_a_pause(talk: Talk) -> None:
    turn = talk.begin(WRITE, "then", "say Done.")
    wait_for(lambda: talk.turn(turn)["state"] == "waiting")
    assert talk.turn(turn)["usage"]["requests"] == 1
    approve(talk, talk.turn(turn)["waiting"][0], "allow_once")
    usage = talk.follow(turn)[-1]["usage"]
    assert (usage["requests"], usage["input_tokens"]) == (2, 200) == (2, talk.session()["tokens"]["input"])


EDIT = 'call files__edit {"path": "a.env", "old": "%s", "new": "%s"}'


def prompt_of(talk: Talk) -> dict[str, Any]:
    return next(each["info"] for each in talk.messages() if each["info"]["role"] == "user")


def test_whole_files_stand_in_no_message_however_the_turn_ends(talk: Talk) -> None:
    (talk.directory / "a.env").write_text("KEY=hidden\n" + "\n" * 9 + "level=1\n")
    turn = talk.begin(EDIT % ("level=1", "level=2"), "then", WRITE)
    wait_for(lambda: talk.turn(turn)["state"] == "waiting")
    approve(talk, talk.turn(turn)["waiting"][0], "allow_once")
    wait_for(lambda: "a.env" in str(prompt_of(talk)) and talk.turn(turn)["state"] == "waiting")
    (change,) = prompt_of(talk)["summary"]["diffs"]
    assert "+level=2" in change["patch"] and "hidden" not in str(prompt_of(talk))
    talk.client.post(f"/sessions/{talk.id}/turns/{turn}/cancel")
    assert talk.follow(turn)[-1]["stop_reason"] == "cancelled"
    assert prompt_of(talk)["summary"]["diffs"] == [change]


def test_what_a_turn_takes_back_is_no_change(talk: Talk) -> None:
    (talk.directory / "a.env").write_text("level=1\n")
    turn = talk.begin(EDIT % ("1", "2"), "then", EDIT % ("2", "1"), "then", "say Done.")
    for seen in ("2", "1"):
        wait_for(lambda: talk.turn(turn)["state"] == "waiting")
        approve(talk, talk.turn(turn)["waiting"][0], "allow_once")
        wait_for(lambda: (talk.directory / "a.env").read_text() == f"level={seen}\n")  # noqa: B023
    talk.follow(turn)
    assert prompt_of(talk)["summary"]["diffs"] == [] and talk.session()["files"] == 0


def test_an_answer_that_has_said_a_lot_goes_on_with_the_heads_of_results(talk: Talk) -> None:
    (talk.directory / "long").write_text(("x" * 900 + "\n") * 100)
    events = talk.send(*['call files__read {"path": "long"}'] * 60, "then", "say Done.", mode="auto")
    results = [event for event in events if event["event"] == "tool_result"]
    assert len(results) == 60 and text(events) == "Done."
    assert len(results[0]["result"]) > 50_000
    assert len(results[-1]["result"]) == 1000 and results[-1]["truncated"]


@pytest.mark.parametrize(("last", "status"), [("", 200), ("x", 422), ("-1", 422)])
def test_where_to_go_on_is_looked_at_before_a_turn_begins(talk: Talk, last: str, status: int) -> None:
    with talk.client.stream(
        "POST", f"/sessions/{talk.id}/messages", json={"content": "Hello"}, headers={"Last-Event-ID": last}
    ) as answer:
        assert answer.status_code == status
        answer.read()
    assert bool(talk.messages()) == (status == 200)


def test_a_directory_that_is_not_allowed_any_more_is_not_worked_in(server: Server, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "a.txt").write_text("secret\n")
    server.run_python(f"""
        from sessions_app.agent.models import WorkspaceRoot
        WorkspaceRoot.objects.create(path="{inside}")
    """)
    talk = Talk(server, cwd=str(inside))
    assert "secret" in str(talk.send('call files__read {"path": "a.txt"}'))
    server.run_python(f"""
        from sessions_app.agent.models import WorkspaceRoot
        WorkspaceRoot.objects.filter(path="{inside}").delete()
    """)
    events = talk.send('call files__read {"path": "a.txt"}')
    assert names(events) == ["error", "message_complete"] and "may work under" in events[0]["message"]


def test_an_empty_answer_is_an_error_that_was_paid_for(talk: Talk) -> None:
    events = talk.send("think Only that.")
    assert events[-1]["usage"]["requests"] == 1 and events[-1]["usage"]["input_tokens"] == 100


ODD: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/sessions", {"cwd": "a" * 900}),
    ("POST", "/sessions", {"cwd": "a\0b"}),
    ("POST", "/sessions", {"name": "a\0b"}),
    ("POST", "/sessions", {"extensions": ["a\0b"]}),
    ("POST", "/sessions", {"model": "a\0b"}),
    ("POST", "/sessions", {"mode": "root"}),
    ("POST", "/sessions", {"unknown": 1}),
    ("PATCH", "/api/sessions/{id}/agent", {"extensions": ["\ud800"]}),
    ("POST", "/sessions/{id}/messages", {"content": ""}),
    ("POST", "/sessions/{id}/messages", {"content": []}),
    ("POST", "/sessions/{id}/messages", {"content": "x", "request_id": "no uuid"}),
    ("POST", "/sessions/{id}/messages", {"content": "x", "model": "a\0b"}),
    ("POST", "/sessions/{id}/fork", {"message": "a\0b"}),
    ("POST", "/sessions/{id}/approvals/none", {"action": "allow_once"}),
    ("POST", "/sessions/{id}/approvals/none", {"action": "maybe"}),
    ("POST", "/action-required/tool-confirmation", {"id": "a\0b", "sessionId": "{id}", "action": "x"}),
    ("POST", "/reply", {"session_id": "{id}", "user_message": {"content": [{"type": 7}]}}),
    ("POST", "/sessions/import", {"json": "\ud800"}),
    ("PUT", "/sessions/{id}/name", {"name": "\ud800"}),
]


@pytest.mark.parametrize(("method", "path", "body"), ODD)
def test_odd_input_is_refused_and_breaks_nothing(
    talk: Talk, method: str, path: str, body: dict[str, Any]
) -> None:
    content = json.dumps(body).replace("{id}", talk.id)
    answer = talk.client.request(
        method, path.format(id=talk.id), content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.json()["error"]["message"]


def test_texts_hold_what_people_paste(talk: Talk) -> None:
    content = json.dumps({"content": "say NUL \0 and \ud800"})
    answer = talk.client.post(
        f"/sessions/{talk.id}/messages", content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 200 and "message_complete" in answer.text


def test_a_program_that_accepts_nothing_in_particular_gets_data(server: Server, talk: Talk) -> None:
    for headers in ({"Accept": ""}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        answer = talk.client.get("/sessions", headers=headers)
        assert answer.headers["content-type"].startswith("application/json"), headers
    head = talk.client.head("/sessions")
    assert head.status_code == 200 and head.headers["content-type"].startswith("application/json")


def test_readers_see_no_workspaces(server: Server, talk: Talk) -> None:
    talk.send('call files__list {"path": "."}', "then", f"say I work in {talk.directory}.")
    shared = talk.client.patch(f"/api/sessions/{talk.id}", json={"shared": True}).json()
    token = shared["share_url"].rsplit("/", 1)[1]
    for path in (f"/api/share/{token}/data", f"/share/{token}.json", f"/share/{token}.md", f"/share/{token}"):
        seen = server.client().get(path, headers={"Accept": "text/html"}).text
        assert str(talk.workspace) not in seen, path


def test_a_fork_of_what_came_from_the_future_is_gone_on_from(
    server: Server, talk: Talk, provider: Provider
) -> None:
    old = {
        "name": "old",
        "working_dir": "/x",
        "conversation": [
            {
                "role": role,
                "created": 4_000_000_000 + n,
                "content": [{"type": "text", "text": said}],
                "metadata": {},
            }
            for n, (role, said) in enumerate((("user", "say old"), ("assistant", "old answer")))
        ],
    }
    made = talk.client.post("/sessions/import", json={"json": json.dumps(old)}).json()
    fork = Talk(server)
    fork.id = talk.client.post(f"/sessions/{made['id']}/fork", json={}).json()["id"]
    assert text(fork.send("say New.")) == "New."
    told = [
        message["content"] for message in provider.requests[-1]["messages"] if message["role"] != "system"
    ]
    assert "old answer" in str(told[1]) and "say New." in str(told[-1])
