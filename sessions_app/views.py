"""The owner's pages: the list, a session, and the plain forms behind its controls."""

import uuid

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from sessions_app import acts, listing, transcript
from sessions_app.links import share_url
from sessions_app.models import Session, Source
from sessions_app.reading import Reading

PAGE_SIZE = 50
_CHOICES = {"1": True, "0": False}


def _own(request: HttpRequest, session_id: uuid.UUID) -> Session:
    session = Session.objects.owned_by(request.user).filter(pk=session_id).first()
    if session is None:
        raise Http404
    return session


@login_required
@never_cache
@require_safe
def session_list(request: HttpRequest) -> HttpResponse:
    """``/sessions``: one's own, newest first."""
    asked = request.GET
    filters = listing.Filters(
        q=asked.get("q", "")[:200].replace("\0", ""),
        source=asked.get("source", "") if asked.get("source") in Source.values else "",
        shared=_CHOICES.get(asked.get("shared", "")),
        archived=asked.get("archived") == "1",
    )
    try:
        rows, cursor = listing.page(
            filters.of(Session.objects.owned_by(request.user)), asked.get("cursor", ""), PAGE_SIZE
        )
    except listing.BadCursor:
        return redirect("sessions:list")
    query = asked.copy()
    query.pop("cursor", None)
    first_query = query.urlencode()
    if cursor:
        query["cursor"] = cursor
    return render(
        request,
        "sessions_app/list.html",
        {
            "sessions": rows,
            "filters": filters,
            "sources": Source.choices,
            "paged": "cursor" in asked,
            "first_query": first_query,
            "next_query": query.urlencode() if cursor else "",
        },
    )


@login_required
@never_cache
@require_safe
def session_page(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    """``/sessions/<id>``: everything, with the owner's controls."""
    session = _own(request, session_id)
    base = reverse("sessions:session", args=[session.pk])
    return render(
        request,
        "sessions_app/session.html",
        {
            **transcript.context(request, Reading(session), base),
            "owner": True,
            "share_url": share_url(request, session),
            "sharing_policy": settings.GANDER.sharing,
        },
    )


@login_required
@never_cache
@require_safe
def whole_part(request: HttpRequest, session_id: uuid.UUID, pk: int) -> HttpResponse:
    """One part with its output complete: a fragment for the page, or a page of its own."""
    session = _own(request, session_id)
    base = reverse("sessions:session", args=[session.pk])
    return part_response(request, Reading(session), pk, base)


def part_response(request: HttpRequest, reading: Reading, pk: int, base: str) -> HttpResponse:
    """The answer with one whole part, for owner and readers alike."""
    html = transcript.whole_part(reading, pk, base)
    if request.headers.get("hx-request"):
        return HttpResponse(html)
    return render(request, "sessions_app/part.html", {"part": html, "reading": reading, "base": base})


@login_required
@require_POST
def change_session(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    """The forms' way to rename, share or archive, without JavaScript."""
    session = _own(request, session_id)
    asked = request.POST
    try:
        session = acts.update(
            session,
            title=asked.get("title"),
            shared=_CHOICES.get(asked.get("shared", "")),
            archived=_CHOICES.get(asked.get("archived", "")),
        )
    except Session.DoesNotExist:
        raise Http404 from None
    if asked.get("shared") == "1":
        messages.success(request, f"Shared. The link is {share_url(request, session)}")
    elif asked.get("shared") == "0":
        messages.success(request, "No longer shared. The link is dead until you share again.")
    elif asked.get("archived") == "1":
        messages.success(request, "Archived. The list shows it under Archived.")
    return redirect("sessions:session", session_id=session.pk)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def delete_session(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    """Asks, then deletes for good."""
    session = _own(request, session_id)
    if request.method != "POST":
        return render(request, "sessions_app/delete.html", {"session": session})
    try:
        acts.delete(session)
    except Session.DoesNotExist:
        raise Http404 from None
    messages.success(request, f"Deleted “{session.shown_title}”.")
    return redirect("sessions:list")
