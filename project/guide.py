"""The addresses of goose's server guide and of goosed, which stand without ``/api``: the same under another name.

A browser that asks ``/sessions`` gets the page; a program gets the list. Which it is, is told by what it accepts.
"""

import re
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# What is a page too, and answers a GET by what its client accepts.
_SHARED = re.compile(rf"^/(?:sessions(?:/{_UUID})?|extensions)$")
_BEGINNINGS = ("/sessions", "/extensions", "/reply", "/action-required")
_OWN = {
    "GET": re.compile(rf"^/sessions/{_UUID}/(?:export|turns(?:/.+)?|messages|agent)$"),
    "POST": re.compile(
        rf"^/(?:reply|action-required/tool-confirmation|sessions(?:/import|/{_UUID}/(?:messages|fork|turns/.+|approvals/.+))?|extensions/[^/]+/(?:enable|disable))$"
    ),
    "PUT": re.compile(rf"^/sessions/{_UUID}/name$"),
    "PATCH": re.compile(rf"^/sessions/{_UUID}(?:/agent)?$"),
    "DELETE": re.compile(rf"^/sessions/{_UUID}$"),
}


def api_path(scope: dict[str, Any]) -> str:
    """The path under which an ASGI request is answered."""
    path = str(scope["path"])
    if not path.startswith(_BEGINNINGS):
        return path
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return _translated(scope["method"], path, headers.get)


def _translated(method: str, path: str, header: Callable[[str], str | None]) -> str:
    if method in ("GET", "HEAD") and _SHARED.match(path):
        return f"/api{path}" if _is_program(header) else path
    own = _OWN.get("GET" if method == "HEAD" else method)
    return f"/api{path}" if own is not None and own.match(path) else path


def _is_program(header: Callable[[str], str | None]) -> bool:
    """Whether a client wants data: it asks for JSON, or takes anything and is no page of ours."""
    accepted = header("accept") or ""
    if "text/html" in accepted or header("hx-request"):
        return False
    if header("authorization") or header("x-secret-key"):
        return True
    if not accepted:
        return False
    if "application/json" in accepted:
        return True
    return "gander_session=" not in (header("cookie") or "")


class GuideMiddleware:
    """Answers the guide's addresses, and says where an answer depends on what its client accepts."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        asked = request.path_info
        request.path_info = _translated(request.method or "GET", asked, request.headers.get)
        if request.method == "HEAD" and request.path_info.startswith("/api/"):
            # The API knows GET alone; the server leaves out the body of what a HEAD is answered.
            request.method = "GET"
        response = self.get_response(request)
        if _SHARED.match(asked):
            patch_vary_headers(response, ("Accept", "Cookie"))
        return response
