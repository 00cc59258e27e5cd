"""Tokens: made, shown once, used, revoked."""

import re
from collections.abc import Callable
from datetime import timedelta

from django.test import Client
from django.utils import timezone

from project.accounts import ingest_key, tokens
from project.accounts.models import Scope, Token, User, digest


def bearer(secret: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {secret}"})


def test_a_token_is_shown_once_and_stored_as_its_digest(
    alice: User, browser_of: Callable[..., Client]
) -> None:
    client = browser_of(alice)
    page = client.post("/tokens", {"name": "laptop", "scope": "full"}).content.decode()
    secret = re.search(r'value="(gander_[\w-]+)"', page)[1]  # type: ignore[index]
    assert bearer(secret).get("/api/me").status_code == 200
    assert secret not in client.get("/tokens").content.decode()
    token = Token.objects.get()
    assert token.digest == digest(secret) and secret not in str(Token.objects.values())


def test_use_is_noted_and_revoking_ends_it(alice: User, browser_of: Callable[..., Client]) -> None:
    secret = tokens.issue(alice, "laptop")
    bearer(secret).get("/api/me")
    token = Token.objects.get()
    assert token.last_used_at is not None
    browser_of(alice).post(f"/tokens/{token.pk}/revoke")
    assert bearer(secret).get("/api/me").status_code == 401


def test_x_secret_key_works_as_goose_clients_send_it(alice: User) -> None:
    secret = tokens.issue(alice, "goose")
    assert Client(headers={"X-Secret-Key": secret}).get("/api/me").status_code == 200


def test_an_expired_token_and_one_of_an_inactive_user_are_refused(alice: User) -> None:
    secret = tokens.issue(alice, "old", lifetime=timedelta(seconds=1))
    Token.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert bearer(secret).get("/api/me").status_code == 401
    secret = tokens.issue(alice, "new")
    User.objects.update(is_active=False)
    assert bearer(secret).get("/api/me").status_code == 401
    assert ingest_key.owner(ingest_key.of(alice)) is None


def test_forged_ingest_keys_are_none(alice: User, bob: User) -> None:
    proof = ingest_key.of(alice).partition("-")[2]
    for key in (f"k{bob.pk}-{proof}", f"k{alice.pk}-", "k", "k-", "kx-1", f"k{10**30}-x", "k٣-x"):
        assert ingest_key.owner(key) is None


def test_staff_see_tokens_without_secrets_and_can_revoke_them(
    alice: User, dora: User, browser_of: Callable[..., Client]
) -> None:
    secret = tokens.issue(alice, "laptop", Scope.INGEST)
    client = browser_of(dora)
    page = client.get("/admin/accounts/token/").content.decode()
    assert "laptop" in page and "alice" in page
    assert secret not in page and digest(secret) not in page
    token = Token.objects.get()
    assert digest(secret) not in client.get(f"/admin/accounts/token/{token.pk}/change/").content.decode()
    client.post(f"/admin/accounts/token/{token.pk}/delete/", {"post": "yes"})
    assert not Token.objects.exists()
