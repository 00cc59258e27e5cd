"""The access table: every route, asked by everyone. A route without a row fails."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from extensions.models import Extension
from project.accounts import ingest_key, tokens
from project.accounts.models import DeviceLogin, Scope, Token, User
from sessions_app import acts
from sessions_app.agent.models import AgentSettings, Approval, Turn
from sessions_app.models import Session
from sharing import secrets
from tests import factories

WHO = ("owner", "member", "staff", "visitor")


class Scene:
    """A session of alice's, and everybody who might ask for it."""

    def __init__(self, alice: User, bob: User, dora: User) -> None:
        self.alice, self.bob, self.dora = alice, bob, dora
        changed = {"file": "a.py", "patch": "@@ -0,0 +1 @@\n+x", "additions": 1, "deletions": 0}
        self.session = factories.session(
            alice,
            *factories.conversation(),
            factories.user_message(summary={"diffs": [changed]}),
            factories.file_part(),
            shared=True,
        )
        part = self.session.parts.get(kind="file")
        tokens.issue(alice, "to revoke")
        login = DeviceLogin.objects.create(
            user=alice, state=DeviceLogin.State.SIGNED_IN, device_digest="d", client_name="opencode"
        )
        self.values = {
            "session_id": str(self.session.pk),
            "share_id": self.session.share_id,
            "number": 0,
            "pk": {
                "part": part.pk,
                "change": self.session.diffs.get().pk,
                "token": Token.objects.get().pk,
                "login": login.pk,
            },
            "key": ingest_key.of(alice),
            "token": "unknown",
            "name": Extension.objects.get(name="files").name,
        }
        AgentSettings.objects.create(session=self.session)
        turn = Turn.objects.create(session=self.session, prompt="msg_1", mode="approve", state="done")
        self.values["turn_id"] = str(turn.pk)
        self.values["call"] = Approval.objects.create(turn=turn, call="call_1", action="allow_once").call

    def client(self, who: str) -> Client:
        client = Client()
        user = {"owner": self.alice, "member": self.bob, "staff": self.dora}.get(who)
        if user:
            client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    def program(self, who: str) -> Client:
        user = {"owner": self.alice, "member": self.bob, "staff": self.dora}.get(who)
        headers = {"Authorization": f"Bearer {tokens.issue(user, 'p', Scope.FULL)}"} if user else {}
        return Client(headers=headers)


class Row:
    """What each of WHO gets: with the link open, and (where it differs) with it closed."""

    def __init__(
        self,
        *open_: int,
        closed: tuple[int, ...] = (),
        method: str = "GET",
        by: str = "browser",
        pk: str = "",
        body: Callable[[Scene], Any] | None = None,
    ) -> None:
        self.open, self.closed = open_, closed or open_
        self.method, self.by, self.pk, self.body = method, by, pk, body


def _secret(scene: Scene) -> dict[str, Any]:
    return {"secret": secrets.of(scene.session), "data": []}


