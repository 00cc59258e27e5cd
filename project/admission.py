"""Who opens a socket or an event stream: asked of the same middlewares that ordinary requests pass."""

import io
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import DisallowedHost
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse

from project.accounts.identity import IdentityMiddleware
from project.accounts.models import Scope
from project.errors import bad_request
from project.middleware import NulMiddleware, TrustedProxiesMiddleware
from project.request_pool import environ
from sessions_app.credentials import SESSION, credential


@dataclass(frozen=True, slots=True)
class Admission:
    """What was found out about a connection's client; ``refused`` is the answer where it may not go on."""

    user: Any
    by_cookie: bool
    # Whether its credential may read, and not only share.
    reads: bool
    same_origin: bool
    refused: HttpResponse | None
    # What was presented: connections that presented the same are let in and shut out together.
    credential: Hashable = None
    scope: dict[str, Any] | None = None

    def user_now(self) -> Any:
        """Who the same credential belongs to by now: nobody after a sign-out or a revocation. On a thread."""
        again = admit(self.scope) if self.scope is not None else None
        return again.user if again and again.refused is None and again.reads else AnonymousUser()


def _admitted(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=204)


def admit(scope: dict[str, Any]) -> Admission:
    """Identifies the client of an ASGI connection; reads the database, so it runs on a thread."""
    # Made at each call: they hold settings that tests change.
    signed_in: Any = SessionMiddleware(AuthenticationMiddleware(IdentityMiddleware(_admitted)))
    chain = NulMiddleware(TrustedProxiesMiddleware(signed_in))
    request = WSGIRequest(environ({"method": "GET", **scope}, io.BytesIO(), 0))
    try:
        response = chain(request)
        same_origin = _same_origin(request)
    except DisallowedHost as error:
        return Admission(AnonymousUser(), False, False, False, bad_request(request, error))
    user = getattr(request, "user", AnonymousUser())
    # The lazy user is looked up here, on the thread.
    known = bool(user.is_authenticated)
    return Admission(
        user=user,
        by_cookie=known and credential(request) == SESSION,
        reads=known and credential(request) in (SESSION, Scope.FULL),
        same_origin=same_origin,
        refused=None if response.status_code == 204 else response,
        credential=(
            user.pk,
            request.META.get("HTTP_AUTHORIZATION"),
            request.META.get("HTTP_X_SECRET_KEY"),
            request.COOKIES.get(settings.SESSION_COOKIE_NAME),
        ),
        scope=scope,
    )


def _same_origin(request: HttpRequest) -> bool:
    """Whether the connection was opened by a page of ours; programs, which send no origin, pass too."""
    origin = request.META.get("HTTP_ORIGIN")
    host = request.get_host()
    if origin is None:
        return True
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.netloc == host
