"""REST over one's own sessions."""

import uuid
from datetime import date, datetime
from typing import Annotated, Any, Literal

import orjson
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Schema
from ninja import Status as Answer
from pydantic import ConfigDict, Field

from sessions_app import acts, json_text, listing
from sessions_app.links import base_url, share_address
from sessions_app.listing import FIRST_DAY, LAST_DAY
from sessions_app.models import TITLE_LENGTH, Message, Session, Source, Status
from sessions_app.reading import Reading
from sessions_app.window import before_or_after

router = Router(tags=["sessions"])

Limit = Annotated[int, Field(ge=1, le=200)]


class Tokens(Schema):
    input: int
    output: int
    reasoning: int
    cache_read: int
    cache_write: int


class SessionOut(Schema):
    """A session, without its content."""

    id: uuid.UUID
    external_id: str
    source: Source
    title: str
    name: str = Field(description="The title, as goose calls it")
    directory: str
    working_dir: str = Field(description="The directory, as goose calls it")
    agent: str
    models: list[str]
    status: Status
    shared: bool
    share_url: str
    archived: bool
    created_at: datetime
    updated_at: datetime
    revision: int
    syncs: int
    messages: int
    parts: int
    tokens: Tokens
    cost: float = Field(description="US dollars, an estimate")
    files: int
    additions: int
    deletions: int


class SessionPage(Schema):
    items: list[SessionOut]
    next_cursor: str | None


class SessionChanges(Schema):
    """What may be changed; what is not named stays."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: str = Field("", max_length=TITLE_LENGTH, description="An empty title gives the source's own back")
    shared: bool = False
    archived: bool = False


class SessionFilters(Schema):
    q: str = Field("", max_length=200, description="Words in title or directory")
    source: Source | Literal[""] = ""
    directory: str = Field("", max_length=1000, description="Exactly this one")
    model: str = Field("", max_length=100)
    shared: bool | None = None
    archived: bool = False
    since: date | None = Field(
        None, ge=FIRST_DAY, le=LAST_DAY, description="Last active on this day or later"
    )
    until: date | None = Field(None, ge=FIRST_DAY, le=LAST_DAY)
    sort: listing.Sort = listing.Sort.NEWEST
    cursor: str = Field("", max_length=200)
    limit: Limit = 50


class MessageCursor(Schema):
    cursor: str = Field("", max_length=1200)
    limit: Limit = 50


def session_out(session: Session, base: str) -> dict[str, Any]:
    """A session as the API shows it to its owner, a ``SessionOut``; ``base`` is the installation's address."""
    return {
        "id": session.pk,
        "external_id": session.external_id,
        "source": session.source,
        "title": session.title,
        "name": session.title,
        "directory": session.directory,
        "working_dir": session.directory,
        "agent": session.agent,
        "models": session.model_names,
        "status": session.status,
        "shared": session.shared,
        "share_url": share_address(base, session),
        "archived": session.archived_at is not None,
        "created_at": session.created_at,
        "updated_at": session.updated_at,
        "revision": session.revision,
        "syncs": session.syncs,
        "messages": session.messages_count,
        "parts": session.parts_count,
        "tokens": {
            "input": session.tokens_input,
            "output": session.tokens_output,
            "reasoning": session.tokens_reasoning,
            "cache_read": session.tokens_cache_read,
            "cache_write": session.tokens_cache_write,
        },
        "cost": session.cost,
        "files": session.files,
        "additions": session.additions,
        "deletions": session.deletions,
    }


def _answer(body: dict[str, Any]) -> HttpResponse:
    """Written as it is: validating what we made ourselves, field by field, took a third of a list's time."""
    return HttpResponse(orjson.dumps(body, option=orjson.OPT_UTC_Z), content_type="application/json")


def own(request: HttpRequest, session_id: uuid.UUID) -> Session:
    """The caller's session of this id; 404 where it is not theirs."""
    return get_object_or_404(Session.objects.owned_by(request.user), pk=session_id)


@router.get("/sessions", response=SessionPage, summary="Your sessions, newest first")
def list_sessions(request: HttpRequest, query: Query[SessionFilters]) -> Any:
    filters = listing.Filters(
        q=query.q,
        source=query.source,
        directory=query.directory,
        model=query.model,
        shared=query.shared,
        shelf=listing.Shelf.ARCHIVED if query.archived else listing.Shelf.OPEN,
        since=query.since,
        until=query.until,
        sort=query.sort,
    )
    rows, cursor = listing.page(filters.of(request.user), query.cursor, query.limit, query.sort)
    base = base_url(request)
    return _answer({"items": [session_out(row, base) for row in rows], "next_cursor": cursor})


@router.get("/sessions/{uuid:session_id}", response=SessionOut, summary="One session")
def get_session(request: HttpRequest, session_id: uuid.UUID) -> Any:
    return _answer(session_out(own(request, session_id), base_url(request)))


@router.patch("/sessions/{uuid:session_id}", response=SessionOut, summary="Rename, share or archive")
def change_session(request: HttpRequest, session_id: uuid.UUID, changes: SessionChanges) -> Any:
    try:
        session = acts.update(own(request, session_id), **changes.model_dump(exclude_unset=True))
    except Session.DoesNotExist:
        raise Http404 from None
    return _answer(session_out(session, base_url(request)))


@router.delete(
    "/sessions/{uuid:session_id}", response={204: None}, summary="Delete, to rest for 30 days or for good"
)
def delete_session(request: HttpRequest, session_id: uuid.UUID, for_good: bool = False) -> Any:
    session = Session.objects.owned_by(request.user).filter(pk=session_id).first()
    if session is None and for_good:
        session = Session.objects.owned_by(request.user, resting=True).filter(pk=session_id).first()
    if session is None:
        raise Http404
    try:
        (acts.delete_for_good if for_good else acts.delete)(session)
    except Session.DoesNotExist:
        raise Http404 from None
    return Answer(204, None)


@router.get(
    "/sessions/{uuid:session_id}/messages",
    summary="Its messages in order, with their parts",
    openapi_extra={
        "responses": {
            200: {
                "description": "Messages and parts as the source sent them",
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["items", "next_cursor"],
                            "properties": {
                                "items": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "required": ["info", "parts"],
                                        "properties": {
                                            "info": {"type": "object"},
                                            "parts": {"type": "array", "items": {"type": "object"}},
                                        },
                                    },
                                },
                                "next_cursor": {"type": ["string", "null"]},
                            },
                        }
                    }
                },
            }
        }
    },
)
def list_messages(request: HttpRequest, session_id: uuid.UUID, query: Query[MessageCursor]) -> HttpResponse:
    reading = Reading(own(request, session_id))
    page = before_or_after(reading, after=query.cursor, size=query.limit)
    body = {
        "items": [_message_out(reading, row) for row in page.messages],
        "next_cursor": page.after,
    }
    # Written as it is stored: other people's JSON may hold what a schema's encoder refuses.
    return HttpResponse(json_text.dumps(body), content_type="application/json")


def _message_out(reading: Reading, message: Message) -> dict[str, Any]:
    return {
        "info": reading.message(message),
        "parts": [reading.part(part) for part in message.parts.all()],
    }
