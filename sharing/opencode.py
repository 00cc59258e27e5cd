"""opencode's share protocol, as its stock clients speak it.

Mounted at ``/api/share`` (anonymous clients, and reading), ``/api/shares`` (signed-in clients) and
``/k/<ingest key>/api/share`` (configured clients). Errors have upstream's form, ``{"error": "…"}``.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import RequestDataTooBig
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from sessions_app import acts, ingest, json_text
from sessions_app.changes import Change, Malformed, from_item
from sessions_app.credentials import INGEST, SESSION, credential
from sessions_app.links import base_url, share_url
from sessions_app.models import ID_LENGTH, Session, Source
from sessions_app.reading import Reading
from sessions_app.text import is_storable
from sharing import access, secrets

View = Callable[..., HttpResponse]
# What writing needs of a session before its row is locked.
_KEYS = ("id", "owner_id", "share_id", "share_epoch", "shared", "revision", "syncs")


class Refused(Exception):
    """The client gets this status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _endpoint(**by_method: View) -> View:
    """One path's view: each method's function, and every refusal as an answer."""

    @csrf_exempt
    @wraps(next(iter(by_method.values())))
    def view(request: HttpRequest, **path: str) -> HttpResponse:
        method = "GET" if request.method == "HEAD" else request.method or ""
        if method not in by_method:
            response = JsonResponse({"error": f"{method} is not possible here"}, status=405)
            response["Allow"] = ", ".join(by_method)
            return response
        # The key in the path said who the client is before this view was called.
        path.pop("key", None)
        try:
            return by_method[method](request, **path)
        except Refused as refused:
            return JsonResponse({"error": str(refused)}, status=refused.status)

    return view


