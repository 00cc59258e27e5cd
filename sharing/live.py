"""The readers' door to a session's live views."""

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.urls import reverse

from sessions_app.live.doors import Client, Door
from sharing import access


def of_readers(token: str, client: Client) -> Door:
    """The visitors' door under a link. Where members alone may read, who the client is is asked, too."""
    base, key = reverse("shared-session", args=[token]), ("reader", token)
    if settings.GANDER.sharing == "team":
        return Door(
            key,
            lambda: access.open(token, client.user_now()),
            base,
            token,
            owner=False,
            who=client.credential,
            reopen=lambda: access.open(token, access.MEMBER),
        )
    return Door(key, lambda: access.open(token, AnonymousUser()), base, token, owner=False)
