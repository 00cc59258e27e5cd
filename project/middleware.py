"""What stands in front of every request: health, proxies, CSRF."""

import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from project import health
from project.errors import problem
from sessions_app.credentials import SESSION, credential

_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST")


class HealthMiddleware:
    """Answers the health checks under any host name: probes call by address."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        check = health.CHECKS.get(request.path_info)
        return check() if check else self.get_response(request)


class NulMiddleware:
    """Refuses NUL in address and cookies, which no client of ours means and PostgreSQL does not take."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        query = request.META.get("QUERY_STRING", "")
        cookies = request.META.get("HTTP_COOKIE", "")
        if (
            "\0" in request.path_info
            or "%00" in query
            or "\0" in query
            or "\0" in cookies
            or "\\000" in cookies
        ):
            return problem(request, 400, "bad_request", "The address or a cookie holds a NUL character.")
        return self.get_response(request)


class TrustedProxiesMiddleware:
    """Believes forwarded headers from the configured proxies, and drops them from anyone else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.networks = [ipaddress.ip_network(name, strict=False) for name in settings.GANDER.trusted_proxies]

    def _trusted(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self.networks)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        meta = request.META
        if self.networks and self._trusted(meta.get("REMOTE_ADDR", "")):
            hops = [hop.strip() for hop in meta.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
            # The nearest address that is not a proxy of ours is the client; what stands left of it anyone can write.
            client = next((hop for hop in reversed(hops) if not self._trusted(hop)), None)
            if client:
                meta["REMOTE_ADDR"] = client
        else:
            for header in _FORWARDED:
                meta.pop(header, None)
        return self.get_response(request)


class CsrfMiddleware(CsrfViewMiddleware):
    """Django's protection, for requests that a cookie authenticates.

    A token in a header, or a key in the path, is not sent by a browser on its own.
    """

    def process_view(self, request, view, args, kwargs):  # type: ignore[no-untyped-def]
        if credential(request) != SESSION:
            return None
        return super().process_view(request, view, args, kwargs)