def _body(request: HttpRequest) -> dict[str, Any]:
    try:
        body = json_text.loads(request.body)
    except RequestDataTooBig:
        raise Refused(
            413, f"The request is larger than {settings.GANDER.max_sync_mb} MB (GANDER_MAX_SYNC_MB)"
        ) from None
    except ValueError as error:
        raise Refused(400, f"The body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise Refused(400, "The body must be a JSON object")
    return body


def _client(request: HttpRequest) -> Any:
    """The member in whose name a program calls. A browser's cookie does not count: other sites could use it."""
    return request.user if credential(request) != SESSION else None


def create(request: HttpRequest) -> HttpResponse:
    """``POST``: makes the session's share, or answers the one there is."""
    session_id = _body(request).get("sessionID")
    if not isinstance(session_id, str) or not 0 < len(session_id) <= ID_LENGTH or not is_storable(session_id):
        raise Refused(400, f"sessionID must be a text of 1 to {ID_LENGTH} characters")
    client = _client(request)
    if client is None and not settings.GANDER.anonymous_shares:
        raise Refused(
            401,
            f"Sign in to share here: run `opencode console login {base_url(request)}`, or put the address with your "
            f"ingest key, which {base_url(request)}/tokens shows, into opencode's enterprise.url",
        )
    session = _share_of(client, session_id)
    return JsonResponse(
        {"id": session.share_id, "url": share_url(request, session), "secret": secrets.of(session)}
    )


def _share_of(owner: Any, session_id: str) -> Session:
    key = {"owner": owner, "source": Source.OPENCODE, "external_id": session_id}
    with transaction.atomic():
        session, created = Session.objects.select_for_update().get_or_create(**key, defaults={"shared": True})
        if created:
            return session
        if owner is None:
            if access.expired(session):
                acts.delete_for_good(session)
                return Session.objects.create(**key, shared=True)
            if not session.empty:
                # The session id stands in the shared data; it proves nothing.
                raise Refused(409, "This session is already shared; sign in to share it as your own")
    if session.deleted_at:
        session = acts.restore(session)
    return session if session.shared else acts.update(session, shared=True)


def sync(request: HttpRequest, share_id: str) -> HttpResponse:
    """``POST``: applies a batch. What is malformed in it is listed under ``rejected`` and costs the rest nothing."""
    body = _body(request)
    session = _writable(share_id, body)
    items = body.get("data")
    if not isinstance(items, list):
        raise Refused(400, "data must be a list of items")
    changes, rejected = _understood(items)
    if changes:
        try:
            session = ingest.apply(session, changes)
        except Session.DoesNotExist:
            raise Refused(404, "Share not found") from None
    answer: dict[str, Any] = {"success": True, "syncCount": session.syncs}
    if rejected:
        answer["rejected"] = rejected
    return JsonResponse(answer)


def _understood(items: Iterable[object]) -> tuple[list[Change], list[dict[str, Any]]]:
    changes: list[Change] = []
    rejected: list[dict[str, Any]] = []
    for index, item in enumerate(items):
        try:
            changes.extend(list(from_item(item)))
        except Malformed as error:
            rejected.append({"index": index, "message": str(error)})
    return changes, rejected


def _writable(share_id: str, body: dict[str, Any]) -> Session:
    """The session behind the link, open or closed: a client may go on syncing what its owner has made private."""
    session = Session.objects.only(*_KEYS).filter(share_id=share_id).first()
    if session is None:
        raise Refused(404, "Share not found")
    if not secrets.fits(session, body.get("secret")):
        raise Refused(403, "Invalid secret")
    return session


def delete(request: HttpRequest, share_id: str) -> HttpResponse:
    """``DELETE``: closes the link. The session stays with its owner; one that nobody owns is deleted."""
    body = _body(request)
    try:
        session = _writable(share_id, body)
    except Refused as refused:
        # A client that is refused keeps asking for ever, so one who held the secret hears that it is done.
        if refused.status == 404 and secrets.fitted(share_id, body.get("secret")):
            return JsonResponse({"success": True})
        raise
    try:
        if session.owner_id is None:
            acts.delete_for_good(session)
        elif session.shared:
            acts.update(session, shared=False)
    except Session.DoesNotExist:
        pass
    return JsonResponse({"success": True})


def _reading(request: HttpRequest, share_id: str) -> Reading:
    # An ingest key stands in configuration files; it reads what anybody may.
    viewer = AnonymousUser() if credential(request) == INGEST else request.user
    reading = access.open(share_id, viewer)
    if reading is None:
        raise Refused(404, "Share not found")
    is_own = Session.objects.owned_by(viewer).filter(pk=reading.session.pk).exists()
    return Reading(reading.session) if is_own else reading


def data(request: HttpRequest, share_id: str) -> HttpResponse:
    """``GET …/data``: every item, as ``opencode import`` reads them; whole and unmasked for the owner."""
    reading = _reading(request, share_id)
    items = ",".join(json_text.dumps({"type": kind, "data": value}) for kind, value in reading.items())
    return HttpResponse(f"[{items}]", content_type="application/json")


def show(request: HttpRequest, share_id: str) -> HttpResponse:
    """``GET``: the same as one object, by kind."""
    reading = _reading(request, share_id)
    whole: dict[str, Any] = {"session": None, "messages": [], "parts": [], "diffs": [], "models": []}
    for kind, value in reading.items():
        match kind:
            case "session":
                whole["session"] = value
            case "message":
                whole["messages"].append(value)
            case "part":
                whole["parts"].append(value)
            case "session_diff":
                whole["diffs"] = value
            case "model":
                whole["models"] = value
    whole["metadata"] = _metadata(request, reading)
    return HttpResponse(json_text.dumps(whole), content_type="application/json")


def metadata(request: HttpRequest, share_id: str) -> HttpResponse:
    """``GET …/metadata``: title, times and totals, without the content."""
    return HttpResponse(
        json_text.dumps(_metadata(request, _reading(request, share_id))), content_type="application/json"
    )


def _metadata(request: HttpRequest, reading: Reading) -> dict[str, Any]:
    session = reading.session
    return {
        "id": session.share_id,
        "url": share_url(request, session),
        "title": reading.title,
        "source": session.source,
        "directory": reading.directory,
        "models": reading.model_names,
        "createdAt": session.created_at.isoformat(),
        "updatedAt": session.updated_at.isoformat(),
        "revision": session.revision,
        "syncCount": session.syncs,
        "messages": session.messages_count,
        "parts": session.parts_count,
        "tokens": {
            "input": session.tokens_input,
            "output": session.tokens_output,
            "reasoning": session.tokens_reasoning,
            "cache": {"read": session.tokens_cache_read, "write": session.tokens_cache_write},
        },
        "cost": session.cost,
        "files": session.files,
        "additions": session.additions,
        "deletions": session.deletions,
    }


collection = _endpoint(POST=create)
item = _endpoint(GET=show, DELETE=delete)
item_sync = _endpoint(POST=sync)
item_data = _endpoint(GET=data)
item_metadata = _endpoint(GET=metadata)
