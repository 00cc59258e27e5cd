"""The pages behind a link."""

from functools import wraps
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from sessions_app.models import Session
from sessions_app.session_views import View, conversation
from sharing import access


def of_readers(view: View) -> View:
    """The visitors' door before one of the session's views. Its owner is led to their own page."""

    @require_safe
    @wraps(view)
    def readers(request: HttpRequest, share_id: str, **path: Any) -> HttpResponse:
        own = Session.objects.owned_by(request.user).filter(share_id=share_id).first()
        if own and view is conversation and not request.GET:
            return redirect("sessions:session", session_id=own.pk)
        reading = access.open(share_id, request.user)
        if reading is None:
            raise Http404
        extra = {"owner": False, "live": f"/ws/share/{share_id}", "viewer_is_owner": own is not None, **path}
        return view(request, reading, reverse("shared-session", args=[share_id]), extra)

    return readers