SESSION_PAGES = [
    "",
    ".md",
    ".json",
    "/outline",
    "/find",
    "/changes",
    "/changes.patch",
    "/changes/<int:pk>",
    "/info",
    "/parts/<int:pk>",
    "/parts/<int:pk>/files/<int:number>",
]
OWN_PAGE = (200, 404, 404, 302)
READ = {"closed": (404, 404, 404, 404), "by": "program"}
TABLE: dict[str, list[Row]] = {
    "": [Row(302, 302, 302, 302)],
    # One's own pages.
    "sessions": [Row(200, 200, 200, 302)],
    "sessions/summary": [Row(200, 200, 200, 302)],
    "sessions/choices": [Row(200, 200, 200, 302)],
    "sessions/many": [Row(404, 404, 404, 302, method="POST")],
    **{
        f"sessions/<uuid:session_id>{end}": [Row(*OWN_PAGE, pk="change" if "changes" in end else "part")]
        for end in SESSION_PAGES
    },
    "sessions/<uuid:session_id>/change": [Row(302, 404, 404, 302, method="POST"), Row(405, 405, 405, 302)],
    "sessions/<uuid:session_id>/delete": [Row(*OWN_PAGE), Row(302, 404, 404, 302, method="POST")],
    # Agents, by plain forms. The session has no model to run on, and its only call was decided.
    "sessions/new": [Row(200, 200, 200, 302), Row(200, 200, 200, 302, method="POST")],
    "sessions/permissions": [Row(200, 200, 200, 302), Row(302, 302, 302, 302, method="POST")],
    "sessions/<uuid:session_id>/say": [Row(422, 404, 404, 302, method="POST"), Row(405, 405, 405, 302)],
    "sessions/<uuid:session_id>/set-up": [Row(302, 404, 404, 302, method="POST"), Row(405, 405, 405, 302)],
    "sessions/<uuid:session_id>/stop/<uuid:turn_id>": [
        Row(302, 404, 404, 302, method="POST"),
        Row(405, 405, 405, 302),
    ],
    "sessions/<uuid:session_id>/decide/<path:call>": [
        Row(302, 404, 404, 302, method="POST"),
        Row(405, 405, 405, 302),
    ],
    "sessions/<uuid:session_id>/forks": [Row(302, 404, 404, 302, method="POST"), Row(405, 405, 405, 302)],
    # The visitors' door. The owner is led to their own page.
    **{
        f"share/<str:share_id>{end}": [
            Row(200, 200, 200, 200, closed=(404, 404, 404, 404), pk="change" if "changes" in end else "part")
        ]
        for end in SESSION_PAGES
        if end
    },
    "share/<str:share_id>": [Row(302, 200, 200, 200, closed=(302, 404, 404, 404))],
    # opencode's protocol: reading by link, writing by secret.
    **{
        f"{root}{path}": rows
        for root in ("api/share", "api/shares")
        for path, rows in {
            "": [Row(400, 400, 400, 400, method="POST", by="program")],
            "/<str:share_id>": [
                Row(200, 200, 200, 200, **READ),
                Row(403, 403, 403, 403, method="DELETE", by="program"),
            ],
            "/<str:share_id>/data": [Row(200, 200, 200, 200, **READ)],
            "/<str:share_id>/metadata": [Row(200, 200, 200, 200, **READ)],
            "/<str:share_id>/sync": [
                Row(403, 403, 403, 403, method="POST", by="program"),
                Row(200, 200, 200, 200, method="POST", by="program", body=_secret),
            ],
        }.items()
    },
    **{
        f"k/<str:key>/api/share{path}": rows
        for path, rows in {
            "": [Row(400, 400, 400, 400, method="POST", by="program")],
            "/<str:share_id>": [Row(200, 200, 200, 200, **READ)],
            "/<str:share_id>/data": [Row(200, 200, 200, 200, **READ)],
            "/<str:share_id>/metadata": [Row(200, 200, 200, 200, **READ)],
            "/<str:share_id>/sync": [Row(403, 403, 403, 403, method="POST", by="program")],
        }.items()
    },
    # Accounts.
    "sign-in": [Row(302, 302, 302, 200)],
    "sign-out": [Row(405, 405, 405, 405)],
    "password": [Row(200, 200, 200, 302)],
    "password/changed": [Row(200, 200, 200, 302)],
    "setup/<str:token>": [Row(404, 404, 404, 404)],
    "invitation/<str:token>": [Row(404, 404, 404, 404)],
    "tokens": [Row(200, 200, 200, 302)],
    "tokens/<int:pk>/revoke": [Row(302, 404, 404, 302, method="POST", pk="token")],
    "tokens/logins/<int:pk>/revoke": [Row(302, 404, 404, 302, method="POST", pk="login")],
    "tokens/ingest-key": [Row(302, 302, 302, 302, method="POST")],
    "device": [Row(200, 200, 200, 302)],
    "auth/device/code": [Row(400, 400, 400, 400, method="POST")],
    "auth/device/token": [Row(400, 400, 400, 400, method="POST")],
    # REST.
    "api/docs": [Row(200, 200, 200, 200)],
    "api/openapi.json": [Row(200, 200, 200, 200)],
    "api/": [Row(404, 404, 404, 404)],
    "api/me": [Row(200, 200, 200, 401, by="program"), Row(200, 200, 200, 401)],
    "api/user": [Row(200, 200, 200, 401, by="program")],
    "api/orgs": [Row(200, 200, 200, 401, by="program")],
    "api/config": [Row(404, 404, 404, 401, by="program")],
    "api/sessions": [
        Row(200, 200, 200, 401, by="program"),
        Row(201, 201, 201, 401, method="POST", by="program"),
    ],
    "api/sessions/<uuidstr:session_id>": [
        Row(200, 404, 404, 401, by="program"),
        Row(200, 404, 404, 401, method="PATCH", by="program", body=lambda scene: {}),
        Row(204, 404, 404, 401, method="DELETE", by="program"),
    ],
    "api/sessions/<uuidstr:session_id>/messages": [
        Row(200, 404, 404, 401, by="program"),
        # No model is set up.
        Row(422, 404, 404, 401, method="POST", by="program", body=lambda scene: {"content": "Hello"}),
    ],
    # Agents.
    "api/models": [Row(200, 200, 200, 401, by="program")],
    "api/sessions/<uuidstr:session_id>/turns": [Row(200, 404, 404, 401, by="program")],
    "api/sessions/<uuidstr:session_id>/turns/<uuidstr:turn_id>": [Row(200, 404, 404, 401, by="program")],
    "api/sessions/<uuidstr:session_id>/turns/<uuidstr:turn_id>/cancel": [
        Row(200, 404, 404, 401, method="POST", by="program")
    ],
    "api/sessions/<uuidstr:session_id>/approvals/<call>": [
        Row(409, 404, 404, 401, method="POST", by="program", body=lambda scene: {"action": "allow_once"})
    ],
    "api/sessions/<uuidstr:session_id>/agent": [
        Row(200, 404, 404, 401, by="program"),
        Row(200, 404, 404, 401, method="PATCH", by="program"),
    ],
    "api/sessions/<uuidstr:session_id>/fork": [Row(201, 404, 404, 401, method="POST", by="program")],
    # goosed's names.
    "api/sessions/<uuidstr:session_id>/export": [Row(200, 404, 404, 401, by="program")],
    "api/sessions/<uuidstr:session_id>/name": [
        Row(200, 404, 404, 401, method="PUT", by="program", body=lambda scene: {"name": "New"})
    ],
    "api/sessions/import": [
        Row(422, 422, 422, 401, method="POST", by="program", body=lambda scene: {"json": "{}"})
    ],
    "api/reply": [
        Row(
            *(422, 404, 404, 401),
            method="POST",
            by="program",
            body=lambda scene: {
                "session_id": str(scene.session.pk),
                "user_message": {"content": [{"type": "text", "text": "Hello"}]},
            },
        )
    ],
    "api/action-required/tool-confirmation": [
        Row(
            *(409, 404, 404, 401),
            method="POST",
            by="program",
            body=lambda scene: {"id": "call_1", "sessionId": str(scene.session.pk), "action": "allow_once"},
        )
    ],
    # Extensions.
    "extensions": [Row(200, 200, 200, 302)],
    "extensions/<slug:name>/switch": [Row(302, 302, 302, 302, method="POST")],
    "extensions/<slug:name>/test": [Row(404, 404, 302, 302, method="POST"), Row(405, 405, 405, 302)],
    "api/extensions": [Row(200, 200, 200, 401, by="program")],
    "api/extensions/<name>/enable": [Row(200, 200, 200, 401, method="POST", by="program")],
    "api/extensions/<name>/disable": [Row(200, 200, 200, 401, method="POST", by="program")],
    # Things that are nobody's secret.
    "robots.txt": [Row(200, 200, 200, 200)],
    "favicon.ico": [Row(302, 302, 302, 302)],
}


