"""The owner's pages: the list, a session, and the plain forms behind its controls."""

import contextlib
import time
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from sessions_app import acts, listing, session_views, summary
from sessions_app.agent import composer
from sessions_app.links import share_url
from sessions_app.models import Session, Source
from sessions_app.reading import Reading

PAGE_SIZE = 50
_MOST_CHOICES = 500
_CHOICES = {"1": True, "0": False}


def own(request: HttpRequest, session_id: uuid.UUID) -> Session:
    """The owner's door, as a page asks it."""
    return get_object_or_404(Session.objects.owned_by(request.user), pk=session_id)


@login_required
@never_cache
@require_safe
def session_list(request: HttpRequest) -> HttpResponse:
    """``/sessions``: one's own, newest first, grouped by day and month."""
    filters = listing.Filters.read(request.GET)
    here = request.GET.get("cursor", "")
    try:
        rows, cursor = listing.page(filters.of(request.user), here, PAGE_SIZE, filters.sort)
    except listing.BadCursor:
        return redirect("sessions:list")
    if here and not rows:
        # All that stood here was archived or deleted.
        return redirect(_list_address(filters))
    context = {
        "groups": _grouped(rows, filters.sort),
        "filters": filters,
        "sources": Source.choices,
        "sorts": [(sort.value, sort.label) for sort in listing.Sort],
        "since": int(time.time() * 1000),
        "here": here,
        "cursor": cursor,
        "agents_run_here": not rows and not composer.problem(),
    }
    return render(request, "sessions_app/list.html", context)


def _grouped(rows: list[Session], sort: listing.Sort) -> list[tuple[str, list[Session]]]:
    groups: dict[str, list[Session]] = {}
    for row in rows:
        row.order = listing.order_of(row, sort)  # type: ignore[attr-defined]
        groups.setdefault(listing.group_of(row, sort), []).append(row)
    return list(groups.items())


@login_required
@never_cache
@require_safe
def list_summary(request: HttpRequest) -> HttpResponse:
    """Totals of what the list shows; apart from it, as they read every row."""
    filters = listing.Filters.read(request.GET)
    context = {"summary": summary.of(filters.of(request.user), filters.until), "filters": filters}
    fragment = request.headers.get("hx-request")
    return render(
        request, "sessions_app/summary.html" if fragment else "sessions_app/summary_page.html", context
    )


@login_required
@never_cache
@require_safe
def list_choices(request: HttpRequest) -> HttpResponse:
    """Directories and models to filter by."""
    own = Session.objects.owned_by(request.user).order_by()
    directories = own.exclude(directory="").values_list("directory", flat=True).distinct()[:_MOST_CHOICES]
    models = {
        name
        for used in own.values_list("models_used", flat=True).distinct()[:_MOST_CHOICES]
        for name in used.splitlines()
    }
    return render(
        request, "sessions_app/choices.html", {"directories": sorted(directories), "models": sorted(models)}
    )


def _archive(session: Session) -> None:
    acts.update(session, archived=True)


def _unarchive(session: Session) -> None:
    acts.update(session, archived=False)


def _restore(session: Session) -> None:
    acts.restore(session)


# What is done, and the word that says it.
_BULK: dict[str, tuple[Callable[[Session], None], str]] = {
    "archive": (_archive, "Archived"),
    "unarchive": (_unarchive, "Taken out of the archive:"),
    "delete": (acts.delete, "Deleted"),
    "restore": (_restore, "Restored"),
    "delete-for-good": (acts.delete_for_good, "Deleted for good:"),
}


@login_required
@require_POST
def change_many(request: HttpRequest) -> HttpResponse:
    """Does one thing to every selected session; a deletion offers its undo."""
    if (name := request.POST.get("act", "")) not in _BULK:
        raise Http404
    act, word = _BULK[name]
    done = []
    # A row's own buttons name their session in the address, whatever else is selected.
    for raw in (request.GET.getlist("session") or request.POST.getlist("session"))[: PAGE_SIZE * 20]:
        try:
            pk = uuid.UUID(raw)
        except ValueError:
            continue
        resting = name in ("restore", "delete-for-good")
        session = Session.objects.owned_by(request.user, resting=resting).filter(pk=pk).first()
        if session is not None:
            with contextlib.suppress(Session.DoesNotExist):
                act(session)
                done.append(str(pk))
    if not done:
        messages.info(request, "No session was selected.")
    else:
        messages.success(
            request,
            f"{word} {len(done)} session{'s' if len(done) > 1 else ''}.",
            extra_tags=f"undo {' '.join(done)}" if name == "delete" else "",
        )
    filters = listing.Filters.read(QueryDict(request.POST.get("query", "")))
    return redirect(_list_address(filters, request.POST.get("cursor", "")))


def _list_address(filters: listing.Filters, cursor: str = "") -> str:
    """A page of the list."""
    query = "&".join(filter(None, (filters.query, urlencode({"cursor": cursor}) if cursor else "")))
    return f"{reverse('sessions:list')}{'?' if query else ''}{query}"


def of_owner(view: session_views.View) -> session_views.View:
    """The owner's door before one of the session's views."""

    @login_required
    @never_cache
    @require_safe
    @wraps(view)
    def owners(request: HttpRequest, session_id: uuid.UUID, **path: Any) -> HttpResponse:
        session = own(request, session_id)
        found = {**for_owner(request, session), **path}
        if view is session_views.conversation:
            found["agent"] = composer.of(session, request.user)
        return view(request, Reading(session), reverse("sessions:session", args=[session.pk]), found)

    return owners


def for_owner(request: HttpRequest, session: Session) -> dict[str, Any]:
    """What the owner's pages of a session show beyond a reader's."""
    return {
        "owner": True,
        "live": f"/ws/sessions/{session.pk}",
        "share_url": share_url(request, session),
        "sharing_policy": settings.GANDER.sharing,
    }


@login_required
@require_POST
def change_session(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    """The forms' way to rename, share or archive, without JavaScript."""
    session = own(request, session_id)
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
    """Asks, then deletes; for 30 days it can be taken back."""
    session = own(request, session_id)
    if request.method != "POST":
        return render(request, "sessions_app/delete.html", {"session": session})
    try:
        acts.delete(session)
    except Session.DoesNotExist:
        raise Http404 from None
    messages.success(request, f"Deleted “{session.shown_title}”.", extra_tags=f"undo {session.pk}")
    return redirect("sessions:list")
