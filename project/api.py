"""The REST API's root: who may call it, and how problems are answered."""

from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI, Router, Schema
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.security.base import AuthBase
from ninja.utils import check_csrf

from extensions.api import router as extensions_router
from project.accounts.models import Scope, User
from project.errors import problem
from sessions_app.agent.api import Problem
from sessions_app.agent.goose_api import router as sessions_router
from sessions_app.credentials import SESSION, credential
from sessions_app.listing import BadCursor


class _Member(AuthBase):
    """A member's request: by token, or by a browser's session with CSRF protection."""

    openapi_type = "http"
    openapi_scheme = "bearer"
    scopes: tuple[str, ...] = (Scope.FULL,)

    def __call__(self, request: HttpRequest) -> Any:
        presented = credential(request)
        if not request.user.is_authenticated:
            return None
        if presented == SESSION:
            if check_csrf(request):
                raise HttpError(403, "The page was open for too long, or came from another site. Reload it.")
        elif presented not in self.scopes:
            raise HttpError(403, "This token may only share sessions. Use one that may do everything.")
        return request.user


class _Opencode(_Member):
    """What a signed-in opencode asks may be asked by its token, too."""

    scopes = (Scope.FULL, Scope.OPENCODE)


_ERRORS = {
    code: {
        "description": text,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    for code, text in {
        400: "The request could not be read",
        401: "No valid credential",
        403: "This credential may not do that",
        404: "It does not exist, or is not yours",
        422: "A value cannot be used",
    }.items()
}


class _Api(NinjaAPI):
    """Ninja's API with our errors in every operation of its document."""

    def get_openapi_schema(self, **kwargs: Any) -> Any:
        schema = super().get_openapi_schema(**kwargs)
        schema["components"]["schemas"].setdefault("Error", _ERROR_SCHEMA)
        for operations in schema["paths"].values():
            for operation in operations.values():
                for code, response in _ERRORS.items():
                    operation["responses"].setdefault(code, response)
        return schema


_ERROR_SCHEMA = {
    "title": "Error",
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "field": {"type": "string"},
            },
        }
    },
}

api = _Api(
    title="Gander",
    version="1",
    description="Your sessions, for programs. Send `Authorization: Bearer <token>`; make tokens on the tokens page.",
    docs_url=None,
    openapi_url="/openapi.json",
    auth=_Member(),
    urls_namespace="api",
)
router = Router(tags=["you"])


class Me(Schema):
    id: str
    name: str
    email: str
    staff: bool


class OpencodeUser(Schema):
    id: str
    email: str


class Organisation(Schema):
    id: str
    name: str


def _account_id(user: User) -> str:
    return f"acc_{user.pk}"


@router.get("/me", response=Me, summary="Who you are")
def me(request: HttpRequest) -> Any:
    user: Any = request.user
    return {"id": _account_id(user), "name": user.get_username(), "email": user.email, "staff": user.is_staff}


@router.get("/user", response=OpencodeUser, auth=_Opencode(), summary="Who you are, as opencode asks it")
def opencode_user(request: HttpRequest) -> Any:
    user: Any = request.user
    return {"id": _account_id(user), "email": user.email or user.get_username()}


@router.get(
    "/orgs", response=list[Organisation], auth=_Opencode(), summary="This installation, as opencode asks it"
)
def opencode_organisations(request: HttpRequest) -> Any:
    return [{"id": "org_gander", "name": settings.GANDER.organisation}]


@router.get("/config", auth=_Opencode(), summary="opencode configuration that the installation hands out")
def opencode_config(request: HttpRequest) -> HttpResponse:
    if not settings.GANDER.opencode_config:
        raise Http404
    return JsonResponse({"config": settings.GANDER.opencode_config})


api.add_router("", router)
api.add_router("", sessions_router)
api.add_router("", extensions_router)


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    return problem(request, 404, "not_found", "It does not exist, or is not yours.")


@api.exception_handler(AuthenticationError)
def _unauthenticated(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    response = problem(
        request,
        401,
        "unauthenticated",
        "Send Authorization: Bearer <token>; make a token on the tokens page.",
    )
    response["WWW-Authenticate"] = "Bearer"
    return response


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    code = {400: "bad_request", 403: "forbidden"}.get(error.status_code, "error")
    return problem(request, error.status_code, code, str(error))


@api.exception_handler(Problem)
def _problem(request: HttpRequest, error: Problem) -> HttpResponse:
    return problem(request, error.status, error.code, str(error), error.field, **error.more)


@api.exception_handler(BadCursor)
def _bad_cursor(request: HttpRequest, error: BadCursor) -> HttpResponse:
    return problem(request, 422, "invalid", str(error), "cursor")


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    first = error.errors[0]
    # The first steps name where the value came from: body or query, and the parameter's own name.
    steps = [str(step) for step in first.get("loc", ()) if step not in ("body", "query", "path", "changes")]
    return problem(
        request, 422, "invalid", f"{first.get('msg', 'This cannot be used')}.", ".".join(steps) or None
    )