def routes(patterns: Any = None, prefix: str = "") -> Iterator[str]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            yield path


OURS = [route for route in routes() if not route.startswith("admin/")]


def test_every_route_has_a_row() -> None:
    assert sorted(set(OURS)) == sorted(TABLE)


@pytest.fixture
def scene(alice: User, bob: User, dora: User) -> Scene:
    return Scene(alice, bob, dora)


CASES = [
    pytest.param(route, row, state, id=f"{row.method} {route or '/'} {row.by} {state}")
    for route, rows in TABLE.items()
    for row in rows
    for state in ("open", "closed")
]


@pytest.mark.parametrize(("route", "row", "state"), CASES)
def test_access(scene: Scene, route: str, row: Row, state: str) -> None:
    if state == "closed":
        acts.update(scene.session, shared=False)
    url = "/" + re.sub(
        r"<(?:\w+:)?(\w+)>",
        lambda m: str(scene.values["pk"][row.pk] if m[1] == "pk" else scene.values[m[1]]),
        route,
    )
    answers = {who: _status(scene, who, row, url) for who in WHO}
    assert answers == dict(zip(WHO, row.open if state == "open" else row.closed, strict=True))


def _status(scene: Scene, who: str, row: Row, url: str) -> int:
    """The answer's status; what the request changed is undone, for the next one to find the scene as it was."""
    client = scene.program(who) if row.by == "program" else scene.client(who)
    body = row.body(scene) if row.body else {}
    content = (
        {"data": body, "content_type": "application/json"}
        if row.by == "program" and row.method != "GET"
        else {}
    )
    with transaction.atomic():
        status: int = getattr(client, row.method.lower())(url, **content).status_code
        transaction.set_rollback(True)
    return status


ADMIN = [
    route for route in routes() if route.startswith("admin/") and "<" not in route and "(?P" not in route
]


@pytest.mark.parametrize("route", ADMIN)
@pytest.mark.parametrize("who", ["member", "visitor"])
def test_the_admin_panel_is_for_staff(scene: Scene, route: str, who: str) -> None:
    response = scene.client(who).get(f"/{route}")
    assert response.status_code in (302, 403, 404, 405) or route in ("admin/login/",), route


