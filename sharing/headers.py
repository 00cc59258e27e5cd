"""Headers that every answer under a link bears."""

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

_LINKS = re.compile(r"^/(share|api/shares?|k)(/|$)")


HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Cache-Control": "private, no-store",
}


class ShareHeadersMiddleware:
    """Keeps links out of caches, search engines and other sites' logs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if _LINKS.match(request.path_info):
            for name, value in HEADERS.items():
                response[name] = value
        return response
