"""Who a request's client is: a browser's session, a program's token, or an ingest key in the path.

Lower floors read ``request.user`` and ``sessions_app.credentials`` and need not know how either was found.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from project.accounts import ingest_key, tokens
from project.accounts.models import Scope
from project.errors import problem
from sessions_app.credentials import note_credential

INGEST_PREFIX = "/k/"

# Where a token counts at all. Accounts, tokens and administration are for people at a browser; what of the API a
# narrower token may do is asked there.
_OPENED_BY = {
    Scope.FULL: ("/api/", "/sessions", "/share/", "/ws/"),
    Scope.OPENCODE: ("/api/",),
    Scope.INGEST: ("/api/",),
}


class IdentityMiddleware:
    """Sets ``request.user`` from a program's credential, where there is one.

    A credential that is presented but not valid answers 401: going on as a visitor would hide the mistake from its owner.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(INGEST_PREFIX):
            refused = self._by_ingest_key(request)
        elif secret := self._presented(request):
            refused = self._by_token(request, secret)
        else:
            refused = None
        return refused or self.get_response(request)

    @staticmethod
    def _presented(request: HttpRequest) -> str:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return value.strip()
        return request.headers.get("x-secret-key", "")

    @staticmethod
    def _by_token(request: HttpRequest, secret: str) -> HttpResponse | None:
        token = tokens.find(secret)
        if token is None:
            return problem(
                request,
                401,
                "invalid_token",
                "This token is not valid or has ended. Make a new one on the tokens page.",
            )
        if not request.path_info.startswith(_OPENED_BY[Scope(token.scope)]):
            return problem(
                request,
                403,
                "forbidden",
                "This token does not open this page. Sign in with a browser instead.",
            )
        request.user = token.user
        note_credential(request, token.scope)
        return None

    @staticmethod
    def _by_ingest_key(request: HttpRequest) -> HttpResponse | None:
        key = request.path_info.removeprefix(INGEST_PREFIX).partition("/")[0]
        user = ingest_key.owner(key)
        if user is None:
            token = tokens.find(key)
            user = token.user if token and token.scope == Scope.INGEST else None
        if user is None:
            return problem(
                request,
                401,
                "invalid_ingest_key",
                "This ingest key is not valid. Copy your present one from the tokens page into opencode's configuration.",
            )
        request.user = user
        note_credential(request, Scope.INGEST)
        return None
