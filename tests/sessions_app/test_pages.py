"""The pages as a person gets them."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from project.accounts import ingest_key
from project.accounts.models import User
from sessions_app import ingest
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
    "query", [{"cursor": "junk"}, {"source": "x"}, {"shared": "x"}, {"q": "%_"}, {"archived": "9"}]
)
def test_odd_queries_are_no_errors(alice: User, browser_of: Browsers, query: dict[str, str]) -> None:
    factories.session(alice)
    assert browser_of(alice).get("/sessions", query).status_code in (200, 302)


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
    (turn,) = browser_of(alice).get(f"/sessions/{session.pk}").context["turns"]
    assert (turn.prompt.reverted, turn.answers[0].reverted) == (False, True)


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


def test_find_sees_what_a_reader_sees(alice: User, browser_of: Browsers, client: Client) -> None:
    session = factories.session(
        alice,
        *factories.conversation(),
        factories.text_part("prt_9", "msg_2", "in /home/alice/app: Überall"),
        shared=True,
    )
    own = browser_of(alice)

    def hits(who: Client, base: str, words: str) -> int:
        return int(who.get(f"{base}/find", {"q": words}).context["found"].count)

    for base, who, expected in (
        (f"/sessions/{session.pk}", own, 1),
        (f"/share/{session.share_id}", client, 0),
    ):
        assert hits(who, base, "/home/ALICE") == expected
        assert hits(who, base, "überall") == 1
        assert hits(who, base, "greet") == 2
        assert hits(who, base, "nowhere") == 0
        assert hits(who, base, "") == 0


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
