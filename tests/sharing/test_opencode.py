"""The share protocol: create, sync, delete, and the three reads."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from project.accounts import ingest_key, tokens
from project.accounts.models import Scope, User
from sessions_app import acts
from sessions_app.models import Message, Session
from tests import factories
from tests.recordings import merge, merged

Programs = Callable[..., Client]


def post(client: Client, path: str, body: Any) -> HttpResponse:
    return client.post(path, body, content_type="application/json")


def share(client: Client, session_id: str = "ses_1", prefix: str = "") -> dict[str, Any]:
    response = post(client, f"{prefix}/api/share", {"sessionID": session_id})
    assert response.status_code == 200, response.content
    return response.json()


def sync(client: Client, made: dict[str, Any], *items: Any, secret: str | None = None) -> Any:
    return post(
        client, f"/api/share/{made['id']}/sync", {"secret": secret or made["secret"], "data": list(items)}
    )


def test_create_answers_a_readable_link(alice: User, program_of: Programs) -> None:
    made = share(program_of(alice))
    assert made["url"] == f"http://testserver/share/{made['id']}"
    assert len(made["id"]) == 22 and made["id"][0].isalnum()
    assert Session.objects.get().owner == alice


def test_create_repeated_by_its_owner_answers_the_same_and_touches_nothing(
    alice: User, program_of: Programs
) -> None:
    client = program_of(alice)
    made = share(client)
    sync(client, made, *factories.conversation())
    revision = Session.objects.get().revision
    assert share(client) == made
    assert Session.objects.get().revision == revision


def test_another_owner_with_the_same_session_id_gets_a_session_of_their_own(
    alice: User, bob: User, program_of: Programs
) -> None:
    first, second = share(program_of(alice)), share(program_of(bob))
    assert first["id"] != second["id"] and first["secret"] != second["secret"]
    assert Session.objects.count() == 2


def test_create_without_credential_is_refused_with_what_to_do(db: None, client: Client) -> None:
    response = post(client, "/api/share", {"sessionID": "ses_1"})
    assert response.status_code == 401
    assert "opencode console login" in response.json()["error"]


def test_a_browsers_cookie_makes_no_share(alice: User, browser_of: Callable[..., Client]) -> None:
    assert post(browser_of(alice), "/api/share", {"sessionID": "ses_1"}).status_code == 401


@pytest.mark.parametrize("kind", ["personal key", "ingest token"])
def test_an_ingest_key_in_the_path_shares_for_its_user(alice: User, client: Client, kind: str) -> None:
    key = ingest_key.of(alice) if kind == "personal key" else tokens.issue(alice, "laptop", Scope.INGEST)
    made = share(client, prefix=f"/k/{key}")
    response = post(
        client,
        f"/k/{key}/api/share/{made['id']}/sync",
        {"secret": made["secret"], "data": factories.conversation()},
    )
    assert response.json() == {"success": True, "syncCount": 1}
    assert Session.objects.get().owner == alice
    assert made["url"] == f"http://testserver/share/{made['id']}"


def test_a_full_token_is_no_ingest_key(alice: User, client: Client) -> None:
    key = tokens.issue(alice, "cli", Scope.FULL)
    assert post(client, f"/k/{key}/api/share", {"sessionID": "ses_1"}).status_code == 401


def test_a_renewed_ingest_key_ends_the_old_one(alice: User, client: Client) -> None:
    old = ingest_key.of(alice)
    ingest_key.renew(alice)
    assert post(client, f"/k/{old}/api/share", {"sessionID": "ses_1"}).status_code == 401
    assert share(client, prefix=f"/k/{ingest_key.of(alice)}")


def test_an_invalid_token_is_refused_in_upstreams_form(db: None, client: Client) -> None:
    response = client.post(
        "/api/shares",
        {"sessionID": "x"},
        content_type="application/json",
        headers={"Authorization": "Bearer no"},
    )
    assert response.status_code == 401
    assert isinstance(response.json()["error"], str)


class TestAnonymous:
    @pytest.fixture(autouse=True)
    def allowed(self, configure: Callable[..., None], db: None) -> None:
        configure(anonymous_shares=True)

    def test_two_creates_a_few_milliseconds_apart_make_one_share(self, client: Client) -> None:
        assert share(client) == share(client)
        assert Session.objects.get().owner is None

    def test_a_repeat_is_refused_once_the_session_id_is_public(self, client: Client) -> None:
        made = share(client)
        sync(client, made, *factories.conversation())
        response = post(client, "/api/share", {"sessionID": "ses_1"})
        assert response.status_code == 409
        assert "secret" not in response.json()

    def test_delete_deletes_it_and_answers_200_when_repeated(self, client: Client) -> None:
        made = share(client)
        sync(client, made, *factories.conversation())
        for _ in range(2):
            response = client.delete(
                f"/api/share/{made['id']}", {"secret": made["secret"]}, content_type="application/json"
            )
            assert response.status_code == 200
        assert not Session.objects.exists()

    def test_it_is_gone_after_its_time(self, client: Client, configure: Callable[..., None]) -> None:
        from datetime import timedelta

        from django.utils import timezone

        from sessions_app import retention

        made = share(client)
        Session.objects.update(written_at=timezone.now() - timedelta(days=31))
        assert client.get(f"/share/{made['id']}").status_code == 404
        assert retention.sweep() == 1
        assert not Session.objects.exists()


def test_sync_with_a_wrong_secret_is_403_and_unknown_is_404(alice: User, program_of: Programs) -> None:
    client = program_of(alice)
    made = share(client)
    wrong = sync(client, made, secret="nope")
    assert (wrong.status_code, wrong.json()) == (403, {"error": "Invalid secret"})
    unknown = post(client, "/api/share/unknown/sync", {"secret": made["secret"], "data": []})
    assert (unknown.status_code, unknown.json()) == (404, {"error": "Share not found"})


def test_one_shares_secret_does_not_write_to_another(alice: User, program_of: Programs) -> None:
    client = program_of(alice)
    one, other = share(client, "ses_1"), share(client, "ses_2")
    assert sync(client, one, secret=other["secret"]).status_code == 403


def test_a_malformed_item_costs_the_others_nothing(alice: User, program_of: Programs) -> None:
    client = program_of(alice)
    made = share(client)
    bad = [
        7,
        {"type": "part", "data": {"id": "prt_9"}},
        {"type": "message", "data": {}},
        {"data": {}},
        {"type": "x"},
    ]
    answer = sync(client, made, *bad, *factories.conversation()).json()
    assert answer["success"] is True
    assert [entry["index"] for entry in answer["rejected"]] == [0, 1, 2, 3, 4]
    assert all(entry["message"] for entry in answer["rejected"])
    assert client.get(f"/api/share/{made['id']}/data").json() == _end(factories.conversation())


def _end(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    state: dict[str, dict[str, Any]] = {}
    merge(state, items)
    return merged(state)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"7", b'{"sessionID": 5}', b'{"sessionID": ""}', b'{"sessionID": "\\u0000"}']
)
def test_create_with_a_bad_body_is_400(alice: User, program_of: Programs, body: bytes) -> None:
    response = program_of(alice).post("/api/share", body, content_type="application/json")
    assert response.status_code == 400
    assert isinstance(response.json()["error"], str)


@pytest.mark.parametrize("data", [None, {}, "x"])
def test_sync_without_a_list_of_items_is_400(alice: User, program_of: Programs, data: Any) -> None:
    client = program_of(alice)
    made = share(client)
    response = post(client, f"/api/share/{made['id']}/sync", {"secret": made["secret"], "data": data})
    assert response.status_code == 400


def test_unknown_kinds_and_fields_are_kept(alice: User, program_of: Programs) -> None:
    client = program_of(alice)
    made = share(client)
    items = [
        *factories.conversation(),
        {"type": "messages", "data": {"sessionID": "ses_1", "messages": [{"id": "m"}]}},
        {"type": "weather", "data": {"id": "w1", "sky": "blue"}},
        {"type": "weather", "data": {"id": "w2", "sky": "grey"}},
        {"type": "mood", "data": None},
    ]
    items[1]["data"]["brandNew"] = {"field": [1, 2.5, None, "\u0000 \ud800"]}
    sync(client, made, *items)
    assert client.get(f"/api/share/{made['id']}/data").json() == _end(items)


def test_models_merge_by_provider_and_id(alice: User, program_of: Programs) -> None:
    client = program_of(alice)
    made = share(client)
    one, two = {"id": "a", "providerID": "p", "name": "A"}, {"id": "b", "providerID": "p", "name": "B"}
    sync(client, made, {"type": "model", "data": [one]})
    sync(client, made, {"type": "model", "data": [two]}, {"type": "model", "data": [{**one, "name": "A2"}]})
    assert client.get(f"/api/share/{made['id']}/data").json() == [
        {"type": "model", "data": [{**one, "name": "A2"}, two]}
    ]


def test_session_diff_replaces_what_stood_before_and_takes_both_shapes(
    alice: User, program_of: Programs
) -> None:
    client = program_of(alice)
    made = share(client)
    whole = {
        "file": "a.py",
        "before": "one\n",
        "after": "two\n",
        "additions": 1,
        "deletions": 1,
        "status": "modified",
    }
    patch = {
        "file": "b.py",
        "patch": "@@ -0,0 +1 @@\n+x\n",
        "additions": 1,
        "deletions": 0,
        "status": "added",
    }
    sync(client, made, {"type": "session_diff", "data": [whole, patch]})
    session = Session.objects.get()
    assert (session.files, session.additions, session.deletions) == (2, 2, 1)
    assert "-one\n+two" in session.diffs.get(file="a.py").patch
    sync(client, made, {"type": "session_diff", "data": [patch]})
    session.refresh_from_db()
    assert (session.files, session.additions, session.deletions) == (1, 1, 0)
    assert client.get(f"/api/share/{made['id']}").json()["diffs"] == [patch]


def test_delete_closes_the_link_and_keeps_the_session_with_its_owner(
    alice: User, program_of: Programs, client: Client
) -> None:
    program = program_of(alice)
    made = share(program)
    sync(program, made, *factories.conversation())
    for _ in range(2):
        response = client.delete(
            f"/api/share/{made['id']}", {"secret": made["secret"]}, content_type="application/json"
        )
        assert response.status_code == 200
        assert client.get(f"/api/share/{made['id']}/data").status_code == 404
        assert client.get(f"/share/{made['id']}").status_code == 404
    assert Message.objects.count() == 2
    assert not Session.objects.get().shared
    # Sharing again opens the same link.
    assert share(program) == made
    assert client.get(f"/api/share/{made['id']}/data").status_code == 200


def test_delete_needs_the_secret(alice: User, program_of: Programs, client: Client) -> None:
    made = share(program_of(alice))
    wrong = client.delete(f"/api/share/{made['id']}", {"secret": "x"}, content_type="application/json")
    assert (wrong.status_code, wrong.json()) == (403, {"error": "Invalid secret"})
    unknown = client.delete("/api/share/unknown", {"secret": "x"}, content_type="application/json")
    assert unknown.status_code == 404


def test_deleting_a_session_that_its_owner_deleted_for_good_answers_its_client_200(
    alice: User, program_of: Programs, client: Client
) -> None:
    made = share(program_of(alice))
    acts.delete_for_good(Session.objects.get())
    response = client.delete(
        f"/api/share/{made['id']}", {"secret": made["secret"]}, content_type="application/json"
    )
    assert response.status_code == 200


def test_a_session_made_private_by_its_owner_goes_on_receiving(alice: User, program_of: Programs) -> None:
    client = program_of(alice)
    made = share(client)
    sync(client, made, *factories.conversation())
    acts.update(Session.objects.get(), shared=False)
    assert sync(client, made, factories.text_part("prt_9", "msg_2", "later")).status_code == 200
    assert not Session.objects.get().shared
    assert Session.objects.get().parts_count == 3


def test_metadata_and_the_whole_object(alice: User, program_of: Programs, client: Client) -> None:
    program = program_of(alice)
    made = share(program)
    sync(program, made, *factories.conversation())
    metadata = client.get(f"/api/share/{made['id']}/metadata").json()
    assert metadata["title"] == "Add a greet function"
    assert (metadata["messages"], metadata["parts"], metadata["syncCount"]) == (2, 2, 1)
    assert metadata["tokens"] == {
        "input": 100,
        "output": 20,
        "reasoning": 3,
        "cache": {"read": 7, "write": 5},
    }
    whole = client.get(f"/api/share/{made['id']}").json()
    assert whole["metadata"] == metadata
    assert set(whole) == {"session", "messages", "parts", "diffs", "models", "metadata"}
    assert len(whole["messages"]) == 2 and len(whole["parts"]) == 2


def test_reads_are_open_to_other_origins_and_writes_are_not(
    alice: User, program_of: Programs, client: Client
) -> None:
    made = share(program_of(alice))
    origin = {"Origin": "https://elsewhere.example"}
    assert client.get(f"/api/share/{made['id']}/data", headers=origin)["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Origin" not in client.get("/api/sessions", headers=origin)
    preflight = client.options(
        f"/api/share/{made['id']}", headers={**origin, "Access-Control-Request-Method": "DELETE"}
    )
    assert "DELETE" not in preflight.get("Access-Control-Allow-Methods", "")


def test_every_answer_under_a_link_stays_out_of_caches_and_indexes(
    alice: User, program_of: Programs, client: Client
) -> None:
    made = share(program_of(alice))
    for path in (
        f"/share/{made['id']}",
        "/share/unknown",
        f"/api/share/{made['id']}/data",
        "/api/share/unknown",
    ):
        response = client.get(path)
        assert response["Referrer-Policy"] == "no-referrer"
        assert "noindex" in response["X-Robots-Tag"]
        assert response["Cache-Control"] == "private, no-store"


def test_wrong_methods_are_405_in_upstreams_form(db: None, client: Client) -> None:
    response = client.get("/api/share")
    assert response.status_code == 405
    assert isinstance(response.json()["error"], str)


def test_forwarded_headers_count_only_from_trusted_proxies(
    alice: User, program_of: Programs, settings: Any
) -> None:
    forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    response = program_of(alice).post(
        "/api/share", {"sessionID": "ses_1"}, content_type="application/json", headers=forged
    )
    assert response.json()["url"].startswith("http://testserver/")


def test_a_host_that_is_not_allowed_is_refused(alice: User, program_of: Programs) -> None:
    response = program_of(alice).post(
        "/api/share",
        {"sessionID": "ses_1"},
        content_type="application/json",
        headers={"Host": "evil.example"},
    )
    assert response.status_code == 400


def test_a_secret_that_is_no_text_of_ours_is_just_wrong(alice: User, program_of: Programs) -> None:
    client = program_of(alice)
    made = share(client)
    for secret in ("\ud800", "ä", 7, None, ["x"]):
        body = json.dumps({"secret": secret, "data": []})
        path = f"/api/share/{made['id']}"
        assert client.post(f"{path}/sync", body, content_type="application/json").status_code == 403
        assert client.delete(path, body, content_type="application/json").status_code == 403


def test_a_kind_named_like_ours_hides_nothing(alice: User, program_of: Programs) -> None:
    client = program_of(alice)
    made = share(client)
    sync(
        client, made, *factories.conversation(), {"type": "message/", "data": 1}, {"type": "part/", "data": 2}
    )
    kinds = [item["type"] for item in client.get(f"/api/share/{made['id']}/data").json()]
    assert sorted(kinds) == ["message", "message", "message/", "part", "part", "part/", "session"]


def test_costs_and_tokens_beyond_reason_lose_no_batch(alice: User, program_of: Programs) -> None:
    client = program_of(alice)
    made = share(client)
    items = [
        factories.assistant_message(f"m{n}", cost=1000, tokens={"input": 10**12, "output": 1e300})
        for n in range(2000)
    ]
    for _ in range(2):
        assert sync(client, made, *items).status_code == 200


def test_a_renamed_session_keeps_its_old_title_from_readers(
    alice: User, program_of: Programs, client: Client
) -> None:
    program = program_of(alice)
    made = share(program)
    sync(program, made, *factories.conversation())
    acts.update(Session.objects.get(), title="Public name")
    assert 'Add a greet function"' not in client.get(f"/api/share/{made['id']}/data").content.decode()
    assert client.get(f"/api/share/{made['id']}").json()["session"]["title"] == "Public name"
