"""The pages as a person gets them."""

import html
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from project.accounts import ingest_key
from project.accounts.models import User
from sessions_app import acts, ingest
from sessions_app.changes import from_item
from sessions_app.models import Session
from tests import factories
from tests.recordings import lines, share_data

Browsers = Callable[[User | None], Client]


def test_the_empty_list_shows_how_to_connect_with_ones_own_key(alice: User, browser_of: Browsers) -> None:
    page = browser_of(alice).get("/sessions").content.decode()
    assert f"http://testserver/k/{ingest_key.of(alice)}" in page
    assert "opencode console login http://testserver" in page


def test_the_list_says_what_a_row_needs(alice: User, browser_of: Browsers) -> None:
    factories.session(alice, shared=True)
    page = browser_of(alice).get("/sessions").content.decode()
    for text in (
        "Add a greet function",
        "opencode",
        "/home/alice/app",
        "stub-model",
        "Shared",
        "2 messages",
        "$0.25",
        "123 tokens",
    ):
        assert text in page, text


def test_a_search_without_hits_offers_the_way_back(alice: User, browser_of: Browsers) -> None:
    factories.session(alice)
    page = browser_of(alice).get("/sessions", {"q": "zzz"}).content.decode()
    assert "No session fits" in page and 'value="zzz"' in page


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "junk"},
        {"source": "x"},
        {"shared": "x"},
        {"q": "%_"},
        {"archived": "9"},
        {"until": "9999-12-31"},
        {"since": "0001-01-01", "until": "0001-01-20"},
    ],
)
def test_odd_queries_are_no_errors(alice: User, browser_of: Browsers, query: dict[str, str]) -> None:
    factories.session(alice)
    for path in ("/sessions", "/sessions/summary"):
        assert browser_of(alice).get(path, query).status_code in (200, 302)


