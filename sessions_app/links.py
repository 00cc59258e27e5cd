"""Addresses of sessions, as people and agents get them."""

from django.conf import settings
from django.http import HttpRequest

from sessions_app.models import Session


def base_url(request: HttpRequest) -> str:
    """The installation's address: the configured one, else the request's own, whose host is an allowed one."""
    return str(settings.GANDER.base_url) or f"{request.scheme}://{request.get_host()}"


def share_address(base: str, session: Session) -> str:
    """The session's own link. opencode's importer takes it in just this form."""
    return f"{base}/share/{session.share_id}"


def share_url(request: HttpRequest, session: Session) -> str:
    """The session's own link, at the address by which the request came."""
    return share_address(base_url(request), session)
