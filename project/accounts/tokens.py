"""Making, finding and revoking the credentials of programs."""

import contextlib
from datetime import timedelta

from django.db import OperationalError
from django.utils import timezone

from project.accounts.models import DeviceLogin, Scope, Token, User, digest, new_secret

_USED_EVERY = timedelta(minutes=1)


def issue(
    user: User,
    name: str,
    scope: Scope = Scope.FULL,
    *,
    lifetime: timedelta | None = None,
    login: DeviceLogin | None = None,
) -> str:
    """Makes a token and returns its secret, which cannot be had again."""
    secret = new_secret(Token.PREFIX)
    Token.objects.create(
        user=user,
        login=login,
        name=name,
        scope=scope,
        digest=digest(secret),
        hint=secret[: len(Token.PREFIX) + 6],
        expires_at=timezone.now() + lifetime if lifetime else None,
    )
    return secret


def find(secret: str) -> Token | None:
    """The living token with this secret, its user at hand; notes the use, at most once a minute."""
    try:
        token = Token.objects.select_related("user").get(digest=digest(secret))
    except Token.DoesNotExist:
        return None
    if not token.alive:
        return None
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > _USED_EVERY:
        # Knowing the minute of the last use is not worth a failed request.
        with contextlib.suppress(OperationalError):
            Token.objects.filter(pk=token.pk).update(last_used_at=now)
    return token
