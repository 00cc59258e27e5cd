"""The page behind a link."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from sessions_app import transcript
from sessions_app.models import Session
from sessions_app.reading import Reading
from sessions_app.views import part_response
from sharing import access


def _open(request: HttpRequest, share_id: str) -> Reading:
    reading = access.open(share_id, request.user)
    if reading is None:
        raise Http404
    return reading


@require_safe
def shared_session(request: HttpRequest, share_id: str) -> HttpResponse:
    """``/share/<share id>``: the session as readers see it. Its owner is led to their own page."""
    own = Session.objects.owned_by(request.user).filter(share_id=share_id).first()
    if own and request.GET.get("view") != "reader":
        return redirect("sessions:session", session_id=own.pk)
    reading = _open(request, share_id)
    base = reverse("shared-session", args=[share_id])
    return render(
        request,
        "sessions_app/session.html",
        {**transcript.context(request, reading, base), "owner": False, "viewer_is_owner": own is not None},
    )


@require_safe
def whole_part(request: HttpRequest, share_id: str, pk: int) -> HttpResponse:
    """One part of it with its output complete, masked like the page."""
    return part_response(request, _open(request, share_id), pk, reverse("shared-session", args=[share_id]))
