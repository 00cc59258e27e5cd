"""REST over one's own sessions."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from project.accounts.models import User
from sessions_app import acts, retention
from sessions_app.api import SessionOut, SessionPage
from sessions_app.models import Session
from tests import factories

Programs = Callable[..., Client]


def patch(client: Client, session: Session, body: Any) -> Any:
    return client.patch(f"/api/sessions/{session.pk}", body, content_type="application/json")


def test_a_row_says_what_a_list_needs(alice: User, program_of: Programs) -> None:
    session = factories.session(alice)
    (row,) = program_of(alice).get("/api/sessions").json()["items"]
    assert row["id"] == str(session.pk)
    assert row["external_id"] == "ses_1"
    assert (row["source"], row["title"], row["directory"]) == (
        "opencode",
        "Add a greet function",
        "/home/alice/app",
    )
    assert (row["shared"], row["share_url"]) == (False, f"http://testserver/share/{session.share_id}")
    assert row["tokens"] == {"input": 100, "output": 20, "reasoning": 3, "cache_read": 7, "cache_write": 5}
    assert (row["cost"], row["messages"], row["parts"]) == (0.25, 2, 2)
    assert row["created_at"].startswith("2026-11-18")


def test_every_answer_is_of_its_documented_form(alice: User, program_of: Programs) -> None:
    session = factories.session(alice, shared=True)
    client = program_of(alice)
    SessionPage.model_validate(client.get("/api/sessions").json(), strict=False)
    row = client.get(f"/api/sessions/{session.pk}").json()
    assert set(SessionOut.model_validate(row).model_dump()) == set(row)
    assert set(patch(client, session, {}).json()) == set(row)


def test_pages_by_cursor_hold_every_session_once(alice: User, program_of: Programs) -> None:
    for number in range(7):
        # Two of a time, so that the cursor must also tell those apart.
        factories.session(
            alice,
            factories.session_item(time={"created": 1, "updated": factories.T0 + number // 2}),
            external_id=f"ses_{number}",
        )
    client, seen, cursor = program_of(alice), [], ""
    while cursor is not None:
        page = client.get("/api/sessions", {"limit": 2, "cursor": cursor}).json()
        seen += [row["external_id"] for row in page["items"]]
        cursor = page["next_cursor"]
    assert len(seen) == 7 and set(seen) == {f"ses_{number}" for number in range(7)}
    times = [row.updated_at for row in (Session.objects.get(external_id=name) for name in seen)]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "greet"}, {"a"}),
        ({"q": "APP add"}, {"a"}),
        ({"q": "100%"}, set()),
        ({"shared": "true"}, {"b"}),
        ({"shared": "false"}, {"a"}),
        ({"source": "goose"}, {"b"}),
        ({"archived": "true"}, {"c"}),
        ({}, {"a", "b"}),
    ],
)
def test_filters(alice: User, program_of: Programs, query: dict[str, str], found: set[str]) -> None:
    factories.session(alice, external_id="a")
    factories.session(
        alice,
        factories.session_item(title="Other", directory="/srv"),
        external_id="b",
        shared=True,
        source="goose",
    )
    acts.update(factories.session(alice, external_id="c"), archived=True)
    rows = program_of(alice).get("/api/sessions", query).json()["items"]
    assert {row["external_id"] for row in rows} == found


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "A" * 32}, None),
        ({"limit": "0"}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"source": "emacs"}, "source"),
    ],
)
def test_bad_queries_say_which_field(
    alice: User, program_of: Programs, query: dict[str, str], field: str | None
) -> None:
    response = program_of(alice).get("/api/sessions", query)
    if field is None:
        assert response.status_code in (200, 422)
        return
    assert response.status_code == 422
    error = response.json()["error"]
    assert error["field"].startswith(field) and error["message"] and error["code"] == "invalid"


def test_patch_changes_what_is_named_and_nothing_else(alice: User, program_of: Programs) -> None:
    client, session = program_of(alice), factories.session(alice)
    assert patch(client, session, {"shared": True}).json()["shared"] is True
    row = patch(client, session, {"title": "New"}).json()
    assert (row["title"], row["shared"], row["archived"]) == ("New", True, False)
    assert patch(client, session, {"archived": True}).json()["archived"] is True
    assert patch(client, session, {}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"owner": 1},
        {"shared": True, "revision": 9},
        {"shared": "yes"},
        {"shared": None},
        {"title": 7},
        {"title": "x" * 501},
        [],
    ],
)
def test_patch_refuses_anything_else_and_changes_nothing(
    alice: User, program_of: Programs, body: Any
) -> None:
    session = factories.session(alice)
    response = patch(program_of(alice), session, body)
    assert response.status_code == 422
    assert response.json()["error"]["code"] == "invalid"
    session.refresh_from_db()
    assert not session.shared and session.revision == 1


def test_patch_with_a_broken_body_is_400(alice: User, program_of: Programs) -> None:
    session = factories.session(alice)
    response = program_of(alice).patch(f"/api/sessions/{session.pk}", "{", content_type="application/json")
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "bad_request"


def test_a_cookie_needs_the_csrf_token(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    session = factories.session(alice)
    assert patch(client, session, {"shared": True}).status_code == 403
    session.refresh_from_db()
    assert not session.shared


def test_unsharing_shuts_every_door_at_once(alice: User, program_of: Programs, client: Client) -> None:
    session = factories.session(alice, shared=True)
    part = session.parts.first()
    assert part is not None
    paths = [f"/share/{session.share_id}", f"/share/{session.share_id}/parts/{part.pk}"]
    paths += [f"/api/share/{session.share_id}{end}" for end in ("", "/data", "/metadata")]
    assert {client.get(path).status_code for path in paths} == {200}
    patch(program_of(alice), session, {"shared": False})
    assert {client.get(path).status_code for path in paths} == {404}


def test_messages_come_by_cursor_with_their_parts(alice: User, program_of: Programs) -> None:
    items = [
        factories.user_message(f"msg_{n:02}", time={"created": factories.T0 + n // 3}) for n in range(10)
    ]
    items += [factories.text_part(f"prt_{n}", f"msg_{n:02}", f"text {n}") for n in range(10)]
    session = factories.session(alice, *items)
    client, seen, cursor = program_of(alice), [], ""
    while cursor is not None:
        page = client.get(f"/api/sessions/{session.pk}/messages", {"limit": 3, "cursor": cursor}).json()
        seen += page["items"]
        cursor = page["next_cursor"]
    assert [entry["info"]["id"] for entry in seen] == [f"msg_{n:02}" for n in range(10)]
    assert [entry["parts"][0]["text"] for entry in seen] == [f"text {n}" for n in range(10)]


def test_queries_do_not_follow_the_number_of_messages(
    alice: User, program_of: Programs, django_assert_max_num_queries: Any
) -> None:
    session = factories.session(
        alice,
        *(factories.user_message(f"m{n}") for n in range(60)),
        *(factories.text_part(f"p{n}", f"m{n}") for n in range(60)),
    )
    client = program_of(alice)
    client.get("/api/me")
    with django_assert_max_num_queries(6):
        client.get(f"/api/sessions/{session.pk}/messages")


def test_a_deleted_session_rests_and_can_go_for_good(
    alice: User, program_of: Programs, client: Client
) -> None:
    session = factories.session(alice, shared=True)
    program = program_of(alice)
    assert program.delete(f"/api/sessions/{session.pk}").status_code == 204
    assert program.get(f"/api/sessions/{session.pk}").status_code == 404
    assert program.delete(f"/api/sessions/{session.pk}").status_code == 404
    assert client.get(f"/share/{session.share_id}").status_code == 404
    assert program.get("/api/sessions").json()["items"] == []
    assert Session.objects.exists()
    assert program.delete(f"/api/sessions/{session.pk}?for_good=true").status_code == 204
    assert not Session.objects.exists()


def test_a_deleted_session_goes_for_good_after_thirty_days(alice: User) -> None:
    old, fresh = factories.session(alice), factories.session(alice, external_id="ses_2")
    for row, days in ((old, 31), (fresh, 29)):
        acts.delete(row)
        Session.objects.filter(pk=row.pk).update(deleted_at=timezone.now() - timedelta(days=days))
    assert retention.sweep() == 1
    assert list(Session.objects.all()) == [fresh]


def test_sharing_a_deleted_session_again_takes_it_back(alice: User, program_of: Programs) -> None:
    session = factories.session(alice)
    acts.delete(session)
    made = (
        program_of(alice).post("/api/share", {"sessionID": "ses_1"}, content_type="application/json").json()
    )
    assert made["id"] == session.share_id
    assert Session.objects.owned_by(alice).get().messages_count == 2


def test_without_credential_401_says_what_to_send(db: None, client: Client) -> None:
    response = client.get("/api/sessions")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert "Authorization" in response.json()["error"]["message"]


def test_unknown_ids_are_404_in_json(alice: User, program_of: Programs) -> None:
    client = program_of(alice)
    for path in (f"/api/sessions/{uuid.uuid4()}", "/api/sessions/not-an-id", "/api/nowhere"):
        response = client.get(path)
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "not_found"


def test_me(alice: User, program_of: Programs) -> None:
    assert program_of(alice).get("/api/me").json()["name"] == "alice"