def test_queries_of_the_list_do_not_follow_its_length(
    alice: User, browser_of: Browsers, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        factories.session(alice, factories.session_item(), external_id=str(number))
    client = browser_of(alice)
    with django_assert_max_num_queries(6):
        client.get("/sessions")


def test_forms_rename_share_archive_and_delete_without_javascript(alice: User, browser_of: Browsers) -> None:
    session, client = factories.session(alice), browser_of(alice)
    change = f"/sessions/{session.pk}/change"
    client.post(change, {"title": "New name"})
    client.post(change, {"shared": "1"})
    client.post(change, {"archived": "1"})
    session.refresh_from_db()
    assert (session.title, session.shared, session.archived_at is not None) == ("New name", True, True)
    client.post(change, {"shared": "0"})
    session.refresh_from_db()
    assert not session.shared
    client.post(f"/sessions/{session.pk}/delete")
    assert not Session.objects.owned_by(alice).exists()


def test_readers_get_no_controls(alice: User, client: Client) -> None:
    session = factories.session(alice, shared=True)
    page = client.get(f"/share/{session.share_id}").content.decode()
    for control in ("csrfmiddlewaretoken", "share-dialog", "delete-dialog", "data-rename", str(session.pk)):
        assert control not in page, control


def test_the_owner_may_read_as_a_reader(alice: User, browser_of: Browsers) -> None:
    session = factories.session(alice, shared=True)
    client = browser_of(alice)
    page = client.get(f"/share/{session.share_id}?view=reader").content.decode()
    assert "You are reading it as others do" in page and "/home/alice" not in page
    facts = client.get(f"/share/{session.share_id}/info").content.decode()
    assert "~/app" in facts and "/home/alice" not in facts


def ids(page: Any) -> list[str]:
    return [turn.id for turn in page.context["turns"]]


def test_a_long_session_is_read_window_by_window(alice: User, browser_of: Browsers) -> None:
    items = [factories.user_message(f"m{n:03}", time={"created": factories.T0 + n}) for n in range(120)]
    session = factories.session(alice, *items)
    client, url = browser_of(alice), f"/sessions/{session.pk}"
    first = client.get(url)
    assert ids(first) == [f"m{n:03}" for n in range(50)]
    second = client.get(url, {"after": first.context["next"]})
    assert ids(second) == [f"m{n:03}" for n in range(50, 100)]
    back = client.get(url, {"before": second.context["previous"]})
    assert ids(back) == [f"m{n:03}" for n in range(50)]
    there = ids(client.get(url, {"at": "m090"}))
    assert "m090" in there and "m080" in there and "m119" in there
    assert ids(client.get(url, {"at": "unknown"}))[0] == "m000"
    assert client.get(url, {"after": "junk"}).status_code == 404


def test_reverted_messages_are_marked(alice: User, browser_of: Browsers) -> None:
    session = factories.session(
        alice, *factories.conversation(), factories.session_item(revert={"messageID": "msg_2"})
    )
    page = browser_of(alice).get(f"/sessions/{session.pk}")
    (kept,), (undone,) = page.context["turns"], page.context["reverted"]
    assert (kept.prompt.id, undone.id, undone.answers[0].id) == ("msg_1", "msg_1", "msg_2")
    assert page.content.decode().count("what follows was reverted") == 1


def turn(number: int, file: str, **prompt: Any) -> list[dict[str, Any]]:
    """A prompt whose turn changed a file, and its answer."""
    changed = {"file": file, "patch": "@@ -1 +1 @@\n-a\n+b\n", "additions": 1, "deletions": 1}
    asked, answered = factories.T0 + 10 * number, factories.T0 + 10 * number + 5
    return [
        factories.user_message(f"msg_{number}0", time={"created": asked}, summary={"diffs": [changed]}),
        factories.text_part(f"prt_{number}0", f"msg_{number}0", f"Prompt {number}"),
        factories.assistant_message(f"msg_{number}1", time={"created": answered, "completed": answered}),
        factories.text_part(f"prt_{number}1", f"msg_{number}1", f"Answer {number}"),
    ]


def test_the_outline_keeps_its_order_whatever_is_written_again(alice: User, browser_of: Browsers) -> None:
    session = factories.session(alice, *turn(1, "1.py"), *turn(2, "2.py"), *turn(3, "3.py"))
    for number in (2, 1):
        factories.apply(session, *turn(number, "other.py"))
    page = browser_of(alice).get(f"/sessions/{session.pk}/outline", headers={"HX-Request": "true"})
    prompts = page.context["outline"].prompts
    assert [(prompt.line, prompt.files) for prompt in prompts] == [
        ("Prompt 1", 1),
        ("Prompt 2", 1),
        ("Prompt 3", 1),
    ]


def test_what_was_taken_back_changed_nothing(alice: User, browser_of: Browsers) -> None:
    session = factories.session(alice, factories.session_item(), *turn(1, "kept.py"), *turn(2, "undone.py"))
    own, url = browser_of(alice), f"/sessions/{session.pk}"
    assert b"undone.py" in own.get(f"{url}/changes.patch").content
    factories.apply(session, factories.session_item(revert={"messageID": "msg_20"}))
    assert [each["row"].file for each in own.get(f"{url}/changes").context["changes"]] == ["kept.py"]
    assert b"undone.py" not in own.get(f"{url}/changes.patch").content
    page = own.get(url).content.decode()
    assert 'Changes<span id="changes-count">&nbsp;(1)</span>' in page
    outline = own.get(f"{url}/outline", headers={"HX-Request": "true"}).context["outline"]
    assert [prompt.reverted for prompt in outline.prompts] == [False, True]


def test_the_files_that_a_turn_changed_stand_at_its_end(
    alice: User, browser_of: Browsers, client: Client
) -> None:
    session = factories.session(
        alice,
        factories.session_item(),
        *turn(1, "/home/alice/app/one.py"),
        *turn(2, "/home/alice/two.py"),
        shared=True,
    )
    # The source says of the whole session, too: each turn keeps what it did.
    whole = {"file": "all.py", "patch": "@@ -1 +1 @@\n-x\n+y\n", "additions": 1, "deletions": 1}
    factories.apply(session, {"type": "session_diff", "data": [whole]})
    own, url = browser_of(alice), f"/sessions/{session.pk}"
    page = own.get(url)
    first, second = page.context["turns"]
    assert [change.file for change in first.changed] == ["one.py"]
    html = page.content.decode()
    assert html.index("Answer 1") < html.index("one.py") < html.index("Prompt 2") < html.index("two.py")
    address = f"/changes/{second.changed[0].pk}?turn"
    assert f'href="{url}{address}"' in html
    assert "two.py" in own.get(url + address).content.decode()
    shared = client.get(f"/share/{session.share_id}{address}").content.decode()
    assert "~/two.py" in shared and "/home/alice" not in shared


def test_a_turns_own_change_is_not_that_of_all_turns(alice: User, browser_of: Browsers) -> None:
    session = factories.session(alice, *turn(1, "one.py"), *turn(2, "one.py"))
    own, url = browser_of(alice), f"/sessions/{session.pk}"
    for each in own.get(url).context["turns"]:
        (change,) = each.changed
        shown = own.get(f"{url}/changes/{change.pk}?turn").context["change"]["row"]
        assert (shown.additions, len(shown.patches)) == (1, 1)
    assert own.get(f"{url}/changes/{change.pk}").context["change"]["row"].additions == 2
    factories.apply(session, {"type": "session_diff", "data": [{"file": "one.py", "patch": ""}]})
    whole = session.diffs.get(message=None)
    assert own.get(f"{url}/changes/{whole.pk}?turn").status_code == 404


def test_a_turn_that_ends_with_its_window_shows_its_files(alice: User, browser_of: Browsers) -> None:
    session = factories.session(alice, *(item for number in range(10, 40) for item in turn(number, "one.py")))
    own, url = browser_of(alice), f"/sessions/{session.pk}"
    first = own.get(url)
    assert first.context["next"] and all(len(turn.changed) == 1 for turn in first.context["turns"])


def test_a_turn_that_goes_on_in_the_next_window_ends_there(alice: User, browser_of: Browsers) -> None:
    answers = [
        factories.assistant_message(f"msg_2{n:02}", time={"created": factories.T0 + 20 + n})
        for n in range(60)
    ]
    session = factories.session(alice, *turn(1, "one.py"), *answers)
    own, url = browser_of(alice), f"/sessions/{session.pk}"
    first = own.get(url)
    assert [turn.changed for turn in first.context["turns"]] == [[]]
    (rest,) = own.get(url, {"after": first.context["next"]}).context["turns"]
    assert [change.file for change in rest.changed] == ["one.py"]


def test_the_title_that_was_given_here_goes_along(alice: User, browser_of: Browsers) -> None:
    session = factories.session(alice, *factories.conversation())
    acts.update(session, title="Mine")
    whole = browser_of(alice).get(f"/sessions/{session.pk}.json").json()
    assert whole["info"]["title"] == "Mine"


def test_a_revert_to_a_part_keeps_its_message(alice: User, browser_of: Browsers) -> None:
    session = factories.session(
        alice,
        *factories.conversation(),
        factories.session_item(revert={"messageID": "msg_1", "partID": "prt_9"}),
    )
    page = browser_of(alice).get(f"/sessions/{session.pk}")
    assert [turn.prompt.id for turn in page.context["turns"]] == ["msg_1"]
    assert [turn.answers[0].id for turn in page.context["reverted"]] == ["msg_2"]


def long_turn(prompts: int = 3, answers: int = 80) -> list[Any]:
    items: list[Any] = [factories.session_item()]
    at = factories.T0
    for prompt in range(prompts):
        for number in range(answers + 1):
            at += 1000
            id = f"m{prompt:02}_{number:03}"
            make = factories.assistant_message if number else factories.user_message
            items.append(make(id, time={"created": at}))
            items.append(factories.text_part(f"p{id}", id, f"Text {prompt}.{number}"))
    return items


def test_a_turn_longer_than_a_window_belongs_to_its_prompt(alice: User, browser_of: Browsers) -> None:
    session = factories.session(alice, *long_turn())
    client, url = browser_of(alice), f"/sessions/{session.pk}"
    assert ids(client.get(url, {"after": client.get(url).context["next"]})) == ["m00_000", "m01_000"]
    assert ids(client.get(url, {"at": "m01_060"}))[0] == "m01_000"
    assert ids(client.get(url, {"at": "pm01_060"}))[0] == "m01_000"


def test_the_outline_begins_where_one_reads(alice: User, browser_of: Browsers) -> None:
    items = [factories.user_message(f"m{n:03}", time={"created": factories.T0 + n}) for n in range(300)]
    session = factories.session(alice, *items)
    client, url = browser_of(alice), f"/sessions/{session.pk}"
    there = client.get(f"{url}/outline", {"at": "m250"}).context["outline"]
    assert (there.prompts[0].number, there.prompts[0].message_id) == (231, "m230")
    before = client.get(f"{url}/outline", {"number": there.before, "until": there.number}).context["outline"]
    assert [before.prompts[0].number, before.prompts[-1].number] == [131, 230]
    first = client.get(f"{url}/outline").context["outline"]
    assert (first.before, first.after) == (None, 101)
    for odd in ({"number": "x"}, {"at": "unknown"}, {"until": "0"}, {"number": "99999999"}):
        assert client.get(f"{url}/outline", odd).status_code == 200


def test_a_file_that_two_prompts_changed_keeps_both_patches(
    alice: User, browser_of: Browsers, tmp_path: Any
) -> None:
    def prompt(id: str, before: str, after: str) -> Any:
        diff = {"file": "a.txt", "before": before, "after": after, "additions": 1, "deletions": 1}
        return factories.user_message(id, summary={"diffs": [{**diff, "status": "modified"}]})

    session = factories.session(alice, prompt("m1", "one\n", "two\n"), prompt("m2", "two\n", "three\n"))
    client = browser_of(alice)
    page = client.get(f"/sessions/{session.pk}/changes")
    (change,) = page.context["changes"]
    assert (change["row"].additions, change["row"].deletions, len(change["row"].patches)) == (2, 2, 2)
    (tmp_path / "a.txt").write_text("one\n")
    patch = client.get(f"/sessions/{session.pk}/changes.patch").content
    subprocess.run(["patch", "-p1"], input=patch, cwd=tmp_path, check=True)
    assert (tmp_path / "a.txt").read_text() == "three\n"


def test_what_is_long_shows_its_head(alice: User, browser_of: Browsers) -> None:
    patch = "@@ -0,0 +1,3000 @@\n" + "\n".join(f"+line {n} {'x' * n}" for n in range(3000))
    session = factories.session(
        alice,
        factories.user_message(),
        factories.text_part(text="word " * 100_000),
        factories.assistant_message(),
        factories.tool_part("edit", metadata={"diff": patch}),
        factories.tool_part("bash", "prt_3", input={"command": "echo\n" * 2000}),
    )
    client, url = browser_of(alice), f"/sessions/{session.pk}"
    page = client.get(url)
    assert len(page.content) < 60_000
    for part in session.parts.all():
        assert f'href="{url}/parts/{part.pk}"' in page.content.decode()
        assert len(client.get(f"{url}/parts/{part.pk}").content) > 10_000


def test_long_lines_many_patches_and_errors_keep_the_page_small(alice: User, browser_of: Browsers) -> None:
    files = [{"filePath": f"f{n}.py", "patch": f"@@ -1 +1 @@\n-{'a' * 900}\n+b\n"} for n in range(200)]
    failed = {"name": "APIError", "data": {"message": "<html>" + "x" * 500_000}}
    picture = f"data:image/png;base64,{'A' * 300_000}"
    session = factories.session(
        alice,
        factories.user_message(),
        factories.file_part(url=picture),
        factories.assistant_message(error=failed),
        factories.tool_part("edit", metadata={"diff": f"@@ -1 +1 @@\n-{'a' * 300_000}\n+b\n"}),
        factories.tool_part("apply_patch", "prt_3", metadata={"files": files}),
    )
    client, url = browser_of(alice), f"/sessions/{session.pk}"
    page = client.get(url)
    assert len(page.content) < 60_000
    assert "Show all 600 lines of 200 files" in page.content.decode()
    patched = session.parts.get(external_id="prt_3")
    assert client.get(f"{url}/parts/{patched.pk}").content.decode().count('class="diff"') == 200


def test_renaming_is_reached_without_javascript(alice: User, browser_of: Browsers) -> None:
    session, client = factories.session(alice), browser_of(alice)
    page = client.get(f"/sessions/{session.pk}").content.decode()
    assert f'href="/sessions/{session.pk}?rename"' in page
    assert 'class="rename" method="post"' in page and page.count("hidden>") >= 1
    assert "Save" in client.get(f"/sessions/{session.pk}?rename").content.decode()


def recorded(alice: User, name: str) -> Session:
    session = Session.objects.create(owner=alice, source="opencode", external_id=name, shared=True)
    items = (
        share_data(name)
        if name.endswith("parts")
        else [item for line in lines(name) if line["path"].endswith("/sync") for item in line["body"]["data"]]
    )
    return ingest.apply(session, [change for item in items for change in from_item(item)])


@pytest.mark.parametrize(
    "name", ["1.1.53-fixture-all-parts", "1.18.33-fixture-all-parts", "1.18.33-serve-full"]
)
def test_every_recorded_part_is_shown(alice: User, browser_of: Browsers, client: Client, name: str) -> None:
    session = recorded(alice, name)
    for page in (browser_of(alice).get(f"/sessions/{session.pk}"), client.get(f"/share/{session.share_id}")):
        html = page.content.decode()
        assert "could not be shown" not in html
        for part in session.parts.filter(kind="tool"):
            assert f'id="{part.external_id}"' in html, part.data["tool"]
        for text in ("Read", "Searched", "Edited", "Ran"):
            assert f"<strong>{text}</strong>" in html


def test_a_window_that_the_page_asks_for_brings_only_what_is_beyond(
    alice: User, browser_of: Browsers
) -> None:
    items = [factories.user_message(f"m{n:03}", time={"created": factories.T0 + n}) for n in range(160)]
    session = factories.session(alice, *items)
    client, url = browser_of(alice), f"/sessions/{session.pk}"
    first = client.get(url)
    after = client.get(url, {"after": first.context["next"]}, headers={"HX-Request": "true"}).content.decode()
    assert 'data-window="after"' in after and 'data-window="before"' not in after and "<html" not in after
    middle = client.get(url, {"at": "m120"})
    before = client.get(
        url, {"before": middle.context["previous"]}, headers={"HX-Request": "true"}
    ).content.decode()
    assert 'data-window="before"' in before and 'data-window="after"' not in before


def test_markdown_and_json_behind_either_url(
    alice: User, browser_of: Browsers, client: Client, program_of: Any
) -> None:
    session = factories.session(
        alice,
        *factories.conversation(),
        factories.tool_part("bash", input={"command": "ls /home/alice"}, output="```x```"),
        shared=True,
    )
    own = browser_of(alice).get(f"/sessions/{session.pk}.md")
    assert own["Content-Type"].startswith("text/markdown")
    text = own.content.decode()
    assert text.startswith("# Add a greet function") and "## You\n\nAdd a greet function to app.py" in text
    assert "**Ran** `ls /home/alice`" in text and "````\n```x```\n````" in text
    shared = client.get(f"/share/{session.share_id}.md").content.decode()
    assert "/home/alice" not in shared and "ls ~" in shared
    whole = program_of(alice).get(f"/sessions/{session.pk}.json").json()
    assert whole["info"]["directory"] == "/home/alice/app"
    assert [len(entry["parts"]) for entry in whole["messages"]] == [1, 2]
    masked = client.get(f"/share/{session.share_id}.json?download")
    assert masked.json()["info"]["directory"] == "~/app"
    assert masked["Content-Disposition"] == 'attachment; filename="Add_a_greet_function.json"'
    assert "sandbox" in masked["Content-Security-Policy"]


def test_a_patch_of_everything_applies(alice: User, browser_of: Browsers, tmp_path: Any) -> None:
    diffs = [
        {
            "file": "a.txt",
            "before": "one\ntwo\n",
            "after": "one\n2\n",
            "additions": 1,
            "deletions": 1,
            "status": "modified",
        },
        {
            "file": "new.txt",
            "patch": "@@ -0,0 +1 @@\n+new\n",
            "additions": 1,
            "deletions": 0,
            "status": "added",
        },
    ]
    session = factories.session(alice, *factories.conversation(), {"type": "session_diff", "data": diffs})
    patch = browser_of(alice).get(f"/sessions/{session.pk}/changes.patch").content
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    subprocess.run(["git", "apply", "-"], input=patch, cwd=tmp_path, check=True)
    assert (tmp_path / "a.txt").read_text() == "one\n2\n" and (tmp_path / "new.txt").read_text() == "new\n"
    page = browser_of(alice).get(f"/sessions/{session.pk}/changes").content.decode()
    assert "a.txt" in page and "new.txt" in page


def test_a_large_change_is_shown_whole(alice: User, browser_of: Browsers, client: Client) -> None:
    lines = "".join(f"+line {number} of a file that is rather long\n" for number in range(500))
    changed = {"file": "new.txt", "patch": f"@@ -0,0 +1,500 @@\n{lines}", "additions": 500, "deletions": 0}
    session = factories.session(
        alice, *factories.conversation(), {"type": "session_diff", "data": [changed]}, shared=True
    )
    for who, base in ((browser_of(alice), f"/sessions/{session.pk}"), (client, f"/share/{session.share_id}")):
        address = f"{base}/changes/{session.diffs.get().pk}"
        assert address in who.get(f"{base}/changes").content.decode()
        for headers in ({}, {"HX-Request": "true"}):
            page = who.get(address, headers=headers).content.decode()
            assert "line 499 of a file" in page and "/parts/" not in page
    # No status was given; that there was no file before is told all the same.
    patch = client.get(f"/share/{session.share_id}/changes.patch").content.decode()
    assert patch.startswith("--- /dev/null\n+++ b/new.txt\n")


def test_a_task_leads_to_its_own_session_where_that_is_here(
    alice: User, browser_of: Browsers, client: Client
) -> None:
    child = factories.session(alice, external_id="ses_child")
    session = factories.session(
        alice,
        *factories.conversation(),
        factories.tool_part("task", metadata={"sessionId": "ses_child"}),
        shared=True,
    )
    assert f"/sessions/{child.pk}" in browser_of(alice).get(f"/sessions/{session.pk}").content.decode()
    assert str(child.pk) not in client.get(f"/share/{session.share_id}").content.decode()


def test_activity_is_shown_of_the_days_that_the_list_shows(alice: User, browser_of: Browsers) -> None:
    session = factories.session(alice)
    Session.objects.filter(pk=session.pk).update(updated_at=datetime(2025, 3, 2, 12, tzinfo=UTC))
    page = browser_of(alice).get("/sessions/summary", {"since": "2025-02-01", "until": "2025-03-05"})
    bars = page.context["summary"].bars
    assert bars[-1].day == date(2025, 3, 5)
    assert [bar.day for bar in bars if bar.count] == [date(2025, 3, 2)]
    assert "to 5 March" in page.content.decode()


def test_one_stays_on_the_page_of_the_list_that_one_acts_on(
    alice: User, browser_of: Callable[[User], Client]
) -> None:
    for number in range(60):
        factories.session(alice, external_id=f"s{number}")
    client = browser_of(alice)
    first = client.get("/sessions?q=greet").content.decode()
    later = html.unescape(re.search(r'rel="next" href="([^"]+)"', first)[1])  # type: ignore[index]
    second = client.get(f"/sessions{later}").content.decode()
    rows = re.findall(r'name="session" value="([^"]+)"', second)
    fields = dict(re.findall(r'name="(query|cursor)" value="([^"]*)"', second))
    fields = {name: html.unescape(value) for name, value in fields.items()}
    assert len(rows) == 10
    answer = client.post("/sessions/many", {**fields, "act": "archive", "session": rows[:3]})
    assert answer["Location"] == f"/sessions{later}"
    assert client.get(answer["Location"]).content.decode().count('name="session"') == 7
    # Where nothing is left, the list begins again.
    answer = client.post("/sessions/many", {**fields, "act": "archive", "session": rows[3:]})
    assert client.get(answer["Location"])["Location"] == "/sessions?q=greet"


def test_a_message_that_holds_only_steps_and_an_error_stands_once(
    alice: User, browser_of: Callable[[User], Client]
) -> None:
    stopped = {"name": "MessageAbortedError", "data": {"message": "stopped"}}
    session = factories.session(
        alice,
        factories.user_message(),
        factories.assistant_message(error=stopped),
        factories.tool_part("bash", "t1", "msg_2", input={"command": "sleep 9"}, status="error"),
    )
    page = browser_of(alice).get(f"/sessions/{session.pk}").content.decode()
    assert page.count('id="msg_2"') == 1 and page.index("sleep 9") < page.index("Interrupted</p>")


def test_files_without_a_line_are_in_the_patch(
    alice: User, browser_of: Callable[[User], Client], tmp_path: Path
) -> None:
    diffs = [
        {"file": "made/__init__.py", "patch": "", "additions": 0, "deletions": 0, "status": "added"},
        {"file": "old.txt", "patch": "", "additions": 0, "deletions": 0, "status": "deleted"},
        {"file": "b.txt", "patch": "@@ -1 +1 @@\n-one\n+two\n", "additions": 1, "deletions": 1},
    ]
    session = factories.session(alice, factories.user_message(summary={"diffs": diffs}))
    patch = browser_of(alice).get(f"/sessions/{session.pk}/changes.patch").content
    (tmp_path / "b.txt").write_text("one\n")
    (tmp_path / "old.txt").write_text("")
    subprocess.run(["git", "apply"], cwd=tmp_path, input=patch, check=True)
    assert (tmp_path / "made" / "__init__.py").read_bytes() == b"" and not (tmp_path / "old.txt").exists()
    assert (tmp_path / "b.txt").read_text() == "two\n"


def test_the_list_is_searched_in_every_language_and_a_model_is_that_model(
    alice: User, browser_of: Callable[[User], Client]
) -> None:
    for title, model in (("Überblick", "gpt-5"), ("Привет", "gpt-5-mini")):
        factories.session(
            alice,
            factories.session_item(title=title),
            factories.user_message(),
            factories.assistant_message(modelID=model),
            external_id=title,
        )
    client = browser_of(alice)

    def found(query: dict[str, str]) -> list[str]:
        page = client.get("/sessions", query).content.decode()
        return re.findall(r'<a class="title"[^>]*>([^<]+)<', page)

    assert found({"q": "überblick"}) == ["Überblick"] and found({"q": "ПРИВЕТ"}) == ["Привет"]
    assert found({"model": "gpt-5"}) == ["Überblick"] and found({"model": "gpt-5-mini"}) == ["Привет"]
    assert len(found({"model": "gpt"})) == 2


def test_the_outline_names_prompts_that_have_no_text(
    alice: User, browser_of: Callable[[User], Client]
) -> None:
    session = factories.session(
        alice,
        factories.user_message("m1"),
        factories.file_part("f1", "m1", filename="plan.png"),
        factories.user_message("m2"),
        factories.text_part("p2", "m2", "The following tool was executed by the user", synthetic=True),
        factories.user_message("m3"),
    )
    page = browser_of(alice).get(f"/sessions/{session.pk}/outline").content.decode()
    for said in ("plan.png", "The following tool was executed", "(no text)"):
        assert page.count(said) >= 1, said
