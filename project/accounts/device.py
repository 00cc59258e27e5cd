"""Signing a program in by device code: RFC 8628, as ``opencode console login`` speaks it."""

import secrets
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from project.accounts import tokens
from project.accounts.models import DeviceLogin, Scope, User, digest, new_secret
from sessions_app import json_text
from sessions_app.links import base_url
from sessions_app.text import line

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
INTERVAL = 1
ACCESS_LIFETIME = timedelta(days=7)
# RFC 8628 §6.1: letters that are hard to confuse, and no vowels, so that no words appear.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_MOST_PENDING = 1000


class _OAuthError(Exception):
    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code


def _body(request: HttpRequest) -> dict[str, Any]:
    """The request's parameters, as JSON (opencode) or as a form (the RFC)."""
    if request.content_type == "application/x-www-form-urlencoded":
        return {name: str(value) for name, value in request.POST.items()}
    try:
        body = json_text.loads(request.body)
    except ValueError:
        raise _OAuthError("invalid_request", "The body is neither JSON nor a form.") from None
    if not isinstance(body, dict):
        raise _OAuthError("invalid_request", "The body must be a JSON object.")
    return body


def _refused(error: _OAuthError) -> HttpResponse:
    return JsonResponse({"error": error.code, "error_description": str(error)}, status=400)


def _only_post(request: HttpRequest) -> HttpResponse | None:
    if request.method == "POST":
        return None
    response = JsonResponse({"error": "invalid_request", "error_description": "Use POST."}, status=405)
    response["Allow"] = "POST"
    return response


@csrf_exempt
def code(request: HttpRequest) -> HttpResponse:
    """``POST /auth/device/code``: begins a sign-in."""
    if wrong := _only_post(request):
        return wrong
    try:
        body = _body(request)
        client = body.get("client_id")
        if not isinstance(client, str) or not client:
            raise _OAuthError("invalid_request", "client_id is missing.")
        DeviceLogin.objects.filter(
            created_at__lt=timezone.now() - DeviceLogin.LIFETIME, state__in=("pending", "denied", "approved")
        ).delete()
        if DeviceLogin.objects.filter(state=DeviceLogin.State.PENDING).count() >= _MOST_PENDING:
            raise _OAuthError("slow_down", "Too many sign-ins are waiting; try again in a few minutes.")
        device_code = new_secret()
        login = DeviceLogin.objects.create(
            device_digest=digest(device_code),
            user_code=_new_user_code(),
            client_name=_client_name(request, client),
        )
    except _OAuthError as error:
        return _refused(error)
    page = f"{base_url(request)}/device"
    return JsonResponse(
        {
            "device_code": device_code,
            "user_code": login.user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={login.user_code}",
            "expires_in": int(DeviceLogin.LIFETIME.total_seconds()),
            "interval": INTERVAL,
        }
    )


def _client_name(request: HttpRequest, client: str) -> str:
    name = "opencode" if client == "opencode-cli" else client
    agent = request.headers.get("user-agent", "").partition(" ")[0]
    return line(f"{name} ({agent})" if agent else name, 100)


def _new_user_code() -> str:
    while True:
        letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
        user_code = f"{letters[:4]}-{letters[4:]}"
        if not DeviceLogin.objects.filter(user_code=user_code).exists():
            return user_code


@csrf_exempt
def token(request: HttpRequest) -> HttpResponse:
    """``POST /auth/device/token``: polled until the person has answered; later renews the access token."""
    if wrong := _only_post(request):
        return wrong
    try:
        body = _body(request)
        match body.get("grant_type"):
            case str(grant) if grant == GRANT:
                return _exchange(body)
            case "refresh_token":
                return _refresh(body)
            case _:
                raise _OAuthError("unsupported_grant_type", "Use a device code or a refresh token.")
    except _OAuthError as error:
        return _refused(error)


def _secret(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise _OAuthError("invalid_request", f"{name} is missing.")
    return value


def _exchange(body: dict[str, Any]) -> HttpResponse:
    device_digest = digest(_secret(body, "device_code"))
    with transaction.atomic():
        login = DeviceLogin.objects.select_for_update().filter(device_digest=device_digest).first()
        if login is None or login.expired or login.state == DeviceLogin.State.SIGNED_IN:
            raise _OAuthError("expired_token", "This code has expired. Start the sign-in again.")
        if login.state == DeviceLogin.State.DENIED:
            raise _OAuthError("access_denied", "The sign-in was refused in the browser.")
        if login.state == DeviceLogin.State.PENDING or login.user is None or not login.user.is_active:
            raise _OAuthError("authorization_pending", "Waiting for the code to be confirmed in the browser.")
        refresh = new_secret("gander_refresh_")
        login.state = DeviceLogin.State.SIGNED_IN
        login.refresh_digest = digest(refresh)
        login.user_code = None
        login.save()
        return _signed_in(login, login.user, refresh)


def _refresh(body: dict[str, Any]) -> HttpResponse:
    refresh = _secret(body, "refresh_token")
    with transaction.atomic():
        login = DeviceLogin.objects.select_for_update().filter(refresh_digest=digest(refresh)).first()
        if login is None or login.user is None or not login.user.is_active:
            raise _OAuthError("invalid_grant", "This sign-in has ended. Sign in again.")
        # Earlier access tokens live on until they expire: several opencode processes share one sign-in.
        login.tokens.filter(expires_at__lt=timezone.now()).delete()
        return _signed_in(login, login.user, refresh)


def _signed_in(login: DeviceLogin, user: User, refresh: str) -> HttpResponse:
    access = tokens.issue(user, login.client_name, Scope.OPENCODE, lifetime=ACCESS_LIFETIME, login=login)
    response = JsonResponse(
        {
            "access_token": access,
            "refresh_token": refresh,
            "token_type": "Bearer",
            "expires_in": int(ACCESS_LIFETIME.total_seconds()),
        }
    )
    response["Cache-Control"] = "no-store"
    return response


def answer(user: User, user_code: str, *, approve: bool) -> DeviceLogin | None:
    """Confirms or refuses the waiting sign-in with this code; nothing where there is none."""
    with transaction.atomic():
        login = (
            DeviceLogin.objects.select_for_update()
            .filter(user_code=user_code, state=DeviceLogin.State.PENDING)
            .first()
        )
        if login is None or login.expired:
            return None
        login.user = user
        login.state = DeviceLogin.State.APPROVED if approve else DeviceLogin.State.DENIED
        login.save(update_fields=["user", "state"])
        return login


def waiting(user_code: str) -> DeviceLogin | None:
    """The waiting sign-in with this code."""
    login = DeviceLogin.objects.filter(user_code=user_code, state=DeviceLogin.State.PENDING).first()
    return None if login is None or login.expired else login
