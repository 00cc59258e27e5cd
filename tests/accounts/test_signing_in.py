"""Signing in and out, the first account, invitations, password."""

from collections.abc import Callable

import pytest
from django.test import Client

from project.accounts import setup
from project.accounts.models import Invitation, User, digest

NEW = {"username": "eve", "password1": "a long enough phrase", "password2": "a long enough phrase"}


def test_the_set_up_link_makes_the_first_account_an_admins_and_then_ends(db: None, client: Client) -> None:
    link = setup.link("http://testserver")
    assert link is not None
    assert client.get(link).status_code == 200
    assert client.post(link, NEW).status_code == 302
    assert client.get("/sessions").status_code == 200
    user = User.objects.get()
    assert user.is_staff and user.is_superuser
    assert setup.link("http://testserver") is None
    assert Client().get(link).status_code == 404
    assert Client().post(link, {**NEW, "username": "mallory"}).status_code == 404


def test_only_one_first_account_can_be_made(db: None) -> None:
    assert setup.make(User(username="first"))
    assert not setup.make(User(username="second"))
    assert User.objects.get().username == "first"


def test_another_set_up_link_opens_nothing(db: None, client: Client) -> None:
    assert client.get("/setup/guess").status_code == 404


@pytest.mark.parametrize("password", ["short", "password123", "1234567890"])
def test_weak_passwords_are_refused_with_the_reason(db: None, client: Client, password: str) -> None:
    link = setup.link("")
    page = client.post(link, {**NEW, "password1": password, "password2": password})
    assert page.status_code == 200 and b"errorlist" in page.content
    assert not User.objects.exists()


def test_sign_in_and_out(alice: User, client: Client) -> None:
    assert client.get("/sessions")["Location"] == "/sign-in?next=/sessions"
    signed = client.post(
        "/sign-in?next=/tokens", {"username": "alice", "password": "correct horse battery", "next": "/tokens"}
    )
    assert signed["Location"] == "/tokens"
    assert client.get("/sessions").status_code == 200
    client.post("/sign-out")
    assert client.get("/sessions").status_code == 302


def test_sign_in_leads_to_no_other_site(alice: User, client: Client) -> None:
    answer = client.post(
        "/sign-in",
        {"username": "alice", "password": "correct horse battery", "next": "https://evil.example/"},
    )
    assert answer["Location"] == "/sessions"


def test_too_many_wrong_passwords_are_stopped_even_with_the_right_one(alice: User, client: Client) -> None:
    for _ in range(8):
        last = client.post("/sign-in", {"username": "alice", "password": "wrong"})
    assert last.status_code == 429
    assert (
        client.post("/sign-in", {"username": "alice", "password": "correct horse battery"}).status_code == 429
    )
    assert b"quarter of an hour" in last.content


def test_changing_the_password_keeps_one_signed_in_and_others_out(
    alice: User, browser_of: Callable[..., Client]
) -> None:
    here, elsewhere = browser_of(alice), browser_of(alice)
    answer = here.post(
        "/password",
        {
            "old_password": "correct horse battery",
            "new_password1": "another long phrase",
            "new_password2": "another long phrase",
        },
    )
    assert answer.status_code == 302
    assert here.get("/sessions").status_code == 200
    assert elsewhere.get("/sessions").status_code == 302


def invite(dora: User, browser_of: Callable[..., Client], **fields: str) -> str:
    page = browser_of(dora).post("/admin/accounts/invitation/add/", fields, follow=True).content.decode()
    return "/invitation/" + page.split("testserver/invitation/")[1].split("<")[0].split('"')[0]


def test_an_invitation_lets_a_person_choose_name_and_password_once(
    dora: User, browser_of: Callable[..., Client]
) -> None:
    link, client = invite(dora, browser_of), Client()
    assert client.get(link).status_code == 200
    assert client.post(link, NEW).status_code == 302
    assert client.get("/sessions").status_code == 200
    eve = User.objects.get(username="eve")
    assert not eve.is_staff
    assert Invitation.objects.get().accepted_by == eve
    assert Client().get(link).status_code == 404


def test_an_invitation_with_a_name_makes_just_that_account(
    dora: User, browser_of: Callable[..., Client]
) -> None:
    link = invite(dora, browser_of, username="frank", is_staff="on")
    Client().post(link, NEW)
    assert User.objects.get(username="frank").is_staff
    assert not User.objects.filter(username="eve").exists()


def test_an_old_invitation_opens_nothing(dora: User, client: Client) -> None:
    from datetime import timedelta

    from django.utils import timezone

    Invitation.objects.create(digest=digest("s"), created_at=timezone.now() - timedelta(days=8))
    assert client.get("/invitation/s").status_code == 404


def test_an_invitations_secret_is_not_stored(dora: User, browser_of: Callable[..., Client]) -> None:
    secret = invite(dora, browser_of).rpartition("/")[2]
    assert Invitation.objects.get().digest == digest(secret)
    assert secret not in str(Invitation.objects.values())