def test_staff_see_links_but_neither_content_nor_whole_links(scene: Scene) -> None:
    client = scene.client("staff")
    for path in ("", f"{scene.session.pk}/change/"):
        page = client.get(f"/admin/sharing/sessionlink/{path}").content.decode()
        assert scene.session.share_id not in page
        assert "Add a greet function" not in page
        assert "/home/alice" not in page


@pytest.mark.parametrize(
    ("policy", "member", "visitor"), [("anyone", 200, 200), ("team", 200, 404), ("off", 404, 404)]
)
def test_the_installations_policy_holds_for_every_link(
    scene: Scene, configure: Callable[..., None], policy: str, member: int, visitor: int
) -> None:
    configure(sharing=policy)
    for path in (f"/share/{scene.session.share_id}", f"/api/share/{scene.session.share_id}/data"):
        assert scene.program("member").get(path).status_code == member
        assert scene.program("visitor").get(path).status_code == visitor


def test_closed_unknown_and_forbidden_links_answer_alike(
    scene: Scene, configure: Callable[..., None]
) -> None:
    visitor = Client()
    unknown = visitor.get("/share/unknown").content
    acts.update(scene.session, shared=False)
    assert visitor.get(f"/share/{scene.session.share_id}").content == unknown
    acts.update(scene.session, shared=True)
    configure(sharing="team")
    assert visitor.get(f"/share/{scene.session.share_id}").content == unknown


def test_an_admins_token_lists_the_admins_own_sessions(scene: Scene) -> None:
    assert scene.program("staff").get("/api/sessions").json()["items"] == []


@pytest.mark.parametrize("scope", [Scope.INGEST, Scope.OPENCODE])
def test_a_token_that_may_only_share_reads_no_sessions(scene: Scene, scope: Scope) -> None:
    client = Client(headers={"Authorization": f"Bearer {tokens.issue(scene.alice, 'p', scope)}"})
    assert client.get("/api/sessions").status_code == 403
    assert client.get(f"/api/sessions/{scene.session.pk}").status_code == 403


def test_a_token_opens_no_pages_of_another(scene: Scene) -> None:
    assert scene.program("member").get(f"/sessions/{scene.session.pk}").status_code == 404


def test_the_owners_door_finds_nothing_for_nobody(db: None) -> None:
    from django.contrib.auth.models import AnonymousUser

    Session.objects.create(owner=None, external_id="x")
    assert not Session.objects.owned_by(AnonymousUser()).exists()


PAGES_FOR_PEOPLE = ["/tokens", "/password", "/device", "/admin/", "/admin/accounts/token/"]


@pytest.mark.parametrize("scope", list(Scope))
@pytest.mark.parametrize("path", PAGES_FOR_PEOPLE)
def test_no_token_opens_the_pages_about_accounts(scene: Scene, scope: Scope, path: str) -> None:
    client = Client(headers={"Authorization": f"Bearer {tokens.issue(scene.dora, 'p', scope)}"})
    assert client.get(path).status_code == 403
    assert client.post(path, {"name": "x", "scope": "full"}).status_code == 403


@pytest.mark.parametrize("scope", [Scope.INGEST, Scope.OPENCODE])
def test_a_token_that_may_only_share_opens_no_pages(scene: Scene, scope: Scope) -> None:
    client = Client(headers={"Authorization": f"Bearer {tokens.issue(scene.alice, 'p', scope)}"})
    for path in ("/sessions", f"/sessions/{scene.session.pk}", f"/sessions/{scene.session.pk}.json"):
        assert client.get(path).status_code == 403


def test_an_ingest_key_reads_what_anybody_may(scene: Scene, configure: Callable[..., None]) -> None:
    configure(sharing="team")
    assert scene.program("member").get(f"/api/share/{scene.session.share_id}/data").status_code == 200
    key = ingest_key.of(scene.bob)
    assert Client().get(f"/k/{key}/api/share/{scene.session.share_id}/data").status_code == 404


@pytest.mark.parametrize(
    "lookup", ["info__contains", "title__contains", "share_id__startswith", "owner__password__startswith"]
)
def test_the_list_of_links_is_no_oracle(scene: Scene, lookup: str) -> None:
    answer = scene.client("staff").get("/admin/sharing/sessionlink/", {lookup: "a"})
    assert answer.status_code == 302 or answer.status_code == 400
    assert scene.client("staff").get("/admin/sharing/sessionlink/", {"shared__exact": "1"}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/share/%00",
        "/share/%00.md",
        "/api/share/%00/data",
        "/api/sessions?q=%00",
        "/sessions?q=a%00",
        "/k/%00/api/share",
    ],
)
def test_nul_is_a_bad_request(scene: Scene, path: str) -> None:
    assert scene.program("owner").get(path).status_code == 400
