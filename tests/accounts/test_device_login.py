"""Signing opencode in by device code (RFC 8628)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from project.accounts.models import DeviceLogin, Token, User

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def post(client: Client, path: str, body: dict[str, Any]) -> Any:
    return client.post(path, body, content_type="application/json")


def begin(client: Client) -> dict[str, Any]:
    return post(client, "/auth/device/code", {"client_id": "opencode-cli"}).json()


def poll(client: Client, code: dict[str, Any]) -> Any:
    return post(
        client,
        "/auth/device/token",
        {"grant_type": GRANT, "device_code": code["device_code"], "client_id": "opencode-cli"},
    )


def approve(browser: Client, code: dict[str, Any], answer: str = "approve") -> Any:
    return browser.post("/device", {"user_code": code["user_code"].lower(), "answer": answer})


def test_the_whole_way_from_code_to_share(
    alice: User, browser_of: Callable[..., Client], client: Client
) -> None:
    code = begin(client)
    assert code["verification_uri_complete"].endswith(f"/device?user_code={code['user_code']}")
    assert poll(client, code).json()["error"] == "authorization_pending"
    browser = browser_of(alice)
    assert code["user_code"] in browser.get("/device", {"user_code": code["user_code"]}).content.decode()
    assert b"Signed in" in approve(browser, code).content
    signed = poll(client, code).json()
    assert signed["token_type"] == "Bearer" and signed["expires_in"] > 3600
    program = Client(headers={"Authorization": f"Bearer {signed['access_token']}", "x-org-id": "org_gander"})
    assert program.get("/api/user").json() == {"id": f"acc_{alice.pk}", "email": "alice"}
    assert program.get("/api/orgs").json() == [{"id": "org_gander", "name": "Gander"}]
    assert program.get("/api/config").status_code == 404
    assert post(program, "/api/shares", {"sessionID": "ses_1"}).status_code == 200
    # The code is used up.
    assert poll(client, code).json()["error"] == "expired_token"


def test_refresh_gives_a_new_token_and_leaves_the_old_one_its_time(
    alice: User, browser_of: Callable[..., Client], client: Client
) -> None:
    code = begin(client)
    approve(browser_of(alice), code)
    signed = poll(client, code).json()
    body = {
        "grant_type": "refresh_token",
        "refresh_token": signed["refresh_token"],
        "client_id": "opencode-cli",
    }
    fresh = post(client, "/auth/device/token", body).json()
    assert fresh["access_token"] != signed["access_token"]
    for access in (signed["access_token"], fresh["access_token"]):
        assert Client(headers={"Authorization": f"Bearer {access}"}).get("/api/user").status_code == 200
    Token.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    post(client, "/auth/device/token", body)
    assert Token.objects.count() == 1


def test_signing_the_program_out_ends_all_its_tokens(
    alice: User, browser_of: Callable[..., Client], client: Client
) -> None:
    code, browser = begin(client), browser_of(alice)
    approve(browser, code)
    signed = poll(client, code).json()
    browser.post(f"/tokens/logins/{DeviceLogin.objects.get().pk}/revoke")
    assert (
        Client(headers={"Authorization": f"Bearer {signed['access_token']}"}).get("/api/user").status_code
        == 401
    )
    body = {"grant_type": "refresh_token", "refresh_token": signed["refresh_token"]}
    assert post(client, "/auth/device/token", body).json()["error"] == "invalid_grant"


def test_a_refused_and_an_expired_code_say_so(
    alice: User, browser_of: Callable[..., Client], client: Client
) -> None:
    code = begin(client)
    assert b"Refused" in approve(browser_of(alice), code, "deny").content
    assert poll(client, code).json()["error"] == "access_denied"
    old = begin(client)
    DeviceLogin.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert poll(client, old).json()["error"] == "expired_token"
    assert b"No sign-in waits" in approve(browser_of(alice), old).content


def test_a_link_alone_confirms_nothing(
    alice: User, browser_of: Callable[..., Client], client: Client
) -> None:
    code = begin(client)
    browser_of(alice).get("/device", {"user_code": code["user_code"], "answer": "approve"})
    assert poll(client, code).json()["error"] == "authorization_pending"


def test_bad_requests_are_oauth_errors(db: None, client: Client) -> None:
    for path, body in (
        ("/auth/device/code", {}),
        ("/auth/device/token", {"grant_type": "password"}),
        ("/auth/device/token", {"grant_type": GRANT}),
        ("/auth/device/token", {"grant_type": GRANT, "device_code": 7}),
        ("/auth/device/token", {"grant_type": "refresh_token", "refresh_token": "x"}),
    ):
        answer = post(client, path, body)
        assert answer.status_code == 400
        assert set(answer.json()) == {"error", "error_description"}
    assert client.post("/auth/device/code", b"{", content_type="application/json").status_code == 400
    form = client.post("/auth/device/code", {"client_id": "x"})
    assert form.status_code == 400 or form.json()["device_code"]


def test_the_installation_may_hand_out_configuration(
    alice: User, program_of: Callable[..., Client], configure: Callable[..., None]
) -> None:
    configure(opencode_config={"share": "auto"}, organisation="ACME")
    client = program_of(alice)
    assert client.get("/api/config").json() == {"config": {"share": "auto"}}
    assert client.get("/api/orgs").json()[0]["name"] == "ACME"
