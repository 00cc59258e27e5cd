"""The one place where a problem becomes an answer: JSON for programs, a page for people."""

import logging
import re

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

logger = logging.getLogger(__name__)

# opencode's share protocol and OAuth fix another form than ours.
_OPENCODE = re.compile(r"^(/api/shares?(/|$)|/k/|/auth/device/)")
_FOR_PROGRAMS = re.compile(r"^/(api|k|auth|healthz|readyz|status)(/|$)")

_TITLES = {
    400: "That request made no sense",
    403: "You may not do that",
    404: "There is nothing here",
    413: "That is too large",
    429: "Too many tries",
    500: "Something broke on our side",
}


def problem(
    request: HttpRequest, status: int, code: str, message: str, field: str | None = None, **more: str
) -> HttpResponse:
    """Answers with an error in the form that the path's clients understand; ``more`` is for programs."""
    if _OPENCODE.match(request.path_info):
        return JsonResponse({"error": message}, status=status)
    if _FOR_PROGRAMS.match(request.path_info) or "application/json" in request.headers.get("accept", ""):
        error = {"code": code, "message": message, **more}
        if field is not None:
            error["field"] = field
        return JsonResponse({"error": error}, status=status)
    title = _TITLES.get(status, "That did not work")
    return render(
        request, "error.html", {"title": title, "message": message, "status": status}, status=status
    )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, DisallowedHost):
        # Nothing that builds an address works here, a page's template included.
        return HttpResponse(
            "This server does not answer to that host name. Its operator can add it to GANDER_ALLOWED_HOSTS.\n",
            status=400,
            content_type="text/plain",
        )
    return problem(request, 400, "bad_request", "The request could not be read.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem(request, 403, "forbidden", "Your account may not do this.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem(
        request,
        404,
        "not_found",
        "It does not exist, or it is not shared with you. Check the link, or sign in.",
    )


def server_error(request: HttpRequest) -> HttpResponse:
    # Rendered without context processors: whatever broke may be one of them.
    if _FOR_PROGRAMS.match(request.path_info):
        return problem(request, 500, "server_error", "The server failed; its log says why.")
    return HttpResponse(
        "<!doctype html><title>Something broke</title><h1>Something broke on our side</h1>"
        "<p>The server's log says why. Going back and trying again loses nothing.</p>",
        status=500,
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return problem(
        request,
        403,
        "csrf",
        "The page was open for too long, or came from another site. Reload it and try again.",
    )
